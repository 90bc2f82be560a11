//! Builds a flow as an application does: the flow, its members one after the other, and the dependencies of each as soon
//! as it is there. Every step is tried until it is acknowledged.

use std::sync::Arc;

use ff_core::contracts::{
    AddExecutionToFlowArgs, ApplyDependencyToChildArgs, CreateFlowArgs, EdgeDependencyPolicy, OnSatisfied,
    StageDependencyEdgeArgs, StageDependencyEdgeResult,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{ConflictKind, ContentionKind, EngineError};
use ff_core::types::{EdgeId, ExecutionId, FlowId};

use super::namespace;
use super::submitter::{RETRY_MS, acknowledged};
use crate::plan::{EdgePlan, FlowPlan, GroupPlan};
use crate::world::Party;

/// Creates a flow, until it is acknowledged: a repetition of an applied creation is answered as satisfied.
pub(super) async fn create(party: &Party, backend: &dyn EngineBackend, flow_id: &FlowId) {
    let args = || CreateFlowArgs {
        flow_id: flow_id.clone(),
        flow_kind: "planned".into(),
        namespace: namespace(),
        now: party.now().to_wire(),
    };
    acknowledged(party, || backend.create_flow(args())).await;
}

/// Makes an execution a member; one that stays outside runs all the same.
pub(super) async fn add(party: &Party, backend: &dyn EngineBackend, flow_id: FlowId, id: ExecutionId) {
    let args = AddExecutionToFlowArgs { flow_id, execution_id: id, now: party.now().to_wire() };
    let _ = backend.add_execution_to_flow(args).await;
}

/// Whatever an execution waits for: the policy first, then each dependency, staged with its flow and applied to it.
pub(super) async fn depend(
    party: &Party,
    backend: &Arc<dyn EngineBackend>,
    flow: &FlowPlan,
    to: (u32, &ExecutionId),
    id_of: impl Fn(u32) -> Option<ExecutionId>,
) {
    let Ok(flow_id) = FlowId::parse(&flow.flow) else { return };
    let (key, downstream) = to;
    let edges: Vec<&EdgePlan> = flow.edges.iter().filter(|edge| edge.to == key).collect();
    if let Some(group) = flow.groups.iter().find(|group| group.to == key) {
        // A policy that is refused leaves the one by which all are needed.
        let _ = backend.set_edge_group_policy(&flow_id, downstream, policy(group)).await;
    }
    for edge in edges {
        let Some(upstream) = id_of(edge.from) else { continue };
        let id = EdgeId::from_uuid(party.id(downstream, "edge"));
        let Some(revision) = stage(party, &**backend, &flow_id, &id, (&upstream, downstream), *edge).await else {
            continue;
        };
        let apply = || ApplyDependencyToChildArgs {
            flow_id: flow_id.clone(),
            edge_id: id.clone(),
            downstream_execution_id: downstream.clone(),
            upstream_execution_id: upstream.clone(),
            graph_revision: revision,
            dependency_kind: "success_only".into(),
            data_passing_ref: edge.passes_data.then(|| "result".to_owned()),
            now: party.now().to_wire(),
        };
        for _ in 0..TRIES {
            match backend.apply_dependency_to_child(apply()).await {
                Ok(_) => break,
                Err(_) => party.sleep_ms(RETRY_MS).await,
            }
        }
    }
}

/// So often is a step tried that can be refused for good.
const TRIES: u32 = 20;

fn policy(group: &GroupPlan) -> EdgeDependencyPolicy {
    let then = if group.cancels_remaining { OnSatisfied::cancel_remaining() } else { OnSatisfied::let_run() };
    match group.quorum {
        Some(k) => EdgeDependencyPolicy::quorum(k, then),
        None => EdgeDependencyPolicy::any_of(then),
    }
}

/// Stages a dependency at the graph's present revision; gives the revision after it, unless it is refused for good.
async fn stage(
    party: &Party,
    backend: &dyn EngineBackend,
    flow_id: &FlowId,
    edge_id: &EdgeId,
    (upstream, downstream): (&ExecutionId, &ExecutionId),
    edge: EdgePlan,
) -> Option<u64> {
    for _ in 0..TRIES {
        let Ok(Some(found)) = backend.describe_flow(flow_id).await else {
            party.sleep_ms(RETRY_MS).await;
            continue;
        };
        let args = StageDependencyEdgeArgs {
            flow_id: flow_id.clone(),
            edge_id: edge_id.clone(),
            upstream_execution_id: upstream.clone(),
            downstream_execution_id: downstream.clone(),
            dependency_kind: "success_only".into(),
            data_passing_ref: edge.passes_data.then(|| "result".to_owned()),
            expected_graph_revision: found.graph_revision,
            now: party.now().to_wire(),
        };
        match backend.stage_dependency_edge(args).await {
            Ok(StageDependencyEdgeResult::Staged { new_graph_revision, .. }) => return Some(new_graph_revision),
            // The reply of an earlier try was lost.
            Err(EngineError::Conflict(ConflictKind::DependencyAlreadyExists { .. })) => {
                return Some(found.graph_revision);
            }
            Err(EngineError::Contention(ContentionKind::StaleGraphRevision)) => {}
            Err(_) => party.sleep_ms(RETRY_MS).await,
        }
    }
    None
}
