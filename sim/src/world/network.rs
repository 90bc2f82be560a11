//! Messages: sent, late, lost, repeated, delivered to the server, answered.

use super::World;
use super::fault::Fate;
use super::heap::Event;
use super::hub::{PartyNo, TaskNo};
use super::outgoing::Load;
use super::wait::{Ended, WaitNo};
use crate::address::Draw;
use crate::clock::TrueTime;
use crate::history::Happening;

/// A message under way. It is made where it is sent, and not moved about.
pub struct Flight {
    party: PartyNo,
    number: u64,
    wait: WaitNo,
    /// What it carries.
    pub(super) load: Load,
    reply: Option<Ended>,
    sent_at: TrueTime,
    back_us: u64,
    /// How long the server takes for it.
    service_us: u64,
    lose_reply: bool,
    /// Deliveries still to come.
    deliveries: u8,
    /// Whether the reply is on its way.
    pub(super) reply_due: bool,
    /// Whether a reply was ever sent.
    answered: bool,
}

impl Flight {
    /// A message that is about to be sent; its way is decided when it is.
    pub(super) fn of(load: Load) -> Box<Self> {
        Box::new(Self {
            party: 0,
            number: 0,
            wait: WaitNo::default(),
            load,
            reply: None,
            sent_at: TrueTime::default(),
            back_us: 0,
            service_us: 0,
            lose_reply: false,
            deliveries: 0,
            reply_due: false,
            answered: false,
        })
    }
}

impl World {
    /// Sends a party's message: its address decides how long both ways take and what befalls it. The call that it
    /// belongs to is known while the world is watched.
    pub(super) fn send(
        &mut self,
        (task, party): (TaskNo, PartyNo),
        wait: WaitNo,
        mut flight: Box<Flight>,
        call: Option<u64>,
    ) {
        if self.seats[party].starved_until > self.now && flight.load.is_renewal() {
            let until = self.seats[party].starved_until;
            let held = self.held_back.insert(((task, party), wait, flight, call));
            self.schedule(until, party, Event::Send(held));
            return;
        }
        let load = &flight.load;
        let address = self.hub.address(task, party, load.about(), load.name());
        let out_us = self.hub.latency_us(&address, Draw::LatencyOut);
        let back_us = self.hub.latency_us(&address, Draw::LatencyBack);
        let number = self.seats[party].messages;
        self.seats[party].messages += 1;
        if self.is_watched() {
            let execution = load.execution().map(|number| self.hub.ids().execution_name(number).clone());
            let text = self.hub.write(task, party, &address);
            let (name, execution) = (load.name(), execution.as_deref());
            self.awaited.insert(wait, number);
            self.tell(party, |_| Happening::Sent {
                message: number,
                call,
                name,
                address: &text,
                execution,
                out_us,
                back_us,
            });
        }
        let mut fate = Fate::default();
        if !self.healed {
            self.befall((task, party), number, &address, load, &mut fate);
        }
        if self.seats[party].cut_out > self.now {
            fate.lose_request = true;
            self.tell(party, |_| Happening::Dropped { message: number, why: "its sender is cut off" });
        }
        let arrives = self.now.plus_us(out_us + fate.late_us);
        // A reply cannot come too late where both ways together take less than half of the shortest time that a clock
        // of the plan makes of the timeout: a clock runs at most half again as fast as true time.
        let is_busy = self.plan.world.service_us.high > 0;
        let is_close = is_busy || 2 * (out_us + fate.late_us + back_us) >= self.plan.world.request_timeout_ms * 1_000;
        if fate.lose_request || fate.lose_reply || is_close {
            let give_up = self.now.plus_us(self.timeout_us(party));
            if is_busy || fate.lose_request || fate.lose_reply || arrives.plus_us(back_us) >= give_up {
                self.schedule(give_up, party, Event::GiveUp(party as u32, wait));
            }
        }
        if !fate.lose_request {
            flight.party = party;
            flight.number = number;
            flight.wait = wait;
            flight.sent_at = self.now;
            flight.back_us = back_us;
            flight.service_us = self.hub.draws().within(address.key, Draw::Service, self.plan.world.service_us);
            flight.lose_reply = fate.lose_reply;
            flight.deliveries = 1 + u8::from(fate.again_us.is_some());
            let position = self.flights.insert(flight);
            self.schedule(arrives, party, Event::Deliver(position));
            if let Some(again_us) = fate.again_us {
                self.schedule(arrives.plus_us(again_us), party, Event::Deliver(position));
            }
        }
        if let Some((restart_ms, same_instance)) = fate.crash {
            self.crash(party, restart_ms, same_instance);
        }
    }

    /// How long a party's client waits for one reply, in true time.
    fn timeout_us(&self, party: PartyNo) -> u64 {
        self.hub.clock(party).true_us_of(self.plan.world.request_timeout_ms * 1_000)
    }

    /// A message has arrived: it is lost where nobody answers, waits where the server is busy, or is performed.
    pub(super) fn arrive(&mut self, position: u32) {
        let Some(flight) = self.flights.get_mut(position) else { return };
        let (party, wait, number, sent_at) = (flight.party, flight.wait, flight.number, flight.sent_at);
        if self.down_until > self.now {
            flight.deliveries -= 1;
            let answered = flight.answered;
            self.free_flight(position);
            self.tell(party, |_| Happening::Dropped { message: number, why: "the server does not answer" });
            if !answered {
                let give_up = sent_at.plus_us(self.timeout_us(party)).max(self.now);
                self.schedule(give_up, party, Event::GiveUp(party as u32, wait));
            }
            return;
        }
        let done = self.free_at.max(self.now).plus_us(flight.service_us);
        if done > self.now {
            self.free_at = done;
            self.schedule(done, party, Event::Perform(position));
        } else {
            self.deliver(position);
        }
    }

    /// The server performs a message that has arrived; the first performance is answered.
    pub(super) fn deliver(&mut self, position: u32) {
        let Some(mut flight) = self.flights.lend(position) else { return };
        let reply = match &flight.load {
            Load::Message(message) => Ended::Answered(self.perform(flight.party, flight.number, message)),
            Load::Tagged(message, tag) => {
                let reply = self.perform(flight.party, flight.number, message);
                self.perform_beside(&**tag, message, &reply);
                Ended::Answered(reply)
            }
            Load::Whole(call) => self.perform_whole(flight.party, flight.number, &**call),
        };
        flight.deliveries -= 1;
        // Of a message that is applied twice, the first answer is the one that travels back.
        let answers = !flight.answered && !flight.lose_reply;
        if answers {
            let at = self.now.plus_us(flight.back_us);
            flight.reply = Some(reply);
            flight.reply_due = true;
            flight.answered = true;
            self.schedule(at, flight.party, Event::Reply(position));
        }
        let done = flight.deliveries == 0 && !flight.reply_due;
        self.flights.restore(position, if done { None } else { Some(flight) });
    }

    /// A reply reaches its sender, unless it is cut off, dead, or has given up.
    pub(super) fn reply(&mut self, event: Event, position: u32) {
        let Some(flight) = self.flights.get_mut(position) else { return };
        let name = flight.load.name();
        let (party, wait, number, sent_at) = (flight.party, flight.wait, flight.number, flight.sent_at);
        if self.seats[party].cut_in > self.now {
            self.flights.get_mut(position).into_iter().for_each(|flight| flight.reply_due = false);
            self.free_flight(position);
            self.tell(party, |_| Happening::Dropped { message: number, why: "replies to its sender are cut off" });
            let give_up = sent_at.plus_us(self.timeout_us(party)).max(self.now);
            self.schedule(give_up, party, Event::GiveUp(party as u32, wait));
            return;
        }
        if self.seats[party].stalled() {
            self.seats[party].deferred.push(event);
            return;
        }
        flight.reply_due = false;
        let reply = flight.reply.take();
        self.free_flight(position);
        let Some(reply) = reply else { return };
        if let Some(task) = self.hub.end(wait, reply) {
            self.awaited.remove(&wait);
            self.tell(party, |_| Happening::Answered { message: number, name });
            self.poll(task);
        } else {
            self.tell(party, |_| Happening::Dropped { message: number, why: "nobody waits for the reply any more" });
        }
    }

    /// Frees a message of which nothing is under way any more.
    pub(super) fn free_flight(&mut self, position: u32) {
        if self.flights.get_mut(position).is_some_and(|flight| flight.deliveries == 0 && !flight.reply_due) {
            self.flights.remove(position);
        }
    }
}
