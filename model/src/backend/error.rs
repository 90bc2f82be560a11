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

/// The script error that the client makes of a refusal; a runtime error is none.
fn script_error(refusal: Refusal) -> Result<ScriptError, &'static str> {
    if let Refusal::RuntimeError(message) = refusal {
        return Err(message);
    }
    Ok(refusal.parsed().unwrap_or_else(|| unknown_code(&refusal.spelled())))
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
