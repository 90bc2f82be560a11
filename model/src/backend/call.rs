//! One call of a trait method, and one word for how it ended.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::Pin;

use ff_core::engine_error::{ContentionKind, EngineError, StateKind};

use crate::method::Method;
use crate::port::Server;

/// One call of a method under way; ends it once, and not at all when the caller is dropped.
pub(super) struct Call<'a, S: Server> {
    server: &'a S,
    method: Method,
    number: u64,
}

impl<'a, S: Server> Call<'a, S> {
    pub(super) fn begin(server: &'a S, method: Method, arguments: &dyn Fn() -> String) -> Self {
        Self { server, method, number: server.method_started(method, arguments) }
    }

    /// Holds the conversation that answers the call; what it sends meanwhile belongs to the call.
    pub(super) async fn hold<T: Debug>(
        self,
        mut conversation: Pin<&mut impl Future<Output = Result<T, EngineError>>>,
        label: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, EngineError> {
        let marks = self.server.marks_calls();
        let result = poll_fn(|context| {
            if !marks {
                return conversation.as_mut().poll(context);
            }
            let around = self.server.within_call(Some(self.number));
            let polled = conversation.as_mut().poll(context);
            self.server.within_call(around);
            polled
        })
        .await;
        let outcome = match &result {
            Ok(value) => label(value),
            Err(error) => error_label(error),
        };
        self.server.method_ended(self.number, self.method, outcome, &|| format!("{result:?}"));
        result
    }
}

/// The arguments of a call as one text.
pub(super) fn arguments(named: &[(&str, &dyn Debug)]) -> String {
    let texts: Vec<String> =
        named.iter().map(|(name, value)| format!("{}: {value:?}", name.trim_start_matches('&'))).collect();
    texts.join(", ")
}

/// One word for an error, for counts and traces.
pub fn error_label(error: &EngineError) -> &'static str {
    match error {
        EngineError::NotFound { .. } => "not_found",
        EngineError::Validation { .. } => "validation",
        EngineError::Contention(kind) => match kind {
            ContentionKind::UseClaimResumedExecution => "use_claim_resumed_execution",
            ContentionKind::NotAResumedExecution => "not_a_resumed_execution",
            ContentionKind::ExecutionNotLeaseable => "execution_not_leaseable",
            ContentionKind::LeaseConflict => "lease_conflict",
            ContentionKind::InvalidClaimGrant => "invalid_claim_grant",
            ContentionKind::ExecutionNotActive { .. } => "execution_not_active",
            ContentionKind::ExecutionNotEligible => "execution_not_eligible",
            ContentionKind::ExecutionNotInEligibleSet => "execution_not_in_eligible_set",
            _ => "contention",
        },
        EngineError::State(kind) => match kind {
            StateKind::StaleLease => "stale_lease",
            StateKind::LeaseExpired => "lease_expired",
            StateKind::LeaseRevoked => "lease_revoked",
            StateKind::GrantAlreadyExists => "grant_already_exists",
            StateKind::AlreadySuspended => "already_suspended",
            StateKind::TargetNotSignalable => "target_not_signalable",
            StateKind::WaitpointClosed => "waitpoint_closed",
            _ => "state",
        },
        EngineError::Conflict(_) => "conflict",
        EngineError::Contextual { source, .. } => error_label(source),
        EngineError::Transport { source, .. } => {
            if source.downcast_ref::<ff_script::ScriptError>().is_some() {
                "script_error"
            } else {
                "transport"
            }
        }
        EngineError::Unavailable { .. } => "unavailable",
        _ => "error",
    }
}
