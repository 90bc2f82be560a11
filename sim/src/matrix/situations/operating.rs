//! Situations of operators and the engine: they change an execution that somebody else may hold.

use ff_core::contracts::{
    BlockExecutionForAdmissionArgs, BlockRouteArgs, BlockingReason, CancelExecutionArgs, ChangePriorityArgs,
};
use ff_core::types::{CancelSource, ExecutionId};

use super::super::scene::{Held, LONG_MS, Probe, Scene, fail_for_good, lane, other_epoch, partition};
use super::{Family, at, of};
use crate::call::Call;

/// A cancellation by the lease's holder.
fn by_holder(s: &mut Scene<'_>, held: &Held, fence: ff_core::types::LeaseFence) -> Probe {
    let args = CancelExecutionArgs {
        execution_id: held.id.clone(),
        reason: "reason".into(),
        source: CancelSource::LeaseHolder,
        lease_id: Some(fence.lease_id),
        lease_epoch: Some(fence.lease_epoch),
        attempt_id: Some(fence.attempt_id),
        now: s.now()?,
    };
    Ok(Call::CancelExecution { args })
}

fn prioritise(s: &mut Scene<'_>, execution_id: ExecutionId) -> Probe {
    let args = ChangePriorityArgs { execution_id, new_priority: 7, lane_id: lane(), now: s.now()? };
    Ok(Call::ChangePriority { args })
}

fn block_route(s: &mut Scene<'_>, id: ExecutionId, reason: &str) -> Probe {
    let now = s.now()?;
    let args = BlockRouteArgs::new(id, lane(), partition(), reason.into(), "detail".into(), now);
    Ok(Call::BlockRoute { args })
}

fn block(s: &mut Scene<'_>, id: ExecutionId) -> Probe {
    let (reason, now) = (BlockingReason::WaitingForBudget, s.now()?);
    let args = BlockExecutionForAdmissionArgs::new(id, lane(), partition(), reason, None, now);
    Ok(Call::BlockExecutionForAdmission { args })
}

fn unblock(s: &mut Scene<'_>, id: ExecutionId, reason: &str) -> Probe {
    Ok(Call::UnblockExecution { partition: partition(), lane: lane(), id, reason: reason.into(), now: s.now()? })
}

const CAPABLE: &str = "waiting_for_capable_worker";

pub(super) const FAMILIES: &[Family] = &[
    of(
        "cancel_execution",
        &[
            at("never claimed, by an operator", |s| {
                let id = s.created()?;
                s.cancel_call(&id)
            }),
            at("claimed, by an operator", |s| {
                let held = s.claimed()?;
                s.cancel_call(&held.id)
            }),
            at("repeated", |s| {
                let held = s.cancelled()?;
                s.cancel_call(&held.id)
            }),
            at("completed", |s| {
                let held = s.completed()?;
                s.cancel_call(&held.id)
            }),
            at("suspended", |s| {
                let parked = s.suspended()?;
                s.cancel_call(&parked.held.id)
            }),
            at("delayed", |s| {
                let id = s.delayed()?;
                s.cancel_call(&id)
            }),
            at("lease revoked, by an operator", |s| {
                let held = s.revoked()?;
                s.cancel_call(&held.id)
            }),
            at("live lease, by its holder", |s| {
                let held = s.claimed()?;
                by_holder(s, &held, held.fence.clone())
            }),
            at("other epoch, by its holder", |s| {
                let held = s.claimed()?;
                by_holder(s, &held, other_epoch(&held))
            }),
            at("lease expired by one ms, by its holder", |s| {
                let held = s.lapsed()?;
                by_holder(s, &held, held.fence.clone())
            }),
            at("lease revoked, by its holder", |s| {
                let held = s.revoked()?;
                by_holder(s, &held, held.fence.clone())
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                s.cancel_call(&id)
            }),
        ],
    ),
    of(
        "replay_execution",
        &[
            at("completed", |s| {
                let held = s.completed()?;
                s.replay(&held.id)
            }),
            at("failed", |s| {
                let held = s.failed()?;
                s.replay(&held.id)
            }),
            at("cancelled", |s| {
                let held = s.cancelled()?;
                s.replay(&held.id)
            }),
            at("claimed", |s| {
                let held = s.claimed()?;
                s.replay(&held.id)
            }),
            at("never claimed", |s| {
                let id = s.created()?;
                s.replay(&id)
            }),
            at("repeated", |s| {
                let held = s.failed()?;
                let call = s.replay(&held.id)?;
                s.right(call)?;
                s.replay(&held.id)
            }),
            at("as often as its policy allows", |s| {
                let policy = ff_core::policy::ExecutionPolicy { max_replay_count: 1, ..Default::default() };
                let held = s.claimed_under(policy)?;
                s.right(fail_for_good(&held))?;
                let call = s.replay(&held.id)?;
                s.right(call)?;
                let held = s.claim(&held.id, LONG_MS)?;
                s.right(fail_for_good(&held))?;
                s.replay(&held.id)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                s.replay(&id)
            }),
        ],
    ),
    of(
        "change_priority",
        &[
            at("claimable", |s| {
                let id = s.created()?;
                prioritise(s, id)
            }),
            at("granted", |s| {
                let id = s.granted()?;
                prioritise(s, id)
            }),
            at("claimed", |s| {
                let id = s.claimed()?.id;
                prioritise(s, id)
            }),
            at("delayed", |s| {
                let id = s.delayed()?;
                prioritise(s, id)
            }),
            at("completed", |s| {
                let id = s.completed()?.id;
                prioritise(s, id)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                prioritise(s, id)
            }),
        ],
    ),
    of(
        "block_route",
        &[
            at("claimable", |s| {
                let id = s.created()?;
                block_route(s, id, CAPABLE)
            }),
            at("reason that is none", |s| {
                let id = s.created()?;
                block_route(s, id, "bad weather")
            }),
            at("claimed", |s| {
                let id = s.claimed()?.id;
                block_route(s, id, CAPABLE)
            }),
            at("completed", |s| {
                let id = s.completed()?.id;
                block_route(s, id, CAPABLE)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                block_route(s, id, CAPABLE)
            }),
        ],
    ),
    of(
        "block_execution_for_admission",
        &[
            at("claimable", |s| {
                let id = s.created()?;
                block(s, id)
            }),
            at("claimed", |s| {
                let id = s.claimed()?.id;
                block(s, id)
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                block(s, id)
            }),
        ],
    ),
    of(
        "unblock_execution",
        &[
            at("blocked for that reason", |s| {
                let id = s.created()?;
                let call = block(s, id.clone())?;
                s.right(call)?;
                unblock(s, id, "waiting_for_budget")
            }),
            at("blocked for another reason", |s| {
                let id = s.created()?;
                let call = block(s, id.clone())?;
                s.right(call)?;
                unblock(s, id, "waiting_for_quota")
            }),
            at("reason that is none", |s| {
                let id = s.created()?;
                unblock(s, id, "bad weather")
            }),
            at("no such execution", |s| {
                let id = s.nobody();
                unblock(s, id, CAPABLE)
            }),
        ],
    ),
];
