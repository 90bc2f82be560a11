//! What the engine's scanners call, and the range reads that they send themselves.
//!
//! The shipped scanners read their due members with a plain `ZRANGEBYSCORE` on their own client and
//! act on each through the trait. The reads stand here as inherent methods for the same reason.

use ff_core::contracts::{
    BlockExecutionForAdmissionArgs, BlockExecutionForAdmissionOutcome, BlockRouteArgs, BlockRouteOutcome,
    BlockingReason as AdmissionBlock,
};
use ff_core::engine_backend::ExpirePhase;
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::partition::Partition;
use ff_core::state::BlockingReason;
use ff_core::types::{AttemptIndex, ExecutionId, LaneId, Namespace, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Expiry, Message, Reply, Script};
use crate::port::Server;
use crate::store::IndexKey;

/// An index that a scanner ranges over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Leases by expiry.
    Leases,
    /// Attempts by timeout.
    Attempts,
    /// Executions by deadline.
    Deadlines,
    /// Suspensions by timeout.
    Suspensions,
    /// Delayed executions of a lane.
    Delayed(LaneId),
    /// Executions of a lane that wait for a capable worker.
    BlockedByRoute(LaneId),
    /// Executions of a lane that wait for a budget.
    BlockedByBudget(LaneId),
    /// Executions of a lane that wait for a quota.
    BlockedByQuota(LaneId),
    /// Executions of a lane that wait for others to end.
    BlockedByDependencies(LaneId),
}

impl Due {
    /// Whether the index is read up to now; the others are read whole.
    pub const fn is_timed(&self) -> bool {
        matches!(self, Self::Leases | Self::Attempts | Self::Deadlines | Self::Suspensions | Self::Delayed(_))
    }
}

impl<S: Server> ModelBackend<S> {
    /// The first members of an index that are due, as a scanner reads them.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn due(
        &self,
        partition: u16,
        due: &Due,
        up_to_ms: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ExecutionId>, EngineError> {
        let key = {
            let mut ids = self.server.ids();
            match due {
                Due::Leases => IndexKey::LeaseExpiry,
                Due::Attempts => IndexKey::AttemptTimeout,
                Due::Deadlines => IndexKey::ExecutionDeadline,
                Due::Suspensions => IndexKey::SuspensionTimeout,
                Due::Delayed(lane) => IndexKey::Delayed(ids.lane(lane)),
                Due::BlockedByRoute(lane) => IndexKey::BlockedRoute(ids.lane(lane)),
                Due::BlockedByBudget(lane) => IndexKey::BlockedBudget(ids.lane(lane)),
                Due::BlockedByQuota(lane) => IndexKey::BlockedQuota(ids.lane(lane)),
                Due::BlockedByDependencies(lane) => IndexKey::BlockedDependencies(ids.lane(lane)),
            }
        };
        match self.ask(Message::Range { partition, key, up_to_ms, limit }).await? {
            Reply::Members(members) => {
                let ids = self.server.ids();
                Ok(members.into_iter().map(|(_, number)| ids.execution_id(number).clone()).collect())
            }
            other => Err(error::unexpected(&other)),
        }
    }

    /// The blocking reason and the namespace of an execution, as the unblock scanner reads them.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn blocked(&self, id: &ExecutionId) -> Result<Option<(BlockingReason, Namespace)>, EngineError> {
        let view = self.core(id).await?;
        Ok(view.map(|view| (view.blocking_reason, self.server.ids().namespace_id(view.namespace).clone())))
    }

    /// The required capabilities of an execution, as the unblock scanner reads them.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn required(&self, id: &ExecutionId) -> Result<Vec<String>, EngineError> {
        match self.ask(Message::Required(self.number(id))).await? {
            Reply::Required(required) => Ok(required),
            other => Err(error::unexpected(&other)),
        }
    }

    /// The union of the capabilities of all registered workers of a namespace.
    ///
    /// # Errors
    /// A transport fault when the server did not answer.
    pub async fn registered_capabilities(&self, namespace: &Namespace) -> Result<Vec<String>, EngineError> {
        let namespace = self.server.ids().namespace(namespace);
        match self.ask(Message::RegisteredCapabilities(namespace)).await? {
            Reply::Capabilities(capabilities) => Ok(capabilities),
            other => Err(error::unexpected(&other)),
        }
    }

    pub(super) async fn promote(
        &self,
        partition: Partition,
        lane: &LaneId,
        id: &ExecutionId,
        now: TimestampMs,
    ) -> Result<(), EngineError> {
        let place = self.place(partition, id);
        let lane = self.server.ids().lane(lane);
        self.run_discarding(Script::Promote { place, lane, now }).await
    }

    pub(super) async fn expire(
        &self,
        partition: Partition,
        id: &ExecutionId,
        phase: ExpirePhase,
    ) -> Result<(), EngineError> {
        let place = self.place(partition, id);
        let view = self.core(id).await?;
        let lane = self.viewed_lane(view.as_deref());
        let attempt_index = named_attempt(view.as_deref());
        let expiry = match phase {
            ExpirePhase::AttemptTimeout => Expiry::AttemptTimeout,
            ExpirePhase::ExecutionDeadline => Expiry::ExecutionDeadline,
        };
        self.run_discarding(Script::ExpireExecution { place, lane, attempt_index, expiry }).await
    }

    /// Waitpoint, attempt and lane are three reads, each a message of its own.
    pub(super) async fn expire_parked(&self, partition: Partition, id: &ExecutionId) -> Result<(), EngineError> {
        let place = self.place(partition, id);
        let waitpoint = self.core(id).await?.and_then(|view| view.waitpoint);
        let attempt_index = named_attempt(self.core(id).await?.as_deref());
        let view = self.core(id).await?;
        let lane = self.viewed_lane(view.as_deref());
        self.run_discarding(Script::ExpireSuspension { place, lane, attempt_index, waitpoint }).await
    }

    pub(super) async fn unblock(
        &self,
        partition: Partition,
        lane: &LaneId,
        id: &ExecutionId,
        reason: &str,
        now: TimestampMs,
    ) -> Result<(), EngineError> {
        let expected = match reason {
            "waiting_for_budget" => BlockingReason::WaitingForBudget,
            "waiting_for_quota" => BlockingReason::WaitingForQuota,
            "waiting_for_capable_worker" => BlockingReason::WaitingForCapableWorker,
            other => {
                return Err(EngineError::Validation {
                    kind: ValidationKind::InvalidBlockingReason,
                    detail: format!("unblock_execution: {other}"),
                });
            }
        };
        let place = self.place(partition, id);
        let lane = self.server.ids().lane(lane);
        self.run_discarding(Script::Unblock { place, lane, expected, now }).await
    }

    /// The reason is the caller's free choice; the index is always the route's.
    pub(super) async fn block_for_route(&self, args: BlockRouteArgs) -> Result<BlockRouteOutcome, EngineError> {
        let place = self.place(args.partition, &args.execution_id);
        let lane = self.server.ids().lane(&args.lane_id);
        let script = Script::Block {
            place,
            lane,
            index: IndexKey::BlockedRoute(lane),
            reason: args.reason_code,
            detail: args.reason_detail,
            now: args.now,
        };
        match self.run(script).await.map_err(during("block_route: FCALL ff_block_execution_for_admission"))? {
            Ok(_) => Ok(BlockRouteOutcome::Blocked { execution_id: args.execution_id }),
            Err(refusal) => Ok(BlockRouteOutcome::LuaRejected { message: error::folded(refusal)? }),
        }
    }

    pub(super) async fn block_for_admission(
        &self,
        args: BlockExecutionForAdmissionArgs,
    ) -> Result<BlockExecutionForAdmissionOutcome, EngineError> {
        let place = self.place(args.partition, &args.execution_id);
        let lane = self.server.ids().lane(&args.lane_id);
        let index = match args.reason {
            AdmissionBlock::WaitingForBudget => IndexKey::BlockedBudget(lane),
            AdmissionBlock::WaitingForQuota => IndexKey::BlockedQuota(lane),
            AdmissionBlock::WaitingForCapableWorker => IndexKey::BlockedRoute(lane),
            other => {
                return Err(EngineError::Validation {
                    kind: ValidationKind::InvalidInput,
                    detail: format!("block_execution_for_admission: unsupported reason {other:?}"),
                });
            }
        };
        let script = Script::Block {
            place,
            lane,
            index,
            reason: args.reason.reason_code().into(),
            detail: args.reason_detail.unwrap_or_default(),
            now: args.now,
        };
        let context = during("block_execution_for_admission: FCALL ff_block_execution_for_admission");
        match self.run(script).await.map_err(context)? {
            Ok(_) => {
                Ok(BlockExecutionForAdmissionOutcome::Blocked { execution_id: args.execution_id, reason: args.reason })
            }
            Err(refusal) => Ok(BlockExecutionForAdmissionOutcome::LuaRejected { message: error::folded(refusal)? }),
        }
    }

    fn viewed_lane(&self, view: Option<&crate::message::CoreView>) -> crate::intern::LaneNo {
        match view {
            Some(view) => view.lane,
            None => self.server.ids().lane(&LaneId::new("default")),
        }
    }
}

/// The attempt that the timeout calls name: an empty field stays empty, only a missing core gives 0.
fn named_attempt(view: Option<&crate::message::CoreView>) -> Option<AttemptIndex> {
    view.map_or(Some(AttemptIndex::new(0)), |view| view.attempt_index)
}
