//! Who may write: the fence triple, lease validation and the marking of expired leases.

use ff_core::state::{AttemptState, BlockingReason, LifecyclePhase, OwnershipState, PublicState};
use ff_core::types::{AttemptIndex, LeaseFence};

use crate::deviation::Deviation;
use crate::intern::{ExecutionNo, InstanceNo, LaneNo};
use crate::message::{HandleFields, Refusal};
use crate::store::{Core, Detail, IndexKey, Store};
use crate::time::ServerTime;

/// `execution_not_active` with the four details that the library sends.
pub(super) fn not_active(core: &Core) -> Refusal {
    Refusal::ExecutionNotActive {
        outcome: core.vector.terminal_outcome,
        epoch: core.current_lease_epoch,
        phase: core.vector.lifecycle_phase,
        attempt: core.current_attempt_id.clone(),
    }
}

/// The triple that a write is checked against (`resolve_lease_fence`): the caller's own, or the
/// stored one where an operator overrides. `Ok(None)` is an override on an execution without a lease,
/// whose identity checks then compare nothing with nothing.
pub(super) fn resolve(held: &HandleFields, overriding: bool) -> Result<Option<&LeaseFence>, Refusal> {
    match &held.fence {
        Some(fence) => Ok(Some(fence)),
        None if overriding => Ok(None),
        None => Err(Refusal::FenceRequired),
    }
}

/// `validate_lease_and_mark_expired`: phase, revocation, expiry, then identity.
pub(super) fn validate(
    store: &mut Store,
    now: ServerTime,
    execution: ExecutionNo,
    fence: Option<&LeaseFence>,
) -> Result<(), Refusal> {
    let deviations = store.deviations();
    let core = &store.execution(execution).ok_or(Refusal::ExecutionNotFound)?.core;
    if core.vector.lifecycle_phase != LifecyclePhase::Active {
        return Err(not_active(core));
    }
    let accepts_revoked = deviations.has(Deviation::BugAcceptRevokedLease);
    if core.vector.ownership_state == OwnershipState::LeaseRevoked && !accepts_revoked {
        return Err(Refusal::LeaseRevoked);
    }
    if core.lease_expires_at.is_none_or(|expires| expires <= now) && !deviations.has(Deviation::BugAcceptExpiredLease) {
        mark_expired(store, now, execution);
        return Err(Refusal::LeaseExpired);
    }
    let current = deviations.has(Deviation::BugIgnoreFence) || fence.is_none_or(|fence| core.is_held_by(fence));
    if current { Ok(()) } else { Err(Refusal::StaleLease) }
}

/// The fence that a write is checked against; none where a planted defect skips it.
pub(super) fn unless_skipped<'a>(
    store: &Store,
    fence: Option<&'a LeaseFence>,
    skips: Deviation,
) -> Option<&'a LeaseFence> {
    fence.filter(|_| !store.deviations().has(skips))
}

/// `mark_expired`: the state says so from now on; ids, worker, epoch, attempt and indexes stay.
pub(super) fn mark_expired(store: &mut Store, now: ServerTime, execution: ExecutionNo) {
    let already = store
        .execution(execution)
        .is_none_or(|found| found.core.vector.ownership_state == OwnershipState::LeaseExpiredReclaimable);
    if already {
        return;
    }
    store.edit(execution, |core| {
        core.vector.ownership_state = OwnershipState::LeaseExpiredReclaimable;
        core.vector.blocking_reason = BlockingReason::WaitingForWorker;
        core.vector.attempt_state = AttemptState::AttemptInterrupted;
        core.vector.public_state = PublicState::Active;
        core.detail = Detail::LeaseExpired;
        core.lease_expired_at = Some(now);
        core.last_mutation_at = now.to_wire();
    });
}

/// The release block: lease key, expiry, the caller's lease set, active index, attempt timeout.
pub(super) fn release(store: &mut Store, execution: ExecutionNo, lane: LaneNo, instance: InstanceNo) {
    store.delete_lease(execution);
    store.remove(execution, IndexKey::LeaseExpiry);
    store.remove(execution, IndexKey::WorkerLeases(instance));
    store.remove(execution, IndexKey::Active(lane));
    store.remove(execution, IndexKey::AttemptTimeout);
}

/// `previous_attempt_index` as the scripts default it.
pub(super) fn attempt_or_zero(index: Option<AttemptIndex>) -> AttemptIndex {
    index.unwrap_or(AttemptIndex::new(0))
}
