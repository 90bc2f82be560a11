//! The trait: for each method the conversation that answers it, and one word for how it ended.
//!
//! Methods that are not modelled answer `Unavailable`, as the trait's own defaults do.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use ff_core::backend::{
    AppendFrameOutcome, CancelFlowPolicy, CancelFlowWait, CapabilitySet, ClaimPolicy, CompletionPayload, FailOutcome,
    FailureClass, FailureReason, Frame, Handle, LeaseRenewal, PendingWaitpoint, ResumeSignal, ResumeToken,
    ScannerFilter, UsageDimensions,
};
use ff_core::capability::Capabilities;
use ff_core::contracts::*;
use ff_core::engine_backend::{EngineBackend, ExpirePhase, ReconcileCounts, SiblingCancelReconcileAction};
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionKey};
use ff_core::state::PublicState;
use ff_core::types::{
    AttemptIndex, BudgetId, EdgeId, ExecutionId, FlowId, LaneId, LeaseFence, QuotaPolicyId, TimestampMs, WaitpointId,
};

use super::call::{Call, arguments};
use super::{ModelBackend, error};
use crate::message::Script;
use crate::method::Method;
use crate::port::Server;

/// Answers a method with a conversation, between the port's notes of its start and end.
macro_rules! method {
    ($self:ident, $method:ident, $client:ident.$conversation:ident($($argument:expr),*)) => {
        method!($self, $method, $client.$conversation($($argument),*), |_| "ok")
    };
    ($self:ident, $method:ident, $client:ident.$conversation:ident($($argument:expr),*), $label:expr) => {{
        let named = || arguments(&[$((stringify!($argument), &$argument as &dyn Debug)),*]);
        let call = Call::begin(&$self.server, Method::$method, &named);
        call.hold(pin!($client.$conversation($($argument),*)), $label).await
    }};
}

#[async_trait]
impl<S: Server> EngineBackend for ModelBackend<S> {
    fn backend_label(&self) -> &'static str {
        "valkey"
    }

    async fn claim(
        &self,
        lane: &LaneId,
        capabilities: &CapabilitySet,
        policy: ClaimPolicy,
    ) -> Result<Option<Handle>, EngineError> {
        method!(self, Claim, self.claim_best(lane, capabilities, &policy), |handle| match handle {
            Some(_) => "claimed",
            None => "no_work",
        })
        .map_err(error::during("claim: FCALL ff_claim_execution"))
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

    async fn wait_children(&self, handle: &Handle) -> Result<(), EngineError> {
        method!(self, WaitChildren, self.wait_children_handle(handle))
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

    async fn describe_flow(&self, id: &FlowId) -> Result<Option<FlowSnapshot>, EngineError> {
        method!(self, DescribeFlow, self.flow_snapshot(id))
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
        id: &FlowId,
        policy: CancelFlowPolicy,
        wait: CancelFlowWait,
    ) -> Result<CancelFlowResult, EngineError> {
        method!(self, CancelFlow, self.end_flow(id, policy, wait))
    }

    async fn report_usage(
        &self,
        handle: &Handle,
        budget: &BudgetId,
        dimensions: UsageDimensions,
    ) -> Result<ReportUsageResult, EngineError> {
        method!(self, ReportUsage, self.report_by_handle(handle, budget, dimensions), usage_label)
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

    async fn create_quota_policy(&self, args: CreateQuotaPolicyArgs) -> Result<CreateQuotaPolicyResult, EngineError> {
        method!(self, CreateQuotaPolicy, self.define_quota(args), |result| match result {
            CreateQuotaPolicyResult::Created { .. } => "created",
            CreateQuotaPolicyResult::AlreadySatisfied { .. } => "already_satisfied",
        })
    }

    async fn check_admission(
        &self,
        policy: &QuotaPolicyId,
        dimension: &str,
        args: CheckAdmissionArgs,
    ) -> Result<CheckAdmissionResult, EngineError> {
        method!(self, CheckAdmission, self.admit(policy, dimension, args), |result| match result {
            CheckAdmissionResult::Admitted => "admitted",
            CheckAdmissionResult::AlreadyAdmitted => "already_admitted",
            CheckAdmissionResult::RateExceeded { .. } => "rate_exceeded",
            CheckAdmissionResult::ConcurrencyExceeded => "concurrency_exceeded",
        })
    }

    async fn release_admission(&self, args: ReleaseAdmissionArgs) -> Result<ReleaseAdmissionResult, EngineError> {
        method!(self, ReleaseAdmission, self.give_back(args))
    }

    async fn read_quota_policy_limits(&self, policy: &QuotaPolicyId) -> Result<Option<QuotaPolicyLimits>, EngineError> {
        method!(self, ReadQuotaPolicyLimits, self.quota_limits(policy))
    }

    async fn reconcile_quota_counters(
        &self,
        partition: Partition,
        now: TimestampMs,
    ) -> Result<ReconcileCounts, EngineError> {
        method!(self, ReconcileQuotaCounters, self.reconcile_quotas(partition, now))
    }

    async fn create_budget(&self, args: CreateBudgetArgs) -> Result<CreateBudgetResult, EngineError> {
        method!(self, CreateBudget, self.define_budget(args), |result| match result {
            CreateBudgetResult::Created { .. } => "created",
            CreateBudgetResult::AlreadySatisfied { .. } => "already_satisfied",
        })
    }

    async fn reset_budget(&self, args: ResetBudgetArgs) -> Result<ResetBudgetResult, EngineError> {
        method!(self, ResetBudget, self.reset(args))
    }

    async fn report_usage_admin(
        &self,
        budget: &BudgetId,
        args: ReportUsageAdminArgs,
    ) -> Result<ReportUsageResult, EngineError> {
        method!(self, ReportUsageAdmin, self.report_as_admin(budget, args), usage_label)
    }

    async fn record_spend(&self, args: RecordSpendArgs) -> Result<ReportUsageResult, EngineError> {
        method!(self, RecordSpend, self.spend(args), usage_label)
    }

    async fn release_budget(&self, args: ReleaseBudgetArgs) -> Result<(), EngineError> {
        method!(self, ReleaseBudget, self.take_back(args))
    }

    async fn read_budget_usage_and_limits(&self, budget: &BudgetId) -> Result<BudgetUsageAndLimits, EngineError> {
        method!(self, ReadBudgetUsageAndLimits, self.usage_and_limits(budget))
    }

    async fn get_budget_status(&self, budget: &BudgetId) -> Result<BudgetStatus, EngineError> {
        method!(self, GetBudgetStatus, self.budget_status(budget))
    }

    async fn reconcile_budget_counters(
        &self,
        partition: Partition,
        _: TimestampMs,
    ) -> Result<ReconcileCounts, EngineError> {
        method!(self, ReconcileBudgetCounters, self.reconcile_budgets(partition))
    }

    async fn issue_grant_and_claim(&self, args: IssueGrantAndClaimArgs) -> Result<ClaimGrantOutcome, EngineError> {
        method!(self, IssueGrantAndClaim, self.grant_and_claim(args))
    }

    async fn fail_execution(&self, args: FailExecutionArgs) -> Result<FailExecutionResult, EngineError> {
        method!(self, FailExecution, self.fail_by_fence(args), |result| match result {
            FailExecutionResult::RetryScheduled { .. } => "retry_scheduled",
            FailExecutionResult::TerminalFailed => "terminal_failed",
        })
    }

    async fn renew_lease(&self, args: RenewLeaseArgs) -> Result<RenewLeaseResult, EngineError> {
        method!(self, RenewLease, self.renew_by_fence(args))
    }

    async fn mark_worker_dead(&self, args: MarkWorkerDeadArgs) -> Result<MarkWorkerDeadOutcome, EngineError> {
        method!(self, MarkWorkerDead, self.mark_dead(args), |outcome| match outcome {
            MarkWorkerDeadOutcome::Marked => "marked",
            _ => "not_registered",
        })
    }

    async fn list_workers(&self, args: ListWorkersArgs) -> Result<ListWorkersResult, EngineError> {
        method!(self, ListWorkers, self.list_registered(args))
    }

    async fn read_execution_info(&self, id: &ExecutionId) -> Result<Option<ExecutionInfo>, EngineError> {
        method!(self, ReadExecutionInfo, self.info(id))
    }

    #[allow(clippy::disallowed_types)]
    async fn read_exec_core_fields(
        &self,
        partition: Partition,
        id: &ExecutionId,
        fields: &[&str],
    ) -> Result<std::collections::HashMap<String, Option<String>>, EngineError> {
        method!(self, ReadExecCoreFields, self.core_fields(partition, id, fields))
    }

    async fn get_execution_tag(&self, id: &ExecutionId, key: &str) -> Result<Option<String>, EngineError> {
        method!(self, GetExecutionTag, self.tag(id, key))
    }

    async fn set_execution_tag(&self, id: &ExecutionId, key: &str, value: &str) -> Result<(), EngineError> {
        method!(self, SetExecutionTag, self.set_tag(id, key, value))
    }

    async fn get_execution_namespace(&self, id: &ExecutionId) -> Result<Option<String>, EngineError> {
        method!(self, GetExecutionNamespace, self.namespace(id))
    }

    async fn create_flow(&self, args: CreateFlowArgs) -> Result<CreateFlowResult, EngineError> {
        method!(self, CreateFlow, self.new_flow(args), |result| match result {
            CreateFlowResult::Created { .. } => "created",
            CreateFlowResult::AlreadySatisfied { .. } => "already_satisfied",
        })
    }

    async fn add_execution_to_flow(
        &self,
        args: AddExecutionToFlowArgs,
    ) -> Result<AddExecutionToFlowResult, EngineError> {
        method!(self, AddExecutionToFlow, self.add_member(args), |result| match result {
            AddExecutionToFlowResult::Added { .. } => "added",
            AddExecutionToFlowResult::AlreadyMember { .. } => "already_member",
        })
    }

    async fn stage_dependency_edge(
        &self,
        args: StageDependencyEdgeArgs,
    ) -> Result<StageDependencyEdgeResult, EngineError> {
        method!(self, StageDependencyEdge, self.stage_edge(args))
    }

    async fn set_edge_group_policy(
        &self,
        flow_id: &FlowId,
        downstream_execution_id: &ExecutionId,
        policy: EdgeDependencyPolicy,
    ) -> Result<SetEdgeGroupPolicyResult, EngineError> {
        method!(self, SetEdgeGroupPolicy, self.declare_group(flow_id, downstream_execution_id, policy))
    }

    async fn apply_dependency_to_child(
        &self,
        args: ApplyDependencyToChildArgs,
    ) -> Result<ApplyDependencyToChildResult, EngineError> {
        method!(self, ApplyDependencyToChild, self.apply_dependency(args), |result| match result {
            ApplyDependencyToChildResult::Applied { .. } => "applied",
            ApplyDependencyToChildResult::AlreadyApplied => "already_applied",
        })
    }

    async fn resolve_dependency(&self, args: ResolveDependencyArgs) -> Result<ResolveDependencyOutcome, EngineError> {
        method!(self, ResolveDependency, self.resolve(args), |outcome| match outcome {
            ResolveDependencyOutcome::Satisfied => "satisfied",
            ResolveDependencyOutcome::Impossible => "impossible",
            _ => "already_resolved",
        })
    }

    async fn evaluate_flow_eligibility(
        &self,
        args: EvaluateFlowEligibilityArgs,
    ) -> Result<EvaluateFlowEligibilityResult, EngineError> {
        method!(self, EvaluateFlowEligibility, self.eligibility(args))
    }

    async fn cascade_completion(&self, payload: &CompletionPayload) -> Result<CascadeOutcome, EngineError> {
        method!(self, CascadeCompletion, self.cascade(payload))
    }

    async fn list_flows(
        &self,
        partition: PartitionKey,
        cursor: Option<FlowId>,
        limit: usize,
    ) -> Result<ListFlowsPage, EngineError> {
        method!(self, ListFlows, self.flow_page(&partition, cursor.as_ref(), limit))
    }

    async fn list_edges(&self, flow_id: &FlowId, direction: EdgeDirection) -> Result<Vec<EdgeSnapshot>, EngineError> {
        method!(self, ListEdges, self.edges(flow_id, direction))
    }

    async fn describe_edge(&self, flow_id: &FlowId, edge_id: &EdgeId) -> Result<Option<EdgeSnapshot>, EngineError> {
        method!(self, DescribeEdge, self.edge_snapshot(flow_id, edge_id))
    }

    async fn resolve_execution_flow_id(&self, id: &ExecutionId) -> Result<Option<FlowId>, EngineError> {
        method!(self, ResolveExecutionFlowId, self.flow_of(id))
    }

    async fn list_lanes(&self, cursor: Option<LaneId>, limit: usize) -> Result<ListLanesPage, EngineError> {
        method!(self, ListLanes, self.lanes(cursor, limit))
    }

    async fn list_executions(
        &self,
        partition: PartitionKey,
        cursor: Option<ExecutionId>,
        limit: usize,
    ) -> Result<ListExecutionsPage, EngineError> {
        method!(self, ListExecutions, self.executions_of(&partition, cursor.as_ref(), limit))
    }

    async fn reconcile_execution_index(
        &self,
        partition: Partition,
        _: &[LaneId],
        filter: &ScannerFilter,
    ) -> Result<ReconcileCounts, EngineError> {
        method!(self, ReconcileExecutionIndex, self.reconcile_executions(partition, filter))
    }

    async fn project_flow_summary(
        &self,
        partition: Partition,
        flow_id: &FlowId,
        now: TimestampMs,
    ) -> Result<bool, EngineError> {
        method!(self, ProjectFlowSummary, self.project_summary(partition, flow_id, now), |written| match written {
            true => "projected",
            false => "nothing",
        })
    }

    async fn trim_retention(
        &self,
        partition: Partition,
        lane: &LaneId,
        retention_ms: u64,
        now: TimestampMs,
        batch_size: u32,
        filter: &ScannerFilter,
    ) -> Result<u32, EngineError> {
        method!(self, TrimRetention, self.trim(partition, lane, retention_ms, now, batch_size, filter))
    }

    async fn set_flow_tag(&self, flow_id: &FlowId, key: &str, value: &str) -> Result<(), EngineError> {
        method!(self, SetFlowTag, self.tag_flow(flow_id, key, value))
    }

    async fn get_flow_tag(&self, flow_id: &FlowId, key: &str) -> Result<Option<String>, EngineError> {
        method!(self, GetFlowTag, self.flow_tag(flow_id, key))
    }

    async fn cancel_flow_header(&self, args: CancelFlowArgs) -> Result<CancelFlowHeader, EngineError> {
        method!(self, CancelFlowHeader, self.end_flow_header(args), |header| match header {
            CancelFlowHeader::Cancelled { .. } => "cancelled",
            _ => "already_terminal",
        })
    }

    async fn ack_cancel_member(&self, flow_id: &FlowId, execution_id: &ExecutionId) -> Result<(), EngineError> {
        method!(self, AckCancelMember, self.acknowledge_cancel(flow_id, execution_id))
    }

    async fn drain_sibling_cancel_group(
        &self,
        flow_partition: Partition,
        flow_id: &FlowId,
        downstream_eid: &ExecutionId,
    ) -> Result<(), EngineError> {
        method!(self, DrainSiblingCancelGroup, self.drain_siblings(flow_partition, flow_id, downstream_eid))
    }

    async fn reconcile_sibling_cancel_group(
        &self,
        flow_partition: Partition,
        flow_id: &FlowId,
        downstream_eid: &ExecutionId,
    ) -> Result<SiblingCancelReconcileAction, EngineError> {
        method!(
            self,
            ReconcileSiblingCancelGroup,
            self.reconcile_siblings(flow_partition, flow_id, downstream_eid),
            |action| action.as_str()
        )
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
        method!(self, RotateWaitpointSecrets, self.rotate_secrets(args))
    }

    async fn seed_waitpoint_hmac_secret(&self, args: SeedWaitpointHmacSecretArgs) -> Result<SeedOutcome, EngineError> {
        method!(self, SeedWaitpointSecrets, self.seed_secrets(args), |outcome| match outcome {
            SeedOutcome::Seeded { .. } => "seeded",
            _ => "already_seeded",
        })
    }

    fn capabilities(&self) -> Capabilities {
        self.supported()
    }
}

/// One word for what a usage report did.
fn usage_label(result: &ReportUsageResult) -> &'static str {
    match result {
        ReportUsageResult::Ok => "ok",
        ReportUsageResult::SoftBreach { .. } => "soft_breach",
        ReportUsageResult::HardBreach { .. } => "hard_breach",
        _ => "already_applied",
    }
}
