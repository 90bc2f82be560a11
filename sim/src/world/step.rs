//! One event after the other, until nothing is left to do or somebody has had enough.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use claimlab_model::invariant::WorkerFact;
use ff_core::state::OwnershipState;

use super::World;
use super::heap::Event;
use super::hub::PartyNo;
use super::tasks::Request;
use super::wait::{Ended, WaitNo};
use crate::history::Happening;
use crate::outcome::{End, Outcome};
use crate::plan::PartyKey;

impl World {
    /// Runs the world to its end.
    pub fn run(mut self) -> Outcome {
        while !self.over {
            let Some((at, event)) = self.heap.pop() else { break };
            if let Some(until) = self.options.until.filter(|until| at > *until) {
                self.now = until;
                break;
            }
            self.now = at;
            self.counts.events += 1;
            self.happen(event);
            if self.is_told_apart() {
                break;
            }
            if self.options.most_events.is_some_and(|most| self.counts.events >= most) {
                self.undecided.push("more events than were allowed".to_owned());
                break;
            }
            if self.counts.events.is_multiple_of(4_096) && self.options.stop.load(Ordering::Relaxed) {
                self.undecided.push("interrupted".to_owned());
                break;
            }
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        self.finish_comparison();
        let (calls, saturated) = self.hub.permitted_calls();
        self.see_worker(0, "worker", &WorkerFact::Claimed { calls, saturated });
        let unrun = self.hub.run_counts().unrun;
        self.see_worker(0, "worker", &WorkerFact::OrphansEnded(unrun));
        if self.store.execution_count() == 0 && !self.options.bare {
            self.undecided.push("nothing was created".to_owned());
        }
        let mut counts = std::mem::take(&mut self.counts);
        counts.checked = self.checker.checked().collect();
        counts.methods = self.hub.method_counts();
        counts.runs = self.hub.run_counts();
        counts.completions = self.hub.completions();
        counts.created = self.store.execution_count() as u64;
        counts.unfinished = self.unfinished;
        counts.holders = self.holders();
        let end = match (self.violations.is_empty(), self.undecided.is_empty()) {
            (true, true) => End::Held,
            (false, true) => End::Violated,
            (_, false) => End::Undecided(std::mem::take(&mut self.undecided)),
        };
        let faults = self.plan.faults.iter().zip(&self.has_struck);
        let unstruck = faults.filter(|(_, struck)| !**struck).map(|(fault, _)| fault.key.clone()).collect();
        let (violations, struck) = (std::mem::take(&mut self.violations), std::mem::take(&mut self.struck));
        let mut reached: Vec<u64> = self.reached.drain().collect();
        reached.sort_unstable();
        Outcome { end, violations, struck, unstruck, counts, reached, ended_at: self.now }
    }

    /// Workers whose present process holds a lease.
    fn holders(&self) -> u64 {
        let ids = self.hub.ids();
        let leased =
            self.store.executions().filter(|found| found.core.vector.ownership_state == OwnershipState::Leased);
        let holders = leased.filter_map(|found| found.core.current_instance);
        let names: BTreeSet<&str> = holders.map(|instance| ids.instance_id(instance).as_str()).collect();
        let workers = self.seats.iter().filter(|seat| seat.key.0 >= PartyKey::WORKERS);
        workers.filter(|seat| names.contains(seat.key.instance(seat.instance).as_str())).count() as u64
    }

    /// Delivers one event.
    fn happen(&mut self, event: Event) {
        match event {
            Event::Elapse(party, wait) => self.end_wait(event, party as PartyNo, wait, Ended::Elapsed),
            Event::GiveUp(party, wait) => self.end_wait(event, party as PartyNo, wait, Ended::Unanswered),
            Event::Deliver(flight) => self.arrive(flight),
            Event::Perform(flight) => self.deliver(flight),
            Event::Send(held) => self.send_held(event, held),
            Event::Reply(flight) => self.reply(event, flight),
            Event::Begin(request) => self.begin(event, request),
            Event::Respond(party, response) => self.respond(event, party as PartyNo, response),
            Event::Hear(party, news) => self.hear(event, party as PartyNo, news),
            Event::Fault(position) => self.strike(position),
            Event::Start(party) => self.start(party as PartyNo),
            Event::Resume(party) => self.resume(party as PartyNo),
            Event::Reconnect(party) => self.reconnect(party as PartyNo),
            Event::Later => self.hub.begin_later(),
            Event::Heal => self.heal(),
            Event::Look => self.look(),
        }
    }

    /// Ends a wait and polls its task; a stalled party's waits end when it goes on.
    fn end_wait(&mut self, event: Event, party: PartyNo, wait: WaitNo, ended: Ended) {
        let seat = &mut self.seats[party];
        if seat.stalled() {
            seat.deferred.push(event);
            return;
        }
        let has_given_up = matches!(ended, Ended::Unanswered);
        if let Some(task) = self.hub.end(wait, ended) {
            if has_given_up {
                let message = self.awaited.remove(&wait);
                self.tell(party, |_| Happening::GaveUp { message });
            }
            self.poll(task);
        }
    }

    fn begin(&mut self, event: Event, position: u32) {
        let Some(to) = self.requests.get_mut(position).map(|request| request.to) else { return };
        if self.seats[to].stalled() {
            self.seats[to].deferred.push(event);
            return;
        }
        let Some(Request { to, future, scope }) = self.requests.remove(position) else { return };
        if self.seats[to].alive {
            self.tell(to, |_| Happening::Asked { request: &scope });
            let task = self.spawn(to, future, Some(&scope));
            self.poll(task);
        }
    }

    fn respond(&mut self, event: Event, to: PartyNo, position: u32) {
        let seat = &mut self.seats[to];
        if seat.cut_in > self.now {
            self.responses.remove(position);
            return;
        }
        if seat.stalled() {
            seat.deferred.push(event);
            return;
        }
        let Some((wait, value)) = self.responses.remove(position) else { return };
        self.tell(to, |_| Happening::Responded);
        if let Some(task) = self.hub.end(wait, Ended::Value(value)) {
            self.poll(task);
        }
    }

    /// News of a completion reaches a listener, unless it is cut off then: nobody sends it again.
    fn hear(&mut self, event: Event, party: PartyNo, position: u32) {
        let seat = &mut self.seats[party];
        if seat.stalled() {
            seat.deferred.push(event);
            return;
        }
        let is_cut_off = seat.cut_in > self.now;
        let Some((subscription, payload)) = self.news.remove(position).filter(|_| !is_cut_off) else { return };
        if let Some(task) = self.hub.hear(subscription, payload) {
            self.poll(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use claimlab_model::backend::Method;
    use ff_core::types::{ExecutionId, LeaseEpoch};

    use super::super::{Cast, Life, Options, Party, TaskFuture};
    use super::*;

    /// Nobody does anything by itself.
    struct Nobody;

    impl Cast for Nobody {
        fn tasks_of(&mut self, _: Party, _: PartyKey, _: Life) -> Vec<TaskFuture> {
            Vec::new()
        }

        fn has_submitted_all(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_claim_without_a_permit_is_the_workers_doing() {
        let text = "[world]\npartitions = 1\nfor_ms = 1\n[workers]\ncount = 1\n[work]\nrun_ms = [1, 1]\n";
        let scenario = crate::scenario::parse(std::path::Path::new("one.toml"), text).unwrap();
        let plan = Arc::new(crate::plan::draw(&scenario, 1));
        let world = World::new(&plan, Options::default(), |_| Box::new(Nobody));
        let worker = world.positions[&plan.workers.last().unwrap().key];
        let id = ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let execution = world.hub.ids().execution(&id);
        world.hub.run_started(worker, execution, LeaseEpoch(1));
        world.hub.method_started(worker, Method::ClaimExecution, &String::new);
        let causes: Vec<_> = world.finish().violations.iter().map(|violation| violation.cause().to_string()).collect();
        assert_eq!(causes, ["S14 saturated worker:claim=called"]);
    }
}
