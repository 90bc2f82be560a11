//! The submitter: creates every work item at its time, and again until it is acknowledged.

#![allow(clippy::disallowed_types)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ff_core::contracts::{AddExecutionToFlowArgs, CreateExecutionArgs, CreateFlowArgs};
use ff_core::engine_backend::EngineBackend;
use ff_core::policy::{ExecutionPolicy, RetryPolicy, RoutingRequirements};
use ff_core::types::{ExecutionId, FlowId, LaneId};

use super::{Surroundings, namespace};
use crate::plan::{Plan, WorkItem};
use crate::world::Party;

const RETRY_MS: u64 = 500;

pub(super) async fn run(party: Party, plan: Arc<Plan>, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    let left = Arc::new(AtomicUsize::new(plan.work.len()));
    if plan.work.is_empty() {
        surroundings.ledger.complete.store(true, Ordering::Relaxed);
    }
    let mut order: Vec<usize> = (0..plan.work.len()).collect();
    order.sort_by_key(|position| (plan.work[*position].at, plan.work[*position].key));
    for position in order {
        party.sleep_until(plan.work[position].at).await;
        let (item_party, backend) = (party.clone(), Arc::clone(&backend));
        let (plan, surroundings, left) = (Arc::clone(&plan), surroundings.clone(), Arc::clone(&left));
        let name = format!("for work-{}", plan.work[position].key);
        party.spawn_named(&name, async move {
            submit(&item_party, &*backend, &plan.work[position], &surroundings).await;
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                surroundings.ledger.complete.store(true, Ordering::Relaxed);
            }
        });
    }
}

async fn submit(party: &Party, backend: &dyn EngineBackend, item: &WorkItem, surroundings: &Surroundings) {
    let Ok(id) = ExecutionId::parse(&item.execution) else { return };
    let lane = LaneId::new(item.lane.as_str());
    let flow_id = item.flow.as_deref().and_then(|flow| FlowId::parse(flow).ok());
    // The same ids every time: a repetition of an applied creation is answered as a duplicate.
    if let Some(flow_id) = &flow_id {
        let args = || CreateFlowArgs {
            flow_id: flow_id.clone(),
            flow_kind: "planned".into(),
            namespace: namespace(),
            now: party.now().to_wire(),
        };
        while backend.create_flow(args()).await.is_err() {
            party.sleep_ms(RETRY_MS).await;
        }
    }
    while backend.create_execution(args(party, item, &id, &lane)).await.is_err() {
        party.sleep_ms(RETRY_MS).await;
    }
    if let Some(flow_id) = flow_id {
        let args = AddExecutionToFlowArgs { flow_id, execution_id: id.clone(), now: party.now().to_wire() };
        // One that stays outside runs all the same.
        let _ = backend.add_execution_to_flow(args).await;
    }
    surroundings.ledger.add(id, lane);
}

fn args(party: &Party, item: &WorkItem, id: &ExecutionId, lane: &LaneId) -> CreateExecutionArgs {
    let now = party.now();
    let routing = RoutingRequirements {
        required_capabilities: item.requires.iter().cloned().collect(),
        ..RoutingRequirements::default()
    };
    let policy = ExecutionPolicy {
        retry_policy: Some(RetryPolicy { max_retries: item.max_retries, ..RetryPolicy::default() }),
        max_reclaim_count: item.max_reclaims,
        routing_requirements: (!item.requires.is_empty()).then_some(routing),
        ..ExecutionPolicy::default()
    };
    CreateExecutionArgs {
        execution_id: id.clone(),
        namespace: namespace(),
        lane_id: lane.clone(),
        execution_kind: "task".into(),
        input_payload: serde_json::to_vec(&item.task).unwrap_or_default(),
        payload_encoding: Some("json".into()),
        priority: item.priority,
        creator_identity: "submitter".into(),
        idempotency_key: Some(format!("work-{}", item.key)),
        tags: HashMap::new(),
        policy: Some(policy),
        delay_until: item.delay_ms.map(|delay_ms| now.plus_ms(delay_ms).to_wire()),
        execution_deadline_at: item.deadline_ms.map(|deadline_ms| now.plus_ms(deadline_ms).to_wire()),
        partition_id: id.partition(),
        now: now.to_wire(),
    }
}
