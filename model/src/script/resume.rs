//! `ff_resume_execution`, and the ends of suspensions that several functions share.

use ff_core::state::{AttemptState, BlockingReason, LifecyclePhase};
use ff_core::types::WaitpointId;

use super::{Answer, Refusal, vector};
use crate::deviation::Deviation;
use crate::intern::{ExecutionNo, LaneNo};
use crate::message::Done;
use crate::number::Score;
use crate::store::{Detail, IndexKey, Store};
use crate::time::ServerTime;

/// Resumes by somebody's word, without any fence or condition.
///
/// The first waitpoint's own condition is left open; those of the others are closed.
pub(super) fn resume_execution(
    store: &mut Store,
    now: ServerTime,
    number: ExecutionNo,
    lane: LaneNo,
    waitpoint: &WaitpointId,
    delay_ms: u64,
) -> Answer {
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let open = found.suspension.as_ref().is_some_and(|suspension| suspension.closed_at.is_none());
    if found.core.vector.lifecycle_phase != LifecyclePhase::Suspended || !open {
        return Err(Refusal::ExecutionNotSuspended);
    }
    let partition = found.partition;
    to_runnable(store, now, number, lane, delay_ms, Detail::OperatorResumeDelay(delay_ms));
    store.write_waitpoint(number, partition, waitpoint, |waitpoint| waitpoint.close(now, "resumed", true));
    let keeps = store.deviations().has(Deviation::BugResumeKeepsSuspension);
    store.write_suspension(number, |suspension| {
        if let Some(suspension) = suspension.as_mut().filter(|_| !keeps) {
            suspension.satisfied_at = Some(now);
            suspension.closed_at = Some(now);
            suspension.close_reason = "resumed";
        }
    });
    store.remove(number, IndexKey::SuspensionTimeout);
    store.delete_composite(number);
    close_additional(store, now, number, partition, "resumed", "resumed", true);
    Ok(Done::Ok(if delay_ms > 0 { "delayed" } else { "waiting" }))
}

/// From suspended to runnable, at once or after a delay. A delayed resume does not record `delay_until`.
pub(super) fn to_runnable(
    store: &mut Store,
    now: ServerTime,
    number: ExecutionNo,
    lane: LaneNo,
    delay_ms: u64,
    delayed: Detail,
) {
    let due = (delay_ms > 0).then(|| Score::after(now.ms(), delay_ms));
    let record_due = store.deviations().has(Deviation::FixResumeDelayRecordsDue);
    store.edit(number, |core| {
        core.vector = match due {
            Some(_) => vector::delayed(BlockingReason::WaitingForResumeDelay, AttemptState::AttemptInterrupted),
            None => vector::eligible(AttemptState::AttemptInterrupted),
        };
        core.detail = if due.is_some() { delayed } else { Detail::None };
        if record_due {
            core.delay_until = due;
        }
        core.current_suspension_id = None;
        core.current_waitpoint_id = None;
        core.stamp(now);
    });
    store.remove(number, IndexKey::Suspended(lane));
    match due {
        Some(due) => store.add(number, IndexKey::Delayed(lane), due),
        None => {
            let score = store.execution(number).map_or_else(Score::default, |found| found.core.eligible_score());
            store.add(number, IndexKey::Eligible(lane), score);
        }
    }
}

/// `close_additional_waitpoints`: those that the current suspension names beside its first.
pub(super) fn close_additional(
    store: &mut Store,
    now: ServerTime,
    number: ExecutionNo,
    partition: u16,
    reason: &'static str,
    condition_reason: &'static str,
    satisfied: bool,
) {
    let Some(suspension) = store.execution(number).and_then(|found| found.suspension.as_ref()) else { return };
    for (id, _) in suspension.additional.clone() {
        store.write_waitpoint(number, partition, &id, |waitpoint| {
            waitpoint.close(now, reason, satisfied);
            waitpoint.close_condition(now, condition_reason);
        });
    }
}
