//! `ff_move_to_waiting_children`: the holder steps back until its children are done.

use ff_core::state::{AttemptLifecycle, AttemptState};

use super::{Answer, Refusal, fence, vector};
use crate::message::{Done, HandleFields};
use crate::number::Score;
use crate::store::{Detail, IndexKey, Stamp, Store};
use crate::time::ServerTime;

/// Parks an execution among those that wait for dependencies; the attempt stays.
///
/// No dependency is looked at: without one, nothing will ever unblock it.
pub(super) fn wait_children(store: &mut Store, now: ServerTime, held: &HandleFields) -> Answer {
    let number = held.execution;
    store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let triple = fence::resolve(held, false)?;
    fence::validate(store, now, number, triple)?;
    store.edit(number, |core| {
        core.vector = vector::waiting_children(AttemptState::AttemptInterrupted);
        core.detail = Detail::Children;
        core.clear_lease();
        core.stamp(now);
    });
    store.write_attempt(number, held.attempt_index, |attempt| {
        attempt.state = AttemptLifecycle::Suspended;
        attempt.suspended_at = Stamp::At(now);
        attempt.suspension_id = Some("waiting_children".into());
    });
    fence::release(store, number, held.lane, held.instance);
    let created_at = store.execution(number).map_or(now, |found| found.core.created_at);
    store.add(number, IndexKey::BlockedDependencies(held.lane), Score::at_ms(created_at.ms()));
    Ok(Done::Ok("waiting_children"))
}
