//! `ff_deliver_signal`.

use ff_core::state::LifecyclePhase;

use super::{Answer, Refusal, resume};
use crate::deviation::Deviation;
use crate::message::{Done, Signal};
use crate::store::{Detail, Entry, IndexKey, Offer, SignalRecord, Store, WaitpointState};
use crate::time::ServerTime;

/// A longer time to live is written as a float, which the server's `SET` refuses.
const LONGEST_DEDUP_MS: u64 = (1 << 62) + 512;
/// A stream length from here on is written with an exponent, which the server's `XADD` refuses.
const UNREADABLE_MAXLEN: u64 = 100_000_000_000_000;
const NOT_AN_INTEGER: &str = "value is not an integer or out of range";
const SATISFIED: &str = "resume_condition_satisfied";

/// Records a signal and, where it satisfies the condition, makes the execution runnable again.
///
/// While the execution is suspended, neither the waitpoint's state nor its membership in the current
/// suspension is looked at: the token of an older waitpoint whose condition never closed still resumes.
/// Whatever the phase, a satisfied condition closes the current suspension, whichever it is.
pub(super) fn deliver_signal(store: &mut Store, now: ServerTime, args: &Signal) -> Answer {
    let number = args.execution;
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let partition = found.partition;
    let phase = found.core.vector.lifecycle_phase;
    let signal_count = found.signals.len() as u64;
    let waitpoint = store.waitpoint(partition, &args.waitpoint).ok_or(Refusal::InvalidToken)?;
    let secrets = store.secrets(partition);
    let proof = secrets.validate(&args.token, &args.waitpoint, &waitpoint.key, waitpoint.created_at, now);
    let (state, closed) = (waitpoint.state, waitpoint.condition.as_ref().map(|condition| condition.closed));
    let deviations = store.deviations();
    let key = args.idempotency_key.as_deref().filter(|key| !key.is_empty() && args.dedup_ttl_ms > 0);
    if let Some(key) = key.filter(|_| deviations.has(Deviation::BugSignalRemembersFirst)) {
        if let Some(existing) = store.signal_done(partition, &args.waitpoint, key, now) {
            return Ok(Done::DuplicateSignal(existing.clone()));
        }
        store.remember_signal(partition, &args.waitpoint, key, args.signal.clone(), now.plus_ms(args.dedup_ttl_ms));
    }
    if let Err(error) = proof {
        store.edit(number, |core| core.last_hmac_validation_failed_at = Some(now));
        return Err(error.into());
    }
    match (phase, state) {
        (LifecyclePhase::Terminal, _) => return Err(Refusal::TargetNotSignalable),
        (LifecyclePhase::Suspended, _) | (_, WaitpointState::Active) => {}
        (_, WaitpointState::Pending) => return Err(Refusal::WaitpointPendingUseBufferScript),
        (_, WaitpointState::Closed) => return Err(Refusal::TargetNotSignalable),
    }
    if closed.ok_or(Refusal::WaitpointNotFound)? && !deviations.has(Deviation::BugSignalOfClosedWait) {
        return Err(Refusal::WaitpointClosed);
    }
    if args.max_signals > 0 && signal_count >= args.max_signals {
        return Err(Refusal::SignalLimitExceeded);
    }
    if let Some(key) = key.filter(|_| !deviations.has(Deviation::BugSignalRemembersFirst)) {
        let known = store.signal_done(partition, &args.waitpoint, key, now);
        if let Some(existing) = known.filter(|_| !deviations.has(Deviation::BugSignalIgnoresKey)) {
            return Ok(Done::DuplicateSignal(existing.clone()));
        }
        if args.dedup_ttl_ms > LONGEST_DEDUP_MS {
            return Err(Refusal::RuntimeError(NOT_AN_INTEGER));
        }
        store.remember_signal(partition, &args.waitpoint, key, args.signal.clone(), now.plus_ms(args.dedup_ttl_ms));
    }
    record(store, now, args, partition)?;
    let is_tree =
        store.waitpoint(partition, &args.waitpoint).and_then(|waitpoint| waitpoint.condition.as_ref()?.tree.clone());
    let (effect, matched) = match is_tree {
        Some(terms) => {
            let effect = offer_to_tree(store, args, partition, &terms.condition);
            (effect, !matches!(effect, "signal_ignored_not_in_condition" | "signal_ignored_matcher_failed"))
        }
        None => offer_to_matchers(store, args, partition),
    };
    let composite = is_composite(store, args, partition);
    if effect == SATISFIED {
        close(store, now, args, partition, phase, composite);
    }
    store.set_effect(partition, &args.signal, effect);
    store.write_waitpoint(number, partition, &args.waitpoint, |waitpoint| {
        waitpoint.signal_count += 1;
        waitpoint.matched_signal_count += u64::from(matched);
        waitpoint.last_signal_at = Some(now);
    });
    if !(composite && effect == SATISFIED) {
        store.write_suspension(number, |suspension| {
            if let Some(suspension) = suspension {
                suspension.last_signal_at = Some(now);
            }
        });
    }
    Ok(Done::SignalAccepted(effect))
}

/// The signal's own keys, its waitpoint's stream and the execution's set.
fn record(store: &mut Store, now: ServerTime, args: &Signal, partition: u16) -> Result<(), Refusal> {
    store.put_signal(
        partition,
        &args.signal,
        SignalRecord {
            execution: args.execution,
            waitpoint: args.waitpoint.clone(),
            scope: args.scope.clone(),
            name: args.name.clone(),
            category: args.category.clone(),
            source_type: args.source_type.clone(),
            source_identity: args.source_identity.clone(),
            correlation_id: args.correlation_id.clone(),
            idempotency_key: args.idempotency_key.clone().unwrap_or_default(),
            created_at: args.created_at.unwrap_or(now.to_wire()),
            accepted_at: now,
            payload_encoding: args.payload_encoding.clone(),
            effect: None,
            payload: Some(args.payload.clone()).filter(|payload| !payload.is_empty()),
        },
    );
    if args.stream_maxlen >= UNREADABLE_MAXLEN {
        return Err(Refusal::RuntimeError(NOT_AN_INTEGER));
    }
    let entry = Entry {
        signal: args.signal.clone(),
        name: args.name.clone(),
        category: args.category.clone(),
        source_type: args.source_type.clone(),
        source_identity: args.source_identity.clone(),
        accepted_at: now,
    };
    store.accept_signal(args.execution, partition, &args.waitpoint, entry, args.stream_maxlen == 0);
    Ok(())
}

fn is_composite(store: &Store, args: &Signal, partition: u16) -> bool {
    let condition = store.waitpoint(partition, &args.waitpoint).and_then(|waitpoint| waitpoint.condition.as_ref());
    condition.is_some_and(|condition| condition.tree.is_some())
}

fn offer_to_tree(
    store: &mut Store,
    args: &Signal,
    partition: u16,
    tree: &ff_core::contracts::ResumeCondition,
) -> &'static str {
    let key = store.waitpoint(partition, &args.waitpoint).map(|waitpoint| waitpoint.key.clone()).unwrap_or_default();
    let offer = Offer {
        signal: &args.signal,
        name: &args.name,
        source_type: &args.source_type,
        source_identity: &args.source_identity,
        waitpoint: &args.waitpoint,
        key: &key,
    };
    let mut effect = "";
    store.write_composite(args.execution, |composite| effect = composite.offer(tree, offer));
    effect
}

fn offer_to_matchers(store: &mut Store, args: &Signal, partition: u16) -> (&'static str, bool) {
    let (mut matched, mut satisfied) = (false, false);
    let ignores = store.deviations().has(Deviation::BugSignalSatisfiesNothing);
    store.write_waitpoint(args.execution, partition, &args.waitpoint, |waitpoint| {
        if let Some(condition) = &mut waitpoint.condition {
            matched = condition.offer(&args.name, &args.signal);
            satisfied = matched && condition.is_satisfied() && !ignores;
        }
    });
    let effect = match (matched, satisfied) {
        (_, true) => SATISFIED,
        (true, false) => "appended_to_waitpoint",
        (false, false) => "no_op",
    };
    (effect, matched)
}

/// Closes what a satisfied condition closes, and resumes a suspended execution.
///
/// Only a composite condition closes further waitpoints, and of those only the ones that the suspension
/// names beside its first: a first waitpoint whose condition another one's signal satisfied stays open.
fn close(store: &mut Store, now: ServerTime, args: &Signal, partition: u16, phase: LifecyclePhase, composite: bool) {
    let number = args.execution;
    if phase == LifecyclePhase::Suspended && !store.deviations().has(Deviation::BugSignalResumesNothing) {
        if args.resume_delay_ms > 0 {
            store.write_reasons(number, |reasons| reasons.resume_signal = Some(args.name.clone()));
        }
        let delayed = Detail::ResumeDelay(args.resume_delay_ms);
        resume::to_runnable(store, now, number, args.lane, args.resume_delay_ms, delayed);
    }
    store.write_waitpoint(number, partition, &args.waitpoint, |waitpoint| {
        waitpoint.close(now, "resumed", true);
        waitpoint.close_condition(now, "satisfied");
    });
    let satisfiers =
        store.execution(number).and_then(|found| found.composite.as_ref()).map(|keys| keys.signals.clone());
    store.write_suspension(number, |suspension| {
        if let Some(suspension) = suspension {
            suspension.satisfied_at = Some(now);
            suspension.closed_at = Some(now);
            suspension.close_reason = "resumed";
            if composite {
                suspension.closer = Some(args.signal.clone());
                suspension.satisfiers = satisfiers;
            }
        }
    });
    store.remove(number, IndexKey::SuspensionTimeout);
    if composite {
        store.delete_composite(number);
        resume::close_additional(store, now, number, partition, "resumed", "satisfied", true);
    }
}
