//! Starved renewals: a process whose timers do not come to their turn while its work goes on.

use crate::world::World;
use crate::world::heap::Event;
use crate::world::hub::{PartyNo, TaskNo};
use crate::world::network::Flight;
use crate::world::wait::WaitNo;

/// A message that has not left its process: who sends it, who waits, and the call that it belongs to.
pub(in crate::world) type HeldBack = ((TaskNo, PartyNo), WaitNo, Box<Flight>, Option<u64>);

impl World {
    /// The party's renewals stay in its process for so long.
    pub(super) fn starve(&mut self, party: PartyNo, for_ms: u64) {
        let until = self.now.plus_ms(for_ms);
        let seat = &mut self.seats[party];
        seat.starved_until = seat.starved_until.max(until);
        seat.disturbed_until = seat.disturbed_until.max(until);
    }

    /// A message leaves its process at last, unless the process has died with it.
    pub(in crate::world) fn send_held(&mut self, event: Event, position: u32) {
        let Some(((_, party), ..)) = self.held_back.get_mut(position) else { return };
        let party = *party;
        if self.seats[party].stalled() {
            self.seats[party].deferred.push(event);
            return;
        }
        let Some(((task, party), wait, flight, call)) = self.held_back.remove(position) else { return };
        if self.hub.is_awaited(wait) {
            self.send((task, party), wait, flight, call);
        }
    }
}
