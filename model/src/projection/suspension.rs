//! What parks an execution: its suspension, waitpoints, conditions, signals and composite keys, and the
//! partitions' secrets and pending waitpoints.

use std::collections::BTreeMap;

use ff_core::partition::{Partition, PartitionFamily};

use super::{Key, Keys, Type, Value, index_names, names};
use crate::intern::Interner;
use crate::store::{Execution, Fields, Store, SuspendDone};
use crate::time::ServerTime;

fn put(keys: &mut Keys, name: String, value: Value, expires_at: Option<ServerTime>) {
    let exists = match &value {
        Value::Hash(fields) => !fields.is_empty(),
        Value::Set(members) => !members.is_empty(),
        Value::Sorted(members) => !members.is_empty(),
        Value::Text(_) => true,
    };
    if exists {
        keys.insert(name, Key { value, expires_at });
    }
}

fn hash(fields: Fields) -> Value {
    Value::Hash(fields.into_iter().collect())
}

/// What `HGET outcome` gives: parts joined by tabs (`ff_suspend_execution`).
fn outcome(done: &SuspendDone) -> String {
    let SuspendDone { suspension, waitpoint, waitpoint_key, token, extras, already_satisfied } = done;
    let status = if *already_satisfied { "ALREADY_SATISFIED" } else { "OK" };
    let mut text = format!("{status}\t{suspension}\t{waitpoint}\t{waitpoint_key}\t{token}\t{}", extras.len());
    for (id, key, token) in extras {
        text.push_str(&format!("\t{id}\t{key}\t{token}"));
    }
    text
}

/// Adds the keys of an execution.
pub(super) fn render(store: &Store, ids: &Interner, found: &Execution, keys: &mut Keys) {
    let names = names(ids, found.number);
    if let Some(current) = &found.suspension {
        put(keys, names.suspension_current(), hash(current.fields(&found.name)), None);
    }
    put(keys, names.waitpoints(), Value::Set(found.waitpoints.iter().map(ToString::to_string).collect()), None);
    let signals: BTreeMap<_, _> = found.signals.iter().map(|(id, score)| (id.to_string(), *score)).collect();
    put(keys, names.exec_signals(), Value::Sorted(signals), None);
    if let Some(composite) = &found.composite {
        put(keys, names.suspension_satisfied_set(), Value::Set(composite.satisfied.clone()), None);
        let signals = composite.signals.iter().map(ToString::to_string).collect();
        put(keys, format!("{}:signals", names.suspension_satisfied_set()), Value::Set(signals), None);
        put(keys, names.suspension_member_map(), Value::Hash(composite.members.clone()), None);
    }
    for (key, until, done) in &found.suspend_done {
        let value = Value::Hash([("outcome".to_owned(), outcome(done))].into());
        put(keys, names.suspend_dedup(key), value, Some(*until));
    }
    for waitpoint in store.waitpoints_of(found) {
        put(keys, names.waitpoint(&waitpoint.id), hash(waitpoint.fields(&found.name)), None);
        if let Some(condition) = &waitpoint.condition {
            put(keys, names.waitpoint_condition(&waitpoint.id), hash(condition.fields()), None);
        }
    }
    for (id, _) in &found.signals {
        let Some(record) = store.signal(found.partition, id) else { continue };
        put(keys, names.signal(id), hash(record.fields(id, ids.execution_name(record.execution))), None);
        if let Some(payload) = &record.payload {
            put(keys, names.signal_payload(id), Value::Text(payload.clone()), None);
        }
    }
}

/// Adds the keys of an execution that could exist to those to look for.
pub(super) fn possible(store: &Store, ids: &Interner, found: &Execution, keys: &mut Vec<(String, Type)>) {
    let names = names(ids, found.number);
    keys.extend([
        (names.suspension_current(), Type::Hash),
        (names.waitpoints(), Type::Set),
        (names.exec_signals(), Type::Sorted),
        (names.suspension_satisfied_set(), Type::Set),
        (names.suspension_member_map(), Type::Hash),
    ]);
    for waitpoint in store.waitpoints_of(found) {
        keys.push((names.waitpoint(&waitpoint.id), Type::Hash));
        keys.push((names.waitpoint_condition(&waitpoint.id), Type::Hash));
    }
    keys.extend(found.signals.iter().map(|(id, _)| (names.signal(id), Type::Hash)));
}

/// Adds what belongs to partitions: secrets, pending waitpoints, and what an expiry wrote under no id.
pub(super) fn render_partitions(store: &Store, partitions: u16, keys: &mut Keys) {
    for index in 0..partitions {
        let names = index_names(index);
        put(keys, names.waitpoint_hmac_secrets(), hash(store.secrets(index).fields()), None);
        let pending = store.pending_waitpoints(index).map(|(score, id)| (id.to_string(), score)).collect();
        put(keys, names.pending_waitpoint_expiry(), Value::Sorted(pending), None);
        let Some(stray) = store.stray(index) else { continue };
        let tag = Partition { family: PartitionFamily::Execution, index }.hash_tag();
        let closed = |reason: &str, more: &[(&str, &str)]| {
            let own = [("closed_at", stray.closed_at.to_string()), (reason, stray.reason.to_owned())];
            let more = more.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
            Value::Hash(own.into_iter().map(|(field, value)| (field.to_owned(), value)).chain(more).collect())
        };
        put(keys, format!("ff:wp:{tag}:"), closed("close_reason", &[("state", "closed")]), None);
        put(keys, format!("ff:wp:{tag}::condition"), closed("closed_reason", &[("closed", "1")]), None);
    }
}
