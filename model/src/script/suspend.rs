//! `ff_suspend_execution`.

use ff_core::contracts::{ResumeCondition, SuspensionReasonCode};
use ff_core::state::{AttemptLifecycle, AttemptState, BlockingReason};
use ff_core::types::WaitpointId;

use super::{Answer, Refusal, fence, vector};
use crate::deviation::Deviation;
use crate::message::{Done, Suspend};
use crate::number::Score;
use crate::store::{Condition, Detail, IndexKey, Stamp, Store, SuspendDone, Suspension, Waitpoint, WaitpointState};
use crate::time::ServerTime;

/// The suspended index's score where a suspension has no timeout.
const NO_TIMEOUT_MS: i64 = 9_999_999_999_999;

/// The holder parks its execution on one or more waitpoints; the lease ends, the attempt stays.
///
/// A remembered outcome of the same idempotency key is answered before any check. What was written
/// before a late refusal stays: the record of a closed suspension is gone by then, and a pending
/// waitpoint that was named together with others is active.
pub(super) fn suspend_execution(store: &mut Store, now: ServerTime, args: &Suspend) -> Answer {
    let held = &args.held;
    let number = held.execution;
    let key = args.idempotency_key.as_deref().filter(|key| !key.is_empty());
    if let Some(key) = key
        && let Some(done) = remembered(store, now, args, key)
    {
        return Ok(Done::Suspended(Box::new(done)));
    }
    let partition = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?.partition;
    let triple = held.fence.as_ref().ok_or(Refusal::FenceRequired)?;
    let fence = fence::unless_skipped(store, Some(triple), Deviation::BugSuspendSkipsFence);
    fence::validate(store, now, number, fence)?;
    let found = store.execution(number).ok_or(Refusal::ExecutionNotFound)?;
    if found.core.current_attempt_index != Some(held.attempt_index) {
        return Err(Refusal::InvalidLeaseForSuspend);
    }
    archive(store, args)?;
    let done = match &args.key {
        Some(key) => bind_fresh(store, now, args, key, partition)?,
        None => bind_pending(store, now, args, partition)?,
    };
    if !done.already_satisfied {
        store.add_waitpoint_member(number, &done.waitpoint);
        park(store, now, args, &done);
    }
    if let Some(key) = key {
        store.remember_suspend(number, key.to_owned(), now.plus_ms(args.dedup_ttl_ms), done.clone());
    }
    Ok(Done::Suspended(Box::new(done)))
}

fn remembered(store: &Store, now: ServerTime, args: &Suspend, key: &str) -> Option<SuspendDone> {
    let found = store.execution(args.held.execution)?;
    let (_, until, done) = found.suspend_done.iter().find(|(held, _, _)| held == key)?;
    (*until >= now).then(|| done.clone())
}

/// Refuses beside an open suspension; deletes a closed one.
fn archive(store: &mut Store, args: &Suspend) -> Result<(), Refusal> {
    let number = args.held.execution;
    let Some(earlier) = store.execution(number).and_then(|found| found.suspension.as_ref()) else {
        return Ok(());
    };
    if earlier.closed_at.is_none() {
        return Err(Refusal::AlreadySuspended);
    }
    let waitpoint = earlier.waitpoint.clone();
    store.add_waitpoint_member(number, &waitpoint);
    store.write_suspension(number, |suspension| *suspension = None);
    Ok(())
}

/// Mints the waitpoints, each with a condition of its own.
fn bind_fresh(
    store: &mut Store,
    now: ServerTime,
    args: &Suspend,
    key: &str,
    partition: u16,
) -> Result<SuspendDone, Refusal> {
    let token = mint(store, now, args, partition, &args.waitpoint, key)?;
    let mut extras = Vec::with_capacity(args.extras.len());
    for (id, key) in &args.extras {
        let token = mint(store, now, args, partition, id, key)?;
        store.add_waitpoint_member(args.held.execution, id);
        extras.push((id.clone(), key.clone(), token));
    }
    Ok(SuspendDone {
        suspension: args.suspension.clone(),
        waitpoint: args.waitpoint.clone(),
        waitpoint_key: key.to_owned(),
        token,
        extras,
        already_satisfied: false,
    })
}

fn mint(
    store: &mut Store,
    now: ServerTime,
    args: &Suspend,
    partition: u16,
    id: &WaitpointId,
    key: &str,
) -> Result<String, Refusal> {
    let token = store.secrets(partition).mint(id, key, now)?;
    store.put_waitpoint(
        partition,
        Waitpoint {
            id: id.clone(),
            execution: args.held.execution,
            attempt_index: args.held.attempt_index,
            suspension: Some(args.suspension.clone()),
            key: key.to_owned(),
            token: token.clone(),
            state: WaitpointState::Active,
            created_at: now,
            activated_at: Some(now),
            satisfied_at: Stamp::Absent,
            closed_at: Stamp::Absent,
            close_reason: None,
            expires_at: args.timeout_at,
            signal_count: 0,
            matched_signal_count: 0,
            last_signal_at: None,
            condition: Some(Condition::new(&args.terms, now)),
            signals: Vec::new(),
        },
    );
    Ok(token)
}

/// Activates a pending waitpoint under the token that it has, and looks at the signals that it got.
fn bind_pending(store: &mut Store, now: ServerTime, args: &Suspend, partition: u16) -> Result<SuspendDone, Refusal> {
    let (number, id) = (args.held.execution, &args.waitpoint);
    let pending = store.waitpoint(partition, id).ok_or(Refusal::WaitpointNotFound)?;
    if pending.state != WaitpointState::Pending {
        return Err(Refusal::WaitpointNotPending);
    }
    if pending.execution != number || pending.attempt_index != args.held.attempt_index {
        return Err(Refusal::InvalidWaitpointForExecution);
    }
    if pending.expires_at.is_some_and(|at| ServerTime::trusting_caller(at) <= now) {
        return Err(Refusal::PendingWaitpointExpired);
    }
    let mut condition = Condition::new(&args.terms, now);
    for entry in &pending.signals {
        condition.offer(&entry.name, &entry.signal);
    }
    let already_satisfied = !pending.signals.is_empty() && condition.is_satisfied();
    let done = SuspendDone {
        suspension: args.suspension.clone(),
        waitpoint: id.clone(),
        waitpoint_key: pending.key.clone(),
        token: pending.token.clone(),
        extras: Vec::new(),
        already_satisfied,
    };
    store.write_waitpoint(number, partition, id, |waitpoint| {
        waitpoint.suspension = Some(args.suspension.clone());
        waitpoint.state = WaitpointState::Active;
        waitpoint.activated_at = Some(now);
        waitpoint.expires_at = args.timeout_at;
        if already_satisfied {
            waitpoint.close(now, "resumed", true);
        }
        let earlier = waitpoint.condition.take();
        waitpoint.condition = Some(condition.over(earlier));
    });
    store.remove_pending(partition, id);
    if !already_satisfied && !args.extras.is_empty() {
        return Err(Refusal::UsePendingWithExtrasUnsupported);
    }
    Ok(done)
}

fn park(store: &mut Store, now: ServerTime, args: &Suspend, done: &SuspendDone) {
    let held = &args.held;
    let number = held.execution;
    let keeps = store.deviations().has(Deviation::BugSuspendKeepsRunning);
    store.edit(number, |core| {
        core.vector = vector::suspended(blocking_reason(args.reason));
        if keeps {
            core.vector.attempt_state = AttemptState::RunningAttempt;
        }
        core.detail = Detail::Suspended(args.reason);
        core.clear_lease();
        core.current_suspension_id = Some(args.suspension.clone());
        core.current_waitpoint_id = Some(done.waitpoint.clone());
        core.stamp(now);
    });
    store.write_attempt(number, held.attempt_index, |attempt| {
        attempt.state = AttemptLifecycle::Suspended;
        attempt.suspended_at = Stamp::At(now);
        attempt.suspension_id = Some(args.suspension.to_string());
    });
    fence::release(store, number, held.lane, held.instance);
    store.write_suspension(number, |current| {
        *current = Some(Suspension {
            id: args.suspension.clone(),
            waitpoint: done.waitpoint.clone(),
            waitpoint_key: done.waitpoint_key.clone(),
            additional: done.extras.iter().map(|(id, key, _)| (id.clone(), key.clone())).collect(),
            attempt_index: held.attempt_index,
            reason: args.reason,
            requested_by: args.requested_by,
            created_at: now,
            timeout_at: args.timeout_at,
            timeout_behavior: Some(args.terms.timeout_behavior),
            terms: args.terms.clone(),
            continuation: args.continuation.clone(),
            last_signal_at: None,
            satisfied_at: None,
            closed_at: None,
            close_reason: "",
            closer: None,
            satisfiers: None,
        });
    });
    if let tree @ ResumeCondition::Composite(_) = &args.terms.condition {
        let extras = done.extras.iter().map(|(_, key, _)| key.as_str());
        let keys = std::iter::once(done.waitpoint_key.as_str()).chain(extras);
        store.write_composite(number, |composite| composite.seed(tree, keys));
    }
    let timeout = args.timeout_at.map(|at| Score::at_ms(at.0));
    store.add(number, IndexKey::Suspended(held.lane), timeout.unwrap_or_else(|| Score::at_ms(NO_TIMEOUT_MS)));
    if let Some(timeout) = timeout {
        store.add(number, IndexKey::SuspensionTimeout, timeout);
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ff_core::contracts::{ResumePolicy, SignalMatcher, SuspensionRequester, TimeoutBehavior};
    use ff_core::state::AttemptState;
    use ff_core::types::{
        AttemptId, AttemptIndex, ExecutionId, LaneId, LeaseEpoch, LeaseFence, LeaseId, Namespace, SignalId,
        SuspensionId, TimestampMs, WorkerInstanceId,
    };
    use uuid::Uuid;

    use super::*;
    use crate::deviation::Deviations;
    use crate::intern::Interner;
    use crate::message::{Create, CreateWaitpoint, HandleFields};
    use crate::script::{create, waitpoint};
    use crate::store::{Entry, Submission, Terms};
    use crate::token::Secret;

    const NOW: ServerTime = ServerTime::from_ms(1_000);

    /// No call of the trait puts a signal on a pending waitpoint, so the test does.
    #[test]
    fn signals_that_wait_on_a_pending_waitpoint_satisfy_the_condition_at_once_and_the_lease_stays() {
        let mut ids = Interner::default();
        let id = ExecutionId::parse("{fp:1}:00000000-0000-0000-0000-00000000000a").unwrap();
        let (number, lane) = (ids.execution(&id), ids.lane(&LaneId::new("default")));
        let mut store = Store::new(Secret::new("k1", vec![7; 32]), Deviations::default());
        let submission = Submission {
            creator: String::new(),
            partition_id: 0,
            namespace: ids.namespace(&Namespace::new("ns")),
            lane,
            kind: String::new(),
            payload: Vec::new(),
            tags: Default::default(),
            policy: None,
            required: Vec::new(),
        };
        let (name, partition) = (ids.execution_name(number).clone(), ids.partition(number));
        let args = Create {
            execution: number,
            name,
            partition,
            submission,
            priority: 0,
            idempotency_key: None,
            delay_until: None,
            deadline_at: None,
        };
        create::create_execution(&mut store, NOW, &args).unwrap();
        let fence = LeaseFence {
            lease_id: LeaseId::from_uuid(Uuid::from_u128(1)),
            lease_epoch: LeaseEpoch::new(1),
            attempt_id: AttemptId::from_uuid(Uuid::from_u128(2)),
        };
        store.edit(number, |core| {
            core.vector = vector::leased();
            core.current_lease_id = Some(fence.lease_id.clone());
            core.current_lease_epoch = fence.lease_epoch;
            core.current_attempt_id = Some(fence.attempt_id.clone());
            core.current_attempt_index = Some(AttemptIndex::new(0));
            core.lease_expires_at = Some(NOW.plus_ms(1));
        });
        let (pending, signal) = (WaitpointId::from_uuid(Uuid::from_u128(3)), SignalId::from_uuid(Uuid::from_u128(4)));
        let args = CreateWaitpoint {
            execution: number,
            attempt_index: AttemptIndex::new(0),
            waitpoint: pending.clone(),
            key: "key".into(),
            expires_at: TimestampMs(2_000),
        };
        waitpoint::create_pending_waitpoint(&mut store, NOW, &args).unwrap();
        let entry = Entry {
            signal: signal.clone(),
            name: "go".into(),
            category: String::new(),
            source_type: String::new(),
            source_identity: String::new(),
            accepted_at: NOW,
        };
        store.accept_signal(number, partition, &pending, entry, false);
        let terms = Terms {
            condition: ResumeCondition::Single {
                waitpoint_key: "key".into(),
                matcher: SignalMatcher::ByName("go".into()),
            },
            policy: ResumePolicy::normal(),
            timeout_behavior: TimeoutBehavior::Fail,
        };
        let instance = ids.instance(&WorkerInstanceId::new("w-1"));
        let args = Suspend {
            held: HandleFields {
                execution: number,
                attempt_index: AttemptIndex::new(0),
                fence: Some(fence),
                lane,
                instance,
            },
            suspension: SuspensionId::from_uuid(Uuid::from_u128(5)),
            waitpoint: pending.clone(),
            key: None,
            extras: Vec::new(),
            terms: Arc::new(terms),
            reason: SuspensionReasonCode::WaitingForSignal,
            requested_by: SuspensionRequester::Worker,
            timeout_at: None,
            continuation: None,
            idempotency_key: None,
            dedup_ttl_ms: 0,
        };
        let Ok(Done::Suspended(done)) = suspend_execution(&mut store, NOW, &args) else { panic!("refused") };
        assert!(done.already_satisfied);
        let found = store.execution(number).unwrap();
        assert_eq!(found.core.vector.attempt_state, AttemptState::RunningAttempt);
        assert!(found.suspension.is_none() && found.waitpoints.is_empty());
        let waitpoint = store.waitpoint(partition, &pending).unwrap();
        let condition = waitpoint.condition.as_ref().unwrap();
        assert_eq!((waitpoint.state, condition.closed), (WaitpointState::Closed, false));
        assert_eq!(condition.matchers[0].signal.as_ref(), Some(&signal));
    }
}
