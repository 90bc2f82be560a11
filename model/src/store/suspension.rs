//! Waitpoints, their conditions and the signals' deduplication: what `ff:wp:…` keys hold.

use ff_core::types::{AttemptIndex, SuspensionId, TimestampMs, WaitpointId};

use crate::intern::ExecutionNo;
use crate::time::ServerTime;

/// `state` of a waitpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitpointState {
    /// Addressable.
    Active,
    /// Done.
    Closed,
}

/// `ff:wp:<tag>:<id>`.
#[derive(Clone, Debug)]
pub struct Waitpoint {
    /// Its id.
    pub id: WaitpointId,
    /// The execution that it was created for; delivery never compares it.
    pub execution: ExecutionNo,
    /// `attempt_index`.
    pub attempt_index: AttemptIndex,
    /// `suspension_id`.
    pub suspension: SuspensionId,
    /// `waitpoint_key`.
    pub key: String,
    /// `waitpoint_token`.
    pub token: String,
    /// `state`.
    pub state: WaitpointState,
    /// `created_at`, part of the token.
    pub created_at: ServerTime,
    /// `expires_at`, from the suspender's clock.
    pub expires_at: Option<TimestampMs>,
    /// `signal_count`.
    pub signal_count: u32,
    /// `:condition`.
    pub condition: Condition,
}

/// `match_mode` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchMode {
    /// Enough matchers.
    Any,
    /// Every matcher.
    All,
}

/// One matcher of a condition; an empty name matches every signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// `matcher:<i>:name`.
    pub name: String,
    /// `matcher:<i>:satisfied`.
    pub satisfied: bool,
}

/// `ff:wp:<tag>:<id>:condition`, simple form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The matchers.
    pub matchers: Vec<Matcher>,
    /// How many must match.
    pub mode: MatchMode,
    /// `minimum_signal_count`.
    pub minimum: usize,
    /// `satisfied_count`.
    pub satisfied: usize,
    /// `closed`; not every path that closes the waitpoint sets it.
    pub closed: bool,
}

impl Condition {
    /// Offers a signal to the first unsatisfied matcher that takes it; tells whether one did.
    pub fn offer(&mut self, signal_name: &str) -> bool {
        let taker = self
            .matchers
            .iter_mut()
            .find(|matcher| !matcher.satisfied && (matcher.name.is_empty() || matcher.name == signal_name));
        let Some(matcher) = taker else { return false };
        matcher.satisfied = true;
        self.satisfied += 1;
        true
    }

    /// Whether enough matchers are satisfied.
    pub fn is_satisfied(&self) -> bool {
        match self.mode {
            MatchMode::Any => self.satisfied >= self.minimum,
            MatchMode::All => self.satisfied >= self.matchers.len(),
        }
    }
}
