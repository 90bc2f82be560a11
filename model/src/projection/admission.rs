//! Budgets and quotas: definitions, limits, usage, spenders, windows, guards, counters and indexes.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::keys::{
    BudgetKeyContext, QuotaKeyContext, budget_policies_index, budget_resets_key, quota_policies_index, usage_dedup_key,
};
use ff_core::partition::{Partition, PartitionFamily};
use ff_core::types::{BudgetId, QuotaPolicyId};

use super::{Key, Keys, Value};
use crate::intern::Interner;
use crate::number::Score;
use crate::store::Store;
use crate::time::ServerTime;

fn put(keys: &mut Keys, name: String, value: Value, expires_at: Option<ServerTime>) {
    keys.insert(name, Key { value, expires_at });
}

fn hash(keys: &mut Keys, name: String, fields: &BTreeMap<String, String>) {
    if !fields.is_empty() {
        put(keys, name, Value::Hash(fields.clone()), None);
    }
}

fn set(keys: &mut Keys, name: String, members: BTreeSet<String>) {
    if !members.is_empty() {
        put(keys, name, Value::Set(members), None);
    }
}

/// Adds them all.
pub(super) fn render(store: &Store, ids: &Interner, keys: &mut Keys) {
    let name = |number| ids.execution_name(number).to_string();
    let mut partitions = BTreeSet::new();
    for (place, budget) in store.budgets().iter() {
        partitions.insert(place.partition);
        let names = BudgetKeyContext::new(
            &Partition { family: PartitionFamily::Budget, index: place.partition },
            &BudgetId::from_uuid(place.budget),
        );
        hash(keys, names.definition(), &budget.definition);
        hash(keys, names.limits(), &budget.limits);
        hash(keys, names.usage(), &budget.usage);
        for (number, spent) in &budget.by_execution {
            hash(keys, names.by_exec(&name(*number)), spent);
        }
        set(keys, names.by_exec_index(), budget.spenders.iter().map(|number| name(*number)).collect());
    }
    let mut resets: BTreeMap<u16, BTreeMap<String, Score>> = BTreeMap::new();
    for (place, score) in store.budgets().resets() {
        resets.entry(place.partition).or_default().insert(place.budget.to_string(), *score);
    }
    for (index, members) in resets {
        put(keys, budget_resets_key(&tag(PartitionFamily::Budget, index)), Value::Sorted(members), None);
    }
    for ((index, id), until) in store.budgets().applied() {
        let name = usage_dedup_key(&tag(PartitionFamily::Budget, *index), id);
        put(keys, name, Value::Text(b"1".to_vec()), Some(*until));
    }
    for index in partitions {
        let listed = store.budgets().policies(index).map(|id| id.to_string()).collect();
        set(keys, budget_policies_index(&tag(PartitionFamily::Budget, index)), listed);
    }
    let mut partitions = BTreeSet::new();
    for (place, quota) in store.quotas().iter() {
        partitions.insert(place.partition);
        let policy = QuotaPolicyId::from_uuid(place.policy);
        let names =
            QuotaKeyContext::new(&Partition { family: PartitionFamily::Quota, index: place.partition }, &policy);
        if let Some(definition) = &quota.definition {
            let fields = [
                ("quota_policy_id", policy.to_string()),
                ("requests_per_window_seconds", definition.window_seconds.to_string()),
                ("max_requests_per_window", definition.max_requests_per_window.to_string()),
                ("active_concurrency_cap", definition.max_concurrent.to_string()),
                ("created_at", definition.created_at.to_string()),
            ];
            hash(
                keys,
                names.definition(),
                &fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect(),
            );
        }
        for (dimension, window) in &quota.windows {
            let members: BTreeMap<_, _> = window.iter().map(|(number, score)| (name(*number), *score)).collect();
            if !members.is_empty() {
                put(keys, names.window(dimension), Value::Sorted(members), None);
            }
        }
        if let Some(count) = quota.concurrency {
            put(keys, names.concurrency(), Value::Text(count.to_string().into_bytes()), None);
        }
        for (number, until) in &quota.guards {
            put(keys, names.admitted(ids.execution_id(*number)), Value::Text(b"1".to_vec()), Some(*until));
        }
        set(keys, names.admitted_set(), quota.admitted.iter().map(|number| name(*number)).collect());
    }
    for index in partitions {
        let listed = store.quotas().policies(index).map(|id| id.to_string()).collect();
        set(keys, quota_policies_index(&tag(PartitionFamily::Quota, index)), listed);
    }
}

fn tag(family: PartitionFamily, index: u16) -> String {
    Partition { family, index }.hash_tag()
}
