//! `ff_expire_execution` and `ff_expire_suspension`: what the timeout scanners call.

use ff_core::contracts::{SuspensionReasonCode, TimeoutBehavior};
use ff_core::state::{
    AttemptLifecycle, AttemptState, BlockingReason, EligibilityState, LifecyclePhase, TerminalOutcome,
};
use ff_core::types::{AttemptIndex, WaitpointId};

use super::{Answer, COMPARED_WITH_NIL, Refusal, clean, find, resume, vector};
use crate::deviation::Deviation;
use crate::intern::LaneNo;
use crate::message::{Done, Expiry, Place};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Stamp, Store, Stray};
use crate::time::ServerTime;

/// Ends an execution as expired, whatever its phase, without asking whether it is due.
///
/// The attempt record that is ended is the one that the caller read; none, when it read an empty index.
/// A suspended one keeps its waitpoints, conditions and composite keys; a grant stays.
pub(super) fn expire_execution(
    store: &mut Store,
    now: ServerTime,
    place: Place,
    lane: LaneNo,
    attempt_index: Option<AttemptIndex>,
    expiry: Expiry,
) -> Answer {
    let number = place.execution;
    let Some(found) = find(store, now, place) else {
        clean(store, place, IndexKey::AttemptTimeout);
        clean(store, place, IndexKey::ExecutionDeadline);
        return Ok(Done::Ok("not_found_cleaned"));
    };
    let core = &found.core;
    let (phase, eligibility) = (core.vector.lifecycle_phase, core.vector.eligibility_state);
    let (instance, has_attempt) = (core.current_instance, core.current_attempt_index.is_some());
    let own_lane = found.submission.lane;
    if phase == LifecyclePhase::Terminal {
        store.remove(number, IndexKey::AttemptTimeout);
        store.remove(number, IndexKey::ExecutionDeadline);
        return Ok(Done::Ok("already_terminal"));
    }
    let (reason, close_reason) = match expiry {
        Expiry::AttemptTimeout => ("attempt_timeout", "expired:attempt_timeout"),
        Expiry::ExecutionDeadline => ("execution_deadline", "expired:execution_deadline"),
    };
    let ends_attempt = has_attempt && matches!(phase, LifecyclePhase::Active | LifecyclePhase::Suspended);
    if let Some(attempt_index) = attempt_index.filter(|_| ends_attempt) {
        store.write_attempt(number, attempt_index, |attempt| {
            attempt.state = AttemptLifecycle::EndedFailure;
            attempt.ended_at = Some(now);
            attempt.failure_reason = Some(reason.into());
        });
    }
    match phase {
        LifecyclePhase::Active => {
            store.delete_lease(number);
            store.remove(number, IndexKey::LeaseExpiry);
            if let Some(instance) = instance {
                store.remove(number, IndexKey::WorkerLeases(instance));
            }
            store.remove(number, IndexKey::Active(lane));
        }
        LifecyclePhase::Suspended => {
            store.write_suspension(number, |suspension| {
                if let Some(suspension) = suspension {
                    suspension.closed_at = Some(now);
                    suspension.close_reason = close_reason;
                }
            });
            store.remove(number, IndexKey::Suspended(lane));
            store.remove(number, IndexKey::SuspensionTimeout);
        }
        _ => leave_runnable_index(store, place, own_lane, eligibility),
    }
    store.edit(number, |core| {
        let attempt_state = if has_attempt { AttemptState::AttemptTerminal } else { core.vector.attempt_state };
        core.vector = vector::terminal(TerminalOutcome::Expired, attempt_state);
        core.detail = Detail::None;
        core.completed_at = Some(now);
        core.clear_owner();
        core.lease_expires_at = None;
        core.current_suspension_id = None;
        core.current_waitpoint_id = None;
        core.stamp(now);
    });
    store.write_reasons(number, |reasons| reasons.failure = Some(reason.into()));
    store.remove(number, IndexKey::AttemptTimeout);
    store.remove(number, IndexKey::ExecutionDeadline);
    store.add(number, IndexKey::Terminal(lane), Score::at_ms(now.ms()));
    store.publish(number, "expired");
    Ok(Done::Ok("expired"))
}

fn leave_runnable_index(store: &mut Store, place: Place, lane: LaneNo, eligibility: EligibilityState) {
    let number = place.execution;
    let own = match eligibility {
        EligibilityState::EligibleNow => Some(IndexKey::Eligible(lane)),
        EligibilityState::NotEligibleUntilTime => Some(IndexKey::Delayed(lane)),
        other => IndexKey::blocked_by(other, lane),
    };
    if let Some(own) = own {
        store.remove(number, own);
        return;
    }
    for key in [
        IndexKey::Eligible(lane),
        IndexKey::Delayed(lane),
        IndexKey::BlockedDependencies(lane),
        IndexKey::BlockedBudget(lane),
        IndexKey::BlockedQuota(lane),
        IndexKey::BlockedRoute(lane),
        IndexKey::BlockedOperator(lane),
    ] {
        store.remove(number, key);
    }
}

/// Applies a suspension's timeout when the server's clock has reached it.
///
/// Waitpoint and condition are those of the caller's earlier read.
pub(super) fn expire_suspension(
    store: &mut Store,
    now: ServerTime,
    place: Place,
    lane: LaneNo,
    attempt_index: Option<AttemptIndex>,
    waitpoint: Option<&WaitpointId>,
) -> Answer {
    let number = place.execution;
    let early = store.deviations().has(Deviation::BugSuspensionTimeoutEarly);
    let Some(found) = find(store, now, place) else {
        clean(store, place, IndexKey::SuspensionTimeout);
        return Ok(Done::Ok("not_found_cleaned"));
    };
    if found.core.vector.lifecycle_phase != LifecyclePhase::Suspended {
        store.remove(number, IndexKey::SuspensionTimeout);
        return Ok(Done::Ok("not_suspended_cleaned"));
    }
    let Some(open) = found.suspension.as_ref().filter(|suspension| suspension.closed_at.is_none()) else {
        store.remove(number, IndexKey::SuspensionTimeout);
        return Ok(Done::Ok("no_active_suspension_cleaned"));
    };
    // An empty timeout is no number, so the comparison itself fails and the index entry stays.
    let timeout_at = open.timeout_at.ok_or(Refusal::RuntimeError(COMPARED_WITH_NIL))?;
    let due = Some(timeout_at).filter(|at| at.0 != 0 && (early || ServerTime::trusting_caller(*at) <= now));
    let Some(timeout_at) = due else {
        return Ok(Done::Ok("not_yet_due"));
    };
    let behavior = open.timeout_behavior.unwrap_or(TimeoutBehavior::Fail);
    let score = found.core.eligible_score();
    let has_attempt = found.core.current_attempt_index.is_some();
    let partition = found.partition;
    let close = |store: &mut Store, reason: &'static str| {
        match waitpoint {
            Some(waitpoint) => store.write_waitpoint(number, partition, waitpoint, |waitpoint| {
                waitpoint.close(now, reason, false);
                waitpoint.close_condition(now, reason);
            }),
            None => store.write_stray(partition, Stray { closed_at: now, reason }),
        }
        store.write_suspension(number, |suspension| {
            if let Some(suspension) = suspension {
                suspension.closed_at = Some(now);
                suspension.close_reason = reason;
            }
        });
        store.delete_composite(number);
        resume::close_additional(store, now, number, partition, reason, reason, false);
        store.remove(number, IndexKey::SuspensionTimeout);
        store.remove(number, IndexKey::Suspended(lane));
    };
    let (outcome, attempt_end, reason, published) = match behavior {
        TimeoutBehavior::AutoResumeWithTimeoutSignal => {
            store.edit(number, |core| {
                core.vector = vector::eligible(AttemptState::AttemptInterrupted);
                core.detail = Detail::None;
                core.current_suspension_id = None;
                core.current_waitpoint_id = None;
                core.stamp(now);
            });
            close(store, "timed_out_auto_resume");
            store.add(number, IndexKey::Eligible(lane), score);
            return Ok(Done::Ok("auto_resume"));
        }
        TimeoutBehavior::Escalate => {
            store.edit(number, |core| {
                core.vector.blocking_reason = BlockingReason::PausedByOperator;
                core.detail = Detail::Escalated(timeout_at);
                core.last_mutation_at = now.to_wire();
            });
            store.write_suspension(number, |suspension| {
                if let Some(suspension) = suspension {
                    suspension.reason = SuspensionReasonCode::WaitingForOperatorReview;
                    suspension.timeout_at = None;
                    suspension.timeout_behavior = None;
                }
            });
            store.remove(number, IndexKey::SuspensionTimeout);
            return Ok(Done::Ok("escalate"));
        }
        TimeoutBehavior::Cancel => {
            (TerminalOutcome::Cancelled, AttemptLifecycle::EndedCancelled, "timed_out_cancel", "cancelled")
        }
        TimeoutBehavior::Expire => {
            (TerminalOutcome::Expired, AttemptLifecycle::EndedFailure, "timed_out_expire", "expired")
        }
        _ => (TerminalOutcome::Failed, AttemptLifecycle::EndedFailure, "timed_out_fail", "failed"),
    };
    store.edit(number, |core| {
        core.vector = vector::terminal(outcome, AttemptState::AttemptTerminal);
        core.detail = Detail::None;
        core.completed_at = Some(now);
        core.current_suspension_id = None;
        core.current_waitpoint_id = None;
        core.stamp(now);
    });
    let failure = format!("suspension_timeout:{}", behavior.as_wire_str());
    if let Some(attempt_index) = attempt_index.filter(|_| has_attempt) {
        store.write_attempt(number, attempt_index, |attempt| {
            attempt.state = attempt_end;
            attempt.ended_at = Some(now);
            attempt.failure_reason = Some(failure.clone());
            attempt.suspended_at = Stamp::Empty;
            attempt.suspension_id = Some(String::new());
        });
    }
    store.write_reasons(number, |reasons| reasons.failure = Some(failure));
    close(store, reason);
    store.add(number, IndexKey::Terminal(lane), Score::at_ms(now.ms()));
    store.publish(number, published);
    Ok(Done::Ok(behavior.as_wire_str()))
}
