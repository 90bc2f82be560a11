//! `ff_reclaim_execution`: work is taken from a holder whose lease expired or was revoked.

use ff_core::state::{AttemptLifecycle, AttemptState, AttemptType, OwnershipState, TerminalOutcome};

use super::claim;
use super::{Answer, Refusal, grant, vector};
use crate::deviation::Deviation;
use crate::message::{Done, Reclaim};
use crate::number::Score;
use crate::spelling::word;
use crate::store::{Core, Detail, IndexKey, Store};
use crate::time::ServerTime;

/// Ends the old attempt as reclaimed and starts a new one under a new lease.
///
/// At the cap the execution fails instead, before any grant is looked at. The attempt that is ended
/// is the one that the caller names. The old attempt's timeout keeps running against the new one.
pub(super) fn reclaim_execution(store: &mut Store, now: ServerTime, args: &Reclaim) -> Answer {
    let deviations = store.deviations();
    let found = store.visit(args.taker.execution, now).ok_or(Refusal::ExecutionNotFound)?;
    let (phase, ownership) = (found.core.vector.lifecycle_phase, found.core.vector.ownership_state);
    let is_left = ownership == OwnershipState::LeaseRevoked && deviations.has(Deviation::BugReclaimRefusesRevoked);
    if is_left || !grant::is_reclaimable(phase, ownership, deviations.has(Deviation::BugReclaimLiveLease)) {
        return Err(Refusal::ExecutionNotReclaimable);
    }
    let cap = found.submission.policy.as_ref().map_or(args.default_cap, |policy| policy.max_reclaim_count);
    let previous_instance = found.core.current_instance;
    let previous = claim::previous_or_zero(&found.core);
    let allowed = cap.saturating_add(u32::from(deviations.has(Deviation::BugReclaimCapOffByOne)));
    if found.core.lease_reclaim_count >= allowed {
        give_up(store, now, args);
        return Err(Refusal::MaxRetriesExhausted(cap));
    }
    let failure = format!("lease_{}", word(ownership));
    claim::check_grant(store, &args.taker)?;
    if !deviations.has(Deviation::BugReclaimKeepsGrant) {
        claim::consume_grant(store, args.taker.execution);
    }
    if !deviations.has(Deviation::BugReclaimKeepsAttempt) {
        store.write_attempt(args.taker.execution, args.named_attempt, |attempt| {
            attempt.state = AttemptLifecycle::InterruptedReclaimed;
            attempt.ended_at = Some(now);
            attempt.failure_reason = Some(failure);
        });
    }
    let taker = &args.taker;
    let lease =
        claim::start_attempt(store, now, taker, args.attempt_id.clone(), AttemptType::Reclaim, previous, |core| {
            core.clear_marks();
            core.lease_reclaim_count += u32::from(!deviations.has(Deviation::BugReclaimForgetsCount));
        });
    if let Some(old) = previous_instance.filter(|old| *old != args.taker.instance) {
        store.remove(args.taker.execution, IndexKey::WorkerLeases(old));
    }
    if deviations.has(Deviation::FixReclaimClearsAttemptTimeout) {
        store.remove(args.taker.execution, IndexKey::AttemptTimeout);
    }
    Ok(Done::Leased(Box::new(lease)))
}

/// The cap's terminal transition; the attempt record and the lease's times stay as they are.
fn give_up(store: &mut Store, now: ServerTime, args: &Reclaim) {
    let Some(found) = store.execution(args.taker.execution) else {
        return;
    };
    let lane = found.submission.lane;
    let holder = found.core.current_instance;
    store.edit(args.taker.execution, |core: &mut Core| {
        core.vector = vector::terminal(TerminalOutcome::Failed, AttemptState::AttemptTerminal);
        core.detail = Detail::None;
        core.completed_at = Some(now);
        core.clear_owner();
        core.stamp(now);
    });
    store.write_reasons(args.taker.execution, |reasons| reasons.failure = Some("max_reclaims_exceeded".into()));
    store.delete_lease(args.taker.execution);
    store.remove(args.taker.execution, IndexKey::LeaseExpiry);
    store.remove(args.taker.execution, IndexKey::WorkerLeases(args.taker.instance));
    if let Some(holder) = holder {
        store.remove(args.taker.execution, IndexKey::WorkerLeases(holder));
    }
    store.remove(args.taker.execution, IndexKey::Active(args.taker.lane));
    store.remove(args.taker.execution, IndexKey::AttemptTimeout);
    store.remove(args.taker.execution, IndexKey::ExecutionDeadline);
    store.add(args.taker.execution, IndexKey::Terminal(lane), Score::at_ms(now.ms()));
}
