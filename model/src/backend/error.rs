//! Refusals as the real backend reports them.
//!
//! The handle operations and the claiming calls map a script's code to a typed error; most
//! administrative calls wrap the script's error as a transport fault with the call's name around it
//! (`ff-backend-valkey/src/lib.rs`; `ff-script/src/engine_error_ext.rs`).

use ff_core::engine_error::{EngineError, backend_context};
use ff_core::error::ErrorClass;
use ff_script::ScriptError;
use ff_script::engine_error_ext::transport_script;

use crate::message::{Answered, Done, Refusal, Reply};
use crate::port::Unanswered;
use crate::spelling::word;

/// The script error of a refusal. Of `execution_not_active`'s four details only the first survives
/// the client's parser.
fn script_error(refusal: Refusal) -> Result<ScriptError, &'static str> {
    Ok(match refusal {
        Refusal::ExecutionNotFound => ScriptError::ExecutionNotFound,
        Refusal::ExecutionNotActive { outcome, .. } => ScriptError::ExecutionNotActive {
            terminal_outcome: word(outcome).into(),
            lease_epoch: String::new(),
            lifecycle_phase: String::new(),
            attempt_id: String::new(),
        },
        Refusal::ExecutionNotEligible => ScriptError::ExecutionNotEligible,
        Refusal::ExecutionNotInEligibleSet => ScriptError::ExecutionNotInEligibleSet,
        Refusal::ExecutionNotLeaseable => ScriptError::ExecutionNotLeaseable,
        Refusal::ExecutionNotReclaimable => ScriptError::ExecutionNotReclaimable,
        Refusal::ExecutionNotTerminal => ScriptError::ExecutionNotTerminal,
        Refusal::LeaseConflict => ScriptError::LeaseConflict,
        Refusal::LeaseExpired => ScriptError::LeaseExpired,
        Refusal::LeaseRevoked => ScriptError::LeaseRevoked,
        Refusal::StaleLease => ScriptError::StaleLease,
        Refusal::NoActiveLease => ScriptError::NoActiveLease,
        Refusal::ActiveAttemptExists => ScriptError::ActiveAttemptExists,
        Refusal::UseClaimResumedExecution => ScriptError::UseClaimResumedExecution,
        Refusal::NotAResumedExecution => ScriptError::NotAResumedExecution,
        Refusal::GrantAlreadyExists => ScriptError::GrantAlreadyExists,
        Refusal::InvalidClaimGrant => ScriptError::InvalidClaimGrant,
        Refusal::FenceRequired => ScriptError::FenceRequired,
        Refusal::InvalidCapabilities(detail) => ScriptError::InvalidCapabilities(detail.into()),
        Refusal::CapabilityMismatch(missing) => ScriptError::CapabilityMismatch(missing),
        Refusal::InvalidBlockingReason => ScriptError::InvalidBlockingReason,
        Refusal::InvalidLeaseForSuspend => ScriptError::InvalidLeaseForSuspend,
        Refusal::AlreadySuspended => ScriptError::AlreadySuspended,
        Refusal::MissingToken
        | Refusal::TokenExpired
        | Refusal::HmacSecretNotInitialized
        | Refusal::UsePendingWithExtrasUnsupported => unknown_code(refusal.code()),
        Refusal::InvalidToken => ScriptError::InvalidToken,
        Refusal::TargetNotSignalable => ScriptError::TargetNotSignalable,
        Refusal::WaitpointClosed => ScriptError::WaitpointClosed,
        Refusal::SignalLimitExceeded => ScriptError::SignalLimitExceeded,
        Refusal::MaxReplaysExhausted => ScriptError::MaxReplaysExhausted,
        Refusal::MaxRetriesExhausted(_) => ScriptError::MaxRetriesExhausted,
        Refusal::RuntimeError(message) => return Err(message),
        Refusal::FlowNotFound => ScriptError::FlowNotFound,
        Refusal::FlowAlreadyTerminal => ScriptError::FlowAlreadyTerminal,
        Refusal::AlreadyMemberOfDifferentFlow(flow) => {
            unknown_code(&format!("already_member_of_different_flow:{flow}"))
        }
        Refusal::ExecutionAlreadyInFlow => ScriptError::ExecutionAlreadyInFlow,
        Refusal::ExecutionNotInFlow => ScriptError::ExecutionNotInFlow,
        Refusal::SelfReferencingEdge => ScriptError::SelfReferencingEdge,
        Refusal::StaleGraphRevision => ScriptError::StaleGraphRevision,
        Refusal::CycleDetected => ScriptError::CycleDetected,
        Refusal::DependencyAlreadyExists => ScriptError::DependencyAlreadyExists,
        Refusal::InvalidDependency => ScriptError::InvalidDependency,
        Refusal::InvalidInput(detail) => ScriptError::InvalidInput(detail),
        Refusal::ExecutionNotSuspended => ScriptError::ExecutionNotSuspended,
        Refusal::WaitpointNotFound => ScriptError::WaitpointNotFound,
        Refusal::WaitpointNotPending => ScriptError::WaitpointNotPending,
        Refusal::WaitpointNotOpen => ScriptError::WaitpointNotOpen,
        Refusal::WaitpointAlreadyExists => ScriptError::WaitpointAlreadyExists,
        Refusal::WaitpointPendingUseBufferScript => ScriptError::WaitpointPendingUseBufferScript,
        Refusal::PendingWaitpointExpired => ScriptError::PendingWaitpointExpired,
        Refusal::InvalidWaitpointForExecution => ScriptError::InvalidWaitpointForExecution,
        Refusal::InvalidKid => ScriptError::InvalidKid,
        Refusal::InvalidSecretHex => ScriptError::InvalidSecretHex,
        Refusal::InvalidGraceMs => ScriptError::InvalidGraceMs,
        Refusal::RotationConflict(kid) => ScriptError::RotationConflict(kid),
        Refusal::InvariantViolation(_) => unknown_code("invariant_violation"),
    })
}

/// A code that the client's parser does not know; its details are lost.
fn unknown_code(code: &str) -> ScriptError {
    parse_error("FcallResult::into_success", format!("unknown error code: {code}"))
}

/// An answer that the client's parser rejects.
pub(super) fn parse_error(fcall: &str, message: String) -> ScriptError {
    ScriptError::Parse { fcall: fcall.into(), execution_id: None, message }
}

fn transport(error: std::io::Error) -> EngineError {
    EngineError::Transport { backend: "valkey", source: Box::new(error) }
}

/// A call that got no answer: a receive timeout of the client.
pub(super) fn unanswered(unanswered: Unanswered) -> EngineError {
    EngineError::Transport { backend: "valkey", source: Box::new(unanswered) }
}

/// How a caller's loop treats an error: `ff_script::engine_error_ext::class`, which a call without an
/// answer is retryable for (the client reports its timeout as an I/O error, a kind of the client that
/// is not built here).
pub fn class(error: &EngineError) -> ErrorClass {
    let mut inner = error;
    while let EngineError::Contextual { source, .. } = inner {
        inner = source;
    }
    match inner {
        EngineError::Transport { source, .. } if source.is::<Unanswered>() => ErrorClass::Retryable,
        other => ff_script::engine_error_ext::class(other),
    }
}

/// A refusal in the typed style.
pub(super) fn typed(refusal: Refusal) -> EngineError {
    match script_error(refusal) {
        Ok(error) => EngineError::from(error),
        Err(message) => transport(std::io::Error::other(message)),
    }
}

/// A refusal in the opaque style.
pub(super) fn opaque(refusal: Refusal) -> EngineError {
    match script_error(refusal) {
        Ok(error) => transport_script(error),
        Err(message) => transport(std::io::Error::other(message)),
    }
}

/// A refusal's text, where the real backend folds it into a success.
pub(super) fn folded(refusal: Refusal) -> Result<String, EngineError> {
    match script_error(refusal) {
        Ok(error) => Ok(error.to_string()),
        Err(message) => Err(transport(std::io::Error::other(message))),
    }
}

/// A reply that the client cannot turn into what it asked for.
pub(super) fn unreadable(context: &'static str) -> EngineError {
    during(context)(transport(std::io::Error::other("Response was of incompatible type")))
}

/// The call's name around a transport fault; typed errors pass bare.
pub(super) fn during(context: &'static str) -> impl Fn(EngineError) -> EngineError {
    move |error| backend_context(error, context)
}

/// A reply of another kind than the message asked for; only a broken server port gives one.
pub(super) fn unexpected(reply: &Reply) -> EngineError {
    transport(std::io::Error::other(format!("unexpected reply: {}", reply.label())))
}

/// A script's success of another kind than the script gives.
pub(super) fn unexpected_done(done: &Done) -> EngineError {
    transport(std::io::Error::other(format!("unexpected answer: {}", done.label())))
}

/// An answer of another kind than the plain command asked for; only a broken server port gives one.
pub(super) fn unanswerable(answered: &Answered) -> EngineError {
    transport(std::io::Error::other(format!("unexpected answer: {answered:?}")))
}

/// What the client library itself refused to send or could not read.
pub(super) fn parse(fcall: &str, execution_id: Option<String>, message: String) -> EngineError {
    transport_script(ScriptError::Parse { fcall: fcall.into(), execution_id, message })
}
