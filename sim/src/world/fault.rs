//! Planned faults of parties and clocks, and the moment when all of them stop.

use super::World;
use super::heap::Event;
use super::hub::PartyNo;
use crate::clock::TrueTime;
use crate::history::Kind;
use crate::plan::{Fault, Way, What};

impl World {
    /// A planned fault strikes.
    pub(super) fn strike(&mut self, position: u32) {
        if self.healed {
            return;
        }
        let Fault { party: key, what, .. } = self.plan.faults[position as usize];
        let Some(party) = self.position_of(key) else { return };
        match what {
            What::Crash { restart_ms } => {
                if self.seats[party].alive {
                    self.tally.fault(what.name());
                    self.crash(party, restart_ms);
                }
                return;
            }
            What::Pause { for_ms } => {
                if !self.seats[party].alive {
                    return;
                }
                let until = self.now.plus_ms(for_ms);
                let seat = &mut self.seats[party];
                seat.stalled_until = seat.stalled_until.max(Some(until));
                self.schedule(until, party, Event::Resume(party as u32));
            }
            What::Cut { for_ms, way } => {
                let until = self.now.plus_ms(for_ms);
                let seat = &mut self.seats[party];
                if matches!(way, Way::Out | Way::Both) {
                    seat.cut_out = seat.cut_out.max(until);
                }
                if matches!(way, Way::In | Way::Both) {
                    seat.cut_in = seat.cut_in.max(until);
                }
            }
            What::ServerStep { by_ms } => self.server_clock.step_ms(by_ms),
            What::WorkerStep { by_ms } => self.hub.set_clock(party, |clock| clock.step_ms(by_ms)),
            What::LostRequest | What::LostReply | What::Delay { .. } | What::Duplicate { .. } => return,
        }
        self.tally.fault(what.name());
        self.tell(party, |_| Kind::Fault { name: what.name(), detail: describe(what) });
    }

    /// A process dies wherever it waits: all its tasks are dropped. Its messages under way are not.
    pub(super) fn crash(&mut self, party: PartyNo, restart_ms: u64) {
        let what = What::Crash { restart_ms };
        self.tell(party, |_| Kind::Fault { name: what.name(), detail: describe(what) });
        let tasks = std::mem::take(&mut self.seats[party].tasks);
        for task in tasks {
            // The task whose message this is, if one is, is dropped when its poll is over.
            drop(self.tasks.remove(task));
        }
        self.drop_deferred(party);
        let seat = &mut self.seats[party];
        seat.alive = false;
        seat.stalled_until = None;
        seat.life += 1;
        self.schedule(self.now.plus_ms(restart_ms), party, Event::Start(party as u32));
    }

    /// What was waiting for a stalled machine that died is gone.
    fn drop_deferred(&mut self, party: PartyNo) {
        for event in std::mem::take(&mut self.seats[party].deferred) {
            match event {
                // A repetition of the message may still be under way.
                Event::Reply(position) => {
                    self.flights.get_mut(position).into_iter().for_each(|flight| flight.reply_due = false);
                    self.free_flight(position);
                }
                Event::Begin(request) => drop(self.requests.remove(request)),
                Event::Respond(_, response) => drop(self.responses.remove(response)),
                _ => {}
            }
        }
    }

    /// A stalled machine goes on, unless a later stall holds it: what happened to it meanwhile happens
    /// now, in order.
    pub(super) fn resume(&mut self, party: PartyNo) {
        let seat = &mut self.seats[party];
        if seat.stalled_until.is_none_or(|until| until > self.now && !self.healed) {
            return;
        }
        seat.stalled_until = None;
        let deferred = std::mem::take(&mut seat.deferred);
        for event in deferred {
            self.schedule(self.now, party, event);
        }
    }

    /// Faults stop and clocks agree with the server's.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.tell(0, |_| Kind::Healed);
        let ahead_ms = self.server_clock.at(self.now).ms() - crate::clock::ServerClock::default().at(self.now).ms();
        for party in 0..self.seats.len() {
            let now = self.now;
            self.hub.set_clock(party, |clock| clock.make_honest(now, ahead_ms));
            self.seats[party].heal();
            self.resume(party);
        }
        self.server_clock = crate::clock::ServerClock::default();
        self.server_clock.step_ms(ahead_ms);
        if self.plan.world.liveness_ms == 0 || self.watch.until.is_some_and(|until| until <= self.now) {
            self.over = true;
            return;
        }
        let first = self.now.plus_ms(super::liveness::LOOK_MS);
        self.schedule(first, 0, Event::Look);
    }

    /// The end of the liveness phase.
    pub(super) fn deadline(&self) -> TrueTime {
        TrueTime::from_ms(self.plan.world.for_ms).plus_ms(self.plan.world.liveness_ms)
    }
}

pub(super) fn describe(what: What) -> String {
    match what {
        What::Crash { restart_ms } => format!("down for {restart_ms} ms"),
        What::Pause { for_ms } => format!("stalls for {for_ms} ms"),
        What::Cut { for_ms, way } => format!("cut {way:?} for {for_ms} ms"),
        What::ServerStep { by_ms } => format!("the server's clock steps by {by_ms} ms"),
        What::WorkerStep { by_ms } => format!("its clock steps by {by_ms} ms"),
        What::Delay { by_ms } => format!("late by {by_ms} ms"),
        What::Duplicate { after_ms } => format!("applied again after {after_ms} ms"),
        What::LostRequest | What::LostReply => "lost".into(),
    }
}
