//! A script's error codes, and the one runtime error that callers can provoke.

use std::borrow::Cow;

use ff_core::error::ErrorClass;
use ff_core::state::{LifecyclePhase, TerminalOutcome};
use ff_core::types::{AttemptId, FlowId, LeaseEpoch};
use ff_script::ScriptError;

use crate::spelling::word;
use crate::store::TokenError;

/// Why a script answered with an error; names are the library's codes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Refusal {
    ExecutionNotFound,
    ExecutionNotActive {
        outcome: TerminalOutcome,
        epoch: LeaseEpoch,
        phase: LifecyclePhase,
        attempt: Option<AttemptId>,
    },
    ExecutionNotEligible,
    ExecutionNotInEligibleSet,
    ExecutionNotLeaseable,
    ExecutionNotReclaimable,
    ExecutionNotTerminal,
    LeaseConflict,
    LeaseExpired,
    LeaseRevoked,
    StaleLease,
    NoActiveLease,
    ActiveAttemptExists,
    UseClaimResumedExecution,
    NotAResumedExecution,
    GrantAlreadyExists,
    InvalidClaimGrant,
    FenceRequired,
    InvalidCapabilities(&'static str),
    /// With the missing capabilities, sorted, comma separated.
    CapabilityMismatch(String),
    InvalidBlockingReason,
    InvalidLeaseForSuspend,
    AlreadySuspended,
    MissingToken,
    InvalidToken,
    TargetNotSignalable,
    WaitpointClosed,
    SignalLimitExceeded,
    MaxReplaysExhausted,
    /// With the cap that applied.
    MaxRetriesExhausted(u32),
    /// The script itself failed while running; everything that it wrote before stays.
    RuntimeError(&'static str),
    FlowNotFound,
    FlowAlreadyTerminal,
    /// The library glues the other flow's id to the code.
    AlreadyMemberOfDifferentFlow(FlowId),
    ExecutionAlreadyInFlow,
    ExecutionNotInFlow,
    SelfReferencingEdge,
    StaleGraphRevision,
    CycleDetected,
    DependencyAlreadyExists,
    InvalidDependency,
    /// With what was wrong.
    InvalidInput(String),
    /// With what was found; everything that the script wrote before stays.
    InvariantViolation(String),
    ExecutionNotSuspended,
    WaitpointNotFound,
    WaitpointNotPending,
    WaitpointNotOpen,
    WaitpointAlreadyExists,
    WaitpointPendingUseBufferScript,
    PendingWaitpointExpired,
    InvalidWaitpointForExecution,
    UsePendingWithExtrasUnsupported,
    HmacSecretNotInitialized,
    TokenExpired,
    InvalidKid,
    InvalidSecretHex,
    InvalidGraceMs,
    /// With the key id.
    RotationConflict(String),
}

impl Refusal {
    /// The code as the library spells it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ExecutionNotFound => "execution_not_found",
            Self::ExecutionNotActive { .. } => "execution_not_active",
            Self::ExecutionNotEligible => "execution_not_eligible",
            Self::ExecutionNotInEligibleSet => "execution_not_in_eligible_set",
            Self::ExecutionNotLeaseable => "execution_not_leaseable",
            Self::ExecutionNotReclaimable => "execution_not_reclaimable",
            Self::ExecutionNotTerminal => "execution_not_terminal",
            Self::LeaseConflict => "lease_conflict",
            Self::LeaseExpired => "lease_expired",
            Self::LeaseRevoked => "lease_revoked",
            Self::StaleLease => "stale_lease",
            Self::NoActiveLease => "no_active_lease",
            Self::ActiveAttemptExists => "active_attempt_exists",
            Self::UseClaimResumedExecution => "use_claim_resumed_execution",
            Self::NotAResumedExecution => "not_a_resumed_execution",
            Self::GrantAlreadyExists => "grant_already_exists",
            Self::InvalidClaimGrant => "invalid_claim_grant",
            Self::FenceRequired => "fence_required",
            Self::InvalidCapabilities(_) => "invalid_capabilities",
            Self::CapabilityMismatch(_) => "capability_mismatch",
            Self::InvalidBlockingReason => "invalid_blocking_reason",
            Self::InvalidLeaseForSuspend => "invalid_lease_for_suspend",
            Self::AlreadySuspended => "already_suspended",
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::TargetNotSignalable => "target_not_signalable",
            Self::WaitpointClosed => "waitpoint_closed",
            Self::SignalLimitExceeded => "signal_limit_exceeded",
            Self::MaxReplaysExhausted => "max_replays_exhausted",
            Self::MaxRetriesExhausted(_) => "max_retries_exhausted",
            Self::RuntimeError(_) => "runtime_error",
            Self::FlowNotFound => "flow_not_found",
            Self::FlowAlreadyTerminal => "flow_already_terminal",
            Self::AlreadyMemberOfDifferentFlow(_) => "already_member_of_different_flow",
            Self::ExecutionAlreadyInFlow => "execution_already_in_flow",
            Self::ExecutionNotInFlow => "execution_not_in_flow",
            Self::SelfReferencingEdge => "self_referencing_edge",
            Self::StaleGraphRevision => "stale_graph_revision",
            Self::CycleDetected => "cycle_detected",
            Self::DependencyAlreadyExists => "dependency_already_exists",
            Self::InvalidDependency => "invalid_dependency",
            Self::InvalidInput(_) => "invalid_input",
            Self::InvariantViolation(_) => "invariant_violation",
            Self::ExecutionNotSuspended => "execution_not_suspended",
            Self::WaitpointNotFound => "waitpoint_not_found",
            Self::WaitpointNotPending => "waitpoint_not_pending",
            Self::WaitpointNotOpen => "waitpoint_not_open",
            Self::WaitpointAlreadyExists => "waitpoint_already_exists",
            Self::WaitpointPendingUseBufferScript => "waitpoint_pending_use_buffer_script",
            Self::PendingWaitpointExpired => "pending_waitpoint_expired",
            Self::InvalidWaitpointForExecution => "invalid_waitpoint_for_execution",
            Self::UsePendingWithExtrasUnsupported => "use_pending_with_extras_unsupported",
            Self::HmacSecretNotInitialized => "hmac_secret_not_initialized",
            Self::TokenExpired => "token_expired",
            Self::InvalidKid => "invalid_kid",
            Self::InvalidSecretHex => "invalid_secret_hex",
            Self::InvalidGraceMs => "invalid_grace_ms",
            Self::RotationConflict(_) => "rotation_conflict",
        }
    }

    /// The code as it goes over the wire: the library glues one detail to its code.
    pub(crate) fn spelled(&self) -> Cow<'static, str> {
        match self {
            Self::AlreadyMemberOfDifferentFlow(flow) => Cow::Owned(format!("{}:{flow}", self.code())),
            _ => Cow::Borrowed(self.code()),
        }
    }

    /// How a caller's loop is told to treat it (`ff-script/src/error.rs`, `ScriptError::class`). A code that the
    /// client's parser does not know ends the loop.
    pub fn class(&self) -> ErrorClass {
        self.parsed().map_or(ErrorClass::Terminal, |error| error.class())
    }

    /// What the client's own parser makes of it (`ff-script/src/error.rs`, `ScriptError::from_code_with_detail`); none
    /// for a runtime error and for a code that the parser does not know. Of `execution_not_active`'s four details only
    /// the first survives the parser.
    pub(crate) fn parsed(&self) -> Option<ScriptError> {
        let is_code = !matches!(self, Self::RuntimeError(_));
        is_code.then(|| ScriptError::from_code_with_detail(&self.spelled(), &self.detail())).flatten()
    }

    /// The first detail beside the code; empty where there is none.
    pub(crate) fn detail(&self) -> Cow<'_, str> {
        match self {
            Self::ExecutionNotActive { outcome, .. } => Cow::Borrowed(word(outcome)),
            Self::InvalidCapabilities(detail) => Cow::Borrowed(detail),
            Self::CapabilityMismatch(detail)
            | Self::InvalidInput(detail)
            | Self::InvariantViolation(detail)
            | Self::RotationConflict(detail) => Cow::Borrowed(detail),
            Self::MaxRetriesExhausted(cap) => Cow::Owned(cap.to_string()),
            _ => Cow::Borrowed(""),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NoSecret => Self::HmacSecretNotInitialized,
            TokenError::Missing => Self::MissingToken,
            TokenError::Invalid => Self::InvalidToken,
            TokenError::Expired => Self::TokenExpired,
        }
    }
}
