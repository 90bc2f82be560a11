//! The functions of the shipped library with their arguments, ids as numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use ff_core::policy::RetryPolicy;
use ff_core::state::BlockingReason;
use ff_core::types::{AttemptId, AttemptIndex, EdgeId, LeaseEpoch, LeaseFence, LeaseId, TimestampMs, WaitpointId};

use super::{
    CheckAdmission, CreateBudget, CreateQuotaPolicy, CreateWaitpoint, FlowScript, IssueGrantAndClaim, RotateSecret,
    Signal, Spend, Suspend,
};
use crate::intern::{ExecutionNo, InstanceNo, LaneNo, NamespaceNo, WorkerNo};
use crate::store::{BudgetPlace, IndexKey, QuotaPlace, Submission};

/// Where an execution is looked for: the keys carry the partition that the caller named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The execution.
    pub execution: ExecutionNo,
    /// The partition in the key.
    pub partition: u16,
}

/// What a handle carries besides its execution: enough to form every key and the fence.
#[derive(Clone, Debug)]
pub struct HandleFields {
    /// The execution.
    pub execution: ExecutionNo,
    /// Attempt index that keys are formed with.
    pub attempt_index: AttemptIndex,
    /// The fence triple, if the caller sent one.
    pub fence: Option<LeaseFence>,
    /// Lane that keys are formed with.
    pub lane: LaneNo,
    /// Instance that keys are formed with.
    pub instance: InstanceNo,
}

/// `ff_create_execution`.
#[derive(Clone, Debug)]
pub struct Create {
    /// The execution.
    pub execution: ExecutionNo,
    /// Its exact id.
    pub name: Arc<str>,
    /// The partition that the id names.
    pub partition: u16,
    /// What to store.
    pub submission: Submission,
    /// Priority before clamping.
    pub priority: i32,
    /// Idempotency key; none and empty are the same.
    pub idempotency_key: Option<String>,
    /// The caller's time before which it must not run; its presence decides the index.
    pub delay_until: Option<TimestampMs>,
    /// The caller's deadline.
    pub deadline_at: Option<TimestampMs>,
}

/// `ff_issue_claim_grant` and `ff_issue_reclaim_grant`.
#[derive(Clone, Debug)]
pub struct IssueGrant {
    /// Where.
    pub place: Place,
    /// Lane of the eligible index.
    pub lane: LaneNo,
    /// For whom.
    pub worker: WorkerNo,
    /// For which process.
    pub instance: InstanceNo,
    /// What the worker can do.
    pub capabilities: BTreeSet<String>,
    /// How long it may be consumed.
    pub ttl_ms: u64,
}

/// Who takes a lease, and under which names.
#[derive(Clone, Debug)]
pub struct Taker {
    /// The execution.
    pub execution: ExecutionNo,
    /// Who.
    pub worker: WorkerNo,
    /// Which process.
    pub instance: InstanceNo,
    /// Lane that keys are formed with.
    pub lane: LaneNo,
    /// New lease id, minted by the caller.
    pub lease_id: LeaseId,
    /// Lease length.
    pub ttl_ms: u64,
}

/// `ff_claim_execution`.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who takes the lease.
    pub taker: Taker,
    /// New attempt id, minted by the caller.
    pub attempt_id: AttemptId,
    /// Attempt timeout from now; zero and none are the same.
    pub attempt_timeout_ms: Option<u64>,
    /// Absolute deadline by the caller's clock; zero and none are the same.
    pub deadline_at: Option<TimestampMs>,
}

/// `ff_claim_resumed_execution`.
#[derive(Clone, Debug)]
pub struct ClaimResumed {
    /// Who takes the lease.
    pub taker: Taker,
    /// The attempt whose record is written: the caller's belief.
    pub named_attempt: AttemptIndex,
    /// Remaining attempt timeout; zero and none are the same.
    pub remaining_ms: Option<u64>,
}

/// `ff_reclaim_execution`.
#[derive(Clone, Debug)]
pub struct Reclaim {
    /// Who takes the lease.
    pub taker: Taker,
    /// New attempt id, minted by the caller.
    pub attempt_id: AttemptId,
    /// Cap where the stored policy names none.
    pub default_cap: u32,
    /// The attempt whose record is ended: the caller's belief.
    pub named_attempt: AttemptIndex,
}

/// `ff_cancel_execution`.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The execution.
    pub execution: ExecutionNo,
    /// Why.
    pub reason: String,
    /// `source`: `operator_override` skips the lease comparison.
    pub source: String,
    /// Lease id to compare; none compares nothing.
    pub lease_id: Option<LeaseId>,
    /// Epoch to compare beside it.
    pub lease_epoch: Option<LeaseEpoch>,
    /// Lane of the keys that are not formed from the core.
    pub lane: LaneNo,
    /// Attempt that keys are formed with.
    pub attempt_index: AttemptIndex,
    /// Waitpoint that keys are formed with.
    pub waitpoint: Option<WaitpointId>,
    /// Instance that keys are formed with.
    pub instance: Option<InstanceNo>,
    /// Fence that a repaired cancel would check; the shipped script never sees an attempt id.
    pub fence: Option<LeaseFence>,
}

/// Which of the two timeouts `ff_expire_execution` was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The attempt took too long.
    AttemptTimeout,
    /// The execution took too long.
    ExecutionDeadline,
}

/// One atomic function of the shipped library.
#[derive(Clone, Debug)]
pub enum Script {
    /// `ff_create_execution`.
    Create(Box<Create>),
    /// `ff_issue_claim_grant`.
    IssueClaimGrant(Box<IssueGrant>),
    /// `ff_issue_reclaim_grant`.
    IssueReclaimGrant(Box<IssueGrant>),
    /// `ff_claim_execution`.
    Claim(Box<Claim>),
    /// `ff_claim_resumed_execution`.
    ClaimResumed(Box<ClaimResumed>),
    /// `ff_reclaim_execution`.
    Reclaim(Box<Reclaim>),
    /// `ff_renew_lease`.
    Renew {
        /// What the handle says.
        held: HandleFields,
        /// New length from now.
        ttl_ms: u64,
        /// How long `lease:current` outlives it.
        grace_ms: u64,
    },
    /// `ff_mark_lease_expired_if_due`.
    MarkExpired(Place),
    /// `ff_revoke_lease`.
    Revoke {
        /// The execution.
        execution: ExecutionNo,
        /// Instance whose lease set is cleared.
        instance: InstanceNo,
        /// Lease id to compare; empty compares nothing.
        expected: Option<String>,
        /// Why.
        reason: String,
    },
    /// `ff_complete_execution`.
    Complete {
        /// What the handle or the fence says.
        held: HandleFields,
        /// Result; empty writes none.
        payload: Vec<u8>,
        /// Whether `source` is `operator_override`.
        overriding: bool,
    },
    /// `ff_fail_execution`.
    Fail {
        /// What the handle says.
        held: HandleFields,
        /// Why.
        reason: String,
        /// What kind of failure, as text; it decides nothing.
        category: String,
        /// The retry policy that the caller sent, if any.
        retry: Option<RetryPolicy>,
        /// Whether `source` is `operator_override`.
        overriding: bool,
    },
    /// `ff_delay_execution`.
    Delay {
        /// What the handle says.
        held: HandleFields,
        /// Absolute time by the caller's clock.
        until: TimestampMs,
    },
    /// `ff_update_progress`.
    Progress {
        /// What the handle says.
        held: HandleFields,
        /// Percent done.
        percent: Option<u8>,
        /// Text.
        message: Option<String>,
    },
    /// `ff_cancel_execution`.
    Cancel(Box<Cancel>),
    /// `ff_suspend_execution`.
    Suspend(Box<Suspend>),
    /// `ff_deliver_signal`.
    Signal(Box<Signal>),
    /// `ff_promote_delayed`.
    Promote {
        /// Where.
        place: Place,
        /// Lane that keys are formed with.
        lane: LaneNo,
        /// The caller's time, which is trusted.
        now: TimestampMs,
    },
    /// `ff_expire_execution`.
    ExpireExecution {
        /// Where.
        place: Place,
        /// Lane from the pre-read.
        lane: LaneNo,
        /// Attempt from the pre-read; none where the field was empty.
        attempt_index: Option<AttemptIndex>,
        /// Which timeout.
        expiry: Expiry,
    },
    /// `ff_expire_suspension`.
    ExpireSuspension {
        /// Where.
        place: Place,
        /// Lane from the pre-read.
        lane: LaneNo,
        /// Attempt from the pre-read; none where the field was empty.
        attempt_index: Option<AttemptIndex>,
        /// Waitpoint from the pre-read.
        waitpoint: Option<WaitpointId>,
    },
    /// `ff_block_execution_for_admission`.
    Block {
        /// Where.
        place: Place,
        /// Lane that keys are formed with.
        lane: LaneNo,
        /// Index that the caller chose.
        index: IndexKey,
        /// Reason code as sent; not every one is accepted.
        reason: String,
        /// Text.
        detail: String,
        /// The caller's time, which is trusted.
        now: TimestampMs,
    },
    /// `ff_unblock_execution`.
    Unblock {
        /// Where.
        place: Place,
        /// Lane that keys are formed with.
        lane: LaneNo,
        /// The reason that must still hold.
        expected: BlockingReason,
        /// The caller's time, which is trusted.
        now: TimestampMs,
    },
    /// `ff_change_priority`.
    ChangePriority {
        /// The execution.
        execution: ExecutionNo,
        /// Lane that keys are formed with.
        lane: LaneNo,
        /// New priority before clamping.
        priority: i32,
    },
    /// `ff_replay_execution`.
    Replay {
        /// The execution.
        execution: ExecutionNo,
        /// Lane from the pre-read.
        lane: LaneNo,
        /// The flow's edges that reach it, where the pre-read found a skipped member of a flow.
        edges: Option<Vec<EdgeId>>,
    },
    /// `ff_register_worker`.
    Register {
        /// Namespace.
        namespace: NamespaceNo,
        /// Who.
        worker: WorkerNo,
        /// Which process.
        instance: InstanceNo,
        /// `lanes_csv`.
        lanes: String,
        /// What it can do.
        capabilities: BTreeSet<String>,
        /// How long without a heartbeat.
        ttl_ms: u64,
        /// The worker's time.
        now: TimestampMs,
    },
    /// `ff_heartbeat_worker`.
    Heartbeat {
        /// Namespace.
        namespace: NamespaceNo,
        /// Which process.
        instance: InstanceNo,
        /// The worker's time.
        now: TimestampMs,
    },
    /// `ff_create_budget`.
    CreateBudget(Box<CreateBudget>),
    /// `ff_report_usage_and_check`.
    ReportUsage(Box<Spend>),
    /// `ff_record_spend`.
    RecordSpend(Box<Spend>),
    /// `ff_release_budget`.
    ReleaseBudget {
        /// Where.
        place: BudgetPlace,
        /// Whose attribution is taken back.
        execution: ExecutionNo,
    },
    /// `ff_reset_budget`.
    ResetBudget {
        /// Where.
        place: BudgetPlace,
        /// The caller's time, which is trusted.
        now: TimestampMs,
    },
    /// `ff_create_quota_policy`.
    CreateQuotaPolicy(Box<CreateQuotaPolicy>),
    /// `ff_check_admission_and_record`.
    CheckAdmission(Box<CheckAdmission>),
    /// `ff_release_admission`.
    ReleaseAdmission {
        /// Where.
        place: QuotaPlace,
        /// Whose slot.
        execution: ExecutionNo,
    },
    /// `ff_issue_grant_and_claim`.
    IssueGrantAndClaim(Box<IssueGrantAndClaim>),
    /// `ff_set_execution_tags`.
    SetTags {
        /// The execution.
        execution: ExecutionNo,
        /// Tags with their values.
        tags: Vec<(String, String)>,
    },
    /// A function about flows.
    Flow(Box<FlowScript>),
    /// `ff_move_to_waiting_children`, with what the handle says.
    WaitChildren(HandleFields),
    /// `ff_create_pending_waitpoint`.
    CreateWaitpoint(Box<CreateWaitpoint>),
    /// `ff_resume_execution`.
    Resume {
        /// The execution.
        execution: ExecutionNo,
        /// Lane from the pre-read.
        lane: LaneNo,
        /// Waitpoint from the pre-read.
        waitpoint: WaitpointId,
        /// Delay between the resume and eligibility.
        delay_ms: u64,
    },
    /// `ff_close_waitpoint`.
    CloseWaitpoint {
        /// The execution that the caller names; nothing of it is read.
        place: Place,
        /// Target; none where the caller's text is no waitpoint's id.
        waitpoint: Option<WaitpointId>,
    },
    /// `ff_rotate_waitpoint_hmac_secret`.
    RotateSecret(Box<RotateSecret>),
}

impl Script {
    /// The function's name in the shipped library, without its `ff_` prefix.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create_execution",
            Self::IssueClaimGrant(_) => "issue_claim_grant",
            Self::IssueReclaimGrant(_) => "issue_reclaim_grant",
            Self::Claim(_) => "claim_execution",
            Self::ClaimResumed(_) => "claim_resumed_execution",
            Self::Reclaim(_) => "reclaim_execution",
            Self::Renew { .. } => "renew_lease",
            Self::MarkExpired(_) => "mark_lease_expired_if_due",
            Self::Revoke { .. } => "revoke_lease",
            Self::Complete { .. } => "complete_execution",
            Self::Fail { .. } => "fail_execution",
            Self::Delay { .. } => "delay_execution",
            Self::Progress { .. } => "update_progress",
            Self::Cancel(_) => "cancel_execution",
            Self::Suspend(_) => "suspend_execution",
            Self::Signal(_) => "deliver_signal",
            Self::Promote { .. } => "promote_delayed",
            Self::ExpireExecution { .. } => "expire_execution",
            Self::ExpireSuspension { .. } => "expire_suspension",
            Self::Block { .. } => "block_execution_for_admission",
            Self::Unblock { .. } => "unblock_execution",
            Self::ChangePriority { .. } => "change_priority",
            Self::Replay { .. } => "replay_execution",
            Self::Register { .. } => "register_worker",
            Self::Heartbeat { .. } => "heartbeat_worker",
            Self::CreateBudget(_) => "create_budget",
            Self::ReportUsage(_) => "report_usage_and_check",
            Self::RecordSpend(_) => "record_spend",
            Self::ReleaseBudget { .. } => "release_budget",
            Self::ResetBudget { .. } => "reset_budget",
            Self::CreateQuotaPolicy(_) => "create_quota_policy",
            Self::CheckAdmission(_) => "check_admission_and_record",
            Self::ReleaseAdmission { .. } => "release_admission",
            Self::IssueGrantAndClaim(_) => "issue_grant_and_claim",
            Self::SetTags { .. } => "set_execution_tags",
            Self::Flow(script) => script.name(),
            Self::WaitChildren(_) => "move_to_waiting_children",
            Self::CreateWaitpoint(_) => "create_pending_waitpoint",
            Self::Resume { .. } => "resume_execution",
            Self::CloseWaitpoint { .. } => "close_waitpoint",
            Self::RotateSecret(_) => "rotate_waitpoint_hmac_secret",
        }
    }
}
