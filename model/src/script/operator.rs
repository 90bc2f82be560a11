//! `ff_issue_grant_and_claim` and `ff_set_execution_tags`: what an operator does without a worker.

use ff_core::state::{
    AttemptLifecycle, AttemptState, AttemptType, EligibilityState, LifecyclePhase, OwnershipState, TerminalOutcome,
};

use super::{Answer, Refusal, claim};
use crate::intern::ExecutionNo;
use crate::message::{Done, IssueGrantAndClaim, NewLease};
use crate::store::{Core, IndexKey, Stamp, Store};
use crate::time::ServerTime;

/// Takes a lease in one step, continuing an interrupted attempt or starting a new one.
///
/// The grant lives within the script only and is not seen from outside. Capabilities are not compared.
/// An interrupted attempt is continued wherever the execution is: neither its eligibility nor an index
/// is looked at, the index that it was in keeps it unless that is the eligible one of the named lane,
/// and a due time stays recorded.
pub(super) fn issue_grant_and_claim(store: &mut Store, now: ServerTime, args: &IssueGrantAndClaim) -> Answer {
    let taker = &args.taker;
    let number = taker.execution;
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let state = &found.core.vector;
    if state.lifecycle_phase != LifecyclePhase::Runnable {
        return Err(Refusal::ExecutionNotEligible);
    }
    if state.ownership_state != OwnershipState::Unowned {
        return Err(Refusal::LeaseConflict);
    }
    if state.terminal_outcome != TerminalOutcome::None {
        return Err(Refusal::ExecutionNotEligible);
    }
    if state.attempt_state == AttemptState::RunningAttempt {
        return Err(Refusal::ActiveAttemptExists);
    }
    if found.grant.is_some() {
        return Err(Refusal::GrantAlreadyExists);
    }
    if state.attempt_state == AttemptState::AttemptInterrupted {
        let (Some(attempt_id), Some(attempt_index)) =
            (found.core.current_attempt_id.clone(), found.core.current_attempt_index)
        else {
            return Err(Refusal::RuntimeError("an interrupted attempt without identity"));
        };
        let fence = claim::install_lease(store, now, taker, attempt_id, Core::clear_marks);
        store.write_attempt(number, attempt_index, |attempt| {
            attempt.state = AttemptLifecycle::Started;
            attempt.lease_epoch = Some(fence.lease_epoch);
            attempt.instance = Some(taker.instance);
            attempt.suspended_at = Stamp::Empty;
            attempt.suspension_id = Some(String::new());
        });
        store.remove(number, IndexKey::Eligible(taker.lane));
        let expires_at = now.plus_ms(taker.ttl_ms);
        return Ok(Done::Leased(Box::new(NewLease { fence, expires_at, attempt_index, attempt_type: None })));
    }
    if found.score_in(IndexKey::Eligible(taker.lane)).is_none() {
        return Err(Refusal::ExecutionNotInEligibleSet);
    }
    if state.eligibility_state != EligibilityState::EligibleNow {
        return Err(Refusal::ExecutionNotEligible);
    }
    let kind = match state.attempt_state {
        AttemptState::PendingRetryAttempt => AttemptType::Retry,
        AttemptState::PendingReplayAttempt => AttemptType::Replay,
        _ => AttemptType::Initial,
    };
    let previous = found.core.pending_previous_attempt_index;
    let lease = claim::start_attempt(store, now, taker, args.attempt_id.clone(), kind, previous, |core| {
        if core.started_at.is_none() {
            core.started_at = Some(now);
        }
        core.pending_previous_attempt_index = None;
    });
    store.write_reasons(number, |reasons| reasons.pending_retry = None);
    store.remove(number, IndexKey::Eligible(taker.lane));
    Ok(Done::Leased(Box::new(lease)))
}

/// Adds tags or replaces them. Their keys were checked by the client, more strictly than here.
pub(super) fn set_execution_tags(
    store: &mut Store,
    now: ServerTime,
    number: ExecutionNo,
    tags: &[(String, String)],
) -> Answer {
    store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    store.write_tags(number, tags);
    store.edit(number, |core| core.last_mutation_at = now.to_wire());
    Ok(Done::Tagged(tags.len() as u32))
}
