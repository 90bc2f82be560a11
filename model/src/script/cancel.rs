//! `ff_cancel_execution`.

use ff_core::state::{AttemptLifecycle, AttemptState, LifecyclePhase, OwnershipState, TerminalOutcome};

use super::{Answer, Refusal, fence, resume, vector};
use crate::deviation::Deviation;
use crate::message::{Cancel, Done};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Store};
use crate::time::ServerTime;

const OPERATOR_OVERRIDE: &str = "operator_override";
/// The source whose cancels are not published: the engine walks the edges itself.
const FLOW_CASCADE: &str = "flow_cascade";

/// Ends an execution as cancelled, from any phase but terminal.
///
/// Outside the active phase no fence is compared at all, and inside it neither the expiry nor the
/// attempt is: a handle whose lease is long gone can still cancel.
pub(super) fn cancel_execution(store: &mut Store, now: ServerTime, args: &Cancel) -> Answer {
    let number = args.execution;
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let core = &found.core;
    let phase = core.vector.lifecycle_phase;
    let own_lane = found.submission.lane;
    let partition = found.partition;
    if phase == LifecyclePhase::Terminal {
        return Err(fence::not_active(core));
    }
    if phase == LifecyclePhase::Active && args.source != OPERATOR_OVERRIDE {
        if core.vector.ownership_state == OwnershipState::LeaseRevoked {
            return Err(Refusal::LeaseRevoked);
        }
        let other = args.lease_id.is_some()
            && (core.current_lease_id != args.lease_id || Some(core.current_lease_epoch) != args.lease_epoch);
        if other && !store.deviations().has(Deviation::BugIgnoreFence) {
            return Err(Refusal::StaleLease);
        }
    }
    if store.deviations().has(Deviation::FixFenceHandleCancel) && args.fence.is_some() {
        fence::validate(store, now, number, args.fence.as_ref())?;
    }
    let has_attempt = store.execution(number).is_some_and(|found| found.core.current_attempt_index.is_some());
    if has_attempt && matches!(phase, LifecyclePhase::Active | LifecyclePhase::Suspended) {
        store.write_attempt(number, args.attempt_index, |attempt| {
            attempt.state = AttemptLifecycle::EndedCancelled;
            attempt.ended_at = Some(now);
            attempt.failure_reason = Some(format!("cancelled: {}", args.reason));
        });
    }
    if phase == LifecyclePhase::Active && !store.deviations().has(Deviation::BugCancelKeepsLease) {
        store.delete_lease(number);
    }
    if phase == LifecyclePhase::Suspended {
        close_suspension(store, now, args, partition);
    }
    store.edit(number, |core| {
        let attempt_state = if has_attempt { AttemptState::AttemptTerminal } else { core.vector.attempt_state };
        core.vector = vector::terminal(TerminalOutcome::Cancelled, attempt_state);
        core.detail = Detail::None;
        core.completed_at = Some(now);
        core.clear_lease();
        core.current_suspension_id = None;
        core.current_waitpoint_id = None;
        core.stamp(now);
    });
    store.write_reasons(number, |reasons| {
        reasons.cancellation = Some(args.reason.clone());
        reasons.cancelled_by = Some(args.source.clone());
    });
    leave_every_index(store, args, own_lane);
    store.add(number, IndexKey::Terminal(args.lane), Score::at_ms(now.ms()));
    if args.source != FLOW_CASCADE {
        store.publish(number, "cancelled");
    }
    Ok(Done::Ok("cancelled"))
}

fn close_suspension(store: &mut Store, now: ServerTime, args: &Cancel, partition: u16) {
    let number = args.execution;
    store.write_suspension(number, |suspension| {
        if let Some(suspension) = suspension {
            suspension.closed_at = Some(now);
            suspension.close_reason = "cancelled";
        }
    });
    if let Some(waitpoint) = &args.waitpoint {
        store.write_waitpoint(number, partition, waitpoint, |waitpoint| {
            waitpoint.close(now, "cancelled", false);
            waitpoint.close_condition(now, "cancelled");
        });
    }
    store.delete_composite(number);
    resume::close_additional(store, now, number, partition, "cancelled", "cancelled", false);
}

/// `defensive_zrem_all_indexes`: active and suspended by the core's lane, the rest by the caller's.
fn leave_every_index(store: &mut Store, args: &Cancel, own_lane: crate::intern::LaneNo) {
    let lane = args.lane;
    for key in [
        IndexKey::Eligible(lane),
        IndexKey::Delayed(lane),
        IndexKey::Active(own_lane),
        IndexKey::Suspended(own_lane),
        IndexKey::BlockedDependencies(lane),
        IndexKey::BlockedBudget(lane),
        IndexKey::BlockedQuota(lane),
        IndexKey::BlockedRoute(lane),
        IndexKey::BlockedOperator(lane),
        IndexKey::LeaseExpiry,
        IndexKey::SuspensionTimeout,
        IndexKey::AttemptTimeout,
        IndexKey::ExecutionDeadline,
    ] {
        store.remove(args.execution, key);
    }
    if let Some(instance) = args.instance {
        store.remove(args.execution, IndexKey::WorkerLeases(instance));
    }
}
