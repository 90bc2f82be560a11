//! The real `EngineBackend` trait over a [`Server`] port.
//!
//! Each method is the conversation that `ff-backend-valkey/src/lib.rs` holds: the reads of its
//! prelude, then one function call, each a message of its own. Methods that are not modelled answer
//! `Unavailable`, as the trait's own defaults do. The backend presents itself as Valkey.

mod claiming;
mod error;
mod finishing;
mod handle;
mod leases;
mod method;
mod reading;
mod scanning;
mod scheduling;
mod secrets;
mod signalling;
mod suspending;
mod waitpoints;
mod wire;

pub use error::class;
pub use method::{Method, error_label};
pub use scanning::Due;
pub use wire::blocking_reason_text;

use std::time::Duration;

use async_trait::async_trait;
use ff_core::backend::{
    AppendFrameOutcome, CancelFlowPolicy, CancelFlowWait, CapabilitySet, ClaimPolicy, FailOutcome, FailureClass,
    FailureReason, Frame, Handle, LeaseRenewal, PendingWaitpoint, ResumeSignal, ResumeToken, UsageDimensions,
};
use ff_core::contracts::*;
use ff_core::engine_backend::{EngineBackend, ExpirePhase};
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionConfig, PartitionKey};
use ff_core::state::PublicState;
use ff_core::types::{AttemptIndex, BudgetId, ExecutionId, FlowId, LaneId, LeaseFence, TimestampMs, WaitpointId};

use crate::intern::ExecutionNo;
use crate::message::{Done, Message, Place, Reply, Script};
use crate::port::Server;
use crate::script::Refusal;
use method::Call;
use scheduling::Rotation;

/// The model behind the trait, for one client.
#[derive(Debug)]
pub struct ModelBackend<S> {
    server: S,
    partitions: PartitionConfig,
    scheduler: Option<Rotation>,
}

impl<S: Server> ModelBackend<S> {
    /// A client of the server.
    pub fn new(server: S, partitions: PartitionConfig) -> Self {
        Self { server, partitions, scheduler: None }
    }

    /// The same client with the scheduler installed, so that `claim_for_worker` answers.
    #[must_use]
    pub fn with_scheduler(mut self) -> Self {
        self.scheduler = Some(Rotation::default());
        self
    }

    async fn ask(&self, message: Message) -> Result<Reply, EngineError> {
        self.server.call(message).await.map_err(error::unanswered)
    }

    /// Calls a function; its refusal is still the script's own.
    async fn run(&self, script: Script) -> Result<Result<Done, Refusal>, EngineError> {
        match self.ask(Message::Script(script)).await? {
            Reply::Done(done) => Ok(Ok(done)),
            Reply::Refused(refusal) => Ok(Err(refusal)),
            other => Err(error::unexpected(&other)),
        }
    }

    /// Calls a function in the typed style.
    async fn run_typed(&self, script: Script) -> Result<Done, EngineError> {
        self.run(script).await?.map_err(error::typed)
    }

    /// Calls a function in the opaque style.
    async fn run_opaque(&self, script: Script) -> Result<Done, EngineError> {
        self.run(script).await?.map_err(error::opaque)
    }

    /// Calls a function whose answers nobody reads; only a failure of the call itself surfaces.
    async fn run_discarding(&self, script: Script) -> Result<(), EngineError> {
        match self.run(script).await? {
            Err(refusal @ Refusal::RuntimeError(_)) => Err(error::typed(refusal)),
            _ => Ok(()),
        }
    }

    fn number(&self, id: &ExecutionId) -> ExecutionNo {
        self.server.ids().execution(id)
    }

    fn place(&self, partition: Partition, id: &ExecutionId) -> Place {
        Place { execution: self.number(id), partition: partition.index }
    }
}

/// Runs a method's body between the port's notes of its start and end.
macro_rules! method {
    ($self:ident, $method:ident, $body:expr) => {
        method!($self, $method, $body, |_| "ok")
    };
    ($self:ident, $method:ident, $body:expr, $label:expr) => {{
        let call = Call::begin(&$self.server, Method::$method);
        call.end($body.await, $label)
    }};
}

#[async_trait]
impl<S: Server> EngineBackend for ModelBackend<S> {
    fn backend_label(&self) -> &'static str {
        "valkey"
    }

    async fn claim(&self, _: &LaneId, _: &CapabilitySet, _: ClaimPolicy) -> Result<Option<Handle>, EngineError> {
        Err(EngineError::Unavailable { op: "claim" })
    }

    async fn renew(&self, handle: &Handle) -> Result<LeaseRenewal, EngineError> {
        method!(self, Renew, self.renew_handle(handle))
    }

    async fn progress(&self, handle: &Handle, percent: Option<u8>, message: Option<String>) -> Result<(), EngineError> {
        method!(self, Progress, self.note_progress(handle, percent, message))
    }

    async fn append_frame(&self, _: &Handle, _: Frame) -> Result<AppendFrameOutcome, EngineError> {
        Err(EngineError::Unavailable { op: "append_frame" })
    }

    async fn complete(&self, handle: &Handle, payload: Option<Vec<u8>>) -> Result<(), EngineError> {
        method!(self, Complete, self.complete_handle(handle, payload))
    }

    async fn fail(
        &self,
        handle: &Handle,
        reason: FailureReason,
        class: FailureClass,
    ) -> Result<FailOutcome, EngineError> {
        method!(self, Fail, self.fail_handle(handle, reason, class), |outcome| match outcome {
            FailOutcome::RetryScheduled { .. } => "retry_scheduled",
            FailOutcome::TerminalFailed => "terminal_failed",
        })
    }

    async fn cancel(&self, handle: &Handle, reason: &str) -> Result<(), EngineError> {
        method!(self, Cancel, self.cancel_handle(handle, reason))
    }

    async fn suspend(&self, handle: &Handle, args: SuspendArgs) -> Result<SuspendOutcome, EngineError> {
        method!(self, Suspend, self.suspend_handle(handle, args))
    }

    async fn create_waitpoint(
        &self,
        handle: &Handle,
        waitpoint_key: &str,
        expires_in: Duration,
    ) -> Result<PendingWaitpoint, EngineError> {
        method!(self, CreateWaitpoint, self.create_pending(handle, waitpoint_key, expires_in))
    }

    async fn observe_signals(&self, handle: &Handle) -> Result<Vec<ResumeSignal>, EngineError> {
        method!(self, ObserveSignals, self.observe(handle))
    }

    async fn claim_from_resume_grant(&self, token: ResumeToken) -> Result<Option<Handle>, EngineError> {
        method!(self, ClaimFromResumeGrant, self.claim_by_resume_grant(token))
    }

    async fn issue_reclaim_grant(&self, args: IssueReclaimGrantArgs) -> Result<IssueReclaimGrantOutcome, EngineError> {
        method!(self, IssueReclaimGrant, self.grant_reclaim(args), |outcome| match outcome {
            IssueReclaimGrantOutcome::Granted(_) => "granted",
            _ => "not_reclaimable",
        })
    }

    async fn reclaim_execution(&self, args: ReclaimExecutionArgs) -> Result<ReclaimExecutionOutcome, EngineError> {
        method!(self, ReclaimExecution, self.reclaim(args), |outcome| match outcome {
            ReclaimExecutionOutcome::Claimed(_) => "claimed",
            ReclaimExecutionOutcome::ReclaimCapExceeded { .. } => "reclaim_cap_exceeded",
            ReclaimExecutionOutcome::GrantNotFound { .. } => "grant_not_found",
            _ => "not_reclaimable",
        })
    }

    async fn delay(&self, handle: &Handle, delay_until: TimestampMs) -> Result<(), EngineError> {
        method!(self, Delay, self.delay_handle(handle, delay_until))
    }

    async fn wait_children(&self, _: &Handle) -> Result<(), EngineError> {
        Err(EngineError::Unavailable { op: "wait_children" })
    }

    async fn describe_execution(&self, id: &ExecutionId) -> Result<Option<ExecutionSnapshot>, EngineError> {
        method!(self, DescribeExecution, self.describe(id))
    }

    async fn read_execution_context(&self, id: &ExecutionId) -> Result<ExecutionContext, EngineError> {
        method!(self, ReadExecutionContext, self.context(id))
    }

    async fn read_current_attempt_index(&self, id: &ExecutionId) -> Result<AttemptIndex, EngineError> {
        method!(self, ReadCurrentAttemptIndex, self.current_attempt_index(id))
    }

    async fn read_total_attempt_count(&self, id: &ExecutionId) -> Result<AttemptIndex, EngineError> {
        method!(self, ReadTotalAttemptCount, self.total_attempt_count(id))
    }

    async fn describe_flow(&self, _: &FlowId) -> Result<Option<FlowSnapshot>, EngineError> {
        Err(EngineError::Unavailable { op: "describe_flow" })
    }

    async fn deliver_signal(&self, args: DeliverSignalArgs) -> Result<DeliverSignalResult, EngineError> {
        method!(self, DeliverSignal, self.signal(args), |result| match result {
            DeliverSignalResult::Accepted { .. } => "accepted",
            DeliverSignalResult::Duplicate { .. } => "duplicate",
        })
    }

    async fn claim_resumed_execution(
        &self,
        args: ClaimResumedExecutionArgs,
    ) -> Result<ClaimResumedExecutionResult, EngineError> {
        method!(self, ClaimResumedExecution, self.claim_resumed(args))
    }

    async fn scan_eligible_executions(&self, args: ScanEligibleArgs) -> Result<Vec<ExecutionId>, EngineError> {
        method!(self, ScanEligible, self.scan_eligible(args), |found: &Vec<_>| if found.is_empty() {
            "empty"
        } else {
            "found"
        })
    }

    async fn issue_claim_grant(&self, args: IssueClaimGrantArgs) -> Result<IssueClaimGrantOutcome, EngineError> {
        method!(self, IssueClaimGrant, self.grant_claim(args))
    }

    async fn block_route(&self, args: BlockRouteArgs) -> Result<BlockRouteOutcome, EngineError> {
        method!(self, BlockRoute, self.block_for_route(args), |outcome| match outcome {
            BlockRouteOutcome::Blocked { .. } => "blocked",
            _ => "rejected",
        })
    }

    async fn claim_execution(&self, args: ClaimExecutionArgs) -> Result<ClaimExecutionResult, EngineError> {
        method!(self, ClaimExecution, self.claim_fresh(args))
    }

    async fn cancel_flow(
        &self,
        _: &FlowId,
        _: CancelFlowPolicy,
        _: CancelFlowWait,
    ) -> Result<CancelFlowResult, EngineError> {
        Err(EngineError::Unavailable { op: "cancel_flow" })
    }

    async fn report_usage(
        &self,
        _: &Handle,
        _: &BudgetId,
        _: UsageDimensions,
    ) -> Result<ReportUsageResult, EngineError> {
        Err(EngineError::Unavailable { op: "report_usage" })
    }

    async fn create_execution(&self, args: CreateExecutionArgs) -> Result<CreateExecutionResult, EngineError> {
        method!(self, CreateExecution, self.create(args), |result| match result {
            CreateExecutionResult::Created { .. } => "created",
            CreateExecutionResult::Duplicate { .. } => "duplicate",
        })
    }

    async fn cancel_execution(&self, args: CancelExecutionArgs) -> Result<CancelExecutionResult, EngineError> {
        method!(self, CancelExecution, self.cancel_by_id(args))
    }

    async fn change_priority(&self, args: ChangePriorityArgs) -> Result<ChangePriorityResult, EngineError> {
        method!(self, ChangePriority, self.reprioritise(args))
    }

    async fn replay_execution(&self, args: ReplayExecutionArgs) -> Result<ReplayExecutionResult, EngineError> {
        method!(self, ReplayExecution, self.replay(args))
    }

    async fn revoke_lease(&self, args: RevokeLeaseArgs) -> Result<RevokeLeaseResult, EngineError> {
        method!(self, RevokeLease, self.revoke(args), |result| match result {
            RevokeLeaseResult::Revoked { .. } => "revoked",
            RevokeLeaseResult::AlreadySatisfied { .. } => "already_satisfied",
        })
    }

    async fn complete_execution(&self, args: CompleteExecutionArgs) -> Result<CompleteExecutionResult, EngineError> {
        method!(self, CompleteExecution, self.complete_by_fence(args))
    }

    async fn block_execution_for_admission(
        &self,
        args: BlockExecutionForAdmissionArgs,
    ) -> Result<BlockExecutionForAdmissionOutcome, EngineError> {
        method!(self, BlockForAdmission, self.block_for_admission(args), |outcome| match outcome {
            BlockExecutionForAdmissionOutcome::Blocked { .. } => "blocked",
            _ => "rejected",
        })
    }

    async fn get_execution_result(&self, id: &ExecutionId) -> Result<Option<Vec<u8>>, EngineError> {
        method!(self, GetExecutionResult, self.result(id))
    }

    async fn ping(&self) -> Result<(), EngineError> {
        method!(self, Ping, self.time(), |_| "ok").map(|_| ()).map_err(error::during("ping: PING"))
    }

    async fn register_worker(&self, args: RegisterWorkerArgs) -> Result<RegisterWorkerOutcome, EngineError> {
        method!(self, RegisterWorker, self.register(args))
    }

    async fn heartbeat_worker(&self, args: HeartbeatWorkerArgs) -> Result<HeartbeatWorkerOutcome, EngineError> {
        method!(self, HeartbeatWorker, self.heartbeat(args))
    }

    async fn list_expired_leases(&self, args: ListExpiredLeasesArgs) -> Result<ListExpiredLeasesResult, EngineError> {
        method!(self, ListExpiredLeases, self.expired_leases(args), |result: &ListExpiredLeasesResult| {
            if result.entries.is_empty() { "empty" } else { "found" }
        })
    }

    async fn claim_for_worker(&self, args: ClaimForWorkerArgs) -> Result<ClaimForWorkerOutcome, EngineError> {
        let Some(rotation) = &self.scheduler else {
            return Err(EngineError::Unavailable {
                op: "claim_for_worker (scheduler not wired on this ValkeyBackend)",
            });
        };
        method!(self, ClaimForWorker, self.schedule(rotation, args), |outcome| match outcome {
            ClaimForWorkerOutcome::NoWork => "no_work",
            _ => "granted",
        })
    }

    async fn read_execution_state(&self, id: &ExecutionId) -> Result<Option<PublicState>, EngineError> {
        method!(self, ReadExecutionState, self.public_state(id))
    }

    async fn mark_lease_expired_if_due(&self, partition: Partition, id: &ExecutionId) -> Result<(), EngineError> {
        method!(self, MarkLeaseExpired, self.run_discarding(Script::MarkExpired(self.place(partition, id))))
    }

    async fn promote_delayed(
        &self,
        partition: Partition,
        lane: &LaneId,
        id: &ExecutionId,
        now: TimestampMs,
    ) -> Result<(), EngineError> {
        method!(self, PromoteDelayed, self.promote(partition, lane, id, now))
    }

    async fn expire_execution(
        &self,
        partition: Partition,
        id: &ExecutionId,
        phase: ExpirePhase,
        _: TimestampMs,
    ) -> Result<(), EngineError> {
        method!(self, ExpireExecution, self.expire(partition, id, phase))
    }

    async fn expire_suspension(
        &self,
        partition: Partition,
        id: &ExecutionId,
        _: TimestampMs,
    ) -> Result<(), EngineError> {
        method!(self, ExpireSuspension, self.expire_parked(partition, id))
    }

    async fn unblock_execution(
        &self,
        partition: Partition,
        lane: &LaneId,
        id: &ExecutionId,
        expected_blocking_reason: &str,
        now: TimestampMs,
    ) -> Result<(), EngineError> {
        method!(self, UnblockExecution, self.unblock(partition, lane, id, expected_blocking_reason, now))
    }

    async fn server_time_ms(&self) -> Result<u64, EngineError> {
        method!(self, ServerTime, self.time())
    }

    async fn suspend_by_triple(
        &self,
        exec_id: ExecutionId,
        triple: LeaseFence,
        args: SuspendArgs,
    ) -> Result<SuspendOutcome, EngineError> {
        method!(self, SuspendByTriple, self.suspend_fence(exec_id, triple, args))
    }

    async fn resume_execution(&self, args: ResumeExecutionArgs) -> Result<ResumeExecutionResult, EngineError> {
        method!(self, ResumeExecution, self.resume(args))
    }

    async fn deliver_approval_signal(
        &self,
        args: DeliverApprovalSignalArgs,
    ) -> Result<DeliverSignalResult, EngineError> {
        method!(self, DeliverApprovalSignal, self.approve(args), |result| match result {
            DeliverSignalResult::Accepted { .. } => "accepted",
            DeliverSignalResult::Duplicate { .. } => "duplicate",
        })
    }

    async fn close_waitpoint(
        &self,
        partition: Partition,
        execution_id: &ExecutionId,
        waitpoint_id: &str,
        _: TimestampMs,
    ) -> Result<(), EngineError> {
        method!(self, CloseWaitpoint, self.close(partition, execution_id, waitpoint_id))
    }

    async fn read_waitpoint_token(
        &self,
        partition: PartitionKey,
        waitpoint_id: &WaitpointId,
    ) -> Result<Option<String>, EngineError> {
        method!(self, ReadWaitpointToken, self.token(partition, waitpoint_id))
    }

    async fn list_pending_waitpoints(
        &self,
        args: ListPendingWaitpointsArgs,
    ) -> Result<ListPendingWaitpointsResult, EngineError> {
        method!(self, ListPendingWaitpoints, self.pending_waitpoints(args))
    }

    async fn list_suspended(
        &self,
        partition: PartitionKey,
        cursor: Option<ExecutionId>,
        limit: usize,
    ) -> Result<ListSuspendedPage, EngineError> {
        method!(self, ListSuspended, self.suspended(partition, cursor, limit))
    }

    async fn rotate_waitpoint_hmac_secret_all(
        &self,
        args: RotateWaitpointHmacSecretAllArgs,
    ) -> Result<RotateWaitpointHmacSecretAllResult, EngineError> {
        method!(self, RotateWaitpointSecrets, async { Ok(self.rotate_secrets(args).await) })
    }

    async fn seed_waitpoint_hmac_secret(&self, args: SeedWaitpointHmacSecretArgs) -> Result<SeedOutcome, EngineError> {
        method!(self, SeedWaitpointSecrets, self.seed_secrets(args), |outcome| match outcome {
            SeedOutcome::Seeded { .. } => "seeded",
            _ => "already_seeded",
        })
    }
}
