//! Texts that travel on the wire where `ff-core` keeps only a type.

use ff_core::state::BlockingReason;

/// `blocking_reason` as stored.
pub(crate) const fn blocking_reason_text(reason: BlockingReason) -> &'static str {
    match reason {
        BlockingReason::None => "none",
        BlockingReason::WaitingForWorker => "waiting_for_worker",
        BlockingReason::WaitingForRetryBackoff => "waiting_for_retry_backoff",
        BlockingReason::WaitingForResumeDelay => "waiting_for_resume_delay",
        BlockingReason::WaitingForDelay => "waiting_for_delay",
        BlockingReason::WaitingForSignal => "waiting_for_signal",
        BlockingReason::WaitingForApproval => "waiting_for_approval",
        BlockingReason::WaitingForCallback => "waiting_for_callback",
        BlockingReason::WaitingForToolResult => "waiting_for_tool_result",
        BlockingReason::WaitingForChildren => "waiting_for_children",
        BlockingReason::WaitingForBudget => "waiting_for_budget",
        BlockingReason::WaitingForQuota => "waiting_for_quota",
        BlockingReason::WaitingForCapableWorker => "waiting_for_capable_worker",
        BlockingReason::WaitingForLocalityMatch => "waiting_for_locality_match",
        BlockingReason::PausedByOperator => "paused_by_operator",
        BlockingReason::PausedByPolicy => "paused_by_policy",
        BlockingReason::PausedByFlowCancel => "paused_by_flow_cancel",
    }
}
