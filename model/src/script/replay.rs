//! `ff_replay_execution` of an execution that is not a skipped member of a flow.

use ff_core::state::{AttemptState, LifecyclePhase};

use super::{Answer, Refusal, vector};
use crate::intern::{ExecutionNo, LaneNo};
use crate::message::Done;
use crate::store::{Detail, IndexKey, Store};
use crate::time::ServerTime;

/// Makes a terminal execution runnable again; the next claim starts a new attempt.
///
/// Counters, epoch, attempt, result, revocation mark and any grant stay as they are.
pub(super) fn replay_execution(store: &mut Store, now: ServerTime, no: ExecutionNo, lane: LaneNo) -> Answer {
    let found = store.visit(no, now).ok_or(Refusal::ExecutionNotFound)?;
    if found.core.vector.lifecycle_phase != LifecyclePhase::Terminal {
        return Err(Refusal::ExecutionNotTerminal);
    }
    let max = found.submission.policy.as_ref().map_or(10, |policy| policy.max_replay_count);
    if found.core.replay_count >= max {
        return Err(Refusal::MaxReplaysExhausted);
    }
    let score = found.core.eligible_score();
    store.edit(no, |core| {
        core.vector = vector::eligible(AttemptState::PendingReplayAttempt);
        core.detail = Detail::None;
        core.replay_count += 1;
        core.completed_at = None;
        core.stamp(now);
    });
    store.remove(no, IndexKey::Terminal(lane));
    store.add(no, IndexKey::Eligible(lane), score);
    Ok(Done::Ok("replayed"))
}
