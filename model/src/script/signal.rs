//! `ff_deliver_signal` to a simple condition.

use ff_core::state::{AttemptState, BlockingReason, LifecyclePhase};

use super::{Answer, Refusal, vector};
use crate::deviation::Deviation;
use crate::message::{Done, Signal};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Store, WaitpointState};
use crate::time::ServerTime;

/// Records a signal and, where it satisfies the condition, makes the execution runnable again.
///
/// While the execution is suspended, neither the waitpoint's state nor its membership in the current
/// suspension is looked at: the token of an older waitpoint whose condition never closed still resumes.
/// A delayed resume does not record `delay_until`.
pub(super) fn deliver_signal(store: &mut Store, now: ServerTime, args: &Signal) -> Answer {
    let no = args.execution;
    let found = store.visit(no, now).ok_or(Refusal::ExecutionNotFound)?;
    let partition = found.partition;
    let phase = found.core.vector.lifecycle_phase;
    let signal_count = found.signals.len() as u64;
    let waitpoint = store.waitpoint(partition, &args.waitpoint).ok_or(Refusal::InvalidToken)?;
    let proof = store.secret().validate(&args.token, &args.waitpoint, &waitpoint.key, waitpoint.created_at);
    let (state, closed) = (waitpoint.state, waitpoint.condition.closed);
    if let Err(refusal) = proof {
        store.edit(no, |core| core.last_hmac_validation_failed_at = Some(now));
        return Err(refusal);
    }
    match phase {
        LifecyclePhase::Terminal => return Err(Refusal::TargetNotSignalable),
        LifecyclePhase::Suspended => {}
        _ if state != WaitpointState::Active => return Err(Refusal::TargetNotSignalable),
        _ => {}
    }
    if closed {
        return Err(Refusal::WaitpointClosed);
    }
    if args.max_signals > 0 && signal_count >= args.max_signals {
        return Err(Refusal::SignalLimitExceeded);
    }
    let key = args.idempotency_key.as_deref().filter(|key| !key.is_empty() && args.dedup_ttl_ms > 0);
    if let Some(key) = key {
        if let Some(existing) = store.signal_done(partition, &args.waitpoint, key, now) {
            return Ok(Done::DuplicateSignal(existing.clone()));
        }
        store.remember_signal(partition, &args.waitpoint, key, args.signal.clone(), now.plus_ms(args.dedup_ttl_ms));
    }
    store.accept_signal(no, args.signal.clone());
    let (mut matched, mut satisfied) = (false, false);
    store.write_waitpoint(no, partition, &args.waitpoint, |waitpoint| {
        matched = waitpoint.condition.offer(&args.name);
        satisfied = matched && waitpoint.condition.is_satisfied();
        waitpoint.signal_count += 1;
        if satisfied {
            waitpoint.condition.closed = true;
            waitpoint.state = WaitpointState::Closed;
        }
    });
    if !satisfied {
        return Ok(Done::SignalAccepted(if matched { "appended_to_waitpoint" } else { "no_op" }));
    }
    if phase == LifecyclePhase::Suspended {
        resume(store, now, args);
    }
    store.write_suspension(no, |suspension| {
        if let Some(suspension) = suspension {
            suspension.closed_at = Some(now);
            suspension.close_reason = "resumed";
        }
    });
    store.remove(no, IndexKey::SuspensionTimeout);
    Ok(Done::SignalAccepted("resume_condition_satisfied"))
}

fn resume(store: &mut Store, now: ServerTime, args: &Signal) {
    let no = args.execution;
    let due = (args.resume_delay_ms > 0).then(|| Score::at_ms(now.plus_ms(args.resume_delay_ms).ms()));
    let record_due = store.deviations().has(Deviation::FixResumeDelayRecordsDue);
    store.edit(no, |core| {
        core.vector = match due {
            Some(_) => vector::delayed(BlockingReason::WaitingForResumeDelay, AttemptState::AttemptInterrupted),
            None => vector::eligible(AttemptState::AttemptInterrupted),
        };
        core.detail = due.map_or(Detail::None, |_| Detail::ResumeDelay(args.resume_delay_ms));
        if record_due {
            core.delay_until = due;
        }
        core.current_suspension_id = None;
        core.current_waitpoint_id = None;
        core.stamp(now);
    });
    if due.is_some() {
        store.write_reasons(no, |reasons| reasons.blocking_detail = Some(args.name.clone()));
    }
    store.remove(no, IndexKey::Suspended(args.lane));
    match due {
        Some(due) => store.add(no, IndexKey::Delayed(args.lane), due),
        None => {
            let score = store.execution(no).map_or_else(Score::default, |found| found.core.eligible_score());
            store.add(no, IndexKey::Eligible(args.lane), score);
        }
    }
}
