//! Ending or parking a claimed execution, by handle or by id.

use ff_core::backend::{FailOutcome, FailureClass, FailureReason, Handle};
use ff_core::contracts::{
    CancelExecutionArgs, CancelExecutionResult, ChangePriorityArgs, ChangePriorityResult, CompleteExecutionArgs,
    CompleteExecutionResult, ReplayExecutionArgs, ReplayExecutionResult,
};
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::state::{PublicState, TerminalOutcome};
use ff_core::types::{AttemptIndex, CancelSource, ExecutionId, LaneId, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use crate::intern::LaneNo;
use crate::message::{Cancel, Done, FlowRead, HandleFields, Message, Reply, Script};
use crate::port::Server;

impl<S: Server> ModelBackend<S> {
    pub(super) async fn complete_handle(&self, handle: &Handle, payload: Option<Vec<u8>>) -> Result<(), EngineError> {
        let held = self.open(handle)?.held;
        let script = Script::Complete { held, payload: lossy(payload.unwrap_or_default()), overriding: false };
        self.run_typed(script).await.map_err(during("complete: FCALL ff_complete_execution")).map(|_| ())
    }

    /// Lane and instance are read first; a missing instance ends the call before any script.
    pub(super) async fn complete_by_fence(
        &self,
        args: CompleteExecutionArgs,
    ) -> Result<CompleteExecutionResult, EngineError> {
        let id = args.execution_id;
        let view = self.core(&id).await.map_err(during("complete_execution: HMGET exec_core"))?;
        let refused = |kind: ValidationKind, what: &str| EngineError::Validation {
            kind,
            detail: format!("complete_execution: exec_core[{id}].{what}"),
        };
        let Some(view) = view else {
            return Err(refused(ValidationKind::Corruption, "lane_id missing or empty"));
        };
        let Some(instance) = view.instance else {
            let what = "current_worker_instance_id missing — no active lease";
            return Err(refused(ValidationKind::InvalidLeaseForSuspend, what));
        };
        let held = HandleFields {
            execution: self.number(&id),
            attempt_index: args.attempt_index,
            fence: args.fence,
            lane: view.lane,
            instance,
        };
        let script = Script::Complete {
            held,
            payload: lossy(args.result_payload.unwrap_or_default()),
            overriding: args.source.as_str() == CancelSource::OperatorOverride.as_str(),
        };
        let context = during("complete_execution: FCALL ff_complete_execution");
        self.run_opaque(script).await.map_err(context)?;
        Ok(CompleteExecutionResult::Completed { execution_id: id, public_state: PublicState::Completed })
    }

    /// The stored retry policy is read first; the class plays no part in the decision.
    pub(super) async fn fail_handle(
        &self,
        handle: &Handle,
        reason: FailureReason,
        class: FailureClass,
    ) -> Result<FailOutcome, EngineError> {
        let context = during("fail: FCALL ff_fail_execution");
        let held = self.open(handle)?.held;
        let retry = match self.ask(Message::Policy(held.execution)).await.map_err(&context)? {
            Reply::RetryPolicy(retry) => retry,
            other => return Err(error::unexpected(&other)),
        };
        let category = category(&reason, class);
        let script = Script::Fail { held, reason: reason.message, category, retry, overriding: false };
        match self.run_typed(script).await.map_err(&context)? {
            Done::RetryScheduled(due) => {
                // A due time with a fraction does not parse as an integer and is reported as 0.
                let delay_until = due.to_lua_string().parse().unwrap_or(0);
                Ok(FailOutcome::RetryScheduled { delay_until: TimestampMs(delay_until) })
            }
            _ => Ok(FailOutcome::TerminalFailed),
        }
    }

    pub(super) async fn delay_handle(&self, handle: &Handle, until: TimestampMs) -> Result<(), EngineError> {
        let held = self.open(handle)?.held;
        let script = Script::Delay { held, until };
        self.run_typed(script).await.map_err(during("delay: FCALL ff_delay_execution")).map(|_| ())
    }

    /// The waitpoint is read first. The attempt id never reaches the script.
    pub(super) async fn cancel_handle(&self, handle: &Handle, reason: &str) -> Result<(), EngineError> {
        let context = during("cancel: FCALL ff_cancel_execution");
        let opened = self.open(handle)?;
        let view = self.core(&opened.payload.execution_id).await.map_err(&context)?;
        let script = Script::Cancel(Box::new(Cancel {
            execution: opened.held.execution,
            reason: reason.to_owned(),
            source: "worker".into(),
            lease_id: Some(opened.payload.lease_id),
            lease_epoch: Some(opened.payload.lease_epoch),
            lane: opened.held.lane,
            attempt_index: opened.held.attempt_index,
            waitpoint: view.and_then(|view| view.waitpoint),
            instance: Some(opened.held.instance),
            fence: opened.held.fence,
        }));
        self.run_typed(script).await.map_err(&context).map(|_| ())
    }

    /// Lane, attempt, waitpoint and instance are read first; they may be old when the script runs.
    pub(super) async fn cancel_by_id(&self, args: CancelExecutionArgs) -> Result<CancelExecutionResult, EngineError> {
        let id = args.execution_id;
        let view = self.core(&id).await.map_err(during("cancel_execution: HMGET exec_core"))?;
        let lane = match &view {
            Some(view) => view.lane,
            None => self.default_lane(),
        };
        let script = Script::Cancel(Box::new(Cancel {
            execution: self.number(&id),
            reason: args.reason,
            source: args.source.as_str().to_owned(),
            lease_id: args.lease_id,
            lease_epoch: args.lease_epoch,
            lane,
            attempt_index: view.as_ref().and_then(|view| view.attempt_index).unwrap_or(AttemptIndex::new(0)),
            waitpoint: view.as_ref().and_then(|view| view.waitpoint.clone()),
            instance: view.as_ref().and_then(|view| view.instance),
            fence: None,
        }));
        let context = during("cancel_execution: FCALL ff_cancel_execution");
        let answer = self.run(script).await.map_err(context)?;
        answer.map_err(|refusal| during("cancel_execution: parse")(error::opaque(refusal)))?;
        Ok(CancelExecutionResult::Cancelled { execution_id: id, public_state: PublicState::Cancelled })
    }

    /// Lane, flow and outcome are read first, and for a skipped member the flow's edges that reach it.
    pub(super) async fn replay(&self, args: ReplayExecutionArgs) -> Result<ReplayExecutionResult, EngineError> {
        let context = during("replay_execution: HMGET replay pre-read");
        let execution = self.number(&args.execution_id);
        let view = self.core(&args.execution_id).await.map_err(context)?;
        let lane = view.as_ref().map_or_else(|| self.default_lane(), |view| view.lane);
        let skipped = view.filter(|view| view.terminal_outcome == TerminalOutcome::Skipped);
        let edges = match skipped.and_then(|view| view.flow) {
            Some(flow) => {
                let read = FlowRead::Incoming(self.flow_place(&flow), execution);
                Some(self.edge_ids(read).await.map_err(during("replay_execution: SMEMBERS replay edges"))?)
            }
            None => None,
        };
        let (call, parse) = match edges {
            Some(_) => ("replay_execution: FCALL ff_replay_execution (variadic)", "replay_execution: parse"),
            None => ("replay_execution: FCALL ff_replay_execution", "replay_execution: FCALL ff_replay_execution"),
        };
        let answer = self.run(Script::Replay { execution, lane, edges }).await.map_err(during(call))?;
        match answer.map_err(|refusal| during(parse)(error::opaque(refusal)))? {
            // Told by the count alone: a skipped member without unsatisfied edges waits for children too.
            Done::Count(_, 0) => Ok(ReplayExecutionResult::Replayed { public_state: PublicState::Waiting }),
            _ => Ok(ReplayExecutionResult::Replayed { public_state: PublicState::WaitingChildren }),
        }
    }

    pub(super) async fn reprioritise(&self, args: ChangePriorityArgs) -> Result<ChangePriorityResult, EngineError> {
        let lane = if args.lane_id.as_str().is_empty() {
            self.lane_of(&args.execution_id).await.map_err(during("change_priority: HGET lane_id"))?
        } else {
            self.server.ids().lane(&args.lane_id)
        };
        let execution = self.number(&args.execution_id);
        let script = Script::ChangePriority { execution, lane, priority: args.new_priority };
        self.run_opaque(script).await.map_err(during("change_priority: FCALL ff_change_priority"))?;
        Ok(ChangePriorityResult::Changed { execution_id: args.execution_id })
    }

    /// The stored lane, or the lane that the real preludes assume.
    pub(super) async fn lane_of(&self, id: &ExecutionId) -> Result<LaneNo, EngineError> {
        let view = self.core(id).await?;
        Ok(view.map_or_else(|| self.default_lane(), |view| view.lane))
    }

    pub(super) fn default_lane(&self) -> LaneNo {
        self.server.ids().lane(&LaneId::new("default"))
    }
}

/// The caller's own word in the reason's detail, or the class's name.
fn category(reason: &FailureReason, class: FailureClass) -> String {
    let own = reason.detail.as_deref().filter(|detail| !detail.is_empty());
    let own = own.and_then(|detail| std::str::from_utf8(detail).ok());
    // The class has no text of its own in `ff-core`; the shipped backend spells it by hand as well.
    let named = match class {
        FailureClass::Permanent => "permanent",
        FailureClass::InfraCrash => "infra_crash",
        FailureClass::Timeout => "timeout",
        FailureClass::Cancelled => "cancelled",
        _ => "transient",
    };
    own.unwrap_or(named).to_owned()
}

/// Bytes as the client sends them: through text, with whatever is not UTF-8 replaced.
pub(super) fn lossy(bytes: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => text.into_bytes(),
        Err(refused) => String::from_utf8_lossy(refused.as_bytes()).into_owned().into_bytes(),
    }
}
