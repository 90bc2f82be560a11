//! `ff_change_priority`.

use ff_core::state::{EligibilityState, LifecyclePhase};

use super::{Answer, Refusal};
use crate::deviation::Deviation;
use crate::intern::{ExecutionNo, LaneNo};
use crate::message::Done;
use crate::store::{IndexKey, Store};
use crate::time::ServerTime;

/// Moves an eligible execution within its index; adds it where it was absent.
pub(super) fn change_priority(
    store: &mut Store,
    now: ServerTime,
    number: ExecutionNo,
    lane: LaneNo,
    priority: i32,
) -> Answer {
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    let vector = &found.core.vector;
    if vector.lifecycle_phase != LifecyclePhase::Runnable || vector.eligibility_state != EligibilityState::EligibleNow {
        return Err(Refusal::ExecutionNotEligible);
    }
    store.edit(number, |core| {
        core.priority = priority.clamp(0, 9000);
        core.last_mutation_at = now.to_wire();
    });
    let ignores = store.deviations().has(Deviation::BugIgnoresPriority);
    if let Some(score) = store.execution(number).map(|found| found.core.eligible_score()).filter(|_| !ignores) {
        store.add(number, IndexKey::Eligible(lane), score);
    }
    Ok(Done::Ok("changed"))
}
