//! Flows and dependencies: cores, members, edges, groups, the partition's flow indexes, and each
//! execution's own dependency keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use ff_core::keys::{FlowIndexKeys, FlowKeyContext};
use ff_core::partition::{Partition, PartitionFamily};

use super::{Key, Keys, Value, names};
use crate::intern::Interner;
use crate::store::{Execution, Store};

/// A hash of these fields.
fn hash<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Value {
    Value::Hash(fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
}

fn put(keys: &mut Keys, name: String, value: Value) {
    let exists = match &value {
        Value::Hash(fields) => !fields.is_empty(),
        Value::Set(members) => !members.is_empty(),
        Value::Sorted(members) => !members.is_empty(),
        Value::Text(_) => true,
    };
    if exists {
        keys.insert(name, Key { value, expires_at: None });
    }
}

fn set(members: impl IntoIterator<Item = impl Display>) -> Value {
    Value::Set(members.into_iter().map(|member| member.to_string()).collect())
}

/// Adds an execution's own dependency keys.
pub(super) fn render_dependencies(ids: &Interner, found: &Execution, keys: &mut Keys) {
    let names = names(ids, found.number);
    let dependencies = &found.dependencies;
    if let Some(meta) = &dependencies.meta {
        put(keys, names.deps_meta(), hash(meta.fields()));
    }
    put(keys, names.deps_unresolved(), set(&dependencies.unresolved));
    put(keys, names.deps_all_edges(), set(dependencies.applied.iter().map(|applied| &applied.edge)));
    for applied in &dependencies.applied {
        let fields = applied.fields(found.number, |number| ids.execution_name(number).clone());
        put(keys, names.dep_edge(&applied.edge), hash(fields));
    }
}

/// Adds every flow's keys and the flow indexes.
pub(super) fn render(store: &Store, ids: &Interner, keys: &mut Keys) {
    let mut partitions = BTreeSet::new();
    let name = |number| ids.execution_name(number).clone();
    for flow in store.flows() {
        partitions.insert(flow.partition);
        let names = FlowKeyContext::new(&partition(flow.partition), &flow.id);
        if let Some(core) = &flow.core {
            put(keys, names.core(), hash(core.fields()));
        }
        put(keys, names.tags(), Value::Hash(flow.tags.clone()));
        put(keys, names.members(), set(flow.members.iter().map(|number| name(*number))));
        if let Some(summary) = &flow.summary {
            put(keys, names.summary(), Value::Hash(summary.fields().into_iter().collect()));
        }
        put(keys, names.pending_cancels(), set(flow.pending_cancels.iter().map(|number| name(*number))));
        for (upstream, edges) in &flow.outgoing {
            put(keys, names.outgoing(ids.execution_id(*upstream)), set(edges));
        }
        for (downstream, edges) in &flow.incoming {
            put(keys, names.incoming(ids.execution_id(*downstream)), set(edges));
        }
        for edge in &flow.edges {
            put(keys, names.edge(&edge.id), hash(edge.fields(name)));
        }
        for (downstream, group) in &flow.groups {
            put(keys, names.edgegroup(ids.execution_id(*downstream)), hash(group.fields(name)));
        }
    }
    for index in partitions {
        let Some(indexes) = store.flow_indexes(index) else { continue };
        let names = FlowIndexKeys::new(&partition(index));
        put(keys, names.flow_index(), set(&indexes.flow_index));
        let backlog: BTreeMap<_, _> =
            indexes.cancel_backlog.iter().map(|(flow, score)| (flow.to_string(), *score)).collect();
        put(keys, names.cancel_backlog(), Value::Sorted(backlog));
        let groups = indexes.pending_cancel_groups.iter().map(|(flow, number)| format!("{flow}|{}", name(*number)));
        put(keys, names.pending_cancel_groups(), set(groups));
    }
}

fn partition(index: u16) -> Partition {
    Partition { family: PartitionFamily::Flow, index }
}
