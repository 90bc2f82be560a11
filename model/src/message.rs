//! What travels between a client and the server: one command or one function call a message.
//!
//! A trait method is a short conversation of these. Each is delivered, lost, delayed or repeated on
//! its own in a world, which is what lets other calls slip between a read and the script that
//! relies on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ff_core::contracts::{SuspensionReasonCode, TimeoutBehavior};
use ff_core::policy::RetryPolicy;
use ff_core::state::{AttemptType, BlockingReason, PublicState, TerminalOutcome};
use ff_core::types::{
    AttemptId, AttemptIndex, LeaseEpoch, LeaseFence, LeaseId, SignalId, SuspensionId, TimestampMs, WaitpointId,
};

use crate::intern::{ExecutionNo, InstanceNo, LaneNo, NamespaceNo, WorkerNo};
use crate::number::Score;
use crate::script::Refusal;
use crate::store::{IndexKey, MatchMode, Matcher, Submission, SuspendDone};
use crate::time::ServerTime;

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
pub struct Held {
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
#[derive(Debug)]
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
#[derive(Debug)]
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

/// `ff_claim_execution`.
#[derive(Clone, Debug)]
pub struct Claim {
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
    /// New attempt id, minted by the caller.
    pub attempt_id: AttemptId,
    /// Lease length.
    pub lease_ttl_ms: u64,
    /// Attempt timeout from now; zero and none are the same.
    pub attempt_timeout_ms: Option<u64>,
    /// Absolute deadline by the caller's clock; zero and none are the same.
    pub deadline_at: Option<TimestampMs>,
}

/// `ff_claim_resumed_execution`.
#[derive(Clone, Debug)]
pub struct ClaimResumed {
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
    pub lease_ttl_ms: u64,
    /// The attempt whose record is written: the caller's belief.
    pub named_attempt: AttemptIndex,
    /// Remaining attempt timeout; zero and none are the same.
    pub remaining_ms: Option<u64>,
}

/// `ff_reclaim_execution`.
#[derive(Clone, Debug)]
pub struct Reclaim {
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
    /// New attempt id, minted by the caller.
    pub attempt_id: AttemptId,
    /// Lease length.
    pub lease_ttl_ms: u64,
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

/// `ff_suspend_execution` on one fresh waitpoint.
#[derive(Clone, Debug)]
pub struct Suspend {
    /// What the handle says.
    pub held: Held,
    /// New suspension id, minted by the caller.
    pub suspension: SuspensionId,
    /// New waitpoint id, minted by the caller.
    pub waitpoint: WaitpointId,
    /// The waitpoint's key.
    pub key: String,
    /// Why.
    pub reason: SuspensionReasonCode,
    /// Absolute timeout by the caller's clock.
    pub timeout_at: Option<TimestampMs>,
    /// What the timeout does.
    pub timeout_behavior: TimeoutBehavior,
    /// Matchers of the condition.
    pub matchers: Vec<Matcher>,
    /// How many must match.
    pub mode: MatchMode,
    /// Deduplication key.
    pub idempotency_key: Option<String>,
    /// How long the outcome is remembered.
    pub dedup_ttl_ms: u64,
}

/// `ff_deliver_signal`.
#[derive(Clone, Debug)]
pub struct Signal {
    /// The execution.
    pub execution: ExecutionNo,
    /// Lane from the pre-read.
    pub lane: LaneNo,
    /// Target.
    pub waitpoint: WaitpointId,
    /// New signal id, minted by the caller.
    pub signal: SignalId,
    /// Its name.
    pub name: String,
    /// Proof.
    pub token: String,
    /// Deduplication key.
    pub idempotency_key: Option<String>,
    /// How long the key is remembered.
    pub dedup_ttl_ms: u64,
    /// Delay between satisfaction and eligibility.
    pub resume_delay_ms: u64,
    /// Cap on signals of the execution.
    pub max_signals: u64,
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
#[derive(Debug)]
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
        held: Held,
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
        held: Held,
        /// Result; empty writes none.
        payload: Vec<u8>,
        /// Whether `source` is `operator_override`.
        overriding: bool,
    },
    /// `ff_fail_execution`.
    Fail {
        /// What the handle says.
        held: Held,
        /// Why.
        reason: String,
        /// The stored retry policy, if any.
        retry: Option<RetryPolicy>,
    },
    /// `ff_delay_execution`.
    Delay {
        /// What the handle says.
        held: Held,
        /// Absolute time by the caller's clock.
        until: TimestampMs,
    },
    /// `ff_update_progress`.
    Progress {
        /// What the handle says.
        held: Held,
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
    },
    /// `ff_register_worker`.
    Register {
        /// Namespace.
        namespace: NamespaceNo,
        /// Who.
        worker: WorkerNo,
        /// Which process.
        instance: InstanceNo,
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
        }
    }

    /// The execution that the script is about.
    pub fn execution(&self) -> Option<ExecutionNo> {
        Some(match self {
            Self::Create(args) => args.execution,
            Self::IssueClaimGrant(args) | Self::IssueReclaimGrant(args) => args.place.execution,
            Self::Claim(args) => args.execution,
            Self::ClaimResumed(args) => args.execution,
            Self::Reclaim(args) => args.execution,
            Self::Renew { held, .. }
            | Self::Complete { held, .. }
            | Self::Fail { held, .. }
            | Self::Delay { held, .. }
            | Self::Progress { held, .. } => held.execution,
            Self::Suspend(args) => args.held.execution,
            Self::Cancel(args) => args.execution,
            Self::Signal(args) => args.execution,
            Self::MarkExpired(place)
            | Self::Promote { place, .. }
            | Self::ExpireExecution { place, .. }
            | Self::ExpireSuspension { place, .. }
            | Self::Block { place, .. }
            | Self::Unblock { place, .. } => place.execution,
            Self::Revoke { execution, .. }
            | Self::ChangePriority { execution, .. }
            | Self::Replay { execution, .. } => *execution,
            Self::Register { .. } | Self::Heartbeat { .. } => return None,
        })
    }
}

/// One request to the server.
#[derive(Debug)]
pub enum Message {
    /// `TIME`.
    Time,
    /// `HGET` or `HMGET` of the core hash.
    Core(ExecutionNo),
    /// The pipelined reads of an execution's context.
    Context(ExecutionNo),
    /// The pipelined reads of a description.
    Description(ExecutionNo),
    /// `GET` of the policy.
    Policy(ExecutionNo),
    /// `HGET required_capabilities`.
    Required(ExecutionNo),
    /// `GET` of the result.
    Result(ExecutionNo),
    /// `ZRANGEBYSCORE -inf …`.
    Range {
        /// Partition of the index.
        partition: u16,
        /// The index.
        key: IndexKey,
        /// Highest score; none is `+inf`.
        up_to_ms: Option<i64>,
        /// At most so many.
        limit: u32,
    },
    /// The reads of the unblock scanner's capability union.
    RegisteredCapabilities(NamespaceNo),
    /// A function call.
    Script(Script),
}

impl Message {
    /// A short name: the command or the function.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Time => "TIME",
            Self::Core(_) => "HMGET core",
            Self::Context(_) => "GET context",
            Self::Description(_) => "HGETALL core",
            Self::Policy(_) => "GET policy",
            Self::Required(_) => "HGET required",
            Self::Result(_) => "GET result",
            Self::Range { .. } => "ZRANGEBYSCORE",
            Self::RegisteredCapabilities(_) => "HGETALL workers",
            Self::Script(script) => script.name(),
        }
    }

    /// The execution that the message is about.
    pub fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Core(no)
            | Self::Context(no)
            | Self::Description(no)
            | Self::Policy(no)
            | Self::Required(no)
            | Self::Result(no) => Some(*no),
            Self::Script(script) => script.execution(),
            Self::Time | Self::Range { .. } | Self::RegisteredCapabilities(_) => None,
        }
    }
}

/// The core fields that preludes read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreView {
    /// `lane_id`.
    pub lane: LaneNo,
    /// `namespace`.
    pub namespace: NamespaceNo,
    /// `public_state`.
    pub public_state: PublicState,
    /// `blocking_reason`.
    pub blocking_reason: BlockingReason,
    /// `terminal_outcome`.
    pub terminal_outcome: TerminalOutcome,
    /// `total_attempt_count`.
    pub total_attempt_count: u32,
    /// `current_attempt_index`.
    pub attempt_index: Option<AttemptIndex>,
    /// `current_waitpoint_id`.
    pub waitpoint: Option<WaitpointId>,
    /// `current_worker_instance_id`.
    pub instance: Option<InstanceNo>,
    /// `current_lease_id`.
    pub lease_id: Option<LeaseId>,
    /// `current_lease_epoch`.
    pub lease_epoch: LeaseEpoch,
}

/// What `HGETALL` of the core and the tags gives a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The fields that preludes read too.
    pub core: CoreView,
    /// `blocking_detail`, rendered.
    pub blocking_detail: String,
    /// `current_attempt_id`.
    pub attempt_id: Option<AttemptId>,
    /// `lease_expires_at`.
    pub lease_expires_at: Option<ServerTime>,
    /// `lease_last_renewed_at`.
    pub lease_last_renewed_at: Option<ServerTime>,
    /// `created_at`.
    pub created_at: ServerTime,
    /// `last_mutation_at`.
    pub last_mutation_at: TimestampMs,
    /// Tags.
    pub tags: std::collections::BTreeMap<String, String>,
}

/// A new lease, as the claiming functions answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLease {
    /// Lease id, epoch and attempt id.
    pub fence: LeaseFence,
    /// `lease_expires_at`.
    pub expires_at: ServerTime,
    /// The attempt that it drives.
    pub attempt_index: AttemptIndex,
    /// The new attempt's type; none when an attempt is continued.
    pub attempt_type: Option<AttemptType>,
}

/// What a script answered when it did not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A bare `ok`, with the word that the script answers.
    Ok(&'static str),
    /// `ALREADY_SATISFIED`, with its reason.
    AlreadySatisfied(&'static str),
    /// Created.
    Created(PublicState),
    /// `DUPLICATE` of an execution.
    DuplicateExecution(ExecutionNo),
    /// Granted until.
    Granted(ServerTime),
    /// Claimed, resumed or reclaimed.
    Leased(Box<NewLease>),
    /// Renewed until.
    Renewed(ServerTime),
    /// Revoked, with what was revoked.
    Revoked(Option<LeaseId>, LeaseEpoch),
    /// Failed with a retry due at this time.
    RetryScheduled(Score),
    /// Suspended.
    Suspended(Box<SuspendDone>),
    /// The signal was recorded, with its effect.
    SignalAccepted(&'static str),
    /// `DUPLICATE` of a signal.
    DuplicateSignal(SignalId),
    /// A heartbeat counted, with the registered time to live.
    Alive(u64),
}

impl Done {
    /// One word for coverage tables and signatures.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Ok(word) | Self::AlreadySatisfied(word) | Self::SignalAccepted(word) => word,
            Self::Created(_) => "created",
            Self::DuplicateExecution(_) | Self::DuplicateSignal(_) => "duplicate",
            Self::Granted(_) => "granted",
            Self::Leased(_) => "leased",
            Self::Renewed(_) => "renewed",
            Self::Revoked(..) => "revoked",
            Self::RetryScheduled(_) => "retry_scheduled",
            Self::Suspended(_) => "suspended",
            Self::Alive(_) => "refreshed",
        }
    }
}

/// One answer of the server.
#[derive(Debug)]
pub enum Reply {
    /// `TIME`.
    Time(ServerTime),
    /// Core fields; none for a missing key.
    Core(Option<Box<CoreView>>),
    /// Payload, kind and tags; none for a missing core.
    Context(Option<Box<Submission>>),
    /// A description; none for a missing core.
    Description(Option<Box<Described>>),
    /// The stored retry policy.
    RetryPolicy(Option<RetryPolicy>),
    /// Sorted required capabilities.
    Required(Vec<String>),
    /// The stored result.
    Result(Option<Vec<u8>>),
    /// Members of an index with their scores.
    Members(Vec<(Score, ExecutionNo)>),
    /// The capability union.
    Capabilities(Vec<String>),
    /// A script's success.
    Done(Done),
    /// A script's refusal.
    Refused(Refusal),
}

impl Reply {
    /// One word for coverage tables and signatures.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Done(done) => done.label(),
            Self::Refused(refusal) => refusal.code(),
            Self::Members(members) if members.is_empty() => "empty",
            _ => "read",
        }
    }
}
