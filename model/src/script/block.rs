//! `ff_block_execution_for_admission` and `ff_unblock_execution`.

use ff_core::state::{BlockingReason, EligibilityState, LifecyclePhase};
use ff_core::types::TimestampMs;

use super::{Answer, Refusal, fence, find, vector};
use crate::deviation::Deviation;
use crate::intern::LaneNo;
use crate::message::{Done, Place};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Store};
use crate::time::ServerTime;

/// Parks a runnable execution. Neither its eligibility nor a live grant is looked at, and only the
/// eligible index is left.
#[allow(clippy::too_many_arguments)]
pub(super) fn block_execution(
    store: &mut Store,
    now: ServerTime,
    place: Place,
    lane: LaneNo,
    index: IndexKey,
    reason: &str,
    detail: &str,
    caller_now: TimestampMs,
) -> Answer {
    let found = find(store, now, place).ok_or(Refusal::ExecutionNotFound)?;
    let core = &found.core;
    match core.vector.lifecycle_phase {
        LifecyclePhase::Runnable => {}
        LifecyclePhase::Terminal => return Err(fence::not_active(core)),
        _ => return Err(Refusal::ExecutionNotEligible),
    }
    let (eligibility, reason) = match reason {
        "waiting_for_budget" => (EligibilityState::BlockedByBudget, BlockingReason::WaitingForBudget),
        "waiting_for_quota" => (EligibilityState::BlockedByQuota, BlockingReason::WaitingForQuota),
        "waiting_for_capable_worker" => (EligibilityState::BlockedByRoute, BlockingReason::WaitingForCapableWorker),
        "paused_by_operator" => (EligibilityState::BlockedByOperator, BlockingReason::PausedByOperator),
        "paused_by_policy" => (EligibilityState::BlockedByLaneState, BlockingReason::PausedByPolicy),
        _ => return Err(Refusal::InvalidBlockingReason),
    };
    let granted = found.grant.is_some();
    if granted && store.deviations().has(Deviation::FixBlockRespectsGrant) {
        return Err(Refusal::GrantAlreadyExists);
    }
    let number = place.execution;
    store.edit(number, |core| {
        core.vector = vector::blocked(eligibility, reason, core.vector.attempt_state);
        core.detail = Detail::Caller;
        core.last_transition_at = caller_now;
        core.last_mutation_at = caller_now;
    });
    store.write_reasons(number, |reasons| reasons.blocking_detail = Some(detail.to_owned()));
    store.remove(number, IndexKey::Eligible(lane));
    store.add(number, index, Score::at_ms(caller_now.0));
    Ok(Done::Ok("blocked"))
}

/// Makes an execution eligible again whose blocking reason is still the expected one.
pub(super) fn unblock_execution(
    store: &mut Store,
    now: ServerTime,
    place: Place,
    lane: LaneNo,
    expected: BlockingReason,
    caller_now: TimestampMs,
) -> Answer {
    let found = find(store, now, place).ok_or(Refusal::ExecutionNotFound)?;
    let core = &found.core;
    if core.vector.lifecycle_phase != LifecyclePhase::Runnable {
        return Err(Refusal::ExecutionNotEligible);
    }
    let blocked = matches!(
        core.vector.eligibility_state,
        EligibilityState::BlockedByBudget
            | EligibilityState::BlockedByQuota
            | EligibilityState::BlockedByRoute
            | EligibilityState::BlockedByOperator
    );
    if !blocked || core.vector.blocking_reason != expected {
        return Err(Refusal::ExecutionNotEligible);
    }
    let score = core.eligible_score();
    let number = place.execution;
    store.edit(number, |core| {
        core.vector = vector::eligible(core.vector.attempt_state);
        core.detail = Detail::None;
        core.last_transition_at = caller_now;
        core.last_mutation_at = caller_now;
    });
    let index = match expected {
        BlockingReason::WaitingForBudget => IndexKey::BlockedBudget(lane),
        BlockingReason::WaitingForQuota => IndexKey::BlockedQuota(lane),
        _ => IndexKey::BlockedRoute(lane),
    };
    store.remove(number, index);
    store.add(number, IndexKey::Eligible(lane), score);
    Ok(Done::Ok("unblocked"))
}
