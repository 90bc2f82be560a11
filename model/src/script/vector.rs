//! The state vectors that scripts write, each named for what it means.

use ff_core::state::{
    AttemptState, BlockingReason, EligibilityState, LifecyclePhase, OwnershipState, PublicState, StateVector,
    TerminalOutcome,
};

/// Runnable and in an eligible index.
pub(super) const fn eligible(attempt_state: AttemptState) -> StateVector {
    runnable(EligibilityState::EligibleNow, BlockingReason::WaitingForWorker, attempt_state, PublicState::Waiting)
}

/// Runnable, waiting for a time.
pub(super) const fn delayed(reason: BlockingReason, attempt_state: AttemptState) -> StateVector {
    runnable(EligibilityState::NotEligibleUntilTime, reason, attempt_state, PublicState::Delayed)
}

/// Runnable, parked by admission; every such block is stored as rate limited.
pub(super) const fn blocked(
    eligibility: EligibilityState,
    reason: BlockingReason,
    attempt_state: AttemptState,
) -> StateVector {
    runnable(eligibility, reason, attempt_state, PublicState::RateLimited)
}

/// Runnable, waiting for dependencies or children.
pub(super) const fn waiting_children(attempt_state: AttemptState) -> StateVector {
    runnable(
        EligibilityState::BlockedByDependencies,
        BlockingReason::WaitingForChildren,
        attempt_state,
        PublicState::WaitingChildren,
    )
}

const fn runnable(
    eligibility_state: EligibilityState,
    blocking_reason: BlockingReason,
    attempt_state: AttemptState,
    public_state: PublicState,
) -> StateVector {
    StateVector {
        lifecycle_phase: LifecyclePhase::Runnable,
        ownership_state: OwnershipState::Unowned,
        eligibility_state,
        blocking_reason,
        terminal_outcome: TerminalOutcome::None,
        attempt_state,
        public_state,
    }
}

/// Active under a live lease.
pub(super) const fn leased() -> StateVector {
    StateVector {
        lifecycle_phase: LifecyclePhase::Active,
        ownership_state: OwnershipState::Leased,
        eligibility_state: EligibilityState::NotApplicable,
        blocking_reason: BlockingReason::None,
        terminal_outcome: TerminalOutcome::None,
        attempt_state: AttemptState::RunningAttempt,
        public_state: PublicState::Active,
    }
}

/// Parked on a waitpoint.
pub(super) const fn suspended(blocking_reason: BlockingReason) -> StateVector {
    StateVector {
        lifecycle_phase: LifecyclePhase::Suspended,
        ownership_state: OwnershipState::Unowned,
        eligibility_state: EligibilityState::NotApplicable,
        blocking_reason,
        terminal_outcome: TerminalOutcome::None,
        attempt_state: AttemptState::AttemptInterrupted,
        public_state: PublicState::Suspended,
    }
}

/// Ended.
pub(super) const fn terminal(terminal_outcome: TerminalOutcome, attempt_state: AttemptState) -> StateVector {
    StateVector {
        lifecycle_phase: LifecyclePhase::Terminal,
        ownership_state: OwnershipState::Unowned,
        eligibility_state: EligibilityState::NotApplicable,
        blocking_reason: BlockingReason::None,
        terminal_outcome,
        attempt_state,
        public_state: match terminal_outcome {
            TerminalOutcome::Success => PublicState::Completed,
            TerminalOutcome::Cancelled => PublicState::Cancelled,
            TerminalOutcome::Expired => PublicState::Expired,
            TerminalOutcome::Skipped => PublicState::Skipped,
            TerminalOutcome::Failed | TerminalOutcome::None => PublicState::Failed,
        },
    }
}
