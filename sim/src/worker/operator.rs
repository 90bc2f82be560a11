//! The operator: cancels, revokes, reprioritises and replays as planned, whatever the answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use ff_core::contracts::{CancelExecutionArgs, ChangePriorityArgs, ReplayExecutionArgs, RevokeLeaseArgs};
use ff_core::engine_backend::EngineBackend;
use ff_core::types::{CancelSource, ExecutionId, LaneId, WorkerInstanceId};

use super::Surroundings;
use crate::plan::{Act, Plan, WorkItem};
use crate::world::Party;

pub(super) async fn run(party: Party, plan: Arc<Plan>, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    let positions = plan.work.iter().enumerate().map(|(position, item)| (item.key, position));
    let items: BTreeMap<u32, usize> = positions.collect();
    for action in &plan.operators {
        party.sleep_until(action.at).await;
        let Some(item) = items.get(&action.work).map(|position| plan.work[*position].clone()) else { continue };
        let acting = act(party.clone(), Arc::clone(&backend), surroundings.clone(), item, action.act);
        party.spawn_named(&format!("doing {}", action.key), acting);
    }
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
        Act::Replay => {
            let args = ReplayExecutionArgs { execution_id: execution_id.clone(), now };
            let replayed = backend.replay_execution(args).await.map(|_| ());
            // What runs again must be remembered again, or nobody would find its lease if it is revoked.
            surroundings.ledger.add(execution_id, lane_id);
            replayed
        }
    };
}
