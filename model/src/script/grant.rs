//! `ff_issue_claim_grant` and `ff_issue_reclaim_grant`: short reservations for one worker id.

use std::collections::BTreeSet;

use ff_core::policy::{CAPS_MAX_BYTES, CAPS_MAX_TOKENS};
use ff_core::state::{EligibilityState, LifecyclePhase, OwnershipState};

use super::{Answer, Refusal, find};
use crate::deviation::Deviation;
use crate::intern::ExecutionNo;
use crate::message::{Done, IssueGrant};
use crate::store::{Grant, IndexKey, Store};
use crate::time::ServerTime;

/// Reserves an eligible execution; the execution itself stays as and where it is.
pub(super) fn issue_claim_grant(store: &mut Store, now: ServerTime, args: &IssueGrant) -> Answer {
    let besides = store.deviations().has(Deviation::BugGrantBesideGrant);
    let found = find(store, now, args.place).ok_or(Refusal::ExecutionNotFound)?;
    let vector = &found.core.vector;
    if vector.lifecycle_phase != LifecyclePhase::Runnable || vector.eligibility_state != EligibilityState::EligibleNow {
        return Err(Refusal::ExecutionNotEligible);
    }
    if found.grant.is_some() && !besides {
        return Err(Refusal::GrantAlreadyExists);
    }
    if found.score_in(IndexKey::Eligible(args.lane)).is_none() {
        return Err(Refusal::ExecutionNotInEligibleSet);
    }
    issue(store, now, args)
}

/// Reserves an execution whose lease was seen to expire or was revoked.
///
/// A lease past its time that nothing has marked yet is not reclaimable.
pub(super) fn issue_reclaim_grant(store: &mut Store, now: ServerTime, args: &IssueGrant) -> Answer {
    let live_too = store.deviations().has(Deviation::BugReclaimLiveLease);
    let found = find(store, now, args.place).ok_or(Refusal::ExecutionNotFound)?;
    if !is_reclaimable(found.core.vector.lifecycle_phase, found.core.vector.ownership_state, live_too) {
        return Err(Refusal::ExecutionNotReclaimable);
    }
    if found.grant.is_some() {
        return Err(Refusal::GrantAlreadyExists);
    }
    issue(store, now, args)
}

/// Active and expired or revoked; with the planted defect, active and owned at all.
pub(super) fn is_reclaimable(phase: LifecyclePhase, ownership: OwnershipState, live_too: bool) -> bool {
    phase == LifecyclePhase::Active
        && match ownership {
            OwnershipState::LeaseExpiredReclaimable | OwnershipState::LeaseRevoked => true,
            OwnershipState::Leased => live_too,
            OwnershipState::Unowned => false,
        }
}

fn issue(store: &mut Store, now: ServerTime, args: &IssueGrant) -> Answer {
    let execution = args.place.execution;
    check_capabilities(store, now, execution, &args.capabilities)?;
    let expires_at = now.plus_ms(args.ttl_ms);
    // A key told to expire now is gone at once.
    if args.ttl_ms == 0 {
        return Ok(Done::Granted(expires_at));
    }
    let outlives = store.deviations().has(Deviation::BugGrantOutlivesTtl);
    let kept_until = if outlives { now.plus_ms(args.ttl_ms.saturating_mul(10)) } else { expires_at };
    let (worker, instance, lane) = (args.worker, args.instance, args.lane);
    store.issue_grant(execution, Grant { worker, instance, lane, expires_at: kept_until });
    Ok(Done::Granted(expires_at))
}

/// Required capabilities must be a subset of the worker's; a mismatch leaves a stamp.
fn check_capabilities(
    store: &mut Store,
    now: ServerTime,
    execution: ExecutionNo,
    worker: &BTreeSet<String>,
) -> Result<(), Refusal> {
    let required = &store.execution(execution).ok_or(Refusal::ExecutionNotFound)?.submission.required;
    let bytes = worker.iter().map(|token| token.len() + 1).sum::<usize>().saturating_sub(1);
    if bytes > CAPS_MAX_BYTES {
        return Err(Refusal::InvalidCapabilities("worker:too_many_bytes"));
    }
    if worker.len() > CAPS_MAX_TOKENS {
        return Err(Refusal::InvalidCapabilities("worker:too_many_tokens"));
    }
    let ignores = store.deviations().has(Deviation::BugGrantIgnoresCapabilities);
    if ignores || required.iter().all(|token| worker.contains(token)) {
        return Ok(());
    }
    let missing: Vec<&str> = required.iter().filter(|token| !worker.contains(*token)).map(String::as_str).collect();
    let missing = missing.join(",");
    store.edit(execution, |core| core.last_capability_mismatch_at = Some(now));
    Err(Refusal::CapabilityMismatch(missing))
}
