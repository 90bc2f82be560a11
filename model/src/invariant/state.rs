//! The state invariants: predicates over one execution and its shadow.

use ff_core::state::{
    AttemptLifecycle, AttemptState, BlockingReason, EligibilityState, LifecyclePhase, OwnershipState, StateVector,
    TerminalOutcome,
};

use super::catalogue::{Invariant, Set};
use super::shadow::{GrantKind, Shadow, digest};
use crate::number::Score;
use crate::store::{Execution, IndexKey};

/// Every state invariant that the execution breaks.
pub(super) fn broken(found: &Execution, shadow: &Shadow) -> Set {
    let mut set = Set::default();
    set.put(Invariant::S07, !lease_agrees(found));
    set.put(Invariant::S15, !grant_is_claimable(found, shadow));
    set.put(Invariant::S17, !attempts_add_up(found));
    set.put(Invariant::S23, !terminal_attempt_ended(found));
    set.put(Invariant::S24, !started_matches_phase(found));
    set.put(Invariant::S25, !is_legal(&found.core.vector));
    set.put(Invariant::S26, !found.core.vector.is_consistent());
    set.put(Invariant::S27, !in_own_primary_index(found));
    set.put(Invariant::S28, !lease_expiry_agrees(found));
    set.put(Invariant::S29, !worker_leases_agree(found));
    set.put(Invariant::S30, !timeout_is_current(found, shadow));
    set.put(Invariant::S39, !terminal_has_no_lease(found));
    set.put(Invariant::S40, !result_is_of_success(found, shadow));
    set
}

/// What was seen, for a report.
pub(super) fn explain(invariant: Invariant, found: &Execution, shadow: &Shadow) -> String {
    let core = &found.core;
    let vector = &core.vector;
    match invariant {
        Invariant::S07 => format!(
            "core names lease {:?} until {:?}, lease:current is {:?}",
            core.current_lease_id, core.lease_expires_at, found.lease
        ),
        Invariant::S15 => format!(
            "a claim grant stands until {} while the execution is {:?}/{:?} in [{}]",
            found.grant.as_ref().map_or(0, |grant| grant.expires_at.ms()),
            vector.lifecycle_phase,
            vector.eligibility_state,
            index_names(found)
        ),
        Invariant::S17 => format!(
            "total_attempt_count {} and current {:?} with records {:?}",
            core.total_attempt_count,
            core.current_attempt_index,
            found.attempts.iter().map(|attempt| attempt.index.0).collect::<Vec<_>>()
        ),
        Invariant::S23 | Invariant::S24 => format!(
            "{:?} with attempt records {:?}",
            vector.lifecycle_phase,
            found.attempts.iter().map(|attempt| (attempt.index.0, attempt.state)).collect::<Vec<_>>()
        ),
        Invariant::S25 => format!("{vector:?}"),
        Invariant::S26 => {
            format!("stored {}, derived {}", vector.public_state, vector.derive_public_state())
        }
        Invariant::S30 => format!(
            "the timeout was set for attempt {:?}, the execution is {:?} on attempt {:?}",
            shadow.timeout_attempt.map(|index| index.0),
            vector.lifecycle_phase,
            core.current_attempt_index.map(|index| index.0)
        ),
        Invariant::S39 => format!("terminal with lease {:?}", core.current_lease_id),
        Invariant::S40 => format!(
            "the completion gave {}, the stored result has {}",
            shadow.success.map_or("no payload", |_| "another payload"),
            found.result.as_ref().map_or_else(|| "nothing".into(), |result| format!("{} bytes", result.len()))
        ),
        _ => format!("{:?}/{:?} in [{}]", vector.lifecycle_phase, vector.ownership_state, index_names(found)),
    }
}

fn index_names(found: &Execution) -> String {
    let mut names: Vec<_> = found.members.iter().map(|(key, _)| key.name()).collect();
    names.sort_unstable();
    names.join(" ")
}

fn lease_agrees(found: &Execution) -> bool {
    let core = &found.core;
    match &found.lease {
        Some(lease) => {
            let held = lease.holder.as_ref().is_some_and(|holder| core.is_held_by(&holder.fence));
            held && core.lease_expires_at == Some(lease.expires_at)
        }
        None => core.vector.ownership_state != OwnershipState::Leased,
    }
}

fn grant_is_claimable(found: &Execution, shadow: &Shadow) -> bool {
    let issued_as_claim = shadow.grant.as_ref().is_some_and(|issued| issued.kind == GrantKind::Claim);
    let Some(grant) = found.grant.as_ref().filter(|_| issued_as_claim) else { return true };
    let vector = &found.core.vector;
    vector.lifecycle_phase == LifecyclePhase::Runnable
        && vector.eligibility_state == EligibilityState::EligibleNow
        && found.score_in(IndexKey::Eligible(grant.lane)).is_some()
}

fn attempts_add_up(found: &Execution) -> bool {
    let total = found.core.total_attempt_count;
    let dense = found.attempts.iter().all(|attempt| attempt.index.0 < total);
    let current = found.core.current_attempt_index.map(|index| index.0);
    found.attempts.len() == total as usize && dense && current == total.checked_sub(1)
}

fn terminal_attempt_ended(found: &Execution) -> bool {
    if found.core.vector.lifecycle_phase != LifecyclePhase::Terminal {
        return true;
    }
    let Some(current) = found.core.current_attempt_index else { return true };
    found.attempt(current).is_some_and(|attempt| attempt.state.is_terminal())
}

fn started_matches_phase(found: &Execution) -> bool {
    let started = found.attempts.iter().filter(|attempt| attempt.state == AttemptLifecycle::Started).count();
    started == usize::from(found.core.vector.lifecycle_phase == LifecyclePhase::Active)
}

fn is_legal(vector: &StateVector) -> bool {
    use AttemptState as A;
    use BlockingReason as B;
    use EligibilityState as E;
    let StateVector {
        ownership_state: own,
        eligibility_state: elig,
        blocking_reason: why,
        terminal_outcome: outcome,
        attempt_state: att,
        ..
    } = *vector;
    let pending = matches!(att, A::PendingFirstAttempt | A::PendingRetryAttempt | A::PendingReplayAttempt);
    let resting = pending || att == A::AttemptInterrupted;
    match vector.lifecycle_phase {
        LifecyclePhase::Submitted => false,
        LifecyclePhase::Runnable => {
            let rest = own == OwnershipState::Unowned && outcome == TerminalOutcome::None;
            rest && match elig {
                E::EligibleNow => why == B::WaitingForWorker && resting,
                E::NotEligibleUntilTime => match why {
                    B::WaitingForDelay => matches!(att, A::PendingFirstAttempt | A::AttemptInterrupted),
                    B::WaitingForRetryBackoff => att == A::PendingRetryAttempt,
                    B::WaitingForResumeDelay => att == A::AttemptInterrupted,
                    _ => false,
                },
                E::BlockedByDependencies => why == B::WaitingForChildren && resting,
                E::BlockedByBudget => why == B::WaitingForBudget && resting,
                E::BlockedByQuota => why == B::WaitingForQuota && resting,
                E::BlockedByRoute => why == B::WaitingForCapableWorker && resting,
                E::BlockedByOperator => why == B::PausedByOperator && resting,
                E::BlockedByLaneState => why == B::PausedByPolicy && resting,
                E::NotApplicable => false,
            }
        }
        LifecyclePhase::Active => {
            let rest = elig == E::NotApplicable && outcome == TerminalOutcome::None;
            rest && match own {
                OwnershipState::Leased => why == B::None && att == A::RunningAttempt,
                OwnershipState::LeaseExpiredReclaimable | OwnershipState::LeaseRevoked => {
                    why == B::WaitingForWorker && att == A::AttemptInterrupted
                }
                OwnershipState::Unowned => false,
            }
        }
        LifecyclePhase::Suspended => {
            let reason = matches!(
                why,
                B::WaitingForSignal
                    | B::WaitingForApproval
                    | B::WaitingForCallback
                    | B::WaitingForToolResult
                    | B::PausedByOperator
                    | B::PausedByPolicy
                    | B::WaitingForBudget
            );
            own == OwnershipState::Unowned
                && elig == E::NotApplicable
                && outcome == TerminalOutcome::None
                && att == A::AttemptInterrupted
                && reason
        }
        LifecyclePhase::Terminal => {
            let rest = own == OwnershipState::Unowned && elig == E::NotApplicable && why == B::None;
            rest && match outcome {
                TerminalOutcome::None => false,
                TerminalOutcome::Skipped => matches!(att, A::AttemptTerminal | A::None),
                _ => att == A::AttemptTerminal || pending,
            }
        }
    }
}

/// The primary index that the vector names.
fn own_index(found: &Execution) -> Option<IndexKey> {
    let lane = found.submission.lane;
    let vector = &found.core.vector;
    match vector.lifecycle_phase {
        LifecyclePhase::Active => Some(IndexKey::Active(lane)),
        LifecyclePhase::Suspended => Some(IndexKey::Suspended(lane)),
        LifecyclePhase::Terminal => Some(IndexKey::Terminal(lane)),
        LifecyclePhase::Runnable | LifecyclePhase::Submitted => match vector.eligibility_state {
            EligibilityState::EligibleNow => Some(IndexKey::Eligible(lane)),
            EligibilityState::NotEligibleUntilTime => Some(IndexKey::Delayed(lane)),
            other => IndexKey::blocked_by(other, lane),
        },
    }
}

fn in_own_primary_index(found: &Execution) -> bool {
    let mut primary = found.members.iter().map(|(key, _)| *key).filter(|key| key.is_primary());
    let first = primary.next();
    primary.next().is_none() && first.is_some() && first == own_index(found)
}

fn is_owned(found: &Execution) -> bool {
    let vector = &found.core.vector;
    vector.lifecycle_phase == LifecyclePhase::Active
        && matches!(vector.ownership_state, OwnershipState::Leased | OwnershipState::LeaseExpiredReclaimable)
}

fn lease_expiry_agrees(found: &Execution) -> bool {
    let expected = is_owned(found).then(|| found.core.lease_expires_at.map(|at| Score::at_ms(at.ms()))).flatten();
    found.score_in(IndexKey::LeaseExpiry) == expected && (expected.is_some() == is_owned(found))
}

fn worker_leases_agree(found: &Execution) -> bool {
    let expected = if is_owned(found) { found.core.current_instance } else { None };
    let mut held = found.members.iter().filter_map(|(key, _)| match key {
        IndexKey::WorkerLeases(instance) => Some(*instance),
        _ => None,
    });
    held.next() == expected && held.next().is_none()
}

fn timeout_is_current(found: &Execution, shadow: &Shadow) -> bool {
    found.score_in(IndexKey::AttemptTimeout).is_none()
        || (found.core.vector.lifecycle_phase == LifecyclePhase::Active
            && shadow.timeout_attempt == found.core.current_attempt_index)
}

fn terminal_has_no_lease(found: &Execution) -> bool {
    found.core.vector.lifecycle_phase != LifecyclePhase::Terminal
        || (found.lease.is_none() && found.core.current_lease_id.is_none())
}

fn result_is_of_success(found: &Execution, shadow: &Shadow) -> bool {
    found.core.vector.terminal_outcome != TerminalOutcome::Success
        || found.result.as_deref().and_then(digest) == shadow.success
}
