//! Suspending, by handle or by fence, and resuming by somebody's word.

use std::sync::Arc;

use ff_core::backend::{Handle, HandleKind, WaitpointHmac};
use ff_core::contracts::{
    AdditionalWaitpointBinding, ResumeCondition, ResumeExecutionArgs, ResumeExecutionResult, SignalMatcher,
    SuspendArgs, SuspendOutcome, SuspendOutcomeDetails, WaitpointBinding,
};
use ff_core::engine_error::{EngineError, StateKind, ValidationKind};
use ff_core::handle_codec::HandlePayload;
use ff_core::state::PublicState;
use ff_core::types::{ExecutionId, LeaseFence, WorkerInstanceId};

use super::ModelBackend;
use super::error::{self, during};
use super::handle::seal_payload;
use crate::message::{Done, HandleFields, Script, Suspend};
use crate::port::Server;
use crate::store::{SuspendDone, Terms};

const DEDUP_GRACE_MS: u64 = 60_000;
const DEDUP_MAX_TTL_MS: u64 = 604_800_000;
const CLOCK_SKEW_TOLERANCE_MS: i64 = 600_000;

impl<S: Server> ModelBackend<S> {
    pub(super) async fn suspend_handle(
        &self,
        handle: &Handle,
        args: SuspendArgs,
    ) -> Result<SuspendOutcome, EngineError> {
        if handle.kind == HandleKind::Suspended {
            return Err(EngineError::State(StateKind::AlreadySuspended));
        }
        validate(&args)?;
        let opened = self.open(handle)?;
        let context = during("suspend: FCALL ff_suspend_execution");
        self.suspend_with(opened.held, &opened.payload, args).await.map_err(context)
    }

    /// Lane, attempt and instance are read first; the fence is the caller's.
    pub(super) async fn suspend_fence(
        &self,
        id: ExecutionId,
        fence: LeaseFence,
        args: SuspendArgs,
    ) -> Result<SuspendOutcome, EngineError> {
        validate(&args)?;
        let view = self.core(&id).await?.ok_or(EngineError::NotFound { entity: "execution" })?;
        let corrupt = |detail: &str| EngineError::Validation {
            kind: ValidationKind::Corruption,
            detail: format!("suspend_by_triple: {detail}"),
        };
        let lane_id = self.server.ids().lane_id(view.lane).clone();
        if lane_id.as_str().is_empty() {
            return Err(corrupt("exec_core missing lane_id"));
        }
        let no_index = || corrupt("exec_core.current_attempt_index not a u32: \"\"");
        let attempt_index = view.attempt_index.ok_or_else(no_index)?;
        let (held, payload) = {
            let mut ids = self.server.ids();
            let instance_id = match view.instance {
                Some(instance) => ids.instance_id(instance).clone(),
                None => WorkerInstanceId::new(""),
            };
            let held = HandleFields {
                execution: ids.execution(&id),
                attempt_index,
                fence: Some(fence.clone()),
                lane: view.lane,
                instance: ids.instance(&instance_id),
            };
            let LeaseFence { lease_id, lease_epoch, attempt_id } = fence;
            let payload =
                HandlePayload::new(id, attempt_index, attempt_id, lease_id, lease_epoch, 0, lane_id, instance_id);
            (held, payload)
        };
        let context = during("suspend_by_triple: FCALL ff_suspend_execution");
        self.suspend_with(held, &payload, args).await.map_err(context)
    }

    async fn suspend_with(
        &self,
        held: HandleFields,
        payload: &HandlePayload,
        args: SuspendArgs,
    ) -> Result<SuspendOutcome, EngineError> {
        let dedup_ttl_ms = args.timeout_at.map_or(DEDUP_MAX_TTL_MS, |at| {
            let left = at.0.saturating_sub(args.now.0).max(0).unsigned_abs();
            left.saturating_add(DEDUP_GRACE_MS).min(DEDUP_MAX_TTL_MS)
        });
        let mut bindings = args.waitpoints.into_iter();
        let (waitpoint, key) = match bindings.next() {
            Some(WaitpointBinding::Fresh { waitpoint_id, waitpoint_key }) => (waitpoint_id, Some(waitpoint_key)),
            Some(WaitpointBinding::UsePending { waitpoint_id }) => (waitpoint_id, None),
            _ => return Err(invalid("waitpoint: unsupported binding variant".into())),
        };
        let extras = bindings
            .filter_map(|binding| match binding {
                WaitpointBinding::Fresh { waitpoint_id, waitpoint_key } => Some((waitpoint_id, waitpoint_key)),
                _ => None,
            })
            .collect();
        let terms = Terms {
            condition: args.resume_condition,
            policy: args.resume_policy,
            timeout_behavior: args.timeout_behavior,
        };
        let script = Script::Suspend(Box::new(Suspend {
            held,
            suspension: args.suspension_id,
            waitpoint,
            key,
            extras,
            terms: Arc::new(terms),
            reason: args.reason_code,
            requested_by: args.requested_by,
            timeout_at: args.timeout_at,
            continuation: args.continuation_metadata_pointer,
            idempotency_key: args.idempotency_key.map(|key| key.as_str().to_owned()),
            dedup_ttl_ms,
        }));
        match self.run_typed(script).await? {
            Done::Suspended(done) => Ok(outcome(*done, payload)),
            other => Err(error::unexpected_done(&other)),
        }
    }

    /// Lane and waitpoint are read first; without a waitpoint no script is called.
    pub(super) async fn resume(&self, args: ResumeExecutionArgs) -> Result<ResumeExecutionResult, EngineError> {
        let id = args.execution_id;
        let view = self.core(&id).await.map_err(during("resume_execution: HMGET exec_core"))?;
        let lane = view.as_ref().map(|view| view.lane);
        let named = lane.filter(|lane| !self.server.ids().lane_id(*lane).as_str().is_empty());
        let lane = named.ok_or_else(|| EngineError::Validation {
            kind: ValidationKind::Corruption,
            detail: format!("resume_execution: exec_core[{id}].lane_id missing or empty"),
        })?;
        let waitpoint =
            view.and_then(|view| view.waitpoint).ok_or(EngineError::State(StateKind::ExecutionNotSuspended))?;
        let execution = self.number(&id);
        let script = Script::Resume { execution, lane, waitpoint, delay_ms: args.resume_delay_ms };
        let context = during("resume_execution: FCALL ff_resume_execution");
        let public_state = match self.run_opaque(script).await.map_err(context)? {
            Done::Ok("delayed") => PublicState::Delayed,
            _ => PublicState::Waiting,
        };
        Ok(ResumeExecutionResult::Resumed { public_state })
    }
}

fn outcome(done: SuspendDone, payload: &HandlePayload) -> SuspendOutcome {
    let extras = done
        .extras
        .into_iter()
        .map(|(id, key, token)| AdditionalWaitpointBinding::new(id, key, WaitpointHmac::new(token)))
        .collect();
    let token = WaitpointHmac::new(done.token);
    let details = SuspendOutcomeDetails::new(done.suspension, done.waitpoint, done.waitpoint_key, token)
        .with_additional_waitpoints(extras);
    if done.already_satisfied {
        SuspendOutcome::AlreadySatisfied { details }
    } else {
        SuspendOutcome::Suspended { details, handle: seal_payload(HandleKind::Suspended, payload) }
    }
}

fn invalid(detail: String) -> EngineError {
    EngineError::Validation { kind: ValidationKind::InvalidInput, detail }
}

/// The client's own checks, by the caller's clock, before anything is sent (`validate_suspend_args`).
fn validate(args: &SuspendArgs) -> Result<(), EngineError> {
    let Some(primary) = args.waitpoints.first() else {
        return Err(invalid("waitpoints_empty".into()));
    };
    if let (WaitpointBinding::Fresh { waitpoint_key: bound, .. }, ResumeCondition::Single { waitpoint_key: named, .. }) =
        (primary, &args.resume_condition)
        && bound != named
    {
        return Err(invalid("waitpoint_key_mismatch".into()));
    }
    validate_bindings(args)?;
    if matches!(args.resume_condition, ResumeCondition::TimeoutOnly) && args.timeout_at.is_none() {
        return Err(invalid("timeout_only_without_deadline".into()));
    }
    if let ResumeCondition::Single { matcher: SignalMatcher::ByName(name), .. } = &args.resume_condition
        && name.is_empty()
    {
        return Err(invalid("resume_condition: empty signal name (use Wildcard instead)".into()));
    }
    if args.timeout_at.is_some_and(|at| at.0.saturating_add(CLOCK_SKEW_TOLERANCE_MS) < args.now.0) {
        return Err(invalid("timeout_at_in_past".into()));
    }
    args.resume_condition.validate_composite().map_err(|refused| invalid(refused.detail))
}

/// Several bindings must be new, keyed, and exactly the ones that the condition names.
///
/// A pending first binding has no key, so that it passes beside new ones that the condition names.
fn validate_bindings(args: &SuspendArgs) -> Result<(), EngineError> {
    if args.waitpoints.len() < 2 {
        return Ok(());
    }
    for (position, binding) in args.waitpoints.iter().enumerate().skip(1) {
        match binding {
            WaitpointBinding::Fresh { waitpoint_key, .. } if !waitpoint_key.is_empty() => {}
            WaitpointBinding::Fresh { .. } => {
                return Err(invalid(format!("additional_waitpoint_binding_empty_key at waitpoints[{position}]")));
            }
            _ => {
                return Err(invalid(format!("additional_waitpoint_binding_must_be_fresh at waitpoints[{position}]")));
            }
        }
    }
    let bound: Vec<&String> = args
        .waitpoints
        .iter()
        .filter_map(|binding| match binding {
            WaitpointBinding::Fresh { waitpoint_key, .. } => Some(waitpoint_key),
            _ => None,
        })
        .collect();
    let named = args.resume_condition.referenced_waitpoint_keys();
    if let Some(missing) = named.iter().find(|key| !bound.contains(key)) {
        return Err(invalid(format!("referenced_waitpoint_key_missing_binding: {missing}")));
    }
    if let Some(extra) = bound.iter().find(|key| !named.contains(key)) {
        return Err(invalid(format!("extra_binding_not_referenced_by_condition: {extra}")));
    }
    Ok(())
}
