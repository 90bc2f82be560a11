//! Planned faults of parties and clocks, and the moment when all of them stop.

use super::World;
use super::heap::Event;
use super::hub::PartyNo;
use crate::clock::TrueTime;
use crate::history::Kind;
use crate::plan::{Fault, Strikes, Struck, Way, What};

impl World {
    /// A planned fault of a party strikes, or waits from now on for the party to send something.
    pub(super) fn strike(&mut self, position: u32) {
        if self.healed {
            return;
        }
        let plan = std::sync::Arc::clone(&self.plan);
        let Fault { key, strikes, what } = &plan.faults[position as usize];
        let Some(party) = strikes.party().and_then(|party| self.positions.get(&party).copied()) else { return };
        if let Strikes::Sending { skip, .. } = strikes {
            self.seats[party].crashes_when_sending.push((position, *skip));
            return;
        }
        let has_process = matches!(what, What::Crash { .. } | What::Pause { .. });
        if has_process && !self.seats[party].alive {
            return;
        }
        self.has_struck[position as usize] = true;
        self.counts.fault(what.name());
        if self.options.keep_struck {
            self.struck.push(Struck { key: key.clone(), address: None, what: *what });
        }
        self.tell(party, |_| Kind::Struck { key, what: *what, message: None });
        match *what {
            What::Crash { restart_ms } => self.crash(party, restart_ms),
            What::Pause { for_ms } => {
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
                self.schedule(until, party, Event::Reconnect(party as u32));
            }
            What::ServerStep { by_ms } => self.server_clock.step_ms(by_ms),
            What::WorkerStep { by_ms } => self.hub.set_clock(party, |clock| clock.step_ms(by_ms)),
            // A plan with one of these at a time is refused.
            What::LostRequest | What::LostReply | What::Delay { .. } | What::Duplicate { .. } | What::Spare => {}
        }
    }

    /// A cut has ended, unless a later one holds.
    pub(super) fn reconnect(&mut self, party: PartyNo) {
        let seat = &self.seats[party];
        if seat.cut_in <= self.now && seat.cut_out <= self.now {
            self.tell(party, |_| Kind::Reconnected);
        }
    }

    /// A process dies wherever it waits: all its tasks are dropped. Its messages under way are not.
    pub(super) fn crash(&mut self, party: PartyNo, restart_ms: u64) {
        let tasks = std::mem::take(&mut self.seats[party].tasks);
        for task in tasks {
            // The task whose message this is, if one is, is dropped when its poll is over.
            self.drop_task(task);
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
        self.tell(party, |_| Kind::Resumed);
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
        if self.plan.world.liveness_ms == 0 || self.options.until.is_some_and(|until| until <= self.now) {
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
