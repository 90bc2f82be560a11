//! The keys of one execution: core, what was submitted, attempts, lease, grant, suspension, waitpoints.

use std::collections::BTreeMap;

use ff_core::types::AttemptIndex;

use super::core::{CoreParts, core_fields};
use super::text::Fields;
use super::{Key, Keys, Type, Value, names};
use super::{flow, suspension};
use crate::intern::{ExecutionNo, Interner};
use crate::spelling::word;
use crate::store::{Attempt, Execution, Grant, Holder, Lease, Store};
use crate::time::ServerTime;

/// Adds every key of an execution.
pub(super) fn render(store: &Store, ids: &Interner, found: &Execution, keys: &mut Keys) {
    let core = Value::Hash(core(ids, found));
    keys.insert(names(ids, found.number).core(), Key { value: core, expires_at: None });
    render_beside(store, ids, found, keys);
}

/// Adds the keys of an execution that stand beside its core.
pub(super) fn render_beside(store: &Store, ids: &Interner, found: &Execution, keys: &mut Keys) {
    let names = names(ids, found.number);
    let mut put = |name: String, value: Value, expires_at: Option<ServerTime>| {
        keys.insert(name, Key { value, expires_at });
    };
    let submission = &found.submission;
    if !submission.payload.is_empty() {
        put(names.payload(), Value::Text(submission.payload.clone()), None);
    }
    if !submission.tags.is_empty() {
        put(names.tags(), Value::Hash(submission.tags.clone()), None);
    }
    if let Some(result) = &found.result {
        put(names.result(), Value::Text(result.clone()), None);
    }
    if let Some(held) = &found.lease {
        put(names.lease_current(), Value::Hash(lease(ids, found, held)), held.key_expires_at);
    }
    if let Some(granted) = &found.grant {
        put(names.claim_grant(), Value::Hash(grant(ids, granted)), Some(granted.expires_at));
    }
    for record in &found.attempts {
        put(names.attempt_hash(record.index), Value::Hash(attempt(ids, found, record)), None);
    }
    suspension::render(store, ids, found, keys);
    flow::render_dependencies(ids, found, keys);
}

/// The keys to look for; attempts one further than the model knows.
pub(super) fn possible(store: &Store, ids: &Interner, number: ExecutionNo) -> Vec<(String, Type)> {
    let names = names(ids, number);
    let mut keys = vec![
        (names.core(), Type::Hash),
        (names.payload(), Type::Text),
        (names.tags(), Type::Hash),
        (names.result(), Type::Text),
        (names.lease_current(), Type::ExpiringHash),
        (names.claim_grant(), Type::ExpiringHash),
    ];
    let Some(found) = store.execution(number) else { return keys };
    keys.extend([(names.deps_meta(), Type::Hash), (names.deps_unresolved(), Type::Set)]);
    keys.extend(found.dependencies.applied.iter().map(|applied| (names.dep_edge(&applied.edge), Type::Hash)));
    let next = found.attempts.iter().map(|attempt| attempt.index.0 + 1).max().unwrap_or(0);
    keys.extend((0..=next).map(|index| (names.attempt_hash(AttemptIndex::new(index)), Type::Hash)));
    suspension::possible(store, ids, found, &mut keys);
    keys
}

fn core(ids: &Interner, found: &Execution) -> BTreeMap<String, String> {
    let Execution { name, submission, core, reasons, attached, .. } = found;
    let blocking_detail = &found.blocking_detail();
    core_fields(ids, &CoreParts { name, submission, core, reasons, attached, blocking_detail })
}

fn lease(ids: &Interner, found: &Execution, lease: &Lease) -> BTreeMap<String, String> {
    let mut fields = Fields::default();
    fields.set("expires_at", lease.expires_at);
    if let Some(Holder { fence, worker, instance }) = &lease.holder {
        fields
            .set("lease_id", &fence.lease_id)
            .set("lease_epoch", fence.lease_epoch)
            .set("execution_id", &found.name)
            .set("attempt_id", &fence.attempt_id)
            .set("worker_id", ids.worker_id(*worker))
            .set("worker_instance_id", ids.instance_id(*instance));
    }
    fields.done()
}

fn grant(ids: &Interner, grant: &Grant) -> BTreeMap<String, String> {
    let mut fields = Fields::default();
    fields
        .set("worker_id", ids.worker_id(grant.worker))
        .set("worker_instance_id", ids.instance_id(grant.instance))
        .set("lane_id", ids.lane_id(grant.lane))
        .set("grant_expires_at", grant.expires_at);
    fields.done()
}

fn attempt(ids: &Interner, found: &Execution, attempt: &Attempt) -> BTreeMap<String, String> {
    let mut fields = Fields::default();
    fields.set("attempt_state", word(attempt.state)).if_some("ended_at", attempt.ended_at);
    if let Some(id) = &attempt.id {
        fields.set("attempt_id", id).set("execution_id", &found.name).set("attempt_index", attempt.index);
    }
    fields
        .if_some("attempt_type", attempt.kind.map(word))
        .if_some("lease_epoch", attempt.lease_epoch)
        .if_some("worker_instance_id", attempt.instance.map(|number| ids.instance_id(number)))
        .if_some("failure_reason", attempt.failure_reason.as_ref())
        .if_some("failure_category", attempt.failure_category.as_ref());
    if let Some(parked_by) = &attempt.suspension_id {
        fields.set("suspension_id", parked_by);
    }
    if let Some(suspended_at) = attempt.suspended_at.text() {
        fields.set("suspended_at", suspended_at);
    }
    fields.done()
}
