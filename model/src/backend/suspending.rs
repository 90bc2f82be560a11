//! Suspending on one waitpoint and waking it again.

use ff_core::backend::{Handle, HandleKind, WaitpointHmac};
use ff_core::contracts::{
    DeliverSignalArgs, DeliverSignalResult, ResumeCondition, SignalMatcher, SuspendArgs, SuspendOutcome,
    SuspendOutcomeDetails, WaitpointBinding,
};
use ff_core::engine_error::{EngineError, StateKind, ValidationKind};

use super::ModelBackend;
use super::error::{self, during};
use super::handle::seal_payload;
use crate::message::{Done, Script, Signal, Suspend};
use crate::port::Server;
use crate::store::{MatchMode, Matcher};

const DEDUP_GRACE_MS: u64 = 60_000;
const DEDUP_MAX_TTL_MS: u64 = 604_800_000;
const CLOCK_SKEW_TOLERANCE_MS: i64 = 600_000;
const SIGNAL_DEDUP_TTL_MS: u64 = 86_400_000;
const MAX_SIGNALS: u64 = 10_000;

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
        let (matchers, mode) = condition(&args.resume_condition)?;
        let [WaitpointBinding::Fresh { waitpoint_id, waitpoint_key }] = args.waitpoints.as_slice() else {
            return Err(EngineError::Unavailable { op: "suspend: anything but one fresh waitpoint" });
        };
        let opened = self.open(handle)?;
        let idempotency_key = args.idempotency_key.as_ref().map(|key| key.as_str().to_owned());
        let dedup_ttl_ms = args.timeout_at.map_or(DEDUP_MAX_TTL_MS, |at| {
            let left = at.0.saturating_sub(args.now.0).max(0).unsigned_abs();
            left.saturating_add(DEDUP_GRACE_MS).min(DEDUP_MAX_TTL_MS)
        });
        let script = Script::Suspend(Box::new(Suspend {
            held: opened.held,
            suspension: args.suspension_id,
            waitpoint: waitpoint_id.clone(),
            key: waitpoint_key.clone(),
            reason: args.reason_code,
            timeout_at: args.timeout_at,
            timeout_behavior: args.timeout_behavior,
            matchers,
            mode,
            idempotency_key,
            dedup_ttl_ms,
        }));
        match self.run_typed(script).await.map_err(during("suspend: FCALL ff_suspend_execution"))? {
            Done::Suspended(done) => Ok(SuspendOutcome::Suspended {
                details: SuspendOutcomeDetails::new(
                    done.suspension,
                    done.waitpoint,
                    done.waitpoint_key,
                    WaitpointHmac::new(done.token),
                ),
                handle: seal_payload(HandleKind::Suspended, &opened.payload),
            }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn signal(&self, args: DeliverSignalArgs) -> Result<DeliverSignalResult, EngineError> {
        let context = during("deliver_signal: FCALL ff_deliver_signal");
        let lane = self.lane_of(&args.execution_id).await.map_err(&context)?;
        let script = Script::Signal(Box::new(Signal {
            execution: self.number(&args.execution_id),
            lane,
            waitpoint: args.waitpoint_id,
            signal: args.signal_id.clone(),
            name: args.signal_name,
            token: args.waitpoint_token.as_str().to_owned(),
            idempotency_key: args.idempotency_key,
            dedup_ttl_ms: args.dedup_ttl_ms.unwrap_or(SIGNAL_DEDUP_TTL_MS),
            resume_delay_ms: args.resume_delay_ms.unwrap_or(0),
            max_signals: args.max_signals_per_execution.unwrap_or(MAX_SIGNALS),
        }));
        match self.run_typed(script).await.map_err(&context)? {
            Done::SignalAccepted(effect) => {
                Ok(DeliverSignalResult::Accepted { signal_id: args.signal_id, effect: effect.into() })
            }
            Done::DuplicateSignal(existing_signal_id) => Ok(DeliverSignalResult::Duplicate { existing_signal_id }),
            other => Err(error::unexpected_done(&other)),
        }
    }
}

fn invalid(detail: &str) -> EngineError {
    EngineError::Validation { kind: ValidationKind::InvalidInput, detail: detail.into() }
}

/// The client's own checks, by the caller's clock, before anything is sent.
fn validate(args: &SuspendArgs) -> Result<(), EngineError> {
    let Some(primary) = args.waitpoints.first() else {
        return Err(invalid("waitpoints_empty"));
    };
    if let (WaitpointBinding::Fresh { waitpoint_key: bound, .. }, ResumeCondition::Single { waitpoint_key: named, .. }) =
        (primary, &args.resume_condition)
        && bound != named
    {
        return Err(invalid("waitpoint_key_mismatch"));
    }
    if matches!(args.resume_condition, ResumeCondition::TimeoutOnly) && args.timeout_at.is_none() {
        return Err(invalid("timeout_only_without_deadline"));
    }
    if let ResumeCondition::Single { matcher: SignalMatcher::ByName(name), .. } = &args.resume_condition
        && name.is_empty()
    {
        return Err(invalid("resume_condition: empty signal name (use Wildcard instead)"));
    }
    if args.timeout_at.is_some_and(|at| at.0.saturating_add(CLOCK_SKEW_TOLERANCE_MS) < args.now.0) {
        return Err(invalid("timeout_at_in_past"));
    }
    Ok(())
}

/// The simple conditions as the client renders them for the script.
fn condition(condition: &ResumeCondition) -> Result<(Vec<Matcher>, MatchMode), EngineError> {
    let named = |name: &str| vec![Matcher { name: name.into(), satisfied: false }];
    match condition {
        ResumeCondition::Single { matcher: SignalMatcher::ByName(name), .. } => Ok((named(name), MatchMode::Any)),
        ResumeCondition::Single { .. } => Ok((named(""), MatchMode::Any)),
        ResumeCondition::OperatorOnly => Ok((named("__operator_only__"), MatchMode::All)),
        ResumeCondition::TimeoutOnly => Ok((named("__timeout_only__"), MatchMode::All)),
        _ => Err(EngineError::Unavailable { op: "suspend: composite condition" }),
    }
}
