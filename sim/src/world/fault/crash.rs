//! A crash: the process dies with everything that it was doing, and a new one starts later.

use crate::world::World;
use crate::world::heap::Event;
use crate::world::hub::PartyNo;

impl World {
    /// A process dies wherever it waits: all its tasks are dropped. Its messages under way are not.
    pub(in crate::world) fn crash(&mut self, party: PartyNo, restart_ms: u64, same_instance: bool) {
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
        if !same_instance {
            seat.instance = seat.life;
        }
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
}
