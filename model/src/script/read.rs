//! Plain commands: the reads that preludes and scanners send, of executions, indexes and flows.

use ff_core::policy::RetryPolicy;

use super::at;
use crate::intern::ExecutionNo;
use crate::message::{CoreView, Described, FlowFound, FlowPlace, FlowRead};
use crate::number::Score;
use crate::store::{Core, Execution, IndexKey, Store, Submission};

pub(super) fn core(store: &Store, number: ExecutionNo) -> Option<Box<CoreView>> {
    store.execution(number).map(|found| Box::new(view(found)))
}

pub(super) fn context(store: &Store, number: ExecutionNo) -> Option<Box<Submission>> {
    store.execution(number).map(|found| Box::new(found.submission.clone()))
}

pub(super) fn description(store: &Store, number: ExecutionNo) -> Option<Box<Described>> {
    store.execution(number).map(|found| Box::new(describe(found)))
}

pub(super) fn retry_policy(store: &Store, number: ExecutionNo) -> Option<RetryPolicy> {
    store.execution(number)?.submission.policy.as_ref()?.retry_policy.clone()
}

pub(super) fn required(store: &Store, number: ExecutionNo) -> Vec<String> {
    store.execution(number).map_or_else(Vec::new, |found| found.submission.required.clone())
}

pub(super) fn result(store: &Store, number: ExecutionNo) -> Option<Vec<u8>> {
    store.execution(number)?.result.clone()
}

pub(super) fn range(
    store: &Store,
    partition: u16,
    key: IndexKey,
    up_to_ms: Option<i64>,
    limit: u32,
) -> Vec<(Score, ExecutionNo)> {
    let early = key.is_listed_early_by().is_some_and(|bug| store.deviations().has(bug));
    let up_to_ms = up_to_ms.filter(|_| !early);
    let due = store.range(partition, key).take_while(|(score, _)| up_to_ms.is_none_or(|ms| score.is_due(ms)));
    due.take(limit as usize).collect()
}

pub(super) fn flow(store: &Store, read: &FlowRead) -> FlowFound {
    let flow = |place: &FlowPlace| store.flow(place.partition, &place.flow);
    match read {
        FlowRead::Cores(partition, flows) => {
            let core = |id| store.flow(*partition, id).and_then(|flow| flow.core.clone());
            FlowFound::Cores(flows.iter().map(core).collect())
        }
        FlowRead::Members(place) => {
            FlowFound::Executions(flow(place).map_or_else(Vec::new, |flow| flow.members.clone()))
        }
        FlowRead::Outgoing(place, number) => {
            FlowFound::EdgeIds(flow(place).map_or_else(Vec::new, |flow| flow.outgoing(*number).to_vec()))
        }
        FlowRead::Incoming(place, number) => {
            FlowFound::EdgeIds(flow(place).map_or_else(Vec::new, |flow| flow.incoming(*number).to_vec()))
        }
        FlowRead::Edges(place, edges) => {
            FlowFound::Edges(edges.iter().map(|id| flow(place).and_then(|flow| flow.edge(id)).cloned()).collect())
        }
        FlowRead::Group(place, number) => {
            FlowFound::Group(flow(place).and_then(|flow| flow.groups.get(number)).cloned().map(Box::new))
        }
        FlowRead::Tag(place, key) => FlowFound::Tag(flow(place).and_then(|flow| flow.tags.get(key)).cloned()),
        FlowRead::Index(partition) => {
            FlowFound::Flows(store.flow_indexes(*partition).map_or_else(Vec::new, |indexes| indexes.flow_index.clone()))
        }
        FlowRead::Dependencies(place) => {
            let found = at(store, *place);
            FlowFound::Dependencies(found.and_then(|found| found.dependencies.meta.clone()))
        }
        FlowRead::Unresolved(place) => {
            let found = at(store, *place);
            FlowFound::EdgeIds(found.map_or_else(Vec::new, |found| found.dependencies.unresolved.clone()))
        }
        FlowRead::Upstream(place, edge) => {
            let found = at(store, *place);
            let upstream = found.and_then(|found| found.dependencies.of(edge)).map(|applied| applied.upstream);
            FlowFound::Executions(upstream.into_iter().collect())
        }
        FlowRead::CancelBacklog { partition, up_to_ms, limit } => {
            let backlog = store.flow_indexes(*partition).map_or(&[][..], |indexes| &indexes.cancel_backlog);
            let mut due: Vec<_> = backlog.iter().filter(|(_, score)| score.is_due(*up_to_ms)).collect();
            // Equal scores are in order of their members' texts, as ids are.
            due.sort_by_key(|(flow, score)| (score.order_key(), flow.0));
            FlowFound::Flows(due.into_iter().map(|(flow, _)| flow.clone()).take(*limit as usize).collect())
        }
        FlowRead::PendingCancels(place) => {
            FlowFound::Executions(flow(place).map_or_else(Vec::new, |flow| flow.pending_cancels.clone()))
        }
        FlowRead::PendingGroups(partition) => {
            let indexes = store.flow_indexes(*partition);
            FlowFound::Groups(indexes.map_or_else(Vec::new, |indexes| indexes.pending_cancel_groups.clone()))
        }
    }
}

fn view(found: &Execution) -> CoreView {
    let Core { vector, total_attempt_count, .. } = &found.core;
    CoreView {
        lane: found.submission.lane,
        namespace: found.submission.namespace,
        public_state: vector.public_state,
        blocking_reason: vector.blocking_reason,
        terminal_outcome: vector.terminal_outcome,
        total_attempt_count: *total_attempt_count,
        attempt_index: found.core.current_attempt_index,
        waitpoint: found.core.current_waitpoint_id.clone(),
        instance: found.core.current_instance,
        lease_id: found.core.current_lease_id.clone(),
        lease_epoch: found.core.current_lease_epoch,
        flow: found.core.flow.clone(),
    }
}

fn describe(found: &Execution) -> Described {
    let core = &found.core;
    Described {
        core: view(found),
        blocking_detail: found.blocking_detail(),
        attempt_id: core.current_attempt_id.clone(),
        lease_expires_at: core.lease_expires_at,
        lease_last_renewed_at: core.lease_last_renewed_at,
        created_at: core.created_at,
        last_mutation_at: core.last_mutation_at,
        tags: found.submission.tags.clone(),
    }
}
