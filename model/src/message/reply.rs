//! What the server answers: values of reads, a script's success or its refusal.

use ff_core::contracts::SuspensionReasonCode;
use ff_core::policy::RetryPolicy;
use ff_core::state::{AttemptType, BlockingReason, PublicState, TerminalOutcome};
use ff_core::types::{
    AttemptId, AttemptIndex, FlowId, LeaseEpoch, LeaseFence, LeaseId, SignalId, TimestampMs, WaitpointId,
};

use super::{Answered, Breach, FlowFound, Kept, Refusal};
use super::{SuspensionView, WaitpointView};
use crate::intern::{ExecutionNo, InstanceNo, LaneNo, NamespaceNo};
use crate::number::Score;
use crate::store::{SignalRecord, Submission, SuspendDone};
use crate::time::ServerTime;

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
    /// `flow_id`.
    pub flow: Option<FlowId>,
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
    /// A limit was breached; a soft breach is counted all the same.
    Breach(Box<Breach>),
    /// A budget was reset, with its next reset as the script prints it.
    NextReset(String),
    /// The rate limit refused, with the milliseconds to wait as the script prints them.
    RateExceeded(String),
    /// Tags were written, with how many.
    Tagged(u32),
    /// Done, with the number that the script answers.
    Count(&'static str, i64),
    /// A dependency's resolution, with what came of it: data passed on, a child skipped, or nothing.
    Resolved(&'static str, &'static str),
    /// The members of a flow that was cancelled.
    Cancelled(Vec<ExecutionNo>),
    /// A pending waitpoint was created, with its token.
    WaitpointCreated(String),
    /// Another key id mints now: with the one before it, and how many expired ones were reaped.
    Rotated(Option<String>, u32),
}

impl Done {
    /// One word for coverage tables and signatures.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Ok(word)
            | Self::AlreadySatisfied(word)
            | Self::SignalAccepted(word)
            | Self::Count(word, _)
            | Self::Resolved(word, _) => word,
            Self::Created(_) => "created",
            Self::DuplicateExecution(_) | Self::DuplicateSignal(_) => "duplicate",
            Self::Granted(_) => "granted",
            Self::Leased(_) => "leased",
            Self::Renewed(_) => "renewed",
            Self::Revoked(..) => "revoked",
            Self::RetryScheduled(_) => "retry_scheduled",
            Self::Suspended(_) => "suspended",
            Self::Alive(_) => "refreshed",
            Self::Breach(breach) if breach.hard => "hard_breach",
            Self::Breach(_) => "soft_breach",
            Self::NextReset(_) => "reset",
            Self::RateExceeded(_) => "rate_exceeded",
            Self::Tagged(_) => "tagged",
            Self::Cancelled(_) => "cancelled",
            Self::WaitpointCreated(_) => "waitpoint_created",
            Self::Rotated(..) => "rotated",
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
    /// A plain command's answer.
    Answered(Answered),
    /// The answer to a command of the engine's housekeeping.
    Kept(Kept),
    /// What a read of flow or dependency keys gives.
    Flow(FlowFound),
    /// A suspension; none for a missing key.
    Suspension(Option<Box<SuspensionView>>),
    /// How many.
    Count(usize),
    /// The signal that satisfied a matcher, where one did.
    Matched(Option<SignalId>),
    /// Signals; none for a missing key.
    Signals(Vec<Option<SignalRecord>>),
    /// One text field; none for a missing key or field.
    Text(Option<String>),
    /// Waitpoint ids in no order.
    Waitpoints(Vec<WaitpointId>),
    /// Waitpoints; none for a missing key.
    WaitpointHeads(Vec<Option<WaitpointView>>),
    /// The matchers' names of several conditions.
    Names(Vec<Vec<String>>),
    /// Lanes.
    Lanes(Vec<LaneNo>),
    /// Suspension reasons; none for a missing key.
    Reasons(Vec<Option<SuspensionReasonCode>>),
    /// An execution; none for a missing key.
    Owner(Option<ExecutionNo>),
    /// A plain write was done.
    Written,
}

impl Reply {
    /// One word for coverage tables and signatures.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Done(done) => done.label(),
            Self::Refused(refusal) => refusal.code(),
            Self::Kept(kept) => kept.label(),
            Self::Members(members) if members.is_empty() => "empty",
            _ => "read",
        }
    }
}
