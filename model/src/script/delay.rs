//! `ff_delay_execution` and `ff_promote_delayed`: into and out of the delayed index.

use ff_core::state::{AttemptLifecycle, AttemptState, BlockingReason, EligibilityState, LifecyclePhase, PublicState};
use ff_core::types::TimestampMs;

use super::{Answer, COMPARED_WITH_NIL, Refusal, at, clean, fence, vector};
use crate::deviation::Deviation;
use crate::intern::LaneNo;
use crate::message::{Done, HandleFields, Place};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Stamp, Store};
use crate::time::ServerTime;

/// The holder parks its execution until a time of its own clock; the past is allowed.
pub(super) fn delay_execution(store: &mut Store, now: ServerTime, held: &HandleFields, until: TimestampMs) -> Answer {
    let number = held.execution;
    store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let triple = fence::resolve(held, false)?;
    let triple = fence::unless_skipped(store, triple, Deviation::BugDelaySkipsFence);
    fence::validate(store, now, number, triple)?;
    let due = Score::at_ms(until.0);
    store.edit(number, |core| {
        core.vector = vector::delayed(BlockingReason::WaitingForDelay, AttemptState::AttemptInterrupted);
        core.detail = Detail::Delayed(due);
        core.delay_until = Some(due);
        core.clear_lease();
        core.stamp(now);
    });
    store.write_attempt(number, held.attempt_index, |attempt| {
        attempt.state = AttemptLifecycle::Suspended;
        attempt.suspended_at = Stamp::At(now);
        attempt.suspension_id = Some("worker_delay".into());
    });
    fence::release(store, number, held.lane, held.instance);
    store.add(number, IndexKey::Delayed(held.lane), due);
    Ok(Done::Ok("delayed"))
}

/// Makes a due execution eligible. Due is decided by the caller's time alone.
///
/// An entry whose `delay_until` is empty makes the script itself fail (a comparison with nil), so
/// such an execution can never be promoted.
pub(super) fn promote_delayed(store: &mut Store, place: Place, lane: LaneNo, now: TimestampMs) -> Answer {
    let number = place.execution;
    let Some(found) = at(store, place) else {
        clean(store, place, IndexKey::Delayed(lane));
        return Ok(Done::Ok("not_found_cleaned"));
    };
    let core = &found.core;
    if core.vector.lifecycle_phase != LifecyclePhase::Runnable {
        store.remove(number, IndexKey::Delayed(lane));
        return Ok(Done::Ok("not_runnable_cleaned"));
    }
    if core.vector.eligibility_state != EligibilityState::NotEligibleUntilTime {
        store.remove(number, IndexKey::Delayed(lane));
        return Ok(Done::Ok("not_delayed_cleaned"));
    }
    let due = core.delay_until.ok_or(Refusal::RuntimeError(COMPARED_WITH_NIL))?;
    let deviations = store.deviations();
    let is_due = due.is_due(now.0) && !deviations.has(Deviation::BugPromoteForgets);
    if !is_due && !deviations.has(Deviation::BugPromoteEarly) {
        return Ok(Done::Ok("not_yet_due"));
    }
    let score = core.eligible_score();
    store.edit(number, |core| {
        core.vector.eligibility_state = EligibilityState::EligibleNow;
        core.vector.blocking_reason = BlockingReason::WaitingForWorker;
        if !deviations.has(Deviation::BugPromoteKeepsPublicState) {
            core.vector.public_state = PublicState::Waiting;
        }
        core.detail = Detail::None;
        core.delay_until = None;
        core.last_transition_at = now;
        core.last_mutation_at = now;
    });
    store.remove(number, IndexKey::Delayed(lane));
    store.add(number, IndexKey::Eligible(lane), score);
    Ok(Done::Ok("promoted"))
}
