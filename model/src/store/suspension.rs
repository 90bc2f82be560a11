//! Suspensions, waitpoints and their conditions: what `suspension:current` and `ff:wp:…` keys hold.
//!
//! The shipped scripts write these hashes over whatever is there, so a field that a writer leaves out
//! keeps its earlier value, and a field that nobody wrote is absent rather than empty.

use std::sync::Arc;

use ff_core::contracts::{
    ResumeCondition, ResumePolicy, SignalMatcher, SuspensionReasonCode, SuspensionRequester, TimeoutBehavior,
};
use ff_core::types::{AttemptIndex, SignalId, SuspensionId, TimestampMs, WaitpointId};

use super::signal::Entry;
use crate::intern::ExecutionNo;
use crate::time::ServerTime;

/// `suspension:current`; a closed one stays until the next suspend deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// `suspension_id`.
    pub id: SuspensionId,
    /// `waitpoint_id`.
    pub waitpoint: WaitpointId,
    /// `waitpoint_key`.
    pub waitpoint_key: String,
    /// `additional_waitpoints_json`: the other waitpoints with their keys.
    pub additional: Vec<(WaitpointId, String)>,
    /// `attempt_index`.
    pub attempt_index: AttemptIndex,
    /// `reason_code`.
    pub reason: SuspensionReasonCode,
    /// `requested_by`.
    pub requested_by: SuspensionRequester,
    /// `created_at`.
    pub created_at: ServerTime,
    /// `timeout_at`, from the suspender's clock; none after an escalation.
    pub timeout_at: Option<TimestampMs>,
    /// `timeout_behavior`; none after an escalation.
    pub timeout_behavior: Option<TimeoutBehavior>,
    /// `resume_condition_json` and `resume_policy_json`.
    pub terms: Arc<Terms>,
    /// `continuation_metadata_pointer`.
    pub continuation: Option<String>,
    /// `last_signal_at`.
    pub last_signal_at: Option<ServerTime>,
    /// `satisfied_at`.
    pub satisfied_at: Option<ServerTime>,
    /// `closed_at`.
    pub closed_at: Option<ServerTime>,
    /// `close_reason`.
    pub close_reason: &'static str,
    /// `closer_signal_id`; absent unless a composite condition was satisfied.
    pub closer: Option<SignalId>,
    /// `all_satisfier_signals`, in the order in which they counted; absent likewise.
    pub satisfiers: Option<Vec<SignalId>>,
}

/// What a suspension waits for and what it does then, as the suspender said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The resume condition.
    pub condition: ResumeCondition,
    /// The resume policy; stored, and read by nothing.
    pub policy: ResumePolicy,
    /// The timeout behaviour that the condition's document names too.
    pub timeout_behavior: TimeoutBehavior,
}

/// A time field that not every writer writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// No such field.
    #[default]
    Absent,
    /// An empty field.
    Empty,
    /// A time.
    At(ServerTime),
}

/// `state` of a waitpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitpointState {
    /// Addressable.
    Active,
    /// Done.
    Closed,
    /// Created before any suspension.
    Pending,
}

impl WaitpointState {
    /// The state as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Pending => "pending",
        }
    }
}

/// `ff:wp:<tag>:<id>` with its condition and its signal stream.
#[derive(Clone, Debug)]
pub struct Waitpoint {
    /// Its id.
    pub id: WaitpointId,
    /// The execution that it was created for; delivery never compares it.
    pub execution: ExecutionNo,
    /// `attempt_index`.
    pub attempt_index: AttemptIndex,
    /// `suspension_id`; none while pending.
    pub suspension: Option<SuspensionId>,
    /// `waitpoint_key`.
    pub key: String,
    /// `waitpoint_token`.
    pub token: String,
    /// `state`.
    pub state: WaitpointState,
    /// `created_at`, part of the token.
    pub created_at: ServerTime,
    /// `activated_at`; none while pending.
    pub activated_at: Option<ServerTime>,
    /// `satisfied_at`.
    pub satisfied_at: Stamp,
    /// `closed_at`.
    pub closed_at: Stamp,
    /// `close_reason`; none where nobody wrote the field.
    pub close_reason: Option<&'static str>,
    /// `expires_at`, from the suspender's or the creator's clock.
    pub expires_at: Option<TimestampMs>,
    /// `signal_count`.
    pub signal_count: u64,
    /// `matched_signal_count`.
    pub matched_signal_count: u64,
    /// `last_signal_at`.
    pub last_signal_at: Option<ServerTime>,
    /// `:condition`; none until a suspension uses the waitpoint.
    pub condition: Option<Condition>,
    /// `:signals`, without the trimming of very long streams.
    pub signals: Vec<Entry>,
}

impl Waitpoint {
    /// Writes the closing fields; `satisfied_at` too where a resume closes it.
    pub fn close(&mut self, now: ServerTime, reason: &'static str, satisfied: bool) {
        self.state = WaitpointState::Closed;
        self.closed_at = Stamp::At(now);
        self.close_reason = Some(reason);
        if satisfied {
            self.satisfied_at = Stamp::At(now);
        }
    }

    /// Writes the closing fields of the condition, where it has one.
    pub fn close_condition(&mut self, now: ServerTime, reason: &'static str) {
        if let Some(condition) = &mut self.condition {
            condition.close(now, reason);
        }
    }
}

/// `match_mode` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchMode {
    /// Enough matchers.
    Any,
    /// Every matcher.
    All,
    /// A tree decides.
    Composite,
}

impl MatchMode {
    /// The mode as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::Composite => "composite",
        }
    }
}

/// One matcher of a condition; an empty name matches every signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// `matcher:<i>:name`.
    pub name: String,
    /// `matcher:<i>:satisfied`.
    pub satisfied: bool,
    /// `matcher:<i>:signal_id`.
    pub signal: Option<SignalId>,
}

/// `ff:wp:<tag>:<id>:condition`.
///
/// A waitpoint id that is used again gets its new condition written over the old one: a tree stays, and
/// decides, under a simple condition written later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The matchers; those past [`Self::total`] are leftovers.
    pub matchers: Vec<Matcher>,
    /// `total_matchers`.
    pub total: usize,
    /// `match_mode`, and `condition_type` with it.
    pub mode: MatchMode,
    /// `minimum_signal_count`.
    pub minimum: usize,
    /// `satisfied_count`.
    pub satisfied: usize,
    /// `closed`; not every path that closes the waitpoint sets it.
    pub closed: bool,
    /// `closed_at`; absent until something closes it.
    pub closed_at: Option<ServerTime>,
    /// `closed_reason`; absent likewise.
    pub closed_reason: Option<&'static str>,
    /// `updated_at`.
    pub updated_at: ServerTime,
    /// `composite` and `tree_json`: the composite condition that was ever written here.
    pub tree: Option<Arc<Terms>>,
}

impl Condition {
    /// The condition that a suspension's terms make (`initialize_condition`).
    pub fn new(terms: &Arc<Terms>, now: ServerTime) -> Self {
        let (names, mode) = match &terms.condition {
            ResumeCondition::Single { matcher: SignalMatcher::ByName(name), .. } => {
                (Some(name.as_str()), MatchMode::Any)
            }
            ResumeCondition::OperatorOnly => (Some("__operator_only__"), MatchMode::All),
            ResumeCondition::TimeoutOnly => (Some("__timeout_only__"), MatchMode::All),
            ResumeCondition::Composite(_) => (None, MatchMode::Composite),
            _ => (Some(""), MatchMode::Any),
        };
        let matchers: Vec<_> =
            names.into_iter().map(|name| Matcher { name: name.into(), satisfied: false, signal: None }).collect();
        Self {
            total: matchers.len(),
            matchers,
            mode,
            minimum: 1,
            satisfied: 0,
            closed: false,
            closed_at: None,
            closed_reason: None,
            updated_at: now,
            tree: (mode == MatchMode::Composite).then(|| Arc::clone(terms)),
        }
    }

    /// What is there after this condition was written over an earlier one (`write_condition_hash`).
    #[must_use]
    pub fn over(mut self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        let kept = self.matchers.len();
        self.matchers.extend(earlier.matchers.into_iter().skip(kept));
        self.tree = self.tree.or(earlier.tree);
        self.closed_at = earlier.closed_at;
        self.closed_reason = earlier.closed_reason;
        self
    }

    /// Offers a signal to the first unsatisfied matcher that takes it; tells whether one did.
    pub fn offer(&mut self, signal_name: &str, signal: &SignalId) -> bool {
        let mut offered = self.matchers.iter_mut().take(self.total);
        let taker =
            offered.find(|matcher| !matcher.satisfied && (matcher.name.is_empty() || matcher.name == signal_name));
        let Some(matcher) = taker else { return false };
        matcher.satisfied = true;
        matcher.signal = Some(signal.clone());
        self.satisfied += 1;
        true
    }

    /// Whether enough matchers are satisfied.
    pub fn is_satisfied(&self) -> bool {
        match self.mode {
            MatchMode::Any | MatchMode::Composite => self.satisfied >= self.minimum,
            MatchMode::All => self.satisfied >= self.total,
        }
    }

    /// Writes the closing fields.
    pub fn close(&mut self, now: ServerTime, reason: &'static str) {
        self.closed = true;
        self.closed_at = Some(now);
        self.closed_reason = Some(reason);
    }
}

/// What a suspend call answered, kept for its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspendDone {
    /// The suspension.
    pub suspension: SuspensionId,
    /// Its waitpoint.
    pub waitpoint: WaitpointId,
    /// The waitpoint's key.
    pub waitpoint_key: String,
    /// The waitpoint's token.
    pub token: String,
    /// The other waitpoints: id, key and token.
    pub extras: Vec<(WaitpointId, String, String)>,
    /// Whether signals that were there already satisfied the condition, so that the lease stayed.
    pub already_satisfied: bool,
}
