//! `ff_renew_lease`, `ff_mark_lease_expired_if_due`, `ff_revoke_lease`, `ff_update_progress`.

use ff_core::state::{AttemptState, BlockingReason, LifecyclePhase, OwnershipState, PublicState, TerminalOutcome};

use super::{Answer, Refusal, claim, clean, fence, find};
use crate::deviation::Deviation;
use crate::intern::{ExecutionNo, InstanceNo};
use crate::message::{Done, HandleFields, Place};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Store};
use crate::time::ServerTime;

/// Extends the current lease from now.
///
/// Refuses whenever a revocation mark stands, even one that an earlier lease left behind. At the
/// millisecond of expiry the lease is dead. Only the expiry is compared, not the mark: a lease that was
/// marked expired is renewed again, and stays reclaimable, when the server's clock stepped back since.
pub(super) fn renew_lease(
    store: &mut Store,
    now: ServerTime,
    held: &HandleFields,
    ttl_ms: u64,
    grace_ms: u64,
) -> Answer {
    let deviations = store.deviations();
    let found = store.visit(held.execution, now).ok_or(Refusal::ExecutionNotFound)?;
    let core = &found.core;
    let fence = held.fence.as_ref().ok_or(Refusal::FenceRequired)?;
    if core.vector.lifecycle_phase != LifecyclePhase::Active {
        return Err(fence::not_active(core));
    }
    if core.vector.ownership_state == OwnershipState::LeaseRevoked || core.lease_revoked_at.is_some() {
        return Err(Refusal::LeaseRevoked);
    }
    let marked = core.vector.ownership_state == OwnershipState::LeaseExpiredReclaimable;
    let refuses_marked = marked && deviations.has(Deviation::FixRenewRefusesMarkedLease);
    let expired = refuses_marked || core.lease_expires_at.is_none_or(|expires| expires <= now);
    if expired && !deviations.has(Deviation::BugRenewExpiredLease) {
        fence::mark_expired(store, now, held.execution);
        return Err(Refusal::LeaseExpired);
    }
    let current = core.current_attempt_index == Some(held.attempt_index) && core.is_held_by(fence);
    let ignores = deviations.has(Deviation::BugIgnoreFence) || deviations.has(Deviation::BugRenewSkipsFence);
    if !current && !ignores {
        if deviations.has(Deviation::BugRefusedRenewalExtends) {
            let expires_at = now.plus_ms(ttl_ms);
            store.edit(held.execution, |core| core.lease_expires_at = Some(expires_at));
            store.add(held.execution, IndexKey::LeaseExpiry, Score::at_ms(expires_at.ms()));
        }
        return Err(Refusal::StaleLease);
    }
    let expires_at = now.plus_ms(ttl_ms);
    store.edit(held.execution, |core| {
        core.lease_last_renewed_at = Some(now);
        if deviations.has(Deviation::BugRenewRestampsAcquisition) {
            core.lease_acquired_at = Some(now);
        }
        core.lease_renewal_deadline = Some(now.plus_ms(claim::renewal_window_ms(ttl_ms)));
        if !deviations.has(Deviation::BugRenewKeepsExpiry) {
            core.lease_expires_at = Some(expires_at);
        }
        core.last_mutation_at = now.to_wire();
    });
    store.extend_lease(held.execution, now, expires_at, grace_ms);
    store.add(held.execution, IndexKey::LeaseExpiry, Score::at_ms(expires_at.ms()));
    Ok(Done::Renewed(expires_at))
}

/// The expiry scanner's step. The index entry stays after marking.
pub(super) fn mark_lease_expired_if_due(store: &mut Store, now: ServerTime, place: Place) -> Answer {
    let Some(found) = find(store, now, place) else {
        clean(store, place, IndexKey::LeaseExpiry);
        return Ok(Done::AlreadySatisfied("execution_not_found"));
    };
    let core = &found.core;
    if core.vector.lifecycle_phase != LifecyclePhase::Active {
        store.remove(place.execution, IndexKey::LeaseExpiry);
        return Ok(Done::AlreadySatisfied("not_active"));
    }
    match core.vector.ownership_state {
        OwnershipState::LeaseExpiredReclaimable => {
            return Ok(Done::AlreadySatisfied("already_expired"));
        }
        OwnershipState::LeaseRevoked => return Ok(Done::AlreadySatisfied("already_revoked")),
        OwnershipState::Unowned => {
            store.remove(place.execution, IndexKey::LeaseExpiry);
            return Ok(Done::AlreadySatisfied("unowned"));
        }
        OwnershipState::Leased => {}
    }
    let is_live = core.lease_expires_at.is_some_and(|expires| expires > now);
    let deviations = store.deviations();
    if is_live && !deviations.has(Deviation::BugMarkLiveLease) || deviations.has(Deviation::BugMarkForgets) {
        return Ok(Done::AlreadySatisfied("not_yet_expired"));
    }
    fence::mark_expired(store, now, place.execution);
    Ok(Done::Ok("marked_expired"))
}

/// Takes a lease away by an operator's word. A lease past its time that nothing has marked counts as leased.
pub(super) fn revoke_lease(
    store: &mut Store,
    now: ServerTime,
    execution: ExecutionNo,
    instance: InstanceNo,
    expected: Option<&str>,
    reason: &str,
) -> Answer {
    let found = store.visit(execution, now).ok_or(Refusal::ExecutionNotFound)?;
    let core = &found.core;
    if core.vector.lifecycle_phase != LifecyclePhase::Active {
        return Err(fence::not_active(core));
    }
    match core.vector.ownership_state {
        OwnershipState::LeaseRevoked => return Ok(Done::AlreadySatisfied("already_revoked")),
        OwnershipState::LeaseExpiredReclaimable => {
            return Ok(Done::AlreadySatisfied("already_expired"));
        }
        OwnershipState::Unowned => return Err(Refusal::NoActiveLease),
        OwnershipState::Leased => {}
    }
    let lease_id = core.current_lease_id.clone();
    let matches = expected
        .filter(|expected| !expected.is_empty())
        .is_none_or(|expected| lease_id.as_ref().is_some_and(|current| current.to_string() == expected));
    if !matches {
        return Err(Refusal::StaleLease);
    }
    let epoch = core.current_lease_epoch;
    if store.deviations().has(Deviation::BugRevokeForgets) {
        return Ok(Done::Revoked(lease_id, epoch));
    }
    store.edit(execution, |core| {
        core.vector.ownership_state = OwnershipState::LeaseRevoked;
        core.vector.blocking_reason = BlockingReason::WaitingForWorker;
        core.vector.terminal_outcome = TerminalOutcome::None;
        core.vector.attempt_state = AttemptState::AttemptInterrupted;
        core.vector.public_state = PublicState::Active;
        core.detail = Detail::LeaseRevoked;
        core.lease_revoked_at = Some(now);
        core.last_mutation_at = now.to_wire();
    });
    store.write_reasons(execution, |reasons| reasons.revoke = Some(reason.to_owned()));
    store.delete_lease(execution);
    store.remove(execution, IndexKey::LeaseExpiry);
    store.remove(execution, IndexKey::WorkerLeases(instance));
    Ok(Done::Revoked(lease_id, epoch))
}

/// Notes progress under a live lease; a dead lease is refused without being marked, and the attempt
/// id is not compared.
pub(super) fn update_progress(
    store: &mut Store,
    now: ServerTime,
    held: &HandleFields,
    percent: Option<u8>,
    message: Option<&str>,
) -> Answer {
    let found = store.visit(held.execution, now).ok_or(Refusal::ExecutionNotFound)?;
    let core = &found.core;
    if core.vector.lifecycle_phase != LifecyclePhase::Active {
        return Err(fence::not_active(core));
    }
    if core.vector.ownership_state == OwnershipState::LeaseRevoked {
        return Err(Refusal::LeaseRevoked);
    }
    if core.lease_expires_at.is_none_or(|expires| expires <= now) {
        return Err(Refusal::LeaseExpired);
    }
    let fence = held.fence.as_ref().ok_or(Refusal::StaleLease)?;
    let other =
        core.current_lease_id.as_ref() != Some(&fence.lease_id) || core.current_lease_epoch != fence.lease_epoch;
    if other && !store.deviations().has(Deviation::BugProgressSkipsFence) {
        return Err(Refusal::StaleLease);
    }
    store.edit(held.execution, |core| {
        core.last_mutation_at = now.to_wire();
        core.progress_updated_at = Some(now);
        if percent.is_some() {
            core.progress_pct = percent;
        }
    });
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        store.write_reasons(held.execution, |reasons| reasons.progress = Some(message.to_owned()));
    }
    Ok(Done::Ok("ok"))
}
