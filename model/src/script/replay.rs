//! `ff_replay_execution`.

use ff_core::state::{AttemptState, LifecyclePhase, TerminalOutcome};
use ff_core::types::EdgeId;

use super::{Answer, Refusal, vector};
use crate::intern::{ExecutionNo, LaneNo};
use crate::message::Done;
use crate::number::Score;
use crate::store::flow::insert;
use crate::store::{DependencyState, Detail, IndexKey, Store};
use crate::time::ServerTime;

const REPLAYED: &str = "replayed";

/// Makes a terminal execution runnable again; the next claim starts a new attempt.
///
/// Counters, epoch, attempt, result, revocation mark and any grant stay as they are.
///
/// A skipped member of a flow waits for its dependencies again instead, of which the impossible ones are
/// open once more; how its edge group counted them stays too.
pub(super) fn replay_execution(
    store: &mut Store,
    now: ServerTime,
    number: ExecutionNo,
    lane: LaneNo,
    edges: Option<&[EdgeId]>,
) -> Answer {
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    if found.core.vector.lifecycle_phase != LifecyclePhase::Terminal {
        return Err(Refusal::ExecutionNotTerminal);
    }
    let max = found.submission.policy.as_ref().map_or(10, |policy| policy.max_replay_count);
    if found.core.replay_count >= max {
        return Err(Refusal::MaxReplaysExhausted);
    }
    if found.core.vector.terminal_outcome == TerminalOutcome::Skipped && found.core.flow.is_some() {
        // A caller that did not see it skipped sent none of the keys that are written now.
        let edges = edges.ok_or(Refusal::RuntimeError("Command arguments must be strings or integers"))?;
        return Ok(replay_skipped(store, now, number, lane, edges));
    }
    let score = found.core.eligible_score();
    store.edit(number, |core| {
        core.vector = vector::eligible(AttemptState::PendingReplayAttempt);
        core.detail = Detail::None;
        core.replay_count += 1;
        core.completed_at = None;
        core.stamp(now);
    });
    store.remove(number, IndexKey::Terminal(lane));
    store.add(number, IndexKey::Eligible(lane), score);
    Ok(Done::Count(REPLAYED, 0))
}

/// Counts what is unsatisfied among the flow's edges that the caller read, not among the execution's own.
fn replay_skipped(store: &mut Store, now: ServerTime, number: ExecutionNo, lane: LaneNo, edges: &[EdgeId]) -> Done {
    let unsatisfied = store.write_dependencies(number, |dependencies| {
        let mut unsatisfied = 0;
        for edge in edges {
            let applied = dependencies.applied.iter_mut().find(|dependency| dependency.edge == *edge);
            let Some(dependency) = applied.filter(|found| found.state != DependencyState::Satisfied) else { continue };
            unsatisfied += 1;
            if dependency.state == DependencyState::Impossible {
                dependency.state = DependencyState::Unsatisfied;
                dependency.last_resolved_at = None;
                insert(&mut dependencies.unresolved, edge.clone());
            }
        }
        if let Some(meta) = &mut dependencies.meta {
            meta.unsatisfied = unsatisfied;
            meta.impossible = Some(0);
            meta.updated_at = now.to_wire();
        }
        unsatisfied
    });
    store.edit(number, |core| {
        core.vector = vector::waiting_children(AttemptState::PendingReplayAttempt);
        core.detail = Detail::DependenciesAfterReplay(unsatisfied.unsigned_abs());
        core.replay_count += 1;
        core.completed_at = None;
        core.stamp(now);
    });
    store.remove(number, IndexKey::Terminal(lane));
    let created_at = store.execution(number).map_or(now, |found| found.core.created_at);
    store.add(number, IndexKey::BlockedDependencies(lane), Score::at_ms(created_at.ms()));
    Done::Count(REPLAYED, unsatisfied)
}
