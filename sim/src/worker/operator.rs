//! The operator: cancels, revokes, reprioritises and replays as planned, whatever the answers.

use std::sync::Arc;

use ff_core::backend::{CancelFlowPolicy, CancelFlowWait};
use ff_core::contracts::{
    CancelExecutionArgs, ChangePriorityArgs, ReplayExecutionArgs, ResumeExecutionArgs, RevokeLeaseArgs,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionFamily};
use ff_core::types::{CancelSource, ExecutionId, FlowId, LaneId, TimestampMs, WorkerInstanceId};

use super::Surroundings;
use crate::plan::{Act, FlowPlan, Plan, WorkItem};
use crate::world::Party;

pub(super) async fn run(party: Party, plan: Arc<Plan>, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    for flow in plan.flows.iter().filter(|flow| flow.cancel_at.is_some()) {
        let cancelling = cancel_flow(party.clone(), Arc::clone(&backend), flow.clone());
        party.spawn_named(&format!("cancelling flow-{}", flow.key), cancelling);
    }
    let began = party.hub().now();
    // Whoever was away does not make up for what was due meanwhile.
    for action in plan.operators.iter().filter(|action| action.at >= began) {
        party.sleep_until(action.at).await;
        let Some(item) = plan.item(action.work).cloned() else { continue };
        let acting = act(party.clone(), Arc::clone(&backend), surroundings.clone(), item, action.act);
        party.spawn_named(&format!("doing {}", action.key), acting);
    }
}

async fn cancel_flow(party: Party, backend: Arc<dyn EngineBackend>, flow: FlowPlan) {
    let (Some(at), Ok(id)) = (flow.cancel_at, FlowId::parse(&flow.flow)) else { return };
    if at < party.hub().now() {
        return;
    }
    party.sleep_until(at).await;
    let _ = backend.cancel_flow(&id, CancelFlowPolicy::CancelAll, CancelFlowWait::NoWait).await;
}

/// Closes the waitpoint that an execution waits at, as an engine does with one that nobody came for.
async fn close_waitpoint(backend: &dyn EngineBackend, id: &ExecutionId, now: TimestampMs) -> Result<(), EngineError> {
    let partition = Partition { family: PartitionFamily::Execution, index: id.partition() };
    let found = backend.describe_execution(id).await?;
    let Some(waitpoint) = found.and_then(|found| found.current_waitpoint) else { return Ok(()) };
    backend.close_waitpoint(partition, id, &waitpoint.to_string(), now).await
}

async fn act(party: Party, backend: Arc<dyn EngineBackend>, surroundings: Surroundings, item: WorkItem, act: Act) {
    let Ok(execution_id) = ExecutionId::parse(&item.execution) else { return };
    let now = party.now().to_wire();
    let lane_id = LaneId::new(item.lane.as_str());
    // Whatever the answer, there is nothing more to do.
    let _ = match act {
        Act::Cancel => {
            let args = CancelExecutionArgs {
                execution_id,
                reason: "planned".into(),
                source: CancelSource::OperatorOverride,
                lease_id: None,
                lease_epoch: None,
                attempt_id: None,
                now,
            };
            backend.cancel_execution(args).await.map(|_| ())
        }
        Act::Revoke => {
            let args = RevokeLeaseArgs {
                execution_id,
                expected_lease_id: None,
                worker_instance_id: WorkerInstanceId::new(""),
                reason: "planned".into(),
            };
            backend.revoke_lease(args).await.map(|_| ())
        }
        Act::Reprioritise(new_priority) => {
            let args = ChangePriorityArgs { execution_id, new_priority, lane_id, now };
            backend.change_priority(args).await.map(|_| ())
        }
        Act::Resume => {
            let trigger_type = "operator".to_owned();
            let args = ResumeExecutionArgs { execution_id, trigger_type, resume_delay_ms: 0 };
            backend.resume_execution(args).await.map(|_| ())
        }
        Act::CloseWaitpoint => close_waitpoint(&*backend, &execution_id, now).await,
        Act::Replay => {
            // What runs again must be remembered again, or nobody would find its lease if it is lost: before the call, lest
            // the operator dies under it, and after it, lest a reclaimer has seen it ended meanwhile.
            surroundings.ledger.add(execution_id.clone(), lane_id.clone());
            let args = ReplayExecutionArgs { execution_id: execution_id.clone(), now };
            let answer = backend.replay_execution(args).await.map(|_| ());
            surroundings.ledger.add(execution_id, lane_id);
            answer
        }
    };
}
