//! `ff_suspend_execution` on one fresh waitpoint.

use ff_core::contracts::SuspensionReasonCode;
use ff_core::state::{AttemptLifecycle, BlockingReason};

use super::{Answer, Refusal, fence, vector};
use crate::message::{Done, Suspend};
use crate::number::Score;
use crate::store::{Condition, Detail, IndexKey, Store, SuspendDone, Suspension, Waitpoint, WaitpointState};
use crate::time::ServerTime;

/// The suspended index's score where a suspension has no timeout.
const NO_TIMEOUT_MS: i64 = 9_999_999_999_999;

/// The holder parks its execution on a waitpoint; the lease ends, the attempt stays.
///
/// A remembered outcome of the same idempotency key is answered before any check.
pub(super) fn suspend_execution(store: &mut Store, now: ServerTime, args: &Suspend) -> Answer {
    let held = &args.held;
    let no = held.execution;
    let key = args.idempotency_key.as_deref().filter(|key| !key.is_empty());
    if let Some(key) = key
        && let Some(done) = remembered(store, now, args, key)
    {
        return Ok(Done::Suspended(Box::new(done)));
    }
    let partition = store.visit(no, now).ok_or(Refusal::ExecutionNotFound)?.partition;
    let triple = held.fence.as_ref().ok_or(Refusal::FenceRequired)?;
    fence::validate(store, now, no, Some(triple))?;
    let found = store.execution(no).ok_or(Refusal::ExecutionNotFound)?;
    if found.core.current_attempt_index != Some(held.attempt_index) {
        return Err(Refusal::InvalidLeaseForSuspend);
    }
    if found.suspension.as_ref().is_some_and(|suspension| suspension.closed_at.is_none()) {
        return Err(Refusal::AlreadySuspended);
    }
    let token = store.secret().mint(&args.waitpoint, &args.key, now);
    let condition =
        Condition { matchers: args.matchers.clone(), mode: args.mode, minimum: 1, satisfied: 0, closed: false };
    store.put_waitpoint(
        partition,
        Waitpoint {
            id: args.waitpoint.clone(),
            execution: no,
            attempt_index: held.attempt_index,
            suspension: args.suspension.clone(),
            key: args.key.clone(),
            token: token.clone(),
            state: WaitpointState::Active,
            created_at: now,
            expires_at: args.timeout_at,
            signal_count: 0,
            condition,
        },
    );
    store.edit(no, |core| {
        core.vector = vector::suspended(blocking_reason(args.reason));
        core.detail = Detail::Suspended(args.reason);
        core.clear_lease();
        core.current_suspension_id = Some(args.suspension.clone());
        core.current_waitpoint_id = Some(args.waitpoint.clone());
        core.stamp(now);
    });
    store.write_attempt(no, held.attempt_index, |attempt| {
        attempt.state = AttemptLifecycle::Suspended;
        attempt.suspended_at = Some(now);
        attempt.suspension_id = Some(args.suspension.to_string());
    });
    fence::release(store, no, held.lane, held.instance);
    store.write_suspension(no, |current| {
        *current = Some(Suspension {
            id: args.suspension.clone(),
            waitpoint: args.waitpoint.clone(),
            attempt_index: held.attempt_index,
            timeout_at: args.timeout_at,
            timeout_behavior: Some(args.timeout_behavior),
            closed_at: None,
            close_reason: "",
        });
    });
    let timeout = args.timeout_at.map(|at| Score::at_ms(at.0));
    store.add(no, IndexKey::Suspended(held.lane), timeout.unwrap_or_else(|| Score::at_ms(NO_TIMEOUT_MS)));
    if let Some(timeout) = timeout {
        store.add(no, IndexKey::SuspensionTimeout, timeout);
    }
    let done = SuspendDone {
        suspension: args.suspension.clone(),
        waitpoint: args.waitpoint.clone(),
        waitpoint_key: args.key.clone(),
        token,
    };
    if let Some(key) = key {
        store.remember_suspend(no, key.to_owned(), now.plus_ms(args.dedup_ttl_ms), done.clone());
    }
    Ok(Done::Suspended(Box::new(done)))
}

fn remembered(store: &Store, now: ServerTime, args: &Suspend, key: &str) -> Option<SuspendDone> {
    let found = store.execution(args.held.execution)?;
    let (_, until, done) = found.suspend_done.iter().find(|(held, _, _)| held == key)?;
    (*until >= now).then(|| done.clone())
}

/// `map_reason_to_blocking`.
fn blocking_reason(reason: SuspensionReasonCode) -> BlockingReason {
    match reason {
        SuspensionReasonCode::WaitingForApproval => BlockingReason::WaitingForApproval,
        SuspensionReasonCode::WaitingForCallback => BlockingReason::WaitingForCallback,
        SuspensionReasonCode::WaitingForToolResult => BlockingReason::WaitingForToolResult,
        SuspensionReasonCode::WaitingForOperatorReview | SuspensionReasonCode::ManualPause => {
            BlockingReason::PausedByOperator
        }
        SuspensionReasonCode::PausedByPolicy => BlockingReason::PausedByPolicy,
        SuspensionReasonCode::PausedByBudget => BlockingReason::WaitingForBudget,
        _ => BlockingReason::WaitingForSignal,
    }
}
