//! `ff_create_pending_waitpoint` and `ff_close_waitpoint`.

use ff_core::state::{LifecyclePhase, OwnershipState};
use ff_core::types::WaitpointId;

use super::{Answer, Refusal, fence};
use crate::message::{CreateWaitpoint, Done, Place};
use crate::number::Score;
use crate::store::{Stamp, Store, Waitpoint, WaitpointState};
use crate::time::ServerTime;

/// Why the trait's call closes a waitpoint.
const NEVER_COMMITTED: &str = "never_committed";

/// Creates a waitpoint that a later suspend can use. No lease id, epoch or expiry is compared.
pub(super) fn create_pending_waitpoint(store: &mut Store, now: ServerTime, args: &CreateWaitpoint) -> Answer {
    let found = store.visit(args.execution, now).ok_or(Refusal::ExecutionNotFound)?;
    let (core, partition) = (&found.core, found.partition);
    if core.vector.lifecycle_phase != LifecyclePhase::Active {
        return Err(fence::not_active(core));
    }
    if core.vector.ownership_state != OwnershipState::Leased {
        return Err(Refusal::NoActiveLease);
    }
    if core.current_attempt_index != Some(args.attempt_index) {
        return Err(Refusal::StaleLease);
    }
    if store.waitpoint(partition, &args.waitpoint).is_some_and(|held| held.state != WaitpointState::Closed) {
        return Err(Refusal::WaitpointAlreadyExists);
    }
    let token = store.secrets(partition).mint(&args.waitpoint, &args.key, now)?;
    store.put_waitpoint(
        partition,
        Waitpoint {
            id: args.waitpoint.clone(),
            execution: args.execution,
            attempt_index: args.attempt_index,
            suspension: None,
            key: args.key.clone(),
            token: token.clone(),
            state: WaitpointState::Pending,
            created_at: now,
            activated_at: None,
            satisfied_at: Stamp::Empty,
            closed_at: Stamp::Empty,
            close_reason: Some(""),
            expires_at: Some(args.expires_at),
            signal_count: 0,
            matched_signal_count: 0,
            last_signal_at: None,
            condition: None,
            signals: Vec::new(),
        },
    );
    store.add_pending(partition, &args.waitpoint, Score::at_ms(args.expires_at.0));
    Ok(Done::WaitpointCreated(token))
}

/// Closes a pending or active waitpoint, due or not. Its condition and its suspension stay open.
pub(super) fn close_waitpoint(
    store: &mut Store,
    now: ServerTime,
    place: Place,
    waitpoint: Option<&WaitpointId>,
) -> Answer {
    let id = waitpoint.ok_or(Refusal::WaitpointNotFound)?;
    let held = store.waitpoint(place.partition, id).ok_or(Refusal::WaitpointNotFound)?;
    if held.state == WaitpointState::Closed {
        return Ok(Done::Ok("already_closed"));
    }
    let owner = held.execution;
    store.write_waitpoint(owner, place.partition, id, |waitpoint| waitpoint.close(now, NEVER_COMMITTED, false));
    store.remove_pending(place.partition, id);
    Ok(Done::Ok("closed"))
}
