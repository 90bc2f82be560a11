//! The submitter: creates every work item at its time, and again until it is acknowledged.

#![allow(clippy::disallowed_types)]

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claimlab_model::backend::ModelBackend;
use ff_core::contracts::CreateExecutionArgs;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::policy::{ExecutionPolicy, RetryPolicy, RoutingRequirements, StreamPolicy, TimeoutPolicy};
use ff_core::types::{BudgetId, ExecutionId, FlowId, LaneId};

use super::{Surroundings, admission, flow, namespace};
use crate::plan::{Plan, WorkItem};
use crate::world::Party;

/// How long a submitter waits before it tries again.
pub(super) const RETRY_MS: u64 = 500;

/// Makes a call again and again until it is acknowledged.
pub(super) async fn acknowledged<T: Send, F: Future<Output = Result<T, EngineError>> + Send>(
    party: &Party,
    call: impl Fn() -> F + Send + Sync,
) {
    while call().await.is_err() {
        party.sleep_ms(RETRY_MS).await;
    }
}

pub(super) async fn run(party: Party, plan: Arc<Plan>, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    let left = Arc::new(AtomicUsize::new(plan.work.len()));
    if plan.work.is_empty() {
        surroundings.ledger.complete.store(true, Ordering::Relaxed);
    }
    if let Some(admission) = &plan.world.admission {
        admission::create(&party, &*backend, admission).await;
    }
    let own = Arc::new(party.backend(surroundings.partitions));
    let flows: BTreeMap<u32, usize> = (0..)
        .zip(&plan.flows)
        .flat_map(|(position, flow)| flow.members.iter().map(move |member| (*member, position)))
        .collect();
    let mut order: Vec<usize> = (0..plan.work.len()).collect();
    order.sort_by_key(|position| (plan.work[*position].at, plan.work[*position].key));
    for position in order {
        party.sleep_until(plan.work[position].at).await;
        let key = plan.work[position].key;
        let flow = flows.get(&key).copied();
        // The first member of a flow builds all of it.
        if flow.is_some_and(|flow| plan.flows[flow].members.first() != Some(&key)) {
            continue;
        }
        let (item_party, backend, own) = (party.clone(), Arc::clone(&backend), Arc::clone(&own));
        let (plan, surroundings, left) = (Arc::clone(&plan), surroundings.clone(), Arc::clone(&left));
        let name = format!("for work-{}", plan.work[position].key);
        party.spawn_named(&name, async move {
            let submitted = match flow {
                Some(flow) => build(&item_party, &backend, &own, (&plan, flow), &surroundings).await,
                None => {
                    submit(&item_party, &backend, &own, &plan.work[position], &surroundings).await;
                    1
                }
            };
            if left.fetch_sub(submitted, Ordering::Relaxed) == submitted {
                surroundings.ledger.complete.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// Builds a flow with all its members; gives how many they are.
async fn build(
    party: &Party,
    backend: &Arc<dyn EngineBackend>,
    own: &ModelBackend<Party>,
    (plan, flow): (&Plan, usize),
    surroundings: &Surroundings,
) -> usize {
    let flow = &plan.flows[flow];
    let id_of = |key: u32| ExecutionId::parse(&plan.item(key)?.execution).ok();
    for key in &flow.members {
        let (Some(item), Some(id)) = (plan.item(*key), id_of(*key)) else { continue };
        submit(party, backend, own, item, surroundings).await;
        flow::depend(party, backend, flow, (*key, &id), id_of).await;
    }
    flow.members.len()
}

async fn submit(
    party: &Party,
    backend: &Arc<dyn EngineBackend>,
    own: &ModelBackend<Party>,
    item: &WorkItem,
    surroundings: &Surroundings,
) {
    let Ok(id) = ExecutionId::parse(&item.execution) else { return };
    let lane = LaneId::new(item.lane.as_str());
    let flow_id = item.flow.as_deref().and_then(|flow| FlowId::parse(flow).ok());
    // The same ids every time: a repetition of an applied creation is answered as a duplicate.
    if let Some(flow_id) = &flow_id {
        flow::create(party, &**backend, flow_id).await;
    }
    let execution = party.hub().ids().execution(&id);
    party.hub().means_to_run(execution, item.delay_ms.unwrap_or(0));
    acknowledged(party, || backend.create_execution(args(party, item, &id, &lane))).await;
    if let Some(other) = item.again.as_ref().and_then(|other| ExecutionId::parse(other).ok()) {
        acknowledged(party, || backend.create_execution(args(party, item, &other, &lane))).await;
        surroundings.ledger.add(other, lane.clone());
    }
    admission::attach(party, own, item, &id).await;
    if let Some(flow_id) = flow_id {
        flow::add(party, &**backend, flow_id, id.clone()).await;
    }
    surroundings.ledger.add(id, lane);
}

/// A policy's time to keep an execution is a field of its policy for streams.
fn kept_for(keep_ms: u64) -> StreamPolicy {
    StreamPolicy { durability_mode: "buffered".into(), retention_maxlen: 10_000, retention_ttl_ms: Some(keep_ms) }
}

fn args(party: &Party, item: &WorkItem, id: &ExecutionId, lane: &LaneId) -> CreateExecutionArgs {
    let now = party.now();
    let routing = RoutingRequirements {
        required_capabilities: item.requires.iter().cloned().collect(),
        ..RoutingRequirements::default()
    };
    let policy = ExecutionPolicy {
        retry_policy: Some(RetryPolicy {
            max_retries: item.max_retries,
            retryable_categories: item.retryable.clone(),
            ..RetryPolicy::default()
        }),
        timeout_policy: item.policy_timeout_ms.map(|timeout_ms| TimeoutPolicy {
            attempt_timeout_ms: Some(timeout_ms),
            execution_deadline_ms: None,
            max_reclaim_count: item.max_reclaims,
        }),
        budget_ids: item.budget.iter().filter_map(|id| BudgetId::parse(id).ok()).collect(),
        max_reclaim_count: item.max_reclaims,
        stream_policy: item.keep_ms.map(kept_for),
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
