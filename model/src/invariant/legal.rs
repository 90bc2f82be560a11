//! The state vectors that a reachable execution can have, as a table.
//!
//! In goes a vector, out comes the id of its row: R for runnable, A for active, S for suspended, T for terminal. Every
//! function of the shipped library that changes a state writes all dimensions at once (`ff-script/src/flowfabric.lua`,
//! the `HSET` of each transition), so any other combination is a broken write.

use ff_core::state::{
    AttemptState, BlockingReason, EligibilityState, LifecyclePhase, OwnershipState, StateVector, TerminalOutcome,
};

use AttemptState::{
    AttemptInterrupted, AttemptTerminal, PendingFirstAttempt, PendingReplayAttempt, PendingRetryAttempt, RunningAttempt,
};
use BlockingReason as Why;
use EligibilityState as Eligible;
use LifecyclePhase::{Active, Runnable, Suspended, Terminal};
use OwnershipState::{LeaseExpiredReclaimable, LeaseRevoked, Leased, Unowned};
use TerminalOutcome as Outcome;

/// Vectors that differ in the reason, the outcome or the attempt only.
struct Row {
    id: &'static str,
    phase: LifecyclePhase,
    ownership: OwnershipState,
    eligibility: EligibilityState,
    reasons: &'static [BlockingReason],
    outcomes: &'static [TerminalOutcome],
    attempts: &'static [AttemptState],
}

/// What an attempt is while nobody holds the execution.
const RESTING: &[AttemptState] = &[PendingFirstAttempt, PendingRetryAttempt, PendingReplayAttempt, AttemptInterrupted];

/// One that was never claimed keeps its pending attempt when it ends.
const ENDED: &[AttemptState] = &[AttemptTerminal, PendingFirstAttempt, PendingRetryAttempt, PendingReplayAttempt];

const SUSPENDED: &[BlockingReason] = &[
    Why::WaitingForSignal,
    Why::WaitingForApproval,
    Why::WaitingForCallback,
    Why::WaitingForToolResult,
    Why::PausedByOperator,
    Why::PausedByPolicy,
    Why::WaitingForBudget,
];

const fn runnable(
    id: &'static str,
    eligibility: EligibilityState,
    reasons: &'static [BlockingReason],
    attempts: &'static [AttemptState],
) -> Row {
    let outcomes = &[Outcome::None];
    Row { id, phase: Runnable, ownership: Unowned, eligibility, reasons, outcomes, attempts }
}

const fn active(
    id: &'static str,
    ownership: OwnershipState,
    reasons: &'static [BlockingReason],
    attempts: &'static [AttemptState],
) -> Row {
    let (eligibility, outcomes) = (Eligible::NotApplicable, &[Outcome::None]);
    Row { id, phase: Active, ownership, eligibility, reasons, outcomes, attempts }
}

const fn resting(
    id: &'static str,
    phase: LifecyclePhase,
    reasons: &'static [BlockingReason],
    outcomes: &'static [TerminalOutcome],
    attempts: &'static [AttemptState],
) -> Row {
    Row { id, phase, ownership: Unowned, eligibility: Eligible::NotApplicable, reasons, outcomes, attempts }
}

const LEGAL: [Row; 16] = [
    runnable("R1", Eligible::EligibleNow, &[Why::WaitingForWorker], RESTING),
    runnable("R2", Eligible::NotEligibleUntilTime, &[Why::WaitingForDelay], &[PendingFirstAttempt, AttemptInterrupted]),
    runnable("R2", Eligible::NotEligibleUntilTime, &[Why::WaitingForRetryBackoff], &[PendingRetryAttempt]),
    runnable("R2", Eligible::NotEligibleUntilTime, &[Why::WaitingForResumeDelay], &[AttemptInterrupted]),
    runnable("R3", Eligible::BlockedByDependencies, &[Why::WaitingForChildren], RESTING),
    runnable("R4", Eligible::BlockedByBudget, &[Why::WaitingForBudget], RESTING),
    runnable("R4", Eligible::BlockedByQuota, &[Why::WaitingForQuota], RESTING),
    runnable("R4", Eligible::BlockedByRoute, &[Why::WaitingForCapableWorker], RESTING),
    runnable("R4", Eligible::BlockedByOperator, &[Why::PausedByOperator], RESTING),
    runnable("R4", Eligible::BlockedByLaneState, &[Why::PausedByPolicy], RESTING),
    active("A1", Leased, &[Why::None], &[RunningAttempt]),
    active("A2", LeaseExpiredReclaimable, &[Why::WaitingForWorker], &[AttemptInterrupted]),
    active("A3", LeaseRevoked, &[Why::WaitingForWorker], &[AttemptInterrupted]),
    resting("S1", Suspended, SUSPENDED, &[Outcome::None], &[AttemptInterrupted]),
    resting(
        "T1",
        Terminal,
        &[Why::None],
        &[Outcome::Success, Outcome::Failed, Outcome::Cancelled, Outcome::Expired],
        ENDED,
    ),
    resting("T2", Terminal, &[Why::None], &[Outcome::Skipped], &[AttemptTerminal, AttemptState::None]),
];

/// The row that a vector is in; none for a vector that no reachable execution has.
pub(super) fn row(vector: &StateVector) -> Option<&'static str> {
    let is_it = |row: &&Row| {
        row.phase == vector.lifecycle_phase
            && row.ownership == vector.ownership_state
            && row.eligibility == vector.eligibility_state
            && row.reasons.contains(&vector.blocking_reason)
            && row.outcomes.contains(&vector.terminal_outcome)
            && row.attempts.contains(&vector.attempt_state)
    };
    LEGAL.iter().find(is_it).map(|row| row.id)
}
