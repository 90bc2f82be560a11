//! `ff_claim_execution` and `ff_claim_resumed_execution`: a grant becomes a lease.

use ff_core::state::{
    AttemptLifecycle, AttemptState, AttemptType, EligibilityState, LifecyclePhase, OwnershipState, TerminalOutcome,
};
use ff_core::types::{AttemptId, AttemptIndex, LeaseFence};

use super::{Answer, Refusal, fence, vector};
use crate::deviation::Deviation;
use crate::intern::ExecutionNo;
use crate::message::{Claim, ClaimResumed, Done, NewLease, Taker};
use crate::number::Score;
use crate::store::{Core, Execution, Holder, IndexKey, Lease, Stamp, Store};
use crate::time::ServerTime;

/// Consumes a grant and starts a new attempt.
///
/// Not compared: the grant's instance and lane, the caller's capabilities. The marks of an earlier
/// revocation stay, which is why a later renewal of this lease can be refused.
pub(super) fn claim_execution(store: &mut Store, now: ServerTime, args: &Claim) -> Answer {
    let deviations = store.deviations();
    let found = store.visit(args.taker.execution, now).ok_or(Refusal::ExecutionNotFound)?;
    let state = &found.core.vector;
    if state.lifecycle_phase != LifecyclePhase::Runnable {
        return Err(Refusal::ExecutionNotLeaseable);
    }
    if state.ownership_state != OwnershipState::Unowned {
        return Err(Refusal::LeaseConflict);
    }
    if state.eligibility_state != EligibilityState::EligibleNow || state.terminal_outcome != TerminalOutcome::None {
        return Err(Refusal::ExecutionNotLeaseable);
    }
    match state.attempt_state {
        AttemptState::RunningAttempt => return Err(Refusal::ActiveAttemptExists),
        AttemptState::AttemptInterrupted => return Err(Refusal::UseClaimResumedExecution),
        _ => {}
    }
    let kind = match state.attempt_state {
        AttemptState::PendingRetryAttempt if deviations.has(Deviation::BugRetryIsInitial) => AttemptType::Initial,
        AttemptState::PendingRetryAttempt => AttemptType::Retry,
        AttemptState::PendingReplayAttempt => AttemptType::Replay,
        _ => AttemptType::Initial,
    };
    let previous = found.core.pending_previous_attempt_index;
    check_grant(store, &args.taker)?;
    consume_grant(store, args.taker.execution);
    let lease = start_attempt(store, now, &args.taker, args.attempt_id.clone(), kind, previous, |core| {
        if core.started_at.is_none() {
            core.started_at = Some(now);
        }
        core.pending_previous_attempt_index = None;
    });
    store.write_reasons(args.taker.execution, |reasons| reasons.pending_retry = None);
    store.remove(args.taker.execution, IndexKey::Eligible(args.taker.lane));
    if let Some(timeout) = args.attempt_timeout_ms.filter(|timeout| *timeout != 0) {
        store.add(args.taker.execution, IndexKey::AttemptTimeout, Score::at_ms(now.plus_ms(timeout).ms()));
    }
    if let Some(deadline) = args.deadline_at.filter(|deadline| deadline.0 != 0) {
        store.add(args.taker.execution, IndexKey::ExecutionDeadline, Score::at_ms(deadline.0));
    }
    Ok(Done::Leased(Box::new(lease)))
}

/// Consumes a grant and continues the current attempt.
///
/// Eligibility is not looked at: a delayed or blocked interrupted execution with a live grant is
/// taken, and stays in the index that it was in. The attempt record written is the one that the
/// caller names; the reply carries the core's.
pub(super) fn claim_resumed_execution(store: &mut Store, now: ServerTime, args: &ClaimResumed) -> Answer {
    let found = store.visit(args.taker.execution, now).ok_or(Refusal::ExecutionNotFound)?;
    if found.core.vector.lifecycle_phase != LifecyclePhase::Runnable {
        return Err(Refusal::ExecutionNotLeaseable);
    }
    if found.core.vector.attempt_state != AttemptState::AttemptInterrupted {
        return Err(Refusal::NotAResumedExecution);
    }
    let (Some(attempt_id), Some(attempt_index)) =
        (found.core.current_attempt_id.clone(), found.core.current_attempt_index)
    else {
        return Err(Refusal::RuntimeError("an interrupted attempt without identity"));
    };
    check_grant(store, &args.taker)?;
    consume_grant(store, args.taker.execution);
    let fence = install_lease(store, now, &args.taker, attempt_id, Core::clear_marks);
    store.write_attempt(args.taker.execution, args.named_attempt, |attempt| {
        attempt.state = AttemptLifecycle::Started;
        attempt.lease_epoch = Some(fence.lease_epoch);
        attempt.instance = Some(args.taker.instance);
        attempt.suspended_at = Stamp::Empty;
        attempt.suspension_id = Some(String::new());
    });
    store.remove(args.taker.execution, IndexKey::Eligible(args.taker.lane));
    if let Some(remaining) = args.remaining_ms.filter(|remaining| *remaining > 0) {
        store.add(args.taker.execution, IndexKey::AttemptTimeout, Score::at_ms(now.plus_ms(remaining).ms()));
    }
    let expires_at = now.plus_ms(args.taker.ttl_ms);
    Ok(Done::Leased(Box::new(NewLease { fence, expires_at, attempt_index, attempt_type: None })))
}

/// The grant must exist and name this worker id. Its own expiry needs no second look: an expired
/// key is gone before any script sees it.
pub(super) fn check_grant(store: &Store, taker: &Taker) -> Result<(), Refusal> {
    let ignore_worker = store.deviations().has(Deviation::BugClaimIgnoresGrantWorker);
    let grant = store.execution(taker.execution).and_then(|found: &Execution| found.grant.as_ref());
    match grant {
        Some(grant) if grant.worker == taker.worker || ignore_worker => Ok(()),
        None if store.deviations().has(Deviation::BugClaimNeedsNoGrant) => Ok(()),
        _ => Err(Refusal::InvalidClaimGrant),
    }
}

/// Deletes a consumed grant.
pub(super) fn consume_grant(store: &mut Store, execution: ExecutionNo) {
    if !store.deviations().has(Deviation::BugGrantSurvivesClaim) {
        store.delete_grant(execution);
    }
}

/// Writes a new attempt record and its lease, as fresh claims and reclaims do.
pub(super) fn start_attempt(
    store: &mut Store,
    now: ServerTime,
    taker: &Taker,
    attempt_id: AttemptId,
    kind: AttemptType,
    previous: Option<AttemptIndex>,
    also: impl FnOnce(&mut Core),
) -> NewLease {
    let total = store.execution(taker.execution).map_or(0, |found| found.core.total_attempt_count);
    let index = AttemptIndex::new(total);
    let counts = kind == AttemptType::Reclaim || !store.deviations().has(Deviation::BugClaimForgetsAttempt);
    let fence = install_lease(store, now, taker, attempt_id.clone(), |core| {
        core.current_attempt_index = Some(index);
        core.total_attempt_count = total + u32::from(counts);
        core.current_attempt_id = Some(attempt_id);
        also(core);
    });
    store.write_attempt(taker.execution, index, |attempt| {
        attempt.id = Some(fence.attempt_id.clone());
        attempt.kind = Some(kind);
        attempt.state = AttemptLifecycle::Started;
        attempt.lease_epoch = Some(fence.lease_epoch);
        attempt.instance = Some(taker.instance);
        attempt.previous = previous;
    });
    NewLease { fence, expires_at: now.plus_ms(taker.ttl_ms), attempt_index: index, attempt_type: Some(kind) }
}

/// Installs a lease with the next epoch: core, `lease:current` and the three lease indexes.
pub(super) fn install_lease(
    store: &mut Store,
    now: ServerTime,
    taker: &Taker,
    attempt_id: AttemptId,
    also: impl FnOnce(&mut Core),
) -> LeaseFence {
    let deviations = store.deviations();
    let times = if deviations.has(Deviation::BugLeaseOutlivesTtl) { 1_000 } else { 1 };
    let expires_at = now.plus_ms(taker.ttl_ms.saturating_mul(times));
    let keep_epoch = deviations.has(Deviation::BugReclaimKeepsEpoch);
    let core = store.execution(taker.execution).map(|found| &found.core);
    let reclaiming = core.is_some_and(|core| core.vector.lifecycle_phase == LifecyclePhase::Active);
    let epoch = core.map_or_else(Default::default, |core| core.current_lease_epoch.0);
    let keeps_claimed = !reclaiming && epoch > 0 && deviations.has(Deviation::BugClaimKeepsEpoch);
    let kept_id = core.and_then(|core| core.current_lease_id.clone());
    let kept_id = kept_id.filter(|_| reclaiming && deviations.has(Deviation::BugReclaimKeepsLeaseId));
    let epoch = if keep_epoch && reclaiming || keeps_claimed { epoch } else { epoch + 1 };
    let fence = LeaseFence {
        lease_id: kept_id.unwrap_or_else(|| taker.lease_id.clone()),
        lease_epoch: ff_core::types::LeaseEpoch::new(epoch),
        attempt_id,
    };
    store.write_lease(
        taker.execution,
        Lease {
            holder: Some(Holder { fence: fence.clone(), worker: taker.worker, instance: taker.instance }),
            expires_at,
            key_expires_at: None,
        },
    );
    store.edit(taker.execution, |core| {
        core.vector = vector::leased();
        core.detail = crate::store::Detail::None;
        core.current_lease_id = Some(fence.lease_id.clone());
        core.current_lease_epoch = fence.lease_epoch;
        core.current_worker = Some(taker.worker);
        core.current_instance = Some(taker.instance);
        core.current_lane = taker.lane;
        core.lease_acquired_at = Some(now);
        core.lease_expires_at = Some(expires_at);
        core.lease_last_renewed_at = Some(now);
        core.lease_renewal_deadline = Some(now.plus_ms(renewal_window_ms(taker.ttl_ms)));
        core.stamp(now);
        also(core);
    });
    let score = Score::at_ms(expires_at.ms());
    store.add(taker.execution, IndexKey::LeaseExpiry, score);
    store.add(taker.execution, IndexKey::WorkerLeases(taker.instance), Score::default());
    store.add(taker.execution, IndexKey::Active(taker.lane), score);
    fence
}

/// Two thirds of a lease, rounded down: the deadline that a renewal should meet.
pub(super) const fn renewal_window_ms(ttl_ms: u64) -> u64 {
    ttl_ms.saturating_mul(2) / 3
}

/// The index whose default the reclaim script writes as lineage.
pub(super) fn previous_or_zero(core: &Core) -> Option<AttemptIndex> {
    Some(fence::attempt_or_zero(core.current_attempt_index))
}
