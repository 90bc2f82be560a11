//! Messages: sent, delayed, lost, repeated, performed by the model, answered.

use claimlab_model::completion;
use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::{Invariant, Violation};
use claimlab_model::message::{Message, Reply};
use claimlab_model::script;
use claimlab_model::store::{Change, Core};
use ff_core::state::{LifecyclePhase, OwnershipState};

use super::heap::Event;
use super::hub::PartyNo;
use super::outgoing::{Latency, Load};
use super::wait::{Ended, WaitNo};
use super::{Flight, Task, World};
use crate::history::{Finding, Kind, Transition};
use crate::plan::What;

impl World {
    /// Sends a party's message: draws both ways' latency, applies the faults planned for its number.
    pub(super) fn send(&mut self, task: &mut Task, wait: WaitNo, load: Load, latency: Latency) {
        let party = task.party;
        let (out_us, back_us) = (self.latency(task, latency), self.latency(task, latency));
        let seat = &mut self.seats[party];
        let number = seat.messages;
        seat.messages += 1;
        let faults: Vec<What> = seat.faults_of(number).collect();
        let mut lose_request = seat.cut_out > self.now;
        let (mut late_us, mut lose_reply, mut again_us, mut crash) = (0, false, None, None);
        if !self.watch.observers.is_empty() {
            let execution = load.execution().map(|no| self.hub.ids().execution_name(no).clone());
            self.tell(party, |_| Kind::Send { message: number, name: load.name(), execution: execution.as_deref() });
        }
        for what in faults {
            match what {
                What::LostRequest => lose_request = true,
                What::LostReply => lose_reply = true,
                What::Delay { by_ms } => late_us += by_ms.saturating_mul(1_000),
                What::Duplicate { after_ms } => again_us = Some(after_ms.saturating_mul(1_000)),
                What::Crash { restart_ms } => crash = Some(restart_ms),
                _ => continue,
            }
            self.tally.fault(what.name());
            if crash.is_none() {
                let detail = format!("message {number} {}: {}", load.name(), super::fault::describe(what));
                self.tell(party, |_| Kind::Fault { name: what.name(), detail });
            }
        }
        let arrives = self.now.plus_us(out_us + late_us);
        // No clock runs more than half again as fast as true time, so a reply well within the timeout
        // needs no second look.
        let close = 2 * (out_us + late_us + back_us) >= self.plan.world.request_timeout_ms * 1_000;
        if lose_request || lose_reply || close {
            let give_up = self.now.plus_us(self.timeout_us(party));
            if lose_request || lose_reply || arrives.plus_us(back_us) >= give_up {
                self.schedule(give_up, party, Event::GiveUp(party as u32, wait));
            }
        }
        if !lose_request {
            let flight = Flight {
                party,
                number,
                wait,
                load,
                reply: None,
                sent_at: self.now,
                back_us,
                lose_reply,
                deliveries: 1 + u8::from(again_us.is_some()),
                reply_due: false,
                answered: false,
            };
            let position = self.flights.insert(Box::new(flight));
            self.schedule(arrives, party, Event::Deliver(position));
            if let Some(again_us) = again_us {
                self.schedule(arrives.plus_us(again_us), party, Event::Deliver(position));
            }
        }
        if let Some(restart_ms) = crash {
            self.crash(party, restart_ms);
        }
    }

    /// How long a party's client waits for one reply, in true time.
    fn timeout_us(&self, party: PartyNo) -> u64 {
        self.hub.clock(party).true_us_of(self.plan.world.request_timeout_ms * 1_000)
    }

    /// The server performs a message that has arrived; the first performance is answered.
    pub(super) fn deliver(&mut self, position: u32) {
        let Some(mut flight) = self.flights.lend(position) else { return };
        let reply = match &flight.load {
            Load::Message(message) => Ended::Answered(self.perform(flight.party, flight.number, message)),
            #[cfg(feature = "live")]
            Load::Held(message, held) => {
                let reply = self.perform(flight.party, flight.number, message);
                self.deliver_shadow(held, message, &reply);
                Ended::Answered(reply)
            }
            #[cfg(feature = "live")]
            Load::Whole(call) => self.perform_whole(flight.party, flight.number, call),
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
            self.tell(party, |_| Kind::Reply { message: number, name });
            self.poll(task);
        }
    }

    /// Frees a message of which nothing is under way any more.
    pub(super) fn free_flight(&mut self, position: u32) {
        if self.flights.get_mut(position).is_some_and(|flight| flight.deliveries == 0 && !flight.reply_due) {
            self.flights.remove(position);
        }
    }

    /// Performs a message on the model and lets every check look at it.
    pub(super) fn perform(&mut self, party: PartyNo, number: u64, message: &Message) -> Reply {
        let now = self.server_clock.at(self.now);
        if self.watch.bare {
            self.tally.messages += 1;
            return Reply::Time(now);
        }
        let reply = script::perform(&mut self.store, now, message);
        self.tally.messages += 1;
        let outcome = reply.label();
        let role = self.seats[party].key.role();
        if let Message::Script(script) = message {
            self.tally.script(script.name(), outcome);
            self.follow_changes(role, script.name(), outcome);
            self.publish();
        }
        let found = self.checker.observe(&self.store, now, message, &reply);
        if !found.is_empty() {
            let found = found.to_vec();
            self.tell_performed(party, number, message, outcome);
            for violation in found {
                self.report(party, violation);
            }
        } else if !self.watch.observers.is_empty() {
            self.tell_performed(party, number, message, outcome);
        }
        self.recheck();
        reply
    }

    /// Sends the news of every end that the script published to whoever listens.
    fn publish(&mut self) {
        let mut published = Vec::new();
        for (no, flow, outcome) in self.store.changes().published() {
            let payload = completion::payload(self.hub.ids().execution_id(no).clone(), flow, outcome);
            published.extend(self.hub.published(self.now).into_iter().map(|to| (to, payload.clone())));
        }
        for ((party, subscription, at), payload) in published {
            let news = self.news.insert((subscription, payload));
            self.schedule(at, party, Event::Hear(party as u32, news));
        }
    }

    /// Signatures and the count of unfinished executions, from the list of changes.
    fn follow_changes(&mut self, role: &'static str, script: &'static str, outcome: &'static str) {
        let mut last: Option<ExecutionNo> = None;
        for (no, change) in &self.store.changes().items {
            match change {
                Change::Created => self.unfinished += 1,
                Change::Core(position) => {
                    let (before, after) = &self.store.changes().cores[*position];
                    let ended = |core: &Core| core.vector.lifecycle_phase == LifecyclePhase::Terminal;
                    match (ended(before), ended(after)) {
                        (false, true) => self.unfinished -= 1,
                        (true, false) => self.unfinished += 1,
                        _ => {}
                    }
                    let leased = after.vector.ownership_state == OwnershipState::Leased;
                    if before.vector.ownership_state == OwnershipState::Leased {
                        self.hub.live_lease(*no, leased.then_some(after.current_lease_epoch), self.now);
                    }
                }
                Change::GrantLapsed(_) => continue,
                _ => {}
            }
            if last != Some(*no) {
                last = Some(*no);
                self.signatures.note(*no, role, script, outcome);
            }
        }
    }

    /// Counts a violation under its signature and tells the observers.
    pub(super) fn report(&mut self, party: PartyNo, violation: Violation) {
        let Violation { invariant, execution, detail } = violation;
        let signature = self.signatures.of(invariant, execution);
        self.found(party, invariant, Some(execution), signature, detail);
    }

    /// Counts what was found under a signature and tells the observers.
    pub(super) fn found(
        &mut self,
        party: PartyNo,
        invariant: Invariant,
        execution: Option<ExecutionNo>,
        signature: String,
        detail: String,
    ) {
        let name = execution.and_then(|no| self.store.name(no)).map_or_else(String::new, |name| name.to_string());
        self.tell(party, |_| Kind::Violation {
            invariant: invariant.id(),
            execution: &name,
            detail: &detail,
            signature: &signature,
        });
        let at_us = self.now.us();
        self.tally.find(Finding { invariant, signature, execution: name, detail, at_us });
    }

    fn tell_performed(&mut self, party: PartyNo, number: u64, message: &Message, outcome: &'static str) {
        if self.watch.observers.is_empty() {
            return;
        }
        let execution = message.execution();
        let name = execution.and_then(|no| self.store.name(no)).cloned();
        let cores = execution.and_then(|no| self.store.changes().core_of(no));
        let created = || {
            let found = self.store.execution(execution?)?;
            let is_new = self.store.changes().items.iter().any(|(_, change)| matches!(change, Change::Created));
            is_new.then(|| transition(None, &found.core))
        };
        let change = cores.map(|(before, after)| transition(Some(before), after)).or_else(created);
        self.tell(party, |_| Kind::Perform {
            message: number,
            name: message.name(),
            outcome,
            execution: name.as_deref(),
            change,
        });
    }

    /// The incremental answer must equal a full recheck; a difference is a defect of the checks.
    fn recheck(&mut self) {
        let due = self.watch.recheck_every.is_some_and(|every| self.tally.scripts.is_multiple_of(every));
        if due {
            let (standing, fresh) = (self.checker.standing(), self.checker.recheck(&self.store));
            assert_eq!(standing, fresh, "the incremental checks differ from a full recheck");
        }
    }
}

fn state(core: &Core) -> String {
    let vector = &core.vector;
    let mut text = format!("{:?}/{:?}/{:?}", vector.lifecycle_phase, vector.ownership_state, vector.eligibility_state);
    for plain in ["/NotApplicable", "/Unowned"] {
        text = text.replace(plain, "");
    }
    if vector.lifecycle_phase == LifecyclePhase::Terminal {
        text.push_str(&format!("/{:?}", vector.terminal_outcome));
    }
    text
}

fn transition(before: Option<&Core>, after: &Core) -> Transition {
    Transition {
        from: before.map_or_else(|| "-".into(), state),
        to: state(after),
        epoch: [before.map_or(0, |core| core.current_lease_epoch.0), after.current_lease_epoch.0],
        attempts: [before.map_or(0, |core| core.total_attempt_count), after.total_attempt_count],
    }
}
