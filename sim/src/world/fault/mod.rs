//! Planned faults of parties and clocks, and the moment when all of them stop. How each kind strikes stands in a file of
//! its own; a clock's step is one line here.

mod crash;
mod cut;
mod holder;
mod message;
mod server;
mod stall;
mod starve;

pub(super) use message::Fate;
pub(super) use server::Logged;
pub(super) use starve::HeldBack;

use super::World;
use super::heap::Event;
use super::hub::PartyNo;
use crate::clock::TrueTime;
use crate::history::Happening;
use crate::plan::{Fault, Strikes, Struck, What};

impl World {
    /// A planned fault of a party strikes, or waits from now on for the party to send something.
    pub(super) fn strike(&mut self, position: u32) {
        if self.healed {
            return;
        }
        let plan = std::sync::Arc::clone(&self.plan);
        let Fault { strikes, .. } = &plan.faults[position as usize];
        if let Strikes::Holder { work, .. } = strikes {
            self.strike_holder(position, *work);
            return;
        }
        let Some(party) = strikes.party().and_then(|party| self.positions.get(&party).copied()) else { return };
        if let Strikes::Sending { skip, .. } = strikes {
            self.seats[party].crashes_when_sending.push((position, *skip));
            return;
        }
        self.strike_party(position, party);
    }

    /// A planned fault strikes this party now.
    fn strike_party(&mut self, position: u32, party: PartyNo) {
        let plan = std::sync::Arc::clone(&self.plan);
        let Fault { key, what, .. } = &plan.faults[position as usize];
        let has_process = matches!(what, What::Crash { .. } | What::Pause { .. });
        if has_process && !self.seats[party].alive {
            return;
        }
        self.has_struck[position as usize] = true;
        self.counts.fault(what.name());
        if self.options.keep_struck {
            self.struck.push(Struck { key: key.clone(), address: None, what: *what });
        }
        self.tell(party, |_| Happening::Struck { key, what: *what, message: None });
        match *what {
            What::Crash { restart_ms, same_instance } => self.crash(party, restart_ms, same_instance),
            What::Pause { for_ms } => self.stall(party, for_ms),
            What::Cut { for_ms, way } => self.cut_off(party, for_ms, way),
            What::ServerStep { by_ms } => self.server_clock.step_ms(by_ms),
            What::WorkerStep { by_ms } => self.hub.set_clock(party, |clock| clock.step_ms(by_ms)),
            What::Starve { for_ms } => self.starve(party, for_ms),
            What::ServerRestart { down_ms } => self.restart_server(down_ms),
            What::FailOver { lose_ms, clock_ms, down_ms } => self.fail_over(lose_ms, clock_ms, down_ms),
            // A plan with one of these at a time is refused.
            What::LostRequest | What::LostReply | What::Delay { .. } | What::Duplicate { .. } | What::Spare => {}
        }
    }

    /// Faults stop and clocks agree with the server's.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.down_until = TrueTime::default();
        self.awaiting_holder.clear();
        self.log = None;
        self.tell(0, |_| Happening::Healed);
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
