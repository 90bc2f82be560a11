//! A trait call as a value, and its answer: what can be stored, sent to another thread, performed on
//! any backend, compared, shrunk and printed.
//!
//! One table lists the methods of `ff_core::engine_backend::EngineBackend` with their parameters; the
//! rest follows from it: [`Call`], [`Answer`], [`Call::perform`], and [`Caller`], which is the trait
//! over anything that takes a `Call` and gives an `Answer`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use claimlab_model::port::Unanswered;
use ff_core::backend::*;
use ff_core::contracts::*;
use ff_core::engine_backend::{EngineBackend, ExpirePhase, ReconcileCounts, SiblingCancelReconcileAction};
use ff_core::engine_error::{EngineError, backend_context};
use ff_core::partition::{Partition, PartitionKey};
use ff_core::state::PublicState;
use ff_core::types::*;

mod answer;
pub mod log;

/// What answers whole calls.
#[async_trait]
pub trait Answerer: Send + Sync + 'static {
    /// Performs a call.
    async fn answer(&self, call: Call) -> Answer;
}

/// The trait over an [`Answerer`].
#[derive(Clone, Debug)]
pub struct Caller<A>(pub A);

/// How a parameter is kept in a [`Call`].
trait Keep<K> {
    fn keep(self) -> K;
}

impl<T> Keep<T> for T {
    fn keep(self) -> T {
        self
    }
}

impl<T: Clone> Keep<T> for &T {
    fn keep(self) -> T {
        self.clone()
    }
}

impl Keep<String> for &str {
    fn keep(self) -> String {
        self.to_owned()
    }
}

impl Keep<Vec<LaneId>> for &[LaneId] {
    fn keep(self) -> Vec<LaneId> {
        self.to_vec()
    }
}

/// How a kept parameter is passed on.
trait PassOn<'a, P> {
    fn pass(&'a self) -> P;
}

impl<'a, T: Clone> PassOn<'a, T> for T {
    fn pass(&'a self) -> T {
        self.clone()
    }
}

impl<'a, T> PassOn<'a, &'a T> for T {
    fn pass(&'a self) -> &'a T {
        self
    }
}

impl<'a> PassOn<'a, &'a str> for String {
    fn pass(&'a self) -> &'a str {
        self
    }
}

impl<'a> PassOn<'a, &'a [LaneId]> for Vec<LaneId> {
    fn pass(&'a self) -> &'a [LaneId] {
        self
    }
}

/// Each line: variant, method, its parameters as `name: type in the trait, type as kept`, its result.
macro_rules! calls {
    ($($variant:ident $method:ident($($name:ident: $passed:ty, $kept:ty);*) -> $result:ty;)*) => {
        /// One call of the trait with its arguments.
        // Calls come one at a time; boxing their arguments would only cost.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, clippy::large_enum_variant)]
        pub enum Call {
            $($variant { $($name: $kept),* },)*
        }

        /// What a call came to.
        #[derive(Debug)]
        #[allow(missing_docs)]
        pub enum Answer {
            $($variant(Result<$result, EngineError>),)*
        }

        impl Call {
            /// Every method of the table.
            pub const METHODS: &[&str] = &[$(stringify!($method)),*];

            /// The method's name.
            pub const fn method(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($method),)*
                }
            }

            /// The answer of this call that is an error.
            pub fn failed(&self, error: EngineError) -> Answer {
                match self {
                    $(Self::$variant { .. } => Answer::$variant(Err(error)),)*
                }
            }

            /// The answer of this call when none came from such a backend in time.
            pub fn unanswered(&self, backend: &'static str) -> Answer {
                let lost = EngineError::Transport { backend, source: Box::new(Unanswered) };
                self.failed(backend_context(lost, self.method()))
            }

            /// Performs the call on a backend.
            pub async fn perform(&self, backend: &dyn EngineBackend) -> Answer {
                match self {
                    $(Self::$variant { $($name),* } => {
                        Answer::$variant(backend.$method($($name.pass()),*).await)
                    })*
                }
            }
        }

        impl Answer {
            /// The answer as one text: what two backends must agree on.
            pub fn text(&self) -> String {
                match self {
                    $(Self::$variant(result) => answer::text(result),)*
                }
            }

            /// One or two words for coverage: the variant of success, or the error's kind.
            pub fn label(&self) -> String {
                match self {
                    $(Self::$variant(result) => answer::label(result),)*
                }
            }

            /// The same answer with another error, if it is one.
            pub fn map_error(self, change: impl FnOnce(EngineError) -> EngineError) -> Self {
                match self {
                    $(Self::$variant(result) => Self::$variant(result.map_err(change)),)*
                }
            }

            /// The error, if it is one.
            pub fn error(&self) -> Option<&EngineError> {
                match self {
                    $(Self::$variant(result) => result.as_ref().err(),)*
                }
            }
        }

        #[async_trait]
        impl<A: Answerer> EngineBackend for Caller<A> {
            fn backend_label(&self) -> &'static str {
                "valkey"
            }

            $(async fn $method(&self, $($name: $passed),*) -> Result<$result, EngineError> {
                let call = Call::$variant { $($name: $name.keep()),* };
                match self.0.answer(call).await {
                    Answer::$variant(result) => result,
                    other => unreachable!("{} was answered with {other:?}", stringify!($method)),
                }
            })*

            async fn append_frame(&self, _: &Handle, _: Frame) -> Result<AppendFrameOutcome, EngineError> {
                Err(EngineError::Unavailable { op: "append_frame" })
            }
        }
    };
}

calls! {
    Claim claim(lane: &LaneId, LaneId; capabilities: &CapabilitySet, CapabilitySet; policy: ClaimPolicy, ClaimPolicy) -> Option<Handle>;
    Renew renew(handle: &Handle, Handle) -> LeaseRenewal;
    Progress progress(handle: &Handle, Handle; percent: Option<u8>, Option<u8>; message: Option<String>, Option<String>) -> ();
    Complete complete(handle: &Handle, Handle; payload: Option<Vec<u8>>, Option<Vec<u8>>) -> ();
    Fail fail(handle: &Handle, Handle; reason: FailureReason, FailureReason; class: FailureClass, FailureClass) -> FailOutcome;
    Cancel cancel(handle: &Handle, Handle; reason: &str, String) -> ();
    Suspend suspend(handle: &Handle, Handle; args: SuspendArgs, SuspendArgs) -> SuspendOutcome;
    SuspendByTriple suspend_by_triple(execution: ExecutionId, ExecutionId; triple: LeaseFence, LeaseFence; args: SuspendArgs, SuspendArgs) -> SuspendOutcome;
    CreateWaitpoint create_waitpoint(handle: &Handle, Handle; key: &str, String; expires_in: Duration, Duration) -> PendingWaitpoint;
    ReadWaitpointToken read_waitpoint_token(partition: PartitionKey, PartitionKey; waitpoint: &WaitpointId, WaitpointId) -> Option<String>;
    ObserveSignals observe_signals(handle: &Handle, Handle) -> Vec<ResumeSignal>;
    ClaimFromResumeGrant claim_from_resume_grant(token: ResumeToken, ResumeToken) -> Option<Handle>;
    IssueReclaimGrant issue_reclaim_grant(args: IssueReclaimGrantArgs, IssueReclaimGrantArgs) -> IssueReclaimGrantOutcome;
    ReclaimExecution reclaim_execution(args: ReclaimExecutionArgs, ReclaimExecutionArgs) -> ReclaimExecutionOutcome;
    Delay delay(handle: &Handle, Handle; until: TimestampMs, TimestampMs) -> ();
    WaitChildren wait_children(handle: &Handle, Handle) -> ();
    DescribeExecution describe_execution(id: &ExecutionId, ExecutionId) -> Option<ExecutionSnapshot>;
    ReadExecutionContext read_execution_context(id: &ExecutionId, ExecutionId) -> ExecutionContext;
    ReadCurrentAttemptIndex read_current_attempt_index(id: &ExecutionId, ExecutionId) -> AttemptIndex;
    ReadTotalAttemptCount read_total_attempt_count(id: &ExecutionId, ExecutionId) -> AttemptIndex;
    DescribeFlow describe_flow(flow: &FlowId, FlowId) -> Option<FlowSnapshot>;
    SetExecutionTag set_execution_tag(id: &ExecutionId, ExecutionId; key: &str, String; value: &str, String) -> ();
    SetFlowTag set_flow_tag(flow: &FlowId, FlowId; key: &str, String; value: &str, String) -> ();
    GetExecutionTag get_execution_tag(id: &ExecutionId, ExecutionId; key: &str, String) -> Option<String>;
    GetExecutionNamespace get_execution_namespace(id: &ExecutionId, ExecutionId) -> Option<String>;
    GetFlowTag get_flow_tag(flow: &FlowId, FlowId; key: &str, String) -> Option<String>;
    ListEdges list_edges(flow: &FlowId, FlowId; direction: EdgeDirection, EdgeDirection) -> Vec<EdgeSnapshot>;
    DescribeEdge describe_edge(flow: &FlowId, FlowId; edge: &EdgeId, EdgeId) -> Option<EdgeSnapshot>;
    ResolveExecutionFlowId resolve_execution_flow_id(id: &ExecutionId, ExecutionId) -> Option<FlowId>;
    ListFlows list_flows(partition: PartitionKey, PartitionKey; cursor: Option<FlowId>, Option<FlowId>; limit: usize, usize) -> ListFlowsPage;
    ListLanes list_lanes(cursor: Option<LaneId>, Option<LaneId>; limit: usize, usize) -> ListLanesPage;
    ListSuspended list_suspended(partition: PartitionKey, PartitionKey; cursor: Option<ExecutionId>, Option<ExecutionId>; limit: usize, usize) -> ListSuspendedPage;
    ListExecutions list_executions(partition: PartitionKey, PartitionKey; cursor: Option<ExecutionId>, Option<ExecutionId>; limit: usize, usize) -> ListExecutionsPage;
    DeliverSignal deliver_signal(args: DeliverSignalArgs, DeliverSignalArgs) -> DeliverSignalResult;
    ClaimResumedExecution claim_resumed_execution(args: ClaimResumedExecutionArgs, ClaimResumedExecutionArgs) -> ClaimResumedExecutionResult;
    ScanEligibleExecutions scan_eligible_executions(args: ScanEligibleArgs, ScanEligibleArgs) -> Vec<ExecutionId>;
    IssueClaimGrant issue_claim_grant(args: IssueClaimGrantArgs, IssueClaimGrantArgs) -> IssueClaimGrantOutcome;
    BlockRoute block_route(args: BlockRouteArgs, BlockRouteArgs) -> BlockRouteOutcome;
    ClaimExecution claim_execution(args: ClaimExecutionArgs, ClaimExecutionArgs) -> ClaimExecutionResult;
    CancelFlow cancel_flow(flow: &FlowId, FlowId; policy: CancelFlowPolicy, CancelFlowPolicy; wait: CancelFlowWait, CancelFlowWait) -> CancelFlowResult;
    SetEdgeGroupPolicy set_edge_group_policy(flow: &FlowId, FlowId; downstream: &ExecutionId, ExecutionId; policy: EdgeDependencyPolicy, EdgeDependencyPolicy) -> SetEdgeGroupPolicyResult;
    RotateWaitpointHmacSecretAll rotate_waitpoint_hmac_secret_all(args: RotateWaitpointHmacSecretAllArgs, RotateWaitpointHmacSecretAllArgs) -> RotateWaitpointHmacSecretAllResult;
    SeedWaitpointHmacSecret seed_waitpoint_hmac_secret(args: SeedWaitpointHmacSecretArgs, SeedWaitpointHmacSecretArgs) -> SeedOutcome;
    ReportUsage report_usage(handle: &Handle, Handle; budget: &BudgetId, BudgetId; dimensions: UsageDimensions, UsageDimensions) -> ReportUsageResult;
    CreateExecution create_execution(args: CreateExecutionArgs, CreateExecutionArgs) -> CreateExecutionResult;
    CreateFlow create_flow(args: CreateFlowArgs, CreateFlowArgs) -> CreateFlowResult;
    AddExecutionToFlow add_execution_to_flow(args: AddExecutionToFlowArgs, AddExecutionToFlowArgs) -> AddExecutionToFlowResult;
    StageDependencyEdge stage_dependency_edge(args: StageDependencyEdgeArgs, StageDependencyEdgeArgs) -> StageDependencyEdgeResult;
    ApplyDependencyToChild apply_dependency_to_child(args: ApplyDependencyToChildArgs, ApplyDependencyToChildArgs) -> ApplyDependencyToChildResult;
    ResolveDependency resolve_dependency(args: ResolveDependencyArgs, ResolveDependencyArgs) -> ResolveDependencyOutcome;
    CascadeCompletion cascade_completion(payload: &CompletionPayload, CompletionPayload) -> CascadeOutcome;
    CancelExecution cancel_execution(args: CancelExecutionArgs, CancelExecutionArgs) -> CancelExecutionResult;
    ChangePriority change_priority(args: ChangePriorityArgs, ChangePriorityArgs) -> ChangePriorityResult;
    ReplayExecution replay_execution(args: ReplayExecutionArgs, ReplayExecutionArgs) -> ReplayExecutionResult;
    RevokeLease revoke_lease(args: RevokeLeaseArgs, RevokeLeaseArgs) -> RevokeLeaseResult;
    CompleteExecution complete_execution(args: CompleteExecutionArgs, CompleteExecutionArgs) -> CompleteExecutionResult;
    FailExecution fail_execution(args: FailExecutionArgs, FailExecutionArgs) -> FailExecutionResult;
    RenewLease renew_lease(args: RenewLeaseArgs, RenewLeaseArgs) -> RenewLeaseResult;
    ResumeExecution resume_execution(args: ResumeExecutionArgs, ResumeExecutionArgs) -> ResumeExecutionResult;
    CheckAdmission check_admission(quota: &QuotaPolicyId, QuotaPolicyId; dimension: &str, String; args: CheckAdmissionArgs, CheckAdmissionArgs) -> CheckAdmissionResult;
    BlockExecutionForAdmission block_execution_for_admission(args: BlockExecutionForAdmissionArgs, BlockExecutionForAdmissionArgs) -> BlockExecutionForAdmissionOutcome;
    ReadBudgetUsageAndLimits read_budget_usage_and_limits(budget: &BudgetId, BudgetId) -> BudgetUsageAndLimits;
    ReadQuotaPolicyLimits read_quota_policy_limits(quota: &QuotaPolicyId, QuotaPolicyId) -> Option<QuotaPolicyLimits>;
    EvaluateFlowEligibility evaluate_flow_eligibility(args: EvaluateFlowEligibilityArgs, EvaluateFlowEligibilityArgs) -> EvaluateFlowEligibilityResult;
    RecordSpend record_spend(args: RecordSpendArgs, RecordSpendArgs) -> ReportUsageResult;
    ReleaseBudget release_budget(args: ReleaseBudgetArgs, ReleaseBudgetArgs) -> ();
    ReleaseAdmission release_admission(args: ReleaseAdmissionArgs, ReleaseAdmissionArgs) -> ReleaseAdmissionResult;
    DeliverApprovalSignal deliver_approval_signal(args: DeliverApprovalSignalArgs, DeliverApprovalSignalArgs) -> DeliverSignalResult;
    IssueGrantAndClaim issue_grant_and_claim(args: IssueGrantAndClaimArgs, IssueGrantAndClaimArgs) -> ClaimGrantOutcome;
    CreateBudget create_budget(args: CreateBudgetArgs, CreateBudgetArgs) -> CreateBudgetResult;
    ResetBudget reset_budget(args: ResetBudgetArgs, ResetBudgetArgs) -> ResetBudgetResult;
    CreateQuotaPolicy create_quota_policy(args: CreateQuotaPolicyArgs, CreateQuotaPolicyArgs) -> CreateQuotaPolicyResult;
    GetBudgetStatus get_budget_status(budget: &BudgetId, BudgetId) -> BudgetStatus;
    ReportUsageAdmin report_usage_admin(budget: &BudgetId, BudgetId; args: ReportUsageAdminArgs, ReportUsageAdminArgs) -> ReportUsageResult;
    GetExecutionResult get_execution_result(id: &ExecutionId, ExecutionId) -> Option<Vec<u8>>;
    ListPendingWaitpoints list_pending_waitpoints(args: ListPendingWaitpointsArgs, ListPendingWaitpointsArgs) -> ListPendingWaitpointsResult;
    Ping ping() -> ();
    RegisterWorker register_worker(args: RegisterWorkerArgs, RegisterWorkerArgs) -> RegisterWorkerOutcome;
    HeartbeatWorker heartbeat_worker(args: HeartbeatWorkerArgs, HeartbeatWorkerArgs) -> HeartbeatWorkerOutcome;
    MarkWorkerDead mark_worker_dead(args: MarkWorkerDeadArgs, MarkWorkerDeadArgs) -> MarkWorkerDeadOutcome;
    ListExpiredLeases list_expired_leases(args: ListExpiredLeasesArgs, ListExpiredLeasesArgs) -> ListExpiredLeasesResult;
    ListWorkers list_workers(args: ListWorkersArgs, ListWorkersArgs) -> ListWorkersResult;
    ClaimForWorker claim_for_worker(args: ClaimForWorkerArgs, ClaimForWorkerArgs) -> ClaimForWorkerOutcome;
    CancelFlowHeader cancel_flow_header(args: CancelFlowArgs, CancelFlowArgs) -> CancelFlowHeader;
    AckCancelMember ack_cancel_member(flow: &FlowId, FlowId; member: &ExecutionId, ExecutionId) -> ();
    ReadExecutionInfo read_execution_info(id: &ExecutionId, ExecutionId) -> Option<ExecutionInfo>;
    ReadExecutionState read_execution_state(id: &ExecutionId, ExecutionId) -> Option<PublicState>;
    MarkLeaseExpiredIfDue mark_lease_expired_if_due(partition: Partition, Partition; id: &ExecutionId, ExecutionId) -> ();
    PromoteDelayed promote_delayed(partition: Partition, Partition; lane: &LaneId, LaneId; id: &ExecutionId, ExecutionId; now: TimestampMs, TimestampMs) -> ();
    CloseWaitpoint close_waitpoint(partition: Partition, Partition; id: &ExecutionId, ExecutionId; waitpoint: &str, String; now: TimestampMs, TimestampMs) -> ();
    ExpireExecution expire_execution(partition: Partition, Partition; id: &ExecutionId, ExecutionId; phase: ExpirePhase, ExpirePhase; now: TimestampMs, TimestampMs) -> ();
    ExpireSuspension expire_suspension(partition: Partition, Partition; id: &ExecutionId, ExecutionId; now: TimestampMs, TimestampMs) -> ();
    UnblockExecution unblock_execution(partition: Partition, Partition; lane: &LaneId, LaneId; id: &ExecutionId, ExecutionId; reason: &str, String; now: TimestampMs, TimestampMs) -> ();
    DrainSiblingCancelGroup drain_sibling_cancel_group(partition: Partition, Partition; flow: &FlowId, FlowId; downstream: &ExecutionId, ExecutionId) -> ();
    ReconcileSiblingCancelGroup reconcile_sibling_cancel_group(partition: Partition, Partition; flow: &FlowId, FlowId; downstream: &ExecutionId, ExecutionId) -> SiblingCancelReconcileAction;
    ProjectFlowSummary project_flow_summary(partition: Partition, Partition; flow: &FlowId, FlowId; now: TimestampMs, TimestampMs) -> bool;
    TrimRetention trim_retention(partition: Partition, Partition; lane: &LaneId, LaneId; retention_ms: u64, u64; now: TimestampMs, TimestampMs; batch: u32, u32; filter: &ScannerFilter, ScannerFilter) -> u32;
    ReconcileExecutionIndex reconcile_execution_index(partition: Partition, Partition; lanes: &[LaneId], Vec<LaneId>; filter: &ScannerFilter, ScannerFilter) -> ReconcileCounts;
    ReconcileBudgetCounters reconcile_budget_counters(partition: Partition, Partition; now: TimestampMs, TimestampMs) -> ReconcileCounts;
    ReconcileQuotaCounters reconcile_quota_counters(partition: Partition, Partition; now: TimestampMs, TimestampMs) -> ReconcileCounts;
    ServerTimeMs server_time_ms() -> u64;
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
