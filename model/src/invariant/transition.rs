//! The transition invariants: a script, what it answered, and the core before and after.

use ff_core::state::{AttemptLifecycle, AttemptState, AttemptType, LifecyclePhase, OwnershipState, TerminalOutcome};

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, Step};
use super::look::Look;
use crate::message::{Done, IssueGrant, Reply, Script};
use crate::spelling::word;
use crate::store::{Change, Core, Execution};

/// The checks of transitions.
pub(super) struct OfTransitions;

impl Check for OfTransitions {
    fn invariants(&self) -> Vec<Invariant> {
        vec![
            Invariant::S02,
            Invariant::S05,
            Invariant::S06,
            Invariant::S13,
            Invariant::S18,
            Invariant::S19,
            Invariant::S20,
            Invariant::S22,
            Invariant::S37,
        ]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        if let Seen::Step(step, _) = seen {
            check(notes, step);
        }
    }
}

fn check(notes: &mut Notes<'_>, step: &Step<'_>) {
    if let Script::IssueClaimGrant(args) | Script::IssueReclaimGrant(args) = step.script {
        check_capabilities(notes, step, args);
    }
    let (Some(found), Some((before, after))) = (step.found, step.cores) else { return };
    check_terminal(notes, step, before, after);
    check_epoch(notes, step, before, after);
    check_cap(notes, step, before, after, found);
    match (step.script, step.reply) {
        (Script::Renew { .. }, Reply::Done(_)) => check_renewal(notes, step, before, after),
        (script, Reply::Done(Done::Leased(lease))) => {
            // An operator's claim continues an attempt or begins one, and says which.
            let begins = match script {
                Script::IssueGrantAndClaim(_) => lease.attempt_type.is_some(),
                _ => script.facts().takes.is_some_and(|takes| takes.begins_attempt),
            };
            check_attempt(notes, before, after, begins);
            if begins && matches!(script, Script::Claim(_) | Script::IssueGrantAndClaim(_)) {
                check_type(notes, before, after, found);
            }
            if matches!(script, Script::Reclaim(_)) {
                check_reclaim(notes, before, after, found);
            }
        }
        _ => {}
    }
}

/// A reclaimable execution at its cap must fail, whatever the reply; below it, it may be reclaimed.
fn check_cap(notes: &mut Notes<'_>, step: &Step<'_>, before: &Core, after: &Core, found: &Execution) {
    let Script::Reclaim(args) = step.script else { return };
    let reclaimable = before.vector.lifecycle_phase == LifecyclePhase::Active
        && matches!(
            before.vector.ownership_state,
            OwnershipState::LeaseExpiredReclaimable | OwnershipState::LeaseRevoked
        );
    let cap = found.submission.policy.as_ref().map_or(args.default_cap, |policy| policy.max_reclaim_count);
    let at_cap = before.lease_reclaim_count >= cap;
    if !reclaimable {
        return;
    }
    let failed = after.vector.terminal_outcome == TerminalOutcome::Failed;
    let leased = matches!(step.reply, Reply::Done(Done::Leased(_)));
    let look = match at_cap {
        true => Look::at(failed && !leased, "reclaimed-at-cap"),
        false => Look::at(!failed, "failed-below-cap"),
    };
    notes.look(Invariant::S22, look, || {
        format!("{} reclaims with a cap of {cap}: {}", before.lease_reclaim_count, step.reply.label())
    });
}

fn check_capabilities(notes: &mut Notes<'_>, step: &Step<'_>, args: &IssueGrant) {
    let (Reply::Done(Done::Granted(_)), Some(found)) = (step.reply, step.found) else { return };
    let missing = found.submission.required.iter().find(|token| !args.capabilities.contains(*token));
    notes.look(Invariant::S13, Look::at(missing.is_none(), "incapable"), || {
        format!("granted to a worker without {}", missing.map_or("", String::as_str))
    });
}

fn check_epoch(notes: &mut Notes<'_>, step: &Step<'_>, before: &Core, after: &Core) {
    let installed = matches!(step.reply, Reply::Done(Done::Leased(_)));
    let expected = before.current_lease_epoch.0 + u64::from(installed);
    let case = match installed {
        true if after.current_lease_epoch == before.current_lease_epoch => "unchanged",
        true => "skipped",
        false => "moved",
    };
    notes.look(Invariant::S02, Look::at(after.current_lease_epoch.0 == expected, case), || {
        format!("epoch went from {} to {}", before.current_lease_epoch, after.current_lease_epoch)
    });
}

fn check_terminal(notes: &mut Notes<'_>, step: &Step<'_>, before: &Core, after: &Core) {
    if before.vector.lifecycle_phase != LifecyclePhase::Terminal || matches!(step.script, Script::Replay { .. }) {
        return;
    }
    let rewritten = step.changes().any(|change| matches!(change, Change::Result));
    let same = after.vector.lifecycle_phase == before.vector.lifecycle_phase
        && after.vector.terminal_outcome == before.vector.terminal_outcome
        && !rewritten;
    notes.look(Invariant::S37, Look::at(same, "changed"), || {
        format!("{} changed a terminal execution", step.script.name())
    });
}

fn check_renewal(notes: &mut Notes<'_>, step: &Step<'_>, before: &Core, after: &Core) {
    let alive = before.lease_expires_at.is_some_and(|expires| expires > step.now);
    notes.look(Invariant::S05, Look::at(alive, "expired"), || {
        let expired = before.lease_expires_at.map_or_else(|| "some time".to_owned(), |at| at.to_string());
        format!("renewed at {} a lease that expired at {expired}", step.now)
    });
    let expected = Core {
        lease_expires_at: after.lease_expires_at,
        lease_last_renewed_at: after.lease_last_renewed_at,
        lease_renewal_deadline: after.lease_renewal_deadline,
        last_mutation_at: after.last_mutation_at,
        ..before.clone()
    };
    let touches = step.store.changes().items.iter().all(|(_, change)| match change {
        Change::Member { key, .. } => matches!(key, crate::store::IndexKey::LeaseExpiry),
        Change::Core(_) | Change::Lease | Change::GrantLapsed(_) => true,
        _ => false,
    });
    notes.look(Invariant::S06, Look::at(touches && expected == *after, "more"), || {
        "a renewal changed more than the lease's times".into()
    });
}

fn check_attempt(notes: &mut Notes<'_>, before: &Core, after: &Core, fresh: bool) {
    let expected_total = before.total_attempt_count + u32::from(fresh);
    let expected_index =
        if fresh { Some(before.total_attempt_count) } else { before.current_attempt_index.map(|index| index.0) };
    let index = after.current_attempt_index.map(|index| index.0);
    let kept = fresh || before.current_attempt_id == after.current_attempt_id;
    let look = match () {
        () if after.total_attempt_count != expected_total => Look::Broken("count"),
        () if index != expected_index => Look::Broken("index"),
        () => Look::at(kept, "other-attempt"),
    };
    notes.look(Invariant::S18, look, || {
        format!(
            "attempts went from {} to {}, and attempt {} is current",
            before.total_attempt_count,
            after.total_attempt_count,
            index.map_or_else(|| "none".to_owned(), |index| index.to_string())
        )
    });
}

fn check_type(notes: &mut Notes<'_>, before: &Core, after: &Core, found: &Execution) {
    let expected = match before.vector.attempt_state {
        AttemptState::PendingRetryAttempt => AttemptType::Retry,
        AttemptState::PendingReplayAttempt => AttemptType::Replay,
        _ => AttemptType::Initial,
    };
    let kind = after.current_attempt_index.and_then(|index| found.attempt(index)).and_then(|attempt| attempt.kind);
    notes.look(Invariant::S20, Look::at(kind == Some(expected), "other-type"), || {
        let given = kind.map_or("no", |kind| word(kind));
        format!("{} gave an attempt of {given} type", word(before.vector.attempt_state))
    });
}

fn check_reclaim(notes: &mut Notes<'_>, before: &Core, after: &Core, found: &Execution) {
    let old = before.current_attempt_index.and_then(|index| found.attempt(index));
    let new = after.current_attempt_index.and_then(|index| found.attempt(index));
    let look = match () {
        () if after.lease_reclaim_count != before.lease_reclaim_count + 1 => Look::Broken("count"),
        () if old.is_none_or(|attempt| attempt.state != AttemptLifecycle::InterruptedReclaimed) => {
            Look::Broken("old-not-ended")
        }
        () => Look::at(new.is_some_and(|attempt| attempt.kind == Some(AttemptType::Reclaim)), "new-not-reclaim"),
    };
    notes.look(Invariant::S19, look, || {
        let state = |attempt: Option<&crate::store::Attempt>| attempt.map_or("missing", |attempt| word(attempt.state));
        format!(
            "reclaims went from {} to {}, the old attempt is {}, the new one {}",
            before.lease_reclaim_count,
            after.lease_reclaim_count,
            state(old),
            state(new)
        )
    });
}
