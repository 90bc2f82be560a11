//! A cut: for some time what a party sends does not arrive, or what is sent to it, or neither.

use crate::history::Happening;
use crate::plan::Way;
use crate::world::World;
use crate::world::heap::Event;
use crate::world::hub::PartyNo;

impl World {
    /// The party is cut off for so long; a longer cut that holds already stays.
    pub(super) fn cut_off(&mut self, party: PartyNo, for_ms: u64, way: Way) {
        let until = self.now.plus_ms(for_ms);
        let seat = &mut self.seats[party];
        seat.disturbed_until = seat.disturbed_until.max(until);
        if matches!(way, Way::Out | Way::Both) {
            seat.cut_out = seat.cut_out.max(until);
        }
        if matches!(way, Way::In | Way::Both) {
            seat.cut_in = seat.cut_in.max(until);
        }
        self.schedule(until, party, Event::Reconnect(party as u32));
    }

    /// A cut has ended, unless a later one holds.
    pub(in crate::world) fn reconnect(&mut self, party: PartyNo) {
        let seat = &self.seats[party];
        if seat.cut_in <= self.now && seat.cut_out <= self.now {
            self.tell(party, |_| Happening::Reconnected);
        }
    }
}
