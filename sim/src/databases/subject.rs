//! Which execution a call or an answer is about, and which lease it shows or gives.

use ff_core::backend::Handle;
use ff_core::contracts::{ClaimResumedExecutionResult, ReclaimExecutionOutcome};
use ff_core::handle_codec::{self, HandlePayload};
use ff_core::types::ExecutionId;

use crate::call::{Answer, Call};

/// What a handle says.
fn opened(handle: &Handle) -> Option<HandlePayload> {
    handle_codec::decode(&handle.opaque).ok().map(|opened| opened.payload)
}

/// The handle that a call is made under.
pub(super) fn handle_of(call: &Call) -> Option<HandlePayload> {
    match call {
        Call::Renew { handle }
        | Call::Progress { handle, .. }
        | Call::Complete { handle, .. }
        | Call::Fail { handle, .. }
        | Call::Cancel { handle, .. }
        | Call::Suspend { handle, .. }
        | Call::CreateWaitpoint { handle, .. }
        | Call::Delay { handle, .. }
        | Call::WaitChildren { handle } => opened(handle),
        _ => None,
    }
}

/// The execution that a call would change.
pub(super) fn of_call(call: &Call) -> Option<ExecutionId> {
    match call {
        Call::CreateExecution { args } => Some(args.execution_id.clone()),
        Call::CancelExecution { args } => Some(args.execution_id.clone()),
        Call::RevokeLease { args } => Some(args.execution_id.clone()),
        Call::ReplayExecution { args } => Some(args.execution_id.clone()),
        Call::ChangePriority { args } => Some(args.execution_id.clone()),
        Call::ResumeExecution { args } => Some(args.execution_id.clone()),
        Call::DeliverSignal { args } => Some(args.execution_id.clone()),
        Call::IssueReclaimGrant { args } => Some(args.execution_id.clone()),
        Call::ReclaimExecution { args } => Some(args.execution_id.clone()),
        Call::ClaimResumedExecution { args } => Some(args.execution_id.clone()),
        _ => handle_of(call).map(|payload| payload.execution_id),
    }
}

/// The lease that an answer gives.
pub(super) fn lease_of(answer: &Answer) -> Option<HandlePayload> {
    match answer {
        Answer::Claim(Ok(Some(handle))) | Answer::ClaimFromResumeGrant(Ok(Some(handle))) => opened(handle),
        Answer::ReclaimExecution(Ok(ReclaimExecutionOutcome::Claimed(handle))) => opened(handle),
        Answer::ClaimResumedExecution(Ok(ClaimResumedExecutionResult::Claimed(claimed))) => opened(&claimed.handle),
        _ => None,
    }
}

/// The execution that an answer is about where its call named none.
pub(super) fn of_answer(answer: &Answer) -> Option<ExecutionId> {
    lease_of(answer).map(|payload| payload.execution_id)
}
