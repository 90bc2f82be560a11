//! Plain commands around suspensions: what observers and listings read.

use std::collections::BTreeMap;

use ff_core::contracts::SuspensionReasonCode;
use ff_core::types::{SignalId, WaitpointId};

use crate::intern::{ExecutionNo, LaneNo};
use crate::message::{SuspensionView, WaitpointView};
use crate::number::Score;
use crate::store::{Condition, Execution, IndexKey, SignalRecord, Store, Waitpoint};

pub(super) fn suspension(store: &Store, number: ExecutionNo) -> Option<Box<SuspensionView>> {
    store.execution(number).and_then(view).map(Box::new)
}

pub(super) fn total_matchers(store: &Store, number: ExecutionNo, id: &WaitpointId) -> usize {
    total(waitpoint(store, number, id))
}

/// The signal that satisfied a matcher, where one did.
pub(super) fn matcher(store: &Store, number: ExecutionNo, id: &WaitpointId, index: usize) -> Option<SignalId> {
    let matcher = condition(waitpoint(store, number, id))?.matchers.get(index)?;
    matcher.signal.clone().filter(|_| matcher.satisfied)
}

pub(super) fn signals(store: &Store, number: ExecutionNo, ids: &[SignalId]) -> Vec<Option<SignalRecord>> {
    let partition = store.execution(number).map(|found| found.partition);
    ids.iter().map(|id| store.signal(partition?, id).cloned()).collect()
}

pub(super) fn token(store: &Store, partition: Option<u16>, id: &WaitpointId) -> Option<String> {
    store.waitpoint(partition?, id).map(|found| found.token.clone())
}

pub(super) fn waitpoints(store: &Store, number: ExecutionNo) -> Vec<WaitpointId> {
    store.execution(number).map_or_else(Vec::new, |found| found.waitpoints.clone())
}

pub(super) fn heads(store: &Store, number: ExecutionNo, ids: &[WaitpointId]) -> Vec<Option<WaitpointView>> {
    ids.iter().map(|id| waitpoint(store, number, id).map(head)).collect()
}

pub(super) fn matcher_names(store: &Store, number: ExecutionNo, ids: &[WaitpointId]) -> Vec<Vec<String>> {
    ids.iter().map(|id| names(waitpoint(store, number, id))).collect()
}

pub(super) fn suspended_lanes(store: &Store, partition: Option<u16>) -> Vec<LaneNo> {
    let mut lanes: Vec<_> = suspended(store, partition).keys().map(|(lane, _)| *lane).collect();
    lanes.dedup();
    lanes
}

pub(super) fn suspended_members(store: &Store, partition: u16, lanes: &[LaneNo]) -> Vec<(Score, ExecutionNo)> {
    let members = suspended(store, Some(partition)).into_iter();
    members.filter(|((lane, _), _)| lanes.contains(lane)).map(|((_, number), score)| (score, number)).collect()
}

pub(super) fn reasons(store: &Store, executions: &[ExecutionNo]) -> Vec<Option<SuspensionReasonCode>> {
    executions.iter().map(|number| Some(store.execution(*number)?.suspension.as_ref()?.reason)).collect()
}

pub(super) fn pending(store: &Store, partition: u16, up_to_ms: i64, limit: u32) -> Vec<WaitpointId> {
    let due = store.pending_waitpoints(partition).take_while(|(score, _)| score.is_due(up_to_ms));
    due.take(limit as usize).map(|(_, id)| id).collect()
}

pub(super) fn owner(store: &Store, partition: u16, id: &WaitpointId) -> Option<ExecutionNo> {
    store.waitpoint(partition, id).map(|found| found.execution)
}

fn waitpoint<'a>(store: &'a Store, number: ExecutionNo, id: &WaitpointId) -> Option<&'a Waitpoint> {
    store.waitpoint(store.execution(number)?.partition, id)
}

fn condition(found: Option<&Waitpoint>) -> Option<&Condition> {
    found?.condition.as_ref()
}

fn view(found: &Execution) -> Option<SuspensionView> {
    let suspension = found.suspension.as_ref()?;
    Some(SuspensionView {
        attempt_index: suspension.attempt_index,
        close_reason: suspension.close_reason,
        waitpoint: suspension.waitpoint.clone(),
        satisfiers: suspension.satisfiers.clone().unwrap_or_default(),
    })
}

fn total(found: Option<&Waitpoint>) -> usize {
    condition(found).map_or(0, |condition| condition.total)
}

fn head(found: &Waitpoint) -> WaitpointView {
    WaitpointView {
        state: found.state,
        key: found.key.clone(),
        token: found.token.clone(),
        created_at: found.created_at,
        activated_at: found.activated_at,
        expires_at: found.expires_at,
        total_matchers: total(Some(found)),
    }
}

fn names(found: Option<&Waitpoint>) -> Vec<String> {
    condition(found).map_or_else(Vec::new, |condition| {
        condition.matchers.iter().take(condition.total).map(|matcher| matcher.name.clone()).collect()
    })
}

/// Every lane's suspended members of a partition. No tree is kept for them, as only listings ask.
fn suspended(store: &Store, partition: Option<u16>) -> BTreeMap<(LaneNo, ExecutionNo), Score> {
    let of_partition = store.executions().filter(|found| Some(found.partition) == partition);
    let members =
        of_partition.flat_map(|found| found.members.iter().map(move |(key, score)| (found.number, *key, *score)));
    members
        .filter_map(|(number, key, score)| match key {
            IndexKey::Suspended(lane) => Some(((lane, number), score)),
            _ => None,
        })
        .collect()
}
