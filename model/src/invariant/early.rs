//! Nothing before its time: delays, dependencies, and the members of a flow that was cancelled.

use std::collections::BTreeMap;

use ff_core::contracts::EdgeDependencyPolicy;
use ff_core::state::{EligibilityState, LifecyclePhase, TerminalOutcome};

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::look::Look;
use super::promised::Promised;
use crate::intern::ExecutionNo;
use crate::message::{Done, FlowScript, Reply, Script};
use crate::spelling::word;
use crate::store::{Core, Execution, Store};

/// The checks of what must not happen before something else has.
#[derive(Default)]
pub(super) struct OfOrder {
    /// Members of flows whose cancel was answered, and whether the answer names them.
    cancelled: BTreeMap<ExecutionNo, bool>,
}

impl Check for OfOrder {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S32, Invariant::S33, Invariant::S52]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        match seen {
            Seen::Script { store, script: Script::Flow(flow), reply: Reply::Done(Done::Cancelled(told)), .. } => {
                let FlowScript::Cancel { place, .. } = &**flow else { return };
                let all = store.flow(place.partition, &place.flow).map_or(&[][..], |flow| &flow.members);
                self.cancelled.extend(all.iter().map(|member| (*member, told.contains(member))));
            }
            Seen::Step(step, promised) => {
                check_delay(notes, step, promised);
                check_dependencies(notes, step);
                self.check_cancelled(notes, step);
            }
            _ => {}
        }
    }
}

impl OfOrder {
    fn check_cancelled(&self, notes: &mut Notes<'_>, step: &Step<'_>) {
        let (Reply::Done(Done::Leased(_)), Some(found)) = (step.reply, step.found) else { return };
        if found.core.flow.is_none() {
            return;
        }
        let cancelled = self.cancelled.get(&step.execution);
        let case = match step.script {
            // Nobody will cancel it.
            _ if cancelled == Some(&false) => "forgotten",
            Script::Reclaim(_) => "reclaimed",
            Script::ClaimResumed(_) => "resumed",
            _ => "claimed",
        };
        let look = Look::at(cancelled.is_none(), case);
        notes.look(Invariant::S52, look, || {
            format!("{} gave a lease on a member of a flow whose cancel had been answered", step.script.name())
        });
    }
}

/// A grant or a lease on work that was promised to wait.
fn check_delay(notes: &mut Notes<'_>, step: &Step<'_>, promised: &Promised) {
    let Some((due, case)) = promised.not_before else { return };
    let starts = matches!(
        (step.script, step.reply),
        (Script::IssueClaimGrant(_), Reply::Done(Done::Granted(_)))
            | (Script::IssueGrantAndClaim(_), Reply::Done(Done::Leased(_)))
    );
    if !starts {
        return;
    }
    let look = Look::at(due.is_due(step.now.ms()), case);
    notes.look(Invariant::S32, look, || {
        format!("{} at {} of work that was not due before {}", step.script.name(), step.now, due.whole())
    });
}

fn check_dependencies(notes: &mut Notes<'_>, step: &Step<'_>) {
    let (Some(found), Some((before, after))) = (step.found, step.cores) else { return };
    let waits = |core: &Core| {
        core.vector.lifecycle_phase == LifecyclePhase::Runnable
            && core.vector.eligibility_state == EligibilityState::BlockedByDependencies
    };
    let left = waits(before) && !waits(after) && after.vector.lifecycle_phase == LifecyclePhase::Runnable;
    if !left {
        return;
    }
    let upstreams = upstreams(step.store, found);
    let succeeded = upstreams.iter().filter(|outcome| **outcome == Some(TerminalOutcome::Success)).count();
    let needed = needed(step.store, found, upstreams.len());
    let look = Look::at(succeeded >= needed, "unmet");
    notes.look(Invariant::S33, look, || {
        let ends: Vec<_> = upstreams.iter().map(|outcome| outcome.map_or("open", |outcome| word(outcome))).collect();
        format!("{} unblocked it with {needed} needed and these upstreams: {}", step.script.name(), ends.join(", "))
    });
}

/// How the upstreams of an execution ended, each for itself; none for one that has not.
pub(super) fn upstreams(store: &Store, found: &Execution) -> Vec<Option<TerminalOutcome>> {
    let outcome = |upstream| {
        let outcome = store.execution(upstream)?.core.vector.terminal_outcome;
        (outcome != TerminalOutcome::None).then_some(outcome)
    };
    found.dependencies.applied.iter().map(|dependency| outcome(dependency.upstream)).collect()
}

/// How many upstreams have to succeed by the policy of the execution's edges, of so many.
pub(super) fn needed(store: &Store, found: &Execution, all: usize) -> usize {
    let flow = found.dependencies.meta.as_ref().map(|meta| &meta.flow);
    let group = flow.and_then(|id| {
        let flow = store.flow(found.partition, id)?;
        flow.groups.get(&found.number)
    });
    match group.map(|group| &group.policy) {
        Some(EdgeDependencyPolicy::AnyOf { .. }) => 1,
        Some(EdgeDependencyPolicy::Quorum { k, .. }) => (*k).max(1) as usize,
        _ => all,
    }
}
