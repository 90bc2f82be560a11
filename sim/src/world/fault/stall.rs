//! A pause: the machine stalls with its process, and goes on later as if nothing had been.

use crate::history::Happening;
use crate::world::World;
use crate::world::heap::Event;
use crate::world::hub::PartyNo;

impl World {
    /// The party's machine stalls for so long; a longer stall that holds already stays.
    pub(super) fn stall(&mut self, party: PartyNo, for_ms: u64) {
        let until = self.now.plus_ms(for_ms);
        let seat = &mut self.seats[party];
        seat.stalled_until = seat.stalled_until.max(Some(until));
        seat.disturbed_until = seat.disturbed_until.max(until);
        self.schedule(until, party, Event::Resume(party as u32));
    }

    /// A stalled machine goes on, unless a later stall holds it: what happened to it meanwhile happens
    /// now, in order.
    pub(in crate::world) fn resume(&mut self, party: PartyNo) {
        let seat = &mut self.seats[party];
        if seat.stalled_until.is_none_or(|until| until > self.now && !self.healed) {
            return;
        }
        seat.stalled_until = None;
        let deferred = std::mem::take(&mut seat.deferred);
        self.tell(party, |_| Happening::Resumed);
        for event in deferred {
            self.schedule(self.now, party, event);
        }
    }
}
