//! `ff_create_flow`, `ff_add_execution_to_flow`, `ff_stage_dependency_edge`, `ff_set_edge_group_policy`,
//! `ff_set_flow_tags`: how a flow is built.

use std::collections::BTreeSet;

use ff_core::contracts::EdgeDependencyPolicy;
use ff_core::types::{Namespace, TimestampMs};

use super::{Answer, Refusal};
use crate::intern::ExecutionNo;
use crate::message::{Done, FlowPlace, StageEdge};
use crate::store::flow::insert;
use crate::store::{Edge, EdgeGroup, Flow, FlowCore, Store};
use crate::time::ServerTime;

/// The search for a cycle gives up, and calls it one, beyond so many executions.
const MAX_CYCLE_CHECK_NODES: usize = 1000;

/// Creates a flow; the index entry is written even where the flow exists.
pub(super) fn create_flow(
    store: &mut Store,
    now: ServerTime,
    place: &FlowPlace,
    kind: &str,
    namespace: &Namespace,
) -> Answer {
    insert(&mut store.flow_indexes_mut(place.partition).flow_index, place.flow.clone());
    let flow = store.flow_mut(place.partition, &place.flow);
    if flow.core.is_some() {
        return Ok(Done::AlreadySatisfied("flow_exists"));
    }
    flow.core = Some(FlowCore {
        flow: place.flow.clone(),
        kind: kind.to_owned(),
        namespace: namespace.clone(),
        graph_revision: 0,
        node_count: 0,
        edge_count: 0,
        created_at: now,
        last_mutation_at: now.to_wire(),
        cancelled: None,
        tags_migrated: false,
    });
    Ok(Done::Ok("created"))
}

/// The core of a flow that still takes changes.
pub(super) fn open_core<'a>(store: &'a Store, place: &FlowPlace) -> Result<&'a FlowCore, Refusal> {
    let flow = store.flow(place.partition, &place.flow);
    let core = flow.and_then(|flow| flow.core.as_ref()).ok_or(Refusal::FlowNotFound)?;
    if core.cancelled.is_some() { Err(Refusal::FlowAlreadyTerminal) } else { Ok(core) }
}

/// Makes an execution a member, whatever its state, and names the flow in its core.
///
/// The core's `last_mutation_at` stays. The flow's index entry is written before a member of another
/// flow is refused.
pub(super) fn add_execution_to_flow(
    store: &mut Store,
    now: ServerTime,
    place: &FlowPlace,
    execution: ExecutionNo,
) -> Answer {
    open_core(store, place)?;
    let belongs_to = store.visit(execution, now).ok_or(Refusal::ExecutionNotFound)?.core.flow.clone();
    insert(&mut store.flow_indexes_mut(place.partition).flow_index, place.flow.clone());
    if let Some(other) = belongs_to.filter(|flow| *flow != place.flow) {
        return Err(Refusal::AlreadyMemberOfDifferentFlow(other));
    }
    let flow = store.flow_mut(place.partition, &place.flow);
    let is_member = flow.members.contains(&execution);
    insert(&mut flow.members, execution);
    let mut nodes = 0;
    if let Some(core) = &mut flow.core {
        if !is_member {
            core.node_count += 1;
            core.graph_revision += 1;
            core.last_mutation_at = now.to_wire();
        }
        nodes = core.node_count;
    }
    store.edit(execution, |core| core.flow = Some(place.flow.clone()));
    Ok(Done::Count(if is_member { "already_member" } else { "added" }, i64::from(nodes)))
}

/// Records an edge between two members at the revision that the caller knows. Neither execution is
/// touched, and a downstream that runs or has ended is as good as any.
pub(super) fn stage_dependency_edge(store: &mut Store, args: &StageEdge) -> Answer {
    if args.upstream == args.downstream {
        return Err(Refusal::SelfReferencingEdge);
    }
    let core = open_core(store, &args.place)?;
    if core.graph_revision != args.expected_revision {
        return Err(Refusal::StaleGraphRevision);
    }
    let flow = store.flow_mut(args.place.partition, &args.place.flow);
    if !flow.members.contains(&args.upstream) || !flow.members.contains(&args.downstream) {
        return Err(Refusal::ExecutionNotInFlow);
    }
    if closes_cycle(flow, args.downstream, args.upstream) {
        return Err(Refusal::CycleDetected);
    }
    if flow.edge(&args.edge).is_some() {
        return Err(Refusal::DependencyAlreadyExists);
    }
    flow.stage(Edge {
        id: args.edge.clone(),
        flow: args.place.flow.clone(),
        upstream: args.upstream,
        downstream: args.downstream,
        kind: args.kind.clone(),
        data_passing_ref: args.data_passing_ref.clone(),
        created_at: args.now,
    });
    let core = flow.core.as_mut().ok_or(Refusal::FlowNotFound)?;
    core.graph_revision += 1;
    core.edge_count += 1;
    core.last_mutation_at = args.now;
    Ok(Done::Count("staged", core.graph_revision.cast_signed()))
}

/// `detect_cycle`: whether `target` can be reached from `start`, or too much else can.
fn closes_cycle(flow: &Flow, start: ExecutionNo, target: ExecutionNo) -> bool {
    let mut visited = BTreeSet::new();
    let mut queue = vec![start];
    while let Some(execution) = queue.pop() {
        if execution == target {
            return true;
        }
        if !visited.insert(execution) {
            continue;
        }
        if visited.len() > MAX_CYCLE_CHECK_NODES {
            return true;
        }
        queue.extend(flow.outgoing(execution).iter().filter_map(|id| flow.edge(id)).map(|edge| edge.downstream));
    }
    false
}

/// Declares what an execution's inbound dependencies must come to; too late once one was applied.
///
/// A flow that has ended takes a policy too. Of a policy of the same variant nothing is compared or
/// written, not even another quorum.
pub(super) fn set_edge_group_policy(
    store: &mut Store,
    place: &FlowPlace,
    downstream: ExecutionNo,
    policy: &EdgeDependencyPolicy,
    now: TimestampMs,
) -> Answer {
    let flow = store.flow(place.partition, &place.flow).filter(|flow| flow.core.is_some());
    let existing = flow.ok_or(Refusal::FlowNotFound)?.groups.get(&downstream);
    if existing.is_some_and(|group| group.n > 0) {
        let detail = "edge_group_policy_already_fixed: dependencies already staged";
        return Err(Refusal::InvalidInput(detail.to_owned()));
    }
    if existing.is_some_and(|group| group.policy.variant_str() == policy.variant_str()) {
        return Ok(Done::Ok("already_set"));
    }
    let group = EdgeGroup::declared(policy.clone(), now);
    store.flow_mut(place.partition, &place.flow).groups.insert(downstream, group);
    Ok(Done::Ok("set"))
}

/// Writes a tag beside the flow. The mark that this leaves in the flow's core is no field that a
/// description knows, so that none succeeds afterwards.
pub(super) fn set_flow_tag(store: &mut Store, now: ServerTime, place: &FlowPlace, key: &str, value: &str) -> Answer {
    if store.flow(place.partition, &place.flow).is_none_or(|flow| flow.core.is_none()) {
        return Err(Refusal::FlowNotFound);
    }
    let flow = store.flow_mut(place.partition, &place.flow);
    flow.tags.insert(key.to_owned(), value.to_owned());
    if let Some(core) = &mut flow.core {
        core.tags_migrated = true;
        core.last_mutation_at = now.to_wire();
    }
    Ok(Done::Ok("tagged"))
}
