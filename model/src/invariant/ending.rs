//! Ends: by a rightful cause only, told once, and left behind by a replay.

use ff_core::state::{LifecyclePhase, TerminalOutcome};
use ff_core::types::{AttemptIndex, LeaseId};

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::early::{needed, upstreams};
use super::look::Look;
use super::promised::Promised;
use crate::message::{Cancel, Expiry, FlowScript, GrantKind, Reclaim, Reply, Script};
use crate::spelling::word;
use crate::store::{Change, Execution, IndexKey};

/// The checks of ends.
pub(super) struct OfEnds;

impl Check for OfEnds {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S38, Invariant::S45, Invariant::S47]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        let Seen::Step(step, promised) = seen else { return };
        let (Some(found), Some((before, after))) = (step.found, step.cores) else { return };
        let phases = (before.vector.lifecycle_phase, after.vector.lifecycle_phase);
        let ends = phases.0 != LifecyclePhase::Terminal && phases.1 == LifecyclePhase::Terminal;
        if found.core.flow.is_some() {
            check_events(notes, step, found, ends);
        }
        if ends {
            let case = unrightful(step, promised, before.current_attempt_index);
            notes.look(Invariant::S45, case.map_or(Look::Holds, Look::Broken), || {
                let why = case.map_or("", in_words);
                format!("{} ended it as {}, {why}", step.script.name(), word(after.vector.terminal_outcome))
            });
        }
        if let (Script::Replay { .. }, Reply::Done(_)) = (step.script, step.reply) {
            check_replay(notes, step, found);
        }
    }
}

/// One event for each end of a flow's member, and none without an end.
fn check_events(notes: &mut Notes<'_>, step: &Step<'_>, found: &Execution, ends: bool) {
    let mut events = step.changes().filter_map(|change| match change {
        Change::Published { outcome, .. } => Some(*outcome),
        _ => None,
    });
    let first = events.next();
    if first.is_none() && !ends {
        return;
    }
    let outcome = word(found.core.vector.terminal_outcome);
    let look = match (first, ends) {
        (Some(_), false) => Look::Broken("not-ended"),
        (None, _) => Look::Broken(match step.script {
            Script::Reclaim(_) => "reclaim-cap",
            Script::Cancel(_) => "cancel",
            Script::ExpireSuspension { .. } => "suspension-timeout",
            _ => "untold",
        }),
        (Some(_), true) if events.next().is_some() => Look::Broken("twice"),
        (Some(told), true) => Look::at(told == outcome, "other-outcome"),
    };
    notes.look(Invariant::S38, look, || match first {
        Some(told) => format!("{} published {told}, and it stands as {outcome}", step.script.name()),
        None => format!("{} ended it as {outcome} and published nothing", step.script.name()),
    });
}

/// What an end lacked.
fn in_words(case: &str) -> &'static str {
    match case {
        "not-holder" => "and whoever asked did not hold its live lease",
        "flow-not-cancelled" => "and neither its flow nor its siblings were cancelled",
        "timeout-not-due" => "and no timeout of an attempt was due",
        "earlier-timeout" => "by the timeout of an earlier attempt",
        "deadline-not-due" => "and its deadline was not due",
        "suspension-not-due" => "and the timeout of its suspension was not due",
        "cap-without-grant" => {
            "because it had been reclaimed as often as it may, and whoever asked had no reclaim grant"
        }
        "dependency-met" => "and its dependencies could be met",
        _ => "which ends nothing",
    }
}

/// In which way an end lacks a rightful cause; none where it has one.
fn unrightful(step: &Step<'_>, promised: &Promised, attempt: Option<AttemptIndex>) -> Option<&'static str> {
    let unless = |rightful: bool, case| (!rightful).then_some(case);
    match step.script {
        Script::Complete { held, overriding, .. } | Script::Fail { held, overriding, .. } => {
            let fence = held.fence.as_ref();
            unless(*overriding || fence.is_some_and(|fence| is_holder(promised, step, &fence.lease_id)), "not-holder")
        }
        Script::Cancel(args) => wrong_cancel(step, promised, args),
        Script::ExpireExecution { expiry, .. } => {
            let key = match expiry {
                Expiry::AttemptTimeout => IndexKey::AttemptTimeout,
                Expiry::ExecutionDeadline => IndexKey::ExecutionDeadline,
            };
            let is_due = was_due(step, key);
            match expiry {
                Expiry::AttemptTimeout if !is_due => Some("timeout-not-due"),
                Expiry::AttemptTimeout => unless(promised.timeout_attempt == attempt, "earlier-timeout"),
                Expiry::ExecutionDeadline => unless(is_due, "deadline-not-due"),
            }
        }
        Script::ExpireSuspension { .. } => unless(was_due(step, IndexKey::SuspensionTimeout), "suspension-not-due"),
        Script::Reclaim(args) => unless(has_reclaim_grant(promised, step, args), "cap-without-grant"),
        Script::Flow(flow) => match &**flow {
            FlowScript::Resolve(_) => unless(is_impossible(step), "dependency-met"),
            _ => Some("other-cause"),
        },
        _ => Some("other-cause"),
    }
}

/// Whether an execution has left an index of times because its time had come.
fn was_due(step: &Step<'_>, key: IndexKey) -> bool {
    step.changes().any(|change| match change {
        Change::Member { key: left, before: Some(due), after: None } => *left == key && due.is_due(step.now.ms()),
        _ => false,
    })
}

fn is_holder(promised: &Promised, step: &Step<'_>, lease: &LeaseId) -> bool {
    promised.live_holder(step.now).is_some_and(|holder| holder.fence.lease_id == *lease)
}

/// A cancel names a lease, or comes from an operator, or follows the cancel of the flow or of siblings.
fn wrong_cancel(step: &Step<'_>, promised: &Promised, args: &Cancel) -> Option<&'static str> {
    if args.source == "operator_override" {
        return None;
    }
    if args.source == "flow_cascade" {
        let found = step.found?;
        let flow = step.store.flow(found.partition, found.core.flow.as_ref()?)?;
        let is_cancelled = flow.core.as_ref().is_some_and(|core| core.cancelled.is_some());
        let is_sibling = |group: &crate::store::EdgeGroup| {
            group.cancel_pending.as_ref().is_some_and(|siblings| siblings.contains(&step.execution))
        };
        return (!is_cancelled && !flow.groups.values().any(is_sibling)).then_some("flow-not-cancelled");
    }
    let lease = args.lease_id.as_ref()?;
    (!is_holder(promised, step, lease)).then_some("not-holder")
}

fn has_reclaim_grant(promised: &Promised, step: &Step<'_>, args: &Reclaim) -> bool {
    promised.grant.as_ref().is_some_and(|grant| {
        grant.kind == GrantKind::Reclaim
            && grant.worker == args.taker.worker
            && grant.uses == 0
            && grant.stored
            && grant.expires_at >= step.now
    })
}

/// Whether the upstreams of an execution have ended so that its edges' policy cannot be met any more.
fn is_impossible(step: &Step<'_>) -> bool {
    let Some(found) = step.found else { return false };
    let outcomes = upstreams(step.store, found);
    let failed = outcomes.iter().flatten().filter(|outcome| **outcome != TerminalOutcome::Success).count();
    outcomes.len() - failed < needed(step.store, found, outcomes.len())
}

/// What a replay leaves of the life before, each thing for itself.
fn check_replay(notes: &mut Notes<'_>, step: &Step<'_>, found: &Execution) {
    let core = &found.core;
    let timed = |key| found.score_in(key).is_some();
    let left: [(&'static str, bool); 7] = [
        ("retries", core.retry_count > 0),
        ("reclaims", core.lease_reclaim_count > 0),
        ("deadline", timed(IndexKey::ExecutionDeadline)),
        ("timeout", timed(IndexKey::AttemptTimeout) || timed(IndexKey::SuspensionTimeout)),
        ("result", found.result.is_some()),
        ("reason", found.reasons.failure.is_some() || found.reasons.cancellation.is_some()),
        ("grant", found.grant.as_ref().is_some_and(|grant| grant.expires_at >= step.now)),
    ];
    for (what, is_left) in left {
        notes.look(Invariant::S47, Look::at(!is_left, what), || match what {
            "retries" => format!("{} retries of the life before count on", core.retry_count),
            "reclaims" => format!("{} reclaims of the life before count on", core.lease_reclaim_count),
            _ => format!("the {what} of the life before is still there"),
        });
    }
}
