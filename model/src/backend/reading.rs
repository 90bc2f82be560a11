//! Plain reads.

use ff_core::contracts::{AttemptSummary, ExecutionContext, ExecutionSnapshot, LeaseSummary, ScanEligibleArgs};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::state::PublicState;
use ff_core::types::{AttemptIndex, ExecutionId, LaneId};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Described, Message, Reply};
use crate::port::Server;
use crate::spelling::word;
use crate::store::IndexKey;

impl<S: Server> ModelBackend<S> {
    pub(super) async fn scan_eligible(&self, args: ScanEligibleArgs) -> Result<Vec<ExecutionId>, EngineError> {
        let key = IndexKey::Eligible(self.server.ids().lane(&args.lane_id));
        let message = Message::Range { partition: args.partition.index, key, up_to_ms: None, limit: args.limit };
        let context = during("scan_eligible_executions: ZRANGEBYSCORE eligible_zset");
        match self.ask(message).await.map_err(context)? {
            Reply::Members(members) => {
                let ids = self.server.ids();
                Ok(members.into_iter().map(|(_, number)| ids.execution_id(number).clone()).collect())
            }
            other => Err(error::unexpected(&other)),
        }
    }

    pub(super) async fn context(&self, id: &ExecutionId) -> Result<ExecutionContext, EngineError> {
        let context = during("read_execution_context: GET payload + HGETALL core + HGETALL tags");
        match self.ask(Message::Context(self.number(id))).await.map_err(context)? {
            Reply::Context(Some(found)) => {
                Ok(ExecutionContext::new(found.payload, found.kind, found.tags.into_iter().collect()))
            }
            Reply::Context(None) => Err(EngineError::Validation {
                kind: ValidationKind::InvalidInput,
                detail: format!("read_execution_context: execution not found: {id}"),
            }),
            other => Err(error::unexpected(&other)),
        }
    }

    /// A missing execution and one that was never claimed both answer 0.
    pub(super) async fn current_attempt_index(&self, id: &ExecutionId) -> Result<AttemptIndex, EngineError> {
        let view =
            self.core(id).await.map_err(during("read_current_attempt_index: HGET exec_core.current_attempt_index"))?;
        Ok(view.and_then(|view| view.attempt_index).unwrap_or(AttemptIndex::new(0)))
    }

    pub(super) async fn total_attempt_count(&self, id: &ExecutionId) -> Result<AttemptIndex, EngineError> {
        let view =
            self.core(id).await.map_err(during("read_total_attempt_count: HGET exec_core.total_attempt_count"))?;
        Ok(AttemptIndex::new(view.map_or(0, |view| view.total_attempt_count)))
    }

    pub(super) async fn public_state(&self, id: &ExecutionId) -> Result<Option<PublicState>, EngineError> {
        let view = self.core(id).await.map_err(during("read_execution_state: HGET public_state"))?;
        Ok(view.map(|view| view.public_state))
    }

    pub(super) async fn result(&self, id: &ExecutionId) -> Result<Option<Vec<u8>>, EngineError> {
        let context = during("get_execution_result: GET result");
        match self.ask(Message::Result(self.number(id))).await.map_err(context)? {
            Reply::Result(result) => Ok(result),
            other => Err(error::unexpected(&other)),
        }
    }

    pub(super) async fn time(&self) -> Result<u64, EngineError> {
        match self.ask(Message::Time).await? {
            Reply::Time(now) => Ok(now.ms().max(0).unsigned_abs()),
            other => Err(error::unexpected(&other)),
        }
    }

    pub(super) async fn describe(&self, id: &ExecutionId) -> Result<Option<ExecutionSnapshot>, EngineError> {
        let context = during("describe_execution: HGETALL exec_core + tags");
        match self.ask(Message::Description(self.number(id))).await.map_err(context)? {
            Reply::Description(Some(found)) => {
                // Creation takes any lane; only this read validates it.
                let lane = self.server.ids().lane_id(found.core.lane).clone();
                LaneId::try_new(lane.as_str()).map_err(|refused| EngineError::Validation {
                    kind: ValidationKind::Corruption,
                    detail: format!(
                        "describe_execution: exec_core: lane_id: fails LaneId validation (key corruption?): {refused}"
                    ),
                })?;
                Ok(Some(self.snapshot(id, *found)))
            }
            Reply::Description(None) => Ok(None),
            other => Err(error::unexpected(&other)),
        }
    }

    fn snapshot(&self, id: &ExecutionId, found: Described) -> ExecutionSnapshot {
        let ids = self.server.ids();
        let core = found.core;
        let attempt = found.attempt_id.zip(core.attempt_index);
        let lease =
            core.instance.zip(found.lease_expires_at).zip(core.lease_id).map(|((instance, expires), lease_id)| {
                let holder = ids.instance_id(instance).clone();
                let summary = LeaseSummary::new(core.lease_epoch, holder, expires.to_wire())
                    .with_lease_id(lease_id)
                    .with_attempt_index(core.attempt_index.unwrap_or(AttemptIndex::new(0)));
                match found.lease_last_renewed_at {
                    Some(renewed) => summary.with_last_heartbeat_at(renewed.to_wire()),
                    None => summary,
                }
            });
        ExecutionSnapshot::new(
            id.clone(),
            core.flow,
            ids.lane_id(core.lane).clone(),
            ids.namespace_id(core.namespace).clone(),
            core.public_state,
            Some(word(core.blocking_reason).to_owned()),
            Some(found.blocking_detail).filter(|detail| !detail.is_empty()),
            attempt.map(|(attempt_id, index)| AttemptSummary::new(attempt_id, index)),
            lease,
            core.waitpoint,
            found.created_at.to_wire(),
            found.last_mutation_at,
            core.total_attempt_count,
            found.tags,
        )
    }
}
