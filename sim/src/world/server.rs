//! The server's side of a world: a message is performed on the model, and every check looks at it.

use claimlab_model::completion;
use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::{self, Seen, WorkerFact};
use claimlab_model::message::{Command, Done, Message, Refusal, Reply, Script};
use claimlab_model::script;
use claimlab_model::store::{Change, Core};
use ff_core::state::{EligibilityState, LifecyclePhase, OwnershipState};

use super::World;
use super::heap::Event;
use super::hub::PartyNo;
use super::run::Loss;
use crate::history::Happening;
use crate::outcome::Violation;
use crate::plan::PartyKey;

/// Who did what with which result: role, script, result.
pub(super) type Deed = (&'static str, &'static str, &'static str);

/// Nobody has done anything.
const NOBODY: Deed = ("nobody", "nothing", "none");

impl World {
    /// Performs a message on the model and lets every check look at it.
    pub(super) fn perform(&mut self, party: PartyNo, number: u64, message: &Message) -> Reply {
        let now = self.server_clock.at(self.now);
        self.counts.messages += 1;
        if self.options.bare {
            return Reply::Time(now);
        }
        let reply = script::perform(&mut self.store, now, message);
        let deed = (self.seats[party].key.role(), message.name(), reply.label());
        if let Message::Script(script) = message {
            self.counts.script(script.name(), reply.label());
            self.note_reached(party, message, deed);
            self.follow_changes(deed);
            if let (Script::Reclaim(args), Reply::Refused(Refusal::MaxRetriesExhausted(_))) = (script, &reply) {
                self.hub.met_cap(args.taker.execution);
            }
            self.publish();
        }
        if let Message::Upkeep(command) = message
            && command.writes()
        {
            self.counts.answer(command.name(), reply.label());
            self.follow_changes(deed);
        }
        if self.log.is_some() {
            self.log(now, message, &reply);
        }
        if let (Some(beside), Message::Command(Command::Attach { execution, budget_ids, quota_policy_id })) =
            (&self.options.beside, message)
        {
            let id = self.hub.ids().execution_id(*execution).clone();
            beside.attached(&id, budget_ids.as_deref(), quota_policy_id.as_deref());
        }
        let found = self.checker.observe(&self.store, now, message, &reply).to_vec();
        self.tell_performed(party, number, message, &reply);
        self.report_of(party, deed, found);
        self.recheck();
        if !self.awaiting_holder.is_empty() && matches!(reply, Reply::Done(Done::Leased(_))) {
            self.strike_new_holders();
        }
        reply
    }

    /// Sends the news of every end that the script published to whoever listens.
    fn publish(&mut self) {
        let mut published = Vec::new();
        for (number, flow, outcome) in self.store.changes().published() {
            let payload = completion::payload(self.hub.ids().execution_id(number).clone(), flow, outcome);
            published.extend(self.hub.published(number, self.now).into_iter().map(|to| (to, payload.clone())));
        }
        for ((party, subscription, at), payload) in published {
            let news = self.news.insert((subscription, payload));
            self.schedule(at, party, Event::Hear(party as u32, news));
        }
    }

    /// Last writers, the count of unfinished executions and the leases under runs, from the list of changes.
    fn follow_changes(&mut self, deed: Deed) {
        let mut last: Option<ExecutionNo> = None;
        for (number, change) in &self.store.changes().items {
            match change {
                Change::Created => self.unfinished += 1,
                Change::Deleted(deleted) if deleted.with_core && !deleted.is_terminal => {
                    self.unfinished -= 1;
                    self.hub.live_lease(*number, None, self.now);
                }
                Change::Core(position) => {
                    let (before, after) = &self.store.changes().cores[*position];
                    let ended = |core: &Core| core.vector.lifecycle_phase == LifecyclePhase::Terminal;
                    match (ended(before), ended(after)) {
                        (false, true) => self.unfinished -= 1,
                        (true, false) => self.unfinished += 1,
                        _ => {}
                    }
                    let leased = after.vector.ownership_state == OwnershipState::Leased;
                    if leased || before.vector.ownership_state == OwnershipState::Leased {
                        self.hub.live_lease(*number, leased.then_some(after.current_lease_epoch), self.now);
                    }
                    if self.healed
                        && before.vector.eligibility_state == EligibilityState::EligibleNow
                        && after.vector.eligibility_state == EligibilityState::BlockedByRoute
                    {
                        self.overdue.blocked_again(*number);
                    }
                }
                Change::GrantLapsed(_) => continue,
                _ => {}
            }
            if last != Some(*number) {
                last = Some(*number);
                if self.last_writes.len() <= number.index() {
                    self.last_writes.resize(number.index() + 1, None);
                }
                self.last_writes[number.index()] = Some(deed);
            }
        }
    }

    /// Who changed an execution last.
    pub(super) fn last_write(&self, execution: ExecutionNo) -> Deed {
        self.last_writes.get(execution.index()).copied().flatten().unwrap_or(NOBODY)
    }

    /// Shows the checks something that no message brought about.
    pub(super) fn see(&mut self, seen: &Seen<'_>) {
        let found = self.checker.see(seen).to_vec();
        self.report(found);
    }

    /// Keeps violations that no message brought about, beside who wrote to their executions last.
    pub(super) fn report(&mut self, found: Vec<invariant::Violation>) {
        for violation in found {
            let deed = violation.execution.map_or(NOBODY, |execution| self.last_write(execution));
            self.found(0, deed, violation);
        }
    }

    /// Keeps violations that a party brought about by one deed.
    pub(super) fn report_of(&mut self, party: PartyNo, deed: Deed, found: Vec<invariant::Violation>) {
        for violation in found {
            self.found(party, deed, violation);
        }
    }

    /// Shows the checks what a process of such a role did or said.
    pub(super) fn see_worker(&mut self, party: PartyNo, role: &'static str, fact: &WorkerFact) {
        let (script, result) = fact.deed();
        let found = self.checker.see(&Seen::Worker { fact, store: &self.store }).to_vec();
        self.report_of(party, (role, script, result), found);
    }

    /// Shows the checks that a holder ran on after its lease was lost, unless something else kept it from knowing.
    pub(super) fn see_loss(&mut self, party: PartyNo, loss: Loss) {
        let seat = &self.seats[party];
        let is_told = seat.key.0 >= PartyKey::WORKERS && seat.disturbed_until < loss.lost_at;
        if !is_told || self.disturbed_until >= loss.lost_at {
            return;
        }
        let bound_us = self.hub.clock(party).true_us_of(2 * self.plan.world.lease_ttl_ms / 3 * 1_000);
        let bound_ms = bound_us.div_ceil(1_000) + self.plan.world.request_timeout_ms;
        let Loss { execution, for_ms, .. } = loss;
        self.see_worker(party, self.seats[party].key.role(), &WorkerFact::LeaseLost { execution, for_ms, bound_ms });
    }

    /// Keeps a violation and tells the observers.
    fn found(&mut self, party: PartyNo, (role, script, result): Deed, violation: invariant::Violation) {
        let invariant::Violation { invariant, case, execution, detail } = violation;
        let name =
            execution.and_then(|number| self.store.name(number)).map_or_else(String::new, |name| name.to_string());
        let at_us = self.now.us();
        let violation = Violation { invariant, case, role, script, result, execution: name, detail, at_us };
        self.tell(party, |_| Happening::Violated { violation: &violation });
        self.over |= self.options.ends_with.as_ref().is_some_and(|wanted| wanted.is(&violation));
        self.violations.push(violation);
    }

    /// The incremental answer must equal a full recheck; a difference is a defect of the checks.
    fn recheck(&mut self) {
        let due = self.options.recheck_every.is_some_and(|every| self.counts.scripts.is_multiple_of(every));
        if due {
            let (standing, fresh) = (self.checker.standing(), self.checker.recheck(&self.store));
            assert_eq!(standing, fresh, "the incremental checks differ from a full recheck");
        }
    }
}
