//! What there is to do: how much, how long, how it parks and ends, and what policies say.

use serde::{Deserialize, Serialize};

use crate::stream::{Range, Ratio};

/// How a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Completes with a result.
    Complete,
    /// Completes its first attempt with a result, later ones without.
    CompleteEmpty,
    /// Fails.
    Fail,
    /// Cancels itself by its handle.
    Cancel,
    /// Is dropped without an end: the lease runs out, and whoever reclaims it completes it.
    Drop,
    /// Steps back until its children are done. It has none, and an operator cancels it.
    WaitChildren,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Executions submitted in the first second.
    #[serde(default)]
    pub at_start: u32,
    /// Executions submitted in each later second of the faulty phase.
    #[serde(default)]
    pub per_second: u32,
    /// How long one runs, in milliseconds of the worker's timer.
    pub run_ms: Range,
    /// Priorities.
    #[serde(default)]
    pub priority: Range,
    /// How tasks end, by weight.
    #[serde(default)]
    pub endings: Endings,
    /// How attempts after the first end, by weight; as the first when absent.
    #[serde(default)]
    pub later_endings: Option<Endings>,
    /// Categories of failures that policies list as worth a retry; all are when empty.
    #[serde(default)]
    pub retryable: Vec<String>,
    /// Share of executions whose policy sets the attempt timeout that claims should have.
    #[serde(default)]
    pub policy_timeout: Ratio,
    /// Share of executions that park themselves halfway on a waitpoint.
    #[serde(default)]
    pub suspend: Ratio,
    /// How often a suspending execution parks itself, one time after the other.
    #[serde(default = "once")]
    pub suspend_times: Range,
    /// Share of suspensions that wait for signals to two waitpoints.
    #[serde(default)]
    pub composite: Ratio,
    /// Share of signals that are sent again with the same key.
    #[serde(default)]
    pub signal_again: Ratio,
    /// Share of signals before which one with a wrong token is sent.
    #[serde(default)]
    pub signal_wrong: Ratio,
    /// Share of later suspensions during which the signal of the one before is sent with a key of its own.
    #[serde(default)]
    pub signal_old: Ratio,
    /// What the suspension's timeout does.
    #[serde(default)]
    pub suspend_timeout_does: TimeoutDoes,
    /// Suspension timeout, from the suspending worker's clock.
    #[serde(default = "default_suspend_timeout")]
    pub suspend_timeout_ms: Range,
    /// Share of suspensions whose signal is sent.
    #[serde(default = "super::always")]
    pub signal: Ratio,
    /// How long after the suspension the signal is sent.
    #[serde(default = "default_signal_after")]
    pub signal_after_ms: Range,
    /// Share of signals that ask for a delayed resume.
    #[serde(default)]
    pub resume_delay: Ratio,
    /// Share of suspending executions that create their waitpoint when they begin.
    #[serde(default)]
    pub on_pending: Ratio,
    /// Share of executions that belong to a flow, whose ends are published.
    #[serde(default)]
    pub flow: Ratio,
    /// Share of executions that tell their progress halfway.
    #[serde(default)]
    pub progress: Ratio,
    /// Share of executions that delay themselves halfway.
    #[serde(default)]
    pub delay: Ratio,
    /// For how long.
    #[serde(default = "default_delay")]
    pub delay_ms: Range,
    /// Share of executions submitted with a delay.
    #[serde(default)]
    pub submit_delayed: Ratio,
    /// Share of executions that are submitted once more with the same key and another id, as a submitter does that mints
    /// an id for each try.
    #[serde(default)]
    pub submit_again: Ratio,
    /// Share of executions submitted with a deadline.
    #[serde(default)]
    pub deadline: Ratio,
    /// The deadline, from submission.
    #[serde(default = "default_deadline")]
    pub deadline_ms: Range,
    /// Share of claims that set an attempt timeout.
    #[serde(default)]
    pub attempt_timeout: Ratio,
    /// The attempt timeout.
    #[serde(default = "default_deadline")]
    pub attempt_timeout_ms: Range,
    /// Share of executions whose policy says for how long they are kept once they have ended.
    #[serde(default)]
    pub keep: Ratio,
    /// For how long.
    #[serde(default = "default_deadline")]
    pub keep_ms: Range,
    /// Retries that the policy allows.
    #[serde(default = "default_retries")]
    pub max_retries: u32,
    /// Reclaims that the policy allows.
    #[serde(default = "default_reclaims")]
    pub max_reclaims: u32,
    /// Capabilities that executions require, by weight; none when empty.
    #[serde(default)]
    pub requires: Vec<Requirement>,
}

const fn once() -> Range {
    Range::just(1)
}

/// What a suspension's timeout does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutDoes {
    /// The execution goes on.
    #[default]
    Resume,
    /// It fails.
    Fail,
    /// It is cancelled.
    Cancel,
    /// It ends as expired.
    Expire,
}

const fn default_suspend_timeout() -> Range {
    Range { low: 20_000, high: 40_000 }
}

const fn default_signal_after() -> Range {
    Range { low: 500, high: 8_000 }
}

const fn default_delay() -> Range {
    Range { low: 1_000, high: 5_000 }
}

const fn default_deadline() -> Range {
    Range { low: 20_000, high: 60_000 }
}

const fn default_retries() -> u32 {
    2
}

const fn default_reclaims() -> u32 {
    100
}

/// How tasks end, by weight.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endings {
    /// Complete with a result.
    pub complete: u32,
    /// Complete the first attempt with a result, later ones (after a replay, say) without.
    pub complete_empty: u32,
    /// Fail.
    pub fail: u32,
    /// Cancel by handle.
    pub cancel: u32,
    /// Drop without an end; whoever reclaims it completes it.
    pub drop: u32,
    /// Step back until children are done that do not exist; an operator cancels it.
    pub wait_children: u32,
}

impl Default for Endings {
    fn default() -> Self {
        Self { complete: 1, complete_empty: 0, fail: 0, cancel: 0, drop: 0, wait_children: 0 }
    }
}

impl Endings {
    /// Endings with their weights.
    pub const fn weights(&self) -> [(Ending, u32); 6] {
        [
            (Ending::Complete, self.complete),
            (Ending::CompleteEmpty, self.complete_empty),
            (Ending::Fail, self.fail),
            (Ending::Cancel, self.cancel),
            (Ending::Drop, self.drop),
            (Ending::WaitChildren, self.wait_children),
        ]
    }
}

/// Capabilities that some executions require.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Share among all weights.
    #[serde(default = "super::one")]
    pub weight: u32,
    /// The capabilities; none for any worker.
    #[serde(default)]
    pub capabilities: Vec<String>,
}
