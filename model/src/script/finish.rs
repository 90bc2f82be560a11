//! `ff_complete_execution` and `ff_fail_execution`: the holder ends its attempt.

use ff_core::policy::RetryPolicy;
use ff_core::state::{AttemptLifecycle, AttemptState, BlockingReason, TerminalOutcome};

use super::{Answer, Refusal, fence, vector};
use ff_core::types::AttemptIndex;

use crate::deviation::Deviation;
use crate::message::{Done, HandleFields};
use crate::number::{self, Score};
use crate::store::{Core, Detail, IndexKey, Store};
use crate::time::ServerTime;

/// Ends the execution with success. The result key is written only for a non-empty payload.
pub(super) fn complete_execution(
    store: &mut Store,
    now: ServerTime,
    held: &HandleFields,
    payload: &[u8],
    overriding: bool,
) -> Answer {
    let number = held.execution;
    store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let triple = fence::resolve(held, overriding)?;
    let deviations = store.deviations();
    if !deviations.has(Deviation::BugCompleteAnyPhase) {
        fence::validate(store, now, number, triple)?;
    }
    end_attempt(store, now, held, AttemptLifecycle::EndedSuccess, None);
    if !payload.is_empty() && !deviations.has(Deviation::BugCompleteForgetsResult) {
        store.set_result(number, payload.to_vec());
    }
    store.edit(number, |core| {
        core.vector = vector::terminal(TerminalOutcome::Success, AttemptState::AttemptTerminal);
        core.detail = Detail::None;
        core.completed_at = Some(now);
        core.clear_lease();
        core.clear_marks();
        core.stamp(now);
    });
    terminate(store, now, held);
    let times = match () {
        () if deviations.has(Deviation::BugCompleteUnpublished) => 0,
        () if deviations.has(Deviation::BugCompletePublishedTwice) => 2,
        () => 1,
    };
    (0..times).for_each(|_| store.publish(number, "success"));
    Ok(Done::Ok("completed"))
}

/// Ends the attempt; schedules a retry while the policy allows, else fails the execution.
///
/// The failure's category plays no part: a permanent failure is retried like any other. The revocation
/// mark stays.
pub(super) fn fail_execution(
    store: &mut Store,
    now: ServerTime,
    held: &HandleFields,
    reason: &str,
    category: &str,
    retry: Option<&RetryPolicy>,
    overriding: bool,
) -> Answer {
    let number = held.execution;
    store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let triple = fence::resolve(held, overriding)?;
    let triple = fence::unless_skipped(store, triple, Deviation::BugFailSkipsFence);
    fence::validate(store, now, number, triple)?;
    let deviations = store.deviations();
    store.write_attempt(number, held.attempt_index, |attempt| {
        attempt.state = AttemptLifecycle::EndedFailure;
        attempt.ended_at = Some(now);
        attempt.failure_reason = Some(reason.to_owned());
        attempt.failure_category = Some(category.to_owned());
    });
    store.write_reasons(number, |reasons| reasons.failure = Some(reason.to_owned()));
    let retry_count = store.execution(number).map_or(0, |found| found.core.retry_count);
    let Some(policy) = retry.filter(|policy| {
        retry_count < policy.max_retries.saturating_add(u32::from(deviations.has(Deviation::BugRetryCapOffByOne)))
    }) else {
        store.edit(number, |core: &mut Core| {
            core.vector = vector::terminal(TerminalOutcome::Failed, AttemptState::AttemptTerminal);
            core.detail = Detail::None;
            core.completed_at = Some(now);
            core.clear_lease();
            core.stamp(now);
        });
        terminate(store, now, held);
        let told = if deviations.has(Deviation::BugFailPublishedAsSuccess) { "success" } else { "failed" };
        store.publish(number, told);
        if deviations.has(Deviation::BugFailAtCapRefuses) {
            return Err(Refusal::MaxRetriesExhausted(retry_count));
        }
        return Ok(Done::Ok("terminal_failed"));
    };
    let due = match deviations.has(Deviation::BugRetryIgnoresBackoff) {
        true => Score::at_ms(now.ms()),
        false => number::retry_due(now.ms(), Some(&policy.backoff), retry_count),
    };
    store.edit(number, |core| {
        core.vector = vector::delayed(BlockingReason::WaitingForRetryBackoff, AttemptState::PendingRetryAttempt);
        core.detail = Detail::Backoff(due);
        core.pending_previous_attempt_index = Some(fence::attempt_or_zero(core.current_attempt_index));
        core.retry_count += 1;
        core.current_attempt_id = None;
        core.clear_lease();
        core.delay_until = Some(due.rounded_as_text());
        core.stamp(now);
    });
    store.write_reasons(number, |reasons| reasons.pending_retry = Some(reason.to_owned()));
    fence::release(store, number, held.lane, held.instance);
    store.add(number, IndexKey::Delayed(held.lane), due);
    Ok(Done::RetryScheduled(due))
}

fn end_attempt(
    store: &mut Store,
    now: ServerTime,
    held: &HandleFields,
    state: AttemptLifecycle,
    failure: Option<&str>,
) {
    let first = store.deviations().has(Deviation::BugCompleteEndsFirstAttempt);
    let index = if first { AttemptIndex::new(0) } else { held.attempt_index };
    store.write_attempt(held.execution, index, |attempt| {
        attempt.state = state;
        attempt.ended_at = Some(now);
        if let Some(failure) = failure {
            attempt.failure_reason = Some(failure.to_owned());
        }
    });
}

fn terminate(store: &mut Store, now: ServerTime, held: &HandleFields) {
    fence::release(store, held.execution, held.lane, held.instance);
    store.remove(held.execution, IndexKey::ExecutionDeadline);
    store.add(held.execution, IndexKey::Terminal(held.lane), Score::at_ms(now.ms()));
}
