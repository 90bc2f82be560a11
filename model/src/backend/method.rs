//! The modelled trait methods by name, and one word for how a call ended.

use ff_core::engine_error::{ContentionKind, EngineError, StateKind};

use crate::port::Server;

macro_rules! methods {
    ($($name:ident => $text:literal,)*) => {
        /// A modelled method of the trait.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Method { $($name,)* }

        impl Method {
            /// Every modelled method.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The method's name in the trait.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

methods! {
    CreateExecution => "create_execution",
    ScanEligible => "scan_eligible_executions",
    IssueClaimGrant => "issue_claim_grant",
    ClaimExecution => "claim_execution",
    ClaimResumedExecution => "claim_resumed_execution",
    ClaimFromResumeGrant => "claim_from_resume_grant",
    ClaimForWorker => "claim_for_worker",
    IssueReclaimGrant => "issue_reclaim_grant",
    ReclaimExecution => "reclaim_execution",
    Renew => "renew",
    Progress => "progress",
    Complete => "complete",
    CompleteExecution => "complete_execution",
    Fail => "fail",
    Cancel => "cancel",
    CancelExecution => "cancel_execution",
    Delay => "delay",
    Suspend => "suspend",
    DeliverSignal => "deliver_signal",
    RevokeLease => "revoke_lease",
    BlockRoute => "block_route",
    BlockForAdmission => "block_execution_for_admission",
    UnblockExecution => "unblock_execution",
    PromoteDelayed => "promote_delayed",
    MarkLeaseExpired => "mark_lease_expired_if_due",
    ExpireExecution => "expire_execution",
    ExpireSuspension => "expire_suspension",
    ChangePriority => "change_priority",
    ReplayExecution => "replay_execution",
    RegisterWorker => "register_worker",
    HeartbeatWorker => "heartbeat_worker",
    ListExpiredLeases => "list_expired_leases",
    DescribeExecution => "describe_execution",
    ReadExecutionContext => "read_execution_context",
    ReadCurrentAttemptIndex => "read_current_attempt_index",
    ReadTotalAttemptCount => "read_total_attempt_count",
    ReadExecutionState => "read_execution_state",
    GetExecutionResult => "get_execution_result",
    ServerTime => "server_time_ms",
    Ping => "ping",
    Claim => "claim",
    IssueGrantAndClaim => "issue_grant_and_claim",
    FailExecution => "fail_execution",
    RenewLease => "renew_lease",
    CreateQuotaPolicy => "create_quota_policy",
    CheckAdmission => "check_admission",
    ReleaseAdmission => "release_admission",
    ReadQuotaPolicyLimits => "read_quota_policy_limits",
    ReconcileQuotaCounters => "reconcile_quota_counters",
    CreateBudget => "create_budget",
    ResetBudget => "reset_budget",
    ReportUsage => "report_usage",
    ReportUsageAdmin => "report_usage_admin",
    RecordSpend => "record_spend",
    ReleaseBudget => "release_budget",
    ReadBudgetUsageAndLimits => "read_budget_usage_and_limits",
    GetBudgetStatus => "get_budget_status",
    ReconcileBudgetCounters => "reconcile_budget_counters",
    MarkWorkerDead => "mark_worker_dead",
    ListWorkers => "list_workers",
    ReadExecutionInfo => "read_execution_info",
    ReadExecCoreFields => "read_exec_core_fields",
    GetExecutionTag => "get_execution_tag",
    SetExecutionTag => "set_execution_tag",
    GetExecutionNamespace => "get_execution_namespace",
    ListLanes => "list_lanes",
    ListExecutions => "list_executions",
    ReconcileExecutionIndex => "reconcile_execution_index",
    WaitChildren => "wait_children",
    CreateFlow => "create_flow",
    AddExecutionToFlow => "add_execution_to_flow",
    StageDependencyEdge => "stage_dependency_edge",
    SetEdgeGroupPolicy => "set_edge_group_policy",
    ApplyDependencyToChild => "apply_dependency_to_child",
    ResolveDependency => "resolve_dependency",
    EvaluateFlowEligibility => "evaluate_flow_eligibility",
    CascadeCompletion => "cascade_completion",
    DescribeFlow => "describe_flow",
    ListFlows => "list_flows",
    ListEdges => "list_edges",
    DescribeEdge => "describe_edge",
    ResolveExecutionFlowId => "resolve_execution_flow_id",
    SetFlowTag => "set_flow_tag",
    GetFlowTag => "get_flow_tag",
    CancelFlow => "cancel_flow",
    CancelFlowHeader => "cancel_flow_header",
    AckCancelMember => "ack_cancel_member",
    DrainSiblingCancelGroup => "drain_sibling_cancel_group",
    ReconcileSiblingCancelGroup => "reconcile_sibling_cancel_group",
    SuspendByTriple => "suspend_by_triple",
    ResumeExecution => "resume_execution",
    DeliverApprovalSignal => "deliver_approval_signal",
    ObserveSignals => "observe_signals",
    CreateWaitpoint => "create_waitpoint",
    CloseWaitpoint => "close_waitpoint",
    ReadWaitpointToken => "read_waitpoint_token",
    ListPendingWaitpoints => "list_pending_waitpoints",
    ListSuspended => "list_suspended",
    RotateWaitpointSecrets => "rotate_waitpoint_hmac_secret_all",
    SeedWaitpointSecrets => "seed_waitpoint_hmac_secret",
}

/// One call of a method under way; ends it once, and not at all when the caller is dropped.
pub(super) struct Call<'a, S: Server> {
    server: &'a S,
    method: Method,
    number: u64,
}

impl<'a, S: Server> Call<'a, S> {
    pub(super) fn begin(server: &'a S, method: Method) -> Self {
        Self { server, method, number: server.method_started(method) }
    }

    pub(super) fn end<T>(
        self,
        result: Result<T, EngineError>,
        label: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, EngineError> {
        let outcome = match &result {
            Ok(value) => label(value),
            Err(error) => error_label(error),
        };
        self.server.method_ended(self.number, self.method, outcome);
        result
    }
}

/// One word for an error, for counts and traces.
pub fn error_label(error: &EngineError) -> &'static str {
    match error {
        EngineError::NotFound { .. } => "not_found",
        EngineError::Validation { .. } => "validation",
        EngineError::Contention(kind) => match kind {
            ContentionKind::UseClaimResumedExecution => "use_claim_resumed_execution",
            ContentionKind::NotAResumedExecution => "not_a_resumed_execution",
            ContentionKind::ExecutionNotLeaseable => "execution_not_leaseable",
            ContentionKind::LeaseConflict => "lease_conflict",
            ContentionKind::InvalidClaimGrant => "invalid_claim_grant",
            ContentionKind::ExecutionNotActive { .. } => "execution_not_active",
            ContentionKind::ExecutionNotEligible => "execution_not_eligible",
            ContentionKind::ExecutionNotInEligibleSet => "execution_not_in_eligible_set",
            _ => "contention",
        },
        EngineError::State(kind) => match kind {
            StateKind::StaleLease => "stale_lease",
            StateKind::LeaseExpired => "lease_expired",
            StateKind::LeaseRevoked => "lease_revoked",
            StateKind::GrantAlreadyExists => "grant_already_exists",
            StateKind::AlreadySuspended => "already_suspended",
            StateKind::TargetNotSignalable => "target_not_signalable",
            StateKind::WaitpointClosed => "waitpoint_closed",
            _ => "state",
        },
        EngineError::Conflict(_) => "conflict",
        EngineError::Contextual { source, .. } => error_label(source),
        EngineError::Transport { source, .. } => {
            if source.downcast_ref::<ff_script::ScriptError>().is_some() {
                "script_error"
            } else {
                "transport"
            }
        }
        EngineError::Unavailable { .. } => "unavailable",
        _ => "error",
    }
}
