//! What is around the work: flows, quotas and budgets, the engine's scanners, and operators.

use serde::Deserialize;

use crate::scanner::ScannerKind;
use crate::stream::{Range, Ratio};

/// Flows with dependencies between their members.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flows {
    /// Share of work items that begin a flow, of which the next items are members too.
    pub begin: Ratio,
    /// How many members a flow has.
    pub members: Range,
    /// Share of the pairs of its members of which the later one waits for the earlier one.
    pub edges: Ratio,
    /// Share of edges that pass the earlier one's result on.
    pub pass_data: Ratio,
    /// Share of waiting members that need one upstream only, whichever.
    pub any_of: Ratio,
    /// Share of the rest that need some of their upstreams only.
    pub quorum: Ratio,
    /// Share of those that have the remaining upstreams cancelled once they have enough.
    pub cancel_remaining: Ratio,
    /// Share of flows that an operator cancels.
    pub cancel: Ratio,
    /// How long after the flow began.
    pub cancel_after_ms: Range,
}

impl Default for Flows {
    fn default() -> Self {
        let none = Ratio::NEVER;
        Self {
            begin: none,
            members: Range { low: 2, high: 5 },
            edges: Ratio { times: 1, of: 2 },
            pass_data: none,
            any_of: none,
            quorum: none,
            cancel_remaining: none,
            cancel: none,
            cancel_after_ms: Range { low: 0, high: 20_000 },
        }
    }
}

/// Quotas and budgets. Nothing that 0.15.0 ships attaches them to executions, so the submitter writes the two fields
/// that its scheduler reads; workers that claim by themselves are not admitted by anybody.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Quota policies.
    pub quotas: u32,
    /// Share of executions that one of them is attached to.
    pub quota: Ratio,
    /// Executions at once in each; 0 is no limit.
    pub max_concurrent: u64,
    /// Length of the window.
    pub window_seconds: u64,
    /// Admissions in a window; 0 is no limit.
    pub max_per_window: u64,
    /// Budgets.
    pub budgets: u32,
    /// Share of executions that one of them is attached to.
    pub budget: Ratio,
    /// Hard limit of each budget's one dimension.
    pub hard_limit: u64,
    /// What each run of an attached execution spends of it.
    pub spend: Range,
    /// How often each budget begins again; 0 is never.
    pub reset_ms: u64,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            quotas: 0,
            quota: Ratio::NEVER,
            max_concurrent: 0,
            window_seconds: 60,
            max_per_window: 0,
            budgets: 0,
            budget: Ratio::NEVER,
            hard_limit: 0,
            spend: Range::just(1),
            reset_ms: 0,
        }
    }
}

/// What the engine runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// Names of its scanners.
    pub scanners: Vec<String>,
    /// Lanes that it is configured with; the world's when empty.
    pub lanes: Vec<String>,
    /// At most so many members of anything in one pass, in place of the shipped sizes.
    pub batch: Option<u32>,
    /// How long its trimmer keeps what has ended, in place of the day that it keeps it for as shipped.
    pub retention_ms: Option<u64>,
    /// Whether it listens to completions and resolves dependencies at once.
    pub cascades: bool,
}

impl Default for Engine {
    fn default() -> Self {
        let scanners = DEFAULT_SCANNERS.iter().map(|kind| kind.name().to_owned()).collect();
        Self { scanners, lanes: Vec::new(), batch: None, retention_ms: None, cascades: false }
    }
}

/// The scanners of an engine that has no flows, waitpoints made in advance, quotas or budgets to look after.
pub const DEFAULT_SCANNERS: [ScannerKind; 6] = [
    ScannerKind::LeaseExpiry,
    ScannerKind::DelayedPromoter,
    ScannerKind::AttemptTimeout,
    ScannerKind::ExecutionDeadline,
    ScannerKind::SuspensionTimeout,
    ScannerKind::Unblock,
];

/// What the people around the system do, as shares of all executions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Operators {
    /// Cancelled by id.
    pub cancel: Ratio,
    /// Lease revoked.
    pub revoke: Ratio,
    /// Priority changed.
    pub reprioritise: Ratio,
    /// Replayed.
    pub replay: Ratio,
    /// Resumed, suspended or not.
    pub resume: Ratio,
    /// The waitpoint closed that it waits at, if it waits.
    pub close: Ratio,
    /// How long after the submission.
    pub after_ms: Range,
}

impl Default for Operators {
    fn default() -> Self {
        Self {
            cancel: Ratio::NEVER,
            revoke: Ratio::NEVER,
            reprioritise: Ratio::NEVER,
            replay: Ratio::NEVER,
            resume: Ratio::NEVER,
            close: Ratio::NEVER,
            after_ms: Range { low: 0, high: 30_000 },
        }
    }
}
