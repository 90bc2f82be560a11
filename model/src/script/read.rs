//! Plain commands: the reads that preludes and scanners send.

use crate::message::{CoreView, Described, FlowFound, FlowPlace, FlowRead, Message, Reply};
use crate::store::{Core, Execution, Store};
use crate::time::ServerTime;

pub(super) fn answer(store: &mut Store, now: ServerTime, message: &Message) -> Reply {
    match message {
        Message::Time => Reply::Time(now),
        Message::Core(no) => Reply::Core(store.execution(*no).map(|found| Box::new(view(found)))),
        Message::Context(no) => Reply::Context(store.execution(*no).map(|found| Box::new(found.submission.clone()))),
        Message::Description(no) => Reply::Description(store.execution(*no).map(|found| Box::new(describe(found)))),
        Message::Policy(no) => {
            let policy = store.execution(*no).and_then(|found| found.submission.policy.as_ref());
            Reply::RetryPolicy(policy.and_then(|policy| policy.retry_policy.clone()))
        }
        Message::Required(no) => {
            Reply::Required(store.execution(*no).map_or_else(Vec::new, |found| found.submission.required.clone()))
        }
        Message::Result(no) => Reply::Result(store.execution(*no).and_then(|found| found.result.clone())),
        Message::Range { partition, key, up_to_ms, limit } => {
            let due = store.range(*partition, *key).take_while(|(score, _)| up_to_ms.is_none_or(|ms| score.is_due(ms)));
            Reply::Members(due.take(*limit as usize).collect())
        }
        Message::RegisteredCapabilities(namespace) => {
            Reply::Capabilities(store.registry().capabilities(*namespace, now))
        }
        Message::Script(_) | Message::Command(_) => unreachable!("run elsewhere"),
        Message::Flow(read) => Reply::Flow(look_up(store, read)),
        parked => super::parked::answer(store, parked),
    }
}

fn look_up(store: &Store, read: &FlowRead) -> FlowFound {
    let flow = |place: &FlowPlace| store.flow(place.partition, &place.flow);
    match read {
        FlowRead::Cores(partition, flows) => {
            let core = |id| store.flow(*partition, id).and_then(|flow| flow.core.clone());
            FlowFound::Cores(flows.iter().map(core).collect())
        }
        FlowRead::Members(place) => {
            FlowFound::Executions(flow(place).map_or_else(Vec::new, |flow| flow.members.clone()))
        }
        FlowRead::Outgoing(place, no) => {
            FlowFound::EdgeIds(flow(place).map_or_else(Vec::new, |flow| flow.outgoing(*no).to_vec()))
        }
        FlowRead::Incoming(place, no) => {
            FlowFound::EdgeIds(flow(place).map_or_else(Vec::new, |flow| flow.incoming(*no).to_vec()))
        }
        FlowRead::Edges(place, edges) => {
            FlowFound::Edges(edges.iter().map(|id| flow(place).and_then(|flow| flow.edge(id)).cloned()).collect())
        }
        FlowRead::Group(place, no) => {
            FlowFound::Group(flow(place).and_then(|flow| flow.groups.get(no)).cloned().map(Box::new))
        }
        FlowRead::Tag(place, key) => FlowFound::Tag(flow(place).and_then(|flow| flow.tags.get(key)).cloned()),
        FlowRead::Index(partition) => {
            FlowFound::Flows(store.flow_indexes(*partition).map_or_else(Vec::new, |indexes| indexes.flow_index.clone()))
        }
        FlowRead::Dependencies(place) => {
            let found = store.execution(place.execution).filter(|found| found.partition == place.partition);
            FlowFound::Dependencies(found.and_then(|found| found.dependencies.meta.clone()))
        }
        FlowRead::Unresolved(place) => {
            let found = store.execution(place.execution).filter(|found| found.partition == place.partition);
            FlowFound::EdgeIds(found.map_or_else(Vec::new, |found| found.dependencies.unresolved.clone()))
        }
        FlowRead::Upstream(place, edge) => {
            let found = store.execution(place.execution).filter(|found| found.partition == place.partition);
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
