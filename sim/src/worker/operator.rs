//! The operator: cancels, revokes, reprioritises and replays as planned, whatever the answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use ff_core::contracts::{CancelExecutionArgs, ChangePriorityArgs, ReplayExecutionArgs, RevokeLeaseArgs};
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{CancelSource, ExecutionId, LaneId, WorkerInstanceId};

use crate::plan::{Act, Plan};
use crate::world::Party;

pub(super) async fn run(party: Party, plan: Arc<Plan>, partitions: PartitionConfig) {
    let backend: Arc<dyn EngineBackend> = Arc::new(party.backend(partitions));
    let items: BTreeMap<u32, usize> =
        plan.work.iter().enumerate().map(|(position, item)| (item.key, position)).collect();
    for action in &plan.operators {
        party.sleep_until(action.at).await;
        let Some(item) = items.get(&action.work).map(|position| &plan.work[*position]) else { continue };
        let Ok(execution_id) = ExecutionId::parse(&item.execution) else { continue };
        let now = party.now().to_wire();
        let _ = match action.act {
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
                let lane_id = LaneId::new(item.lane.as_str());
                let args = ChangePriorityArgs { execution_id, new_priority, lane_id, now };
                backend.change_priority(args).await.map(|_| ())
            }
            Act::Replay => backend.replay_execution(ReplayExecutionArgs { execution_id, now }).await.map(|_| ()),
        };
    }
}
