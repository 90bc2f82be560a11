//! Situations of parking: a holder suspends its execution, signals come, and somebody resumes it.

use std::time::Duration;

use ff_core::backend::PendingWaitpoint;
use ff_core::contracts::{
    ClaimResumedExecutionResult, CompositeBody, DeliverApprovalSignalArgs, DeliverSignalArgs,
    ListPendingWaitpointsArgs, ResumeCondition, ResumeExecutionArgs, ResumePolicy, RotateWaitpointHmacSecretAllArgs,
    SeedWaitpointHmacSecretArgs, SignalMatcher, SuspendArgs, SuspensionReasonCode, TimeoutBehavior, WaitpointBinding,
};
use ff_core::types::{ExecutionId, SuspensionId, WaitpointId, WaitpointToken};
use uuid::Uuid;

use super::super::scene::{
    Held, LONG_MS, Parked, Probe, SHORT_MS, Scene, Stop, W, lane, other_epoch, partition, partition_key,
};
use super::{Family, at, of};
use crate::call::{Answer, Call};

fn suspend(s: &mut Scene<'_>, held: Held) -> Probe {
    Ok(Call::Suspend { handle: held.handle, args: s.suspend_args()? })
}

fn suspend_on(s: &mut Scene<'_>, condition: ResumeCondition) -> Probe {
    let held = s.claimed()?;
    Ok(Call::Suspend { handle: held.handle, args: s.suspend_args_on(condition)? })
}

fn on(key: &str, signal: &str) -> ResumeCondition {
    ResumeCondition::Single { waitpoint_key: key.into(), matcher: SignalMatcher::ByName(signal.into()) }
}

/// Suspended with a timeout that has passed.
fn overdue(s: &mut Scene<'_>, behavior: TimeoutBehavior) -> Result<Parked, Stop> {
    let held = s.claimed()?;
    let at = s.in_ms(30)?;
    let args = s.suspend_args()?.with_timeout(at, behavior);
    let parked = s.park(held, args)?;
    s.until(at)?;
    s.pass(1)?;
    Ok(parked)
}

fn expire(s: &mut Scene<'_>, id: &ExecutionId) -> Probe {
    Ok(Call::ExpireSuspension { partition: partition(), id: id.clone(), now: s.now()? })
}

/// The state after a timeout with this behaviour.
fn after_timeout(s: &mut Scene<'_>, behavior: TimeoutBehavior) -> Probe {
    let id = overdue(s, behavior)?.held.id;
    let call = expire(s, &id)?;
    s.right(call)?;
    Ok(Call::DescribeExecution { id })
}

fn keyed(s: &mut Scene<'_>, parked: &Parked, name: &str) -> Result<DeliverSignalArgs, Stop> {
    Ok(DeliverSignalArgs { idempotency_key: Some("key".into()), ..s.signal_args(parked, name)? })
}

fn with_token(s: &mut Scene<'_>, token: &str) -> Probe {
    let parked = s.suspended()?;
    let args = DeliverSignalArgs { waitpoint_token: WaitpointToken::new(token), ..s.signal_args(&parked, "go")? };
    Ok(Call::DeliverSignal { args })
}

fn approve(id: ExecutionId, waitpoint: WaitpointId) -> Call {
    let args = DeliverApprovalSignalArgs::new(id, lane(), waitpoint, "go", "suffix", 60_000, None, None);
    Call::DeliverApprovalSignal { args }
}

fn resume(execution_id: ExecutionId) -> Call {
    let args = ResumeExecutionArgs { execution_id, trigger_type: "operator".into(), resume_delay_ms: 0 };
    Call::ResumeExecution { args }
}

fn waitpoint(held: Held) -> Call {
    Call::CreateWaitpoint { handle: held.handle, key: "wp".into(), expires_in: Duration::from_secs(60) }
}

/// Gives the holder a pending waitpoint.
fn pending(s: &mut Scene<'_>, held: &Held, expires_in_ms: u64) -> Result<PendingWaitpoint, Stop> {
    let expires_in = Duration::from_millis(expires_in_ms);
    let call = Call::CreateWaitpoint { handle: held.handle.clone(), key: "wp".into(), expires_in };
    match s.right(call)? {
        Answer::CreateWaitpoint(Ok(pending)) => Ok(pending),
        other => unreachable!("{other}"),
    }
}

/// A suspension on a waitpoint that is there before it.
fn suspend_using(s: &mut Scene<'_>, held: Held, waitpoint_id: WaitpointId) -> Probe {
    let args = SuspendArgs::new(
        SuspensionId::from_uuid(s.uuid()),
        WaitpointBinding::UsePending { waitpoint_id },
        on("wp", "go"),
        ResumePolicy::normal(),
        SuspensionReasonCode::WaitingForSignal,
        s.now()?,
    );
    Ok(Call::Suspend { handle: held.handle, args })
}

fn no_waitpoint() -> WaitpointId {
    WaitpointId::from_uuid(Uuid::from_u128(9))
}

/// Gives the state after a call of the setup.
fn then_describe(s: &mut Scene<'_>, call: Call, id: ExecutionId) -> Probe {
    s.right(call)?;
    Ok(Call::DescribeExecution { id })
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "suspend",
        &[
            at("on a signal", |s| {
                let held = s.claimed()?;
                suspend(s, held)
            }),
            at("on any signal", |s| {
                let matcher = SignalMatcher::Wildcard;
                suspend_on(s, ResumeCondition::Single { waitpoint_key: "wp".into(), matcher })
            }),
            at("on an operator", |s| suspend_on(s, ResumeCondition::OperatorOnly)),
            at("on a timeout without one", |s| suspend_on(s, ResumeCondition::TimeoutOnly)),
            at("on a signal without a name", |s| suspend_on(s, on("wp", ""))),
            at("on another waitpoint than its own", |s| suspend_on(s, on("other", "go"))),
            at("timeout long past", |s| {
                let held = s.claimed()?;
                let past = s.in_ms(-700_000)?;
                let args = s.suspend_args()?.with_timeout(past, TimeoutBehavior::Fail);
                Ok(Call::Suspend { handle: held.handle, args })
            }),
            at("on conditions of which there are none", |s| {
                suspend_on(s, ResumeCondition::Composite(CompositeBody::all_of([])))
            }),
            at("on a pending waitpoint", |s| {
                let held = s.claimed()?;
                let waitpoint = pending(s, &held, LONG_MS)?.waitpoint_id;
                suspend_using(s, held, waitpoint)
            }),
            at("on a pending waitpoint that is not there", |s| {
                let held = s.claimed()?;
                suspend_using(s, held, no_waitpoint())
            }),
            at("on a pending waitpoint that has expired", |s| {
                let held = s.claimed()?;
                let waitpoint = pending(s, &held, SHORT_MS)?.waitpoint_id;
                s.pass(SHORT_MS + 1)?;
                suspend_using(s, held, waitpoint)
            }),
            at("on a pending waitpoint that was closed", |s| {
                let held = s.claimed()?;
                let (pending, now) = (pending(s, &held, LONG_MS)?.waitpoint_id, s.now()?);
                let (id, waitpoint) = (held.id.clone(), pending.to_string());
                s.right(Call::CloseWaitpoint { partition: partition(), id, waitpoint, now })?;
                suspend_using(s, held, pending)
            }),
            at("on a pending waitpoint of another execution", |s| {
                let (held, other) = (s.claimed()?, s.claimed()?);
                let waitpoint = pending(s, &other, LONG_MS)?.waitpoint_id;
                suspend_using(s, held, waitpoint)
            }),
            at("repeated", |s| {
                let parked = s.suspended()?;
                suspend(s, parked.held)
            }),
            at("repeated under one idempotency key", |s| {
                use ff_core::contracts::IdempotencyKey;
                let held = s.claimed()?;
                let args = s.suspend_args()?.with_idempotency_key(IdempotencyKey::new("key"));
                s.park(held.clone(), args.clone())?;
                Ok(Call::Suspend { handle: held.handle, args })
            }),
            at("by the suspended handle", |s| {
                let parked = s.suspended()?;
                Ok(Call::Suspend { handle: parked.handle, args: s.suspend_args()? })
            }),
            at("lease expired by one ms", |s| {
                let held = s.lapsed()?;
                suspend(s, held)
            }),
            at("lease revoked", |s| {
                let held = s.revoked()?;
                suspend(s, held)
            }),
            at("reclaimed by another worker", |s| {
                let (held, _) = s.reclaimed()?;
                suspend(s, held)
            }),
            at("completed", |s| {
                let held = s.completed()?;
                suspend(s, held)
            }),
        ],
    ),
    of(
        "suspend_by_triple",
        &[
            at("live lease", |s| {
                let held = s.claimed()?;
                let args: SuspendArgs = s.suspend_args()?;
                Ok(Call::SuspendByTriple { execution: held.id, triple: held.fence, args })
            }),
            at("other epoch", |s| {
                let held = s.claimed()?;
                let args = s.suspend_args()?;
                Ok(Call::SuspendByTriple { triple: other_epoch(&held), execution: held.id, args })
            }),
            at("lease expired by one ms", |s| {
                let held = s.lapsed()?;
                let args = s.suspend_args()?;
                Ok(Call::SuspendByTriple { execution: held.id, triple: held.fence, args })
            }),
        ],
    ),
    of(
        "create_waitpoint",
        &[
            at("live lease", |s| s.claimed().map(waitpoint)),
            at("same key again", |s| {
                let held = s.claimed()?;
                s.right(waitpoint(held.clone()))?;
                Ok(waitpoint(held))
            }),
            at("lease expired by one ms", |s| s.lapsed().map(waitpoint)),
            at("lease revoked", |s| s.revoked().map(waitpoint)),
            at("reclaimed by another worker", |s| Ok(waitpoint(s.reclaimed()?.0))),
            at("completed", |s| s.completed().map(waitpoint)),
        ],
    ),
    of(
        "deliver_signal",
        &[
            at("the awaited one", |s| {
                let parked = s.suspended()?;
                s.signal(&parked, "go")
            }),
            at("another one", |s| {
                let parked = s.suspended()?;
                s.signal(&parked, "stop")
            }),
            at("the awaited one repeated", |s| {
                let parked = s.suspended()?;
                let call = s.signal(&parked, "go")?;
                s.right(call)?;
                s.signal(&parked, "go")
            }),
            at("another one repeated under its key", |s| {
                let parked = s.suspended()?;
                let args = keyed(s, &parked, "stop")?;
                s.right(Call::DeliverSignal { args })?;
                Ok(Call::DeliverSignal { args: keyed(s, &parked, "stop")? })
            }),
            at("the awaited one repeated under its key", |s| {
                let parked = s.suspended()?;
                let args = keyed(s, &parked, "go")?;
                s.right(Call::DeliverSignal { args })?;
                Ok(Call::DeliverSignal { args: keyed(s, &parked, "go")? })
            }),
            at("empty token", |s| with_token(s, "")),
            at("token that is none", |s| with_token(s, "token")),
            at("token of a key that is unknown", |s| with_token(s, "k9:00ff")),
            at("token of another waitpoint", |s| {
                let (parked, other) = (s.suspended()?, s.suspended()?);
                let args = DeliverSignalArgs { waitpoint_token: other.token, ..s.signal_args(&parked, "go")? };
                Ok(Call::DeliverSignal { args })
            }),
            at("to a waitpoint that is pending", |s| {
                let held = s.claimed()?;
                let pending = pending(s, &held, LONG_MS)?;
                let (handle, token) = (held.handle.clone(), pending.hmac_token.token().clone());
                s.signal(&Parked { held, handle, waitpoint: pending.waitpoint_id, token }, "go")
            }),
            at("to the suspension before this one", |s| {
                let parked = s.suspended()?;
                let call = s.signal(&parked, "go")?;
                s.right(call)?;
                s.grant(&parked.held.id, W, LONG_MS)?;
                let call = s.resume_call(&parked.held.id, W)?;
                let handle = match s.right(call)? {
                    Answer::ClaimResumedExecution(Ok(ClaimResumedExecutionResult::Claimed(claimed))) => claimed.handle,
                    other => unreachable!("{other}"),
                };
                let args = s.suspend_args()?;
                s.right(Call::Suspend { handle, args })?;
                s.signal(&parked, "go")
            }),
            at("no such waitpoint", |s| {
                let parked = s.suspended()?;
                let args = DeliverSignalArgs { waitpoint_id: no_waitpoint(), ..s.signal_args(&parked, "go")? };
                Ok(Call::DeliverSignal { args })
            }),
            at("no such execution", |s| {
                let parked = s.suspended()?;
                let args = DeliverSignalArgs { execution_id: s.nobody(), ..s.signal_args(&parked, "go")? };
                Ok(Call::DeliverSignal { args })
            }),
            at("cancelled while it waited", |s| {
                let parked = s.suspended()?;
                let call = s.cancel_call(&parked.held.id)?;
                s.right(call)?;
                s.signal(&parked, "go")
            }),
            at("resume delay asked for", |s| {
                let parked = s.suspended()?;
                let args = DeliverSignalArgs { resume_delay_ms: Some(500), ..s.signal_args(&parked, "go")? };
                Ok(Call::DeliverSignal { args })
            }),
            at("as many as there may be", |s| {
                let parked = s.suspended()?;
                let call = s.signal(&parked, "stop")?;
                s.right(call)?;
                let args = DeliverSignalArgs { max_signals_per_execution: Some(1), ..s.signal_args(&parked, "go")? };
                Ok(Call::DeliverSignal { args })
            }),
        ],
    ),
    of(
        "deliver_approval_signal",
        &[
            at("the awaited one", |s| {
                let parked = s.suspended()?;
                Ok(approve(parked.held.id, parked.waitpoint))
            }),
            at("repeated", |s| {
                let parked = s.suspended()?;
                s.right(approve(parked.held.id.clone(), parked.waitpoint.clone()))?;
                Ok(approve(parked.held.id, parked.waitpoint))
            }),
            at("no such waitpoint", |s| Ok(approve(s.suspended()?.held.id, no_waitpoint()))),
            at("no such execution", |s| Ok(approve(s.nobody(), no_waitpoint()))),
        ],
    ),
    of(
        "resume_execution",
        &[
            at("suspended", |s| Ok(resume(s.suspended()?.held.id))),
            at("repeated", |s| {
                let id = s.suspended()?.held.id;
                s.right(resume(id.clone()))?;
                Ok(resume(id))
            }),
            at("claimed", |s| Ok(resume(s.claimed()?.id))),
            at("completed", |s| Ok(resume(s.completed()?.id))),
            at("no such execution", |s| Ok(resume(s.nobody()))),
        ],
    ),
    of(
        "expire_suspension",
        &[
            at("overdue", |s| {
                let parked = overdue(s, TimeoutBehavior::Fail)?;
                expire(s, &parked.held.id)
            }),
            at("no timeout", |s| {
                let parked = s.suspended()?;
                expire(s, &parked.held.id)
            }),
            at("claimed", |s| {
                let held = s.claimed()?;
                expire(s, &held.id)
            }),
        ],
    ),
    of(
        "close_waitpoint",
        &[
            at("of a suspension", |s| {
                let parked = s.suspended()?;
                let (waitpoint, now) = (parked.waitpoint.to_string(), s.now()?);
                Ok(Call::CloseWaitpoint { partition: partition(), id: parked.held.id, waitpoint, now })
            }),
            at("no such waitpoint", |s| {
                let (id, now) = (s.claimed()?.id, s.now()?);
                let waitpoint = no_waitpoint().to_string();
                Ok(Call::CloseWaitpoint { partition: partition(), id, waitpoint, now })
            }),
        ],
    ),
    of(
        "observe_signals",
        &[
            at("never suspended", |s| Ok(Call::ObserveSignals { handle: s.claimed()?.handle })),
            at("still suspended", |s| Ok(Call::ObserveSignals { handle: s.suspended()?.handle })),
            at("woken by its signal", |s| Ok(Call::ObserveSignals { handle: s.woken()?.handle })),
        ],
    ),
    of(
        "read_waitpoint_token",
        &[
            at("of a suspension", |s| {
                Ok(Call::ReadWaitpointToken { partition: partition_key(), waitpoint: s.suspended()?.waitpoint })
            }),
            at("no such waitpoint", |_| {
                Ok(Call::ReadWaitpointToken { partition: partition_key(), waitpoint: no_waitpoint() })
            }),
        ],
    ),
    of(
        "list_pending_waitpoints",
        &[
            at("suspended", |s| {
                let args = ListPendingWaitpointsArgs::new(s.suspended()?.held.id);
                Ok(Call::ListPendingWaitpoints { args })
            }),
            at("claimed", |s| {
                Ok(Call::ListPendingWaitpoints { args: ListPendingWaitpointsArgs::new(s.claimed()?.id) })
            }),
            at("no such execution", |s| {
                Ok(Call::ListPendingWaitpoints { args: ListPendingWaitpointsArgs::new(s.nobody()) })
            }),
        ],
    ),
    of(
        "list_suspended",
        &[
            at("one is suspended", |s| {
                s.suspended()?;
                Ok(Call::ListSuspended { partition: partition_key(), cursor: None, limit: 10 })
            }),
            at("none is", |s| {
                s.claimed()?;
                Ok(Call::ListSuspended { partition: partition_key(), cursor: None, limit: 10 })
            }),
        ],
    ),
    of(
        "seed_waitpoint_hmac_secret",
        &[
            at("another secret under the same key", |_| {
                Ok(Call::SeedWaitpointHmacSecret { args: SeedWaitpointHmacSecretArgs::new("k1", "11".repeat(32)) })
            }),
            at("a secret that is no hex", |_| {
                Ok(Call::SeedWaitpointHmacSecret { args: SeedWaitpointHmacSecretArgs::new("k1", "secret") })
            }),
        ],
    ),
    of(
        "rotate_waitpoint_hmac_secret_all",
        &[at("to a new key", |_| {
            let args = RotateWaitpointHmacSecretAllArgs::new("k2", "22".repeat(32), 60_000);
            Ok(Call::RotateWaitpointHmacSecretAll { args })
        })],
    ),
    of(
        "describe_execution",
        &[
            at("never claimed", |s| Ok(Call::DescribeExecution { id: s.created()? })),
            at("claimed", |s| Ok(Call::DescribeExecution { id: s.claimed()?.id })),
            at("completed", |s| Ok(Call::DescribeExecution { id: s.completed()?.id })),
            at("reclaimed", |s| Ok(Call::DescribeExecution { id: s.reclaimed()?.1.id })),
            at("suspended", |s| Ok(Call::DescribeExecution { id: s.suspended()?.held.id })),
            at("woken by its signal", |s| Ok(Call::DescribeExecution { id: s.woken()?.id })),
            at("woken with a resume delay", |s| {
                let parked = s.suspended()?;
                let args = DeliverSignalArgs { resume_delay_ms: Some(500), ..s.signal_args(&parked, "go")? };
                then_describe(s, Call::DeliverSignal { args }, parked.held.id)
            }),
            at("suspension timed out, to fail", |s| after_timeout(s, TimeoutBehavior::Fail)),
            at("suspension timed out, to cancel", |s| after_timeout(s, TimeoutBehavior::Cancel)),
            at("suspension timed out, to expire", |s| after_timeout(s, TimeoutBehavior::Expire)),
            at("suspension timed out, to resume", |s| after_timeout(s, TimeoutBehavior::AutoResumeWithTimeoutSignal)),
            at("suspension timed out, to escalate", |s| after_timeout(s, TimeoutBehavior::Escalate)),
            at("suspension not overdue, timed out", |s| {
                let held = s.claimed()?;
                let at = s.in_ms(60_000)?;
                let args = s.suspend_args()?.with_timeout(at, TimeoutBehavior::Fail);
                let id = s.park(held, args)?.held.id;
                let call = expire(s, &id)?;
                then_describe(s, call, id)
            }),
            at("no such execution", |s| Ok(Call::DescribeExecution { id: s.nobody() })),
        ],
    ),
];
