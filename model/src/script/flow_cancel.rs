//! `ff_cancel_flow`, `ff_ack_cancel_member`, `ff_drain_sibling_cancel_group`,
//! `ff_reconcile_sibling_cancel_group`: ending a flow, and the marks that tell who is still owed a cancel.
//!
//! None of these touches an execution: each member is cancelled by a call of its own.

use super::{Answer, flow::open_core};
use crate::deviation::Deviation;
use crate::intern::ExecutionNo;
use crate::message::{Done, FlowPlace};
use crate::number::Score;
use crate::store::flow::insert;
use crate::store::{EdgeGroup, FlowCancellation, Store};
use crate::time::ServerTime;

/// How long the backlog leaves the members to the canceller; both callers send or imply it.
const GRACE_MS: u64 = 30_000;

/// Ends a flow and answers its members; for `cancel_all` they are owed a cancel from now on.
pub(super) fn cancel_flow(store: &mut Store, now: ServerTime, place: &FlowPlace, reason: &str, policy: &str) -> Answer {
    open_core(store, place)?;
    let forgets = store.deviations().has(Deviation::BugFlowCancelForgetsMember);
    let flow = store.flow_mut(place.partition, &place.flow);
    if let Some(core) = &mut flow.core {
        core.cancelled = Some(FlowCancellation { at: now, reason: reason.to_owned(), policy: policy.to_owned() });
        core.last_mutation_at = now.to_wire();
    }
    let mut members = flow.members.clone();
    if forgets {
        members.pop();
    }
    if policy == "cancel_all" && !members.is_empty() {
        for member in &members {
            insert(&mut flow.pending_cancels, *member);
        }
        let due = Score::at_ms(now.plus_ms(GRACE_MS).ms());
        let backlog = &mut store.flow_indexes_mut(place.partition).cancel_backlog;
        backlog.retain(|(flow, _)| *flow != place.flow);
        backlog.push((place.flow.clone(), due));
    }
    Ok(Done::Cancelled(members))
}

/// Strikes a member off; the flow leaves the backlog with its last one, or if it owed none.
pub(super) fn ack_cancel_member(store: &mut Store, place: &FlowPlace, execution: ExecutionNo) -> Answer {
    let mut owes = false;
    if store.flow(place.partition, &place.flow).is_some() {
        let pending = &mut store.flow_mut(place.partition, &place.flow).pending_cancels;
        pending.retain(|member| *member != execution);
        owes = !pending.is_empty();
    }
    if !owes && store.flow_indexes(place.partition).is_some() {
        store.flow_indexes_mut(place.partition).cancel_backlog.retain(|(flow, _)| *flow != place.flow);
    }
    Ok(Done::Ok("acknowledged"))
}

/// Takes a group off the list and forgets its siblings; the reason stays.
pub(super) fn drain_sibling_cancel_group(store: &mut Store, place: &FlowPlace, downstream: ExecutionNo) -> Answer {
    let removed = strike(store, place, downstream);
    let exists = match group_mut(store, place, downstream) {
        Some(group) => {
            group.cancel_pending = None;
            true
        }
        None => false,
    };
    Ok(Done::Ok(match (removed, exists) {
        (false, _) => "already_drained",
        (true, false) => "drained_sans_group",
        (true, true) => "drained",
    }))
}

/// Finishes a drain that was left half done; leaves a group alone whose siblings still run.
pub(super) fn reconcile_sibling_cancel_group(store: &mut Store, place: &FlowPlace, downstream: ExecutionNo) -> Answer {
    let listed = store.flow_indexes(place.partition).is_some_and(|indexes| {
        indexes.pending_cancel_groups.iter().any(|(flow, number)| *flow == place.flow && *number == downstream)
    });
    if !listed {
        return Ok(Done::Ok("no_op"));
    }
    let group = store.flow(place.partition, &place.flow).and_then(|flow| flow.groups.get(&downstream));
    let Some(siblings) = group.and_then(|group| group.cancel_pending.as_ref()) else {
        strike(store, place, downstream);
        return Ok(Done::Ok("sremmed_stale"));
    };
    let runs = |number: &ExecutionNo| {
        let found = store.execution(*number).filter(|found| found.partition == place.partition);
        found.is_some_and(|found| found.core.vector.lifecycle_phase != ff_core::state::LifecyclePhase::Terminal)
    };
    if siblings.iter().any(runs) {
        return Ok(Done::Ok("no_op"));
    }
    if let Some(group) = group_mut(store, place, downstream) {
        group.cancel_pending = None;
    }
    strike(store, place, downstream);
    Ok(Done::Ok("completed_drain"))
}

fn group_mut<'a>(store: &'a mut Store, place: &FlowPlace, downstream: ExecutionNo) -> Option<&'a mut EdgeGroup> {
    store.flow(place.partition, &place.flow)?;
    store.flow_mut(place.partition, &place.flow).groups.get_mut(&downstream)
}

/// `SREM` from `pending_cancel_groups`; tells whether it was there.
fn strike(store: &mut Store, place: &FlowPlace, downstream: ExecutionNo) -> bool {
    if store.flow_indexes(place.partition).is_none() {
        return false;
    }
    let groups = &mut store.flow_indexes_mut(place.partition).pending_cancel_groups;
    let before = groups.len();
    groups.retain(|(flow, number)| *flow != place.flow || *number != downstream);
    groups.len() < before
}
