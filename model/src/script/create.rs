//! `ff_create_execution`.

use ff_core::policy::{CAPS_MAX_BYTES, CAPS_MAX_TOKENS};
use ff_core::state::{AttemptState, BlockingReason};
use ff_core::types::LeaseEpoch;

use super::{Answer, Refusal, vector};
use crate::deviation::Deviation;
use crate::message::{Create, Done};
use crate::number::Score;
use crate::store::{Attached, Core, Dependencies, Detail, Execution, IndexKey, Reasons, Store, Submission};
use crate::time::ServerTime;

/// How long a creation's idempotency key is kept; the policy's own window is ignored.
const IDEMPOTENCY_TTL_MS: u64 = 86_400_000;

/// Creates an execution, or answers which one already answers to its key or id.
///
/// The caller chose the index by sending a delay at all; the server's clock decides the state. A
/// delay already past therefore lands an eligible execution in the *delayed* index, from which the
/// promoter then removes it for good.
pub(super) fn create_execution(store: &mut Store, now: ServerTime, args: &Create) -> Answer {
    let namespace = args.submission.namespace;
    let key = args.idempotency_key.as_deref().filter(|key| !key.is_empty());
    let ignores = store.deviations().has(Deviation::BugCreateIgnoresKey);
    if let Some(key) = key.filter(|_| !ignores)
        && let Some(existing) = store.idempotent(args.partition, namespace, key, now)
    {
        return Ok(Done::DuplicateExecution(existing));
    }
    if store.execution(args.execution).is_some() {
        return Ok(Done::DuplicateExecution(args.execution));
    }
    let required = required_capabilities(&args.submission)?;
    let forgets = store.deviations().has(Deviation::BugCreateIgnoresDelay);
    let asked = args.delay_until.filter(|_| !forgets);
    let delayed = asked.filter(|until| ServerTime::trusting_caller(*until) > now);
    let state = match delayed {
        Some(_) => vector::delayed(BlockingReason::WaitingForDelay, AttemptState::PendingFirstAttempt),
        None => vector::eligible(AttemptState::PendingFirstAttempt),
    };
    let public_state = state.public_state;
    let lane = args.submission.lane;
    let core = Core {
        vector: state,
        detail: delayed.map_or(Detail::None, |until| Detail::Delayed(Score::at_ms(until.0))),
        priority: args.priority.clamp(0, 9000),
        created_at: now,
        total_attempt_count: 0,
        current_attempt_index: None,
        current_attempt_id: None,
        current_lease_id: None,
        current_lease_epoch: LeaseEpoch::new(0),
        current_worker: None,
        current_instance: None,
        current_lane: lane,
        retry_count: 0,
        replay_count: 0,
        lease_reclaim_count: 0,
        lease_acquired_at: None,
        lease_expires_at: None,
        lease_last_renewed_at: None,
        lease_renewal_deadline: None,
        lease_expired_at: None,
        lease_revoked_at: None,
        delay_until: delayed.map(|until| Score::at_ms(until.0)),
        current_suspension_id: None,
        current_waitpoint_id: None,
        pending_previous_attempt_index: None,
        started_at: None,
        completed_at: None,
        last_transition_at: now.to_wire(),
        last_mutation_at: now.to_wire(),
        last_capability_mismatch_at: None,
        last_hmac_validation_failed_at: None,
        progress_pct: None,
        progress_updated_at: None,
        flow: None,
    };
    let score = delayed.map_or_else(|| core.eligible_score(), |until| Score::at_ms(until.0));
    let follows_state = store.deviations().has(Deviation::FixCreateIndexFollowsState);
    let is_delayed = if follows_state { delayed.is_some() } else { asked.is_some() };
    let index = if is_delayed { IndexKey::Delayed(lane) } else { IndexKey::Eligible(lane) };
    store.create(Execution {
        number: args.execution,
        name: args.name.clone(),
        partition: args.partition,
        submission: Submission { required, ..args.submission.clone() },
        core,
        attempts: Vec::new(),
        lease: None,
        grant: None,
        suspension: None,
        suspend_done: Vec::new(),
        members: Vec::new(),
        signals: Vec::new(),
        waitpoints: Vec::new(),
        own_waitpoints: Vec::new(),
        composite: None,
        result: None,
        reasons: Reasons::default(),
        attached: Attached::default(),
        dependencies: Dependencies::default(),
        listed: true,
        purged: false,
    });
    store.add(args.execution, index, score);
    if let Some(deadline) = args.deadline_at {
        store.add(args.execution, IndexKey::ExecutionDeadline, Score::at_ms(deadline.0));
    }
    if let Some(key) = key {
        let until = now.plus_ms(IDEMPOTENCY_TTL_MS);
        store.remember_create(args.partition, namespace, key.to_owned(), args.execution, until);
    }
    Ok(Done::Created(public_state))
}

/// The policy's required capabilities, checked and sorted.
fn required_capabilities(submission: &Submission) -> Result<Vec<String>, Refusal> {
    let routing = submission.policy.as_ref().and_then(|policy| policy.routing_requirements.as_ref());
    let Some(routing) = routing else {
        return Ok(Vec::new());
    };
    let mut required = Vec::with_capacity(routing.required_capabilities.len());
    for token in &routing.required_capabilities {
        if token.is_empty() {
            return Err(Refusal::InvalidCapabilities("required:empty_token"));
        }
        if token.contains(',') {
            return Err(Refusal::InvalidCapabilities("required:comma_in_token"));
        }
        if token.bytes().any(|byte| byte <= 0x20 || byte == 0x7f) {
            return Err(Refusal::InvalidCapabilities("required:control_or_whitespace"));
        }
        required.push(token.clone());
    }
    if required.len() > CAPS_MAX_TOKENS {
        return Err(Refusal::InvalidCapabilities("required:too_many_tokens"));
    }
    required.sort_unstable();
    let bytes = required.iter().map(|token| token.len() + 1).sum::<usize>().saturating_sub(1);
    if bytes > CAPS_MAX_BYTES {
        return Err(Refusal::InvalidCapabilities("required:too_many_bytes"));
    }
    Ok(required)
}
