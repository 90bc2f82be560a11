//! Keys that belong to no execution: deduplication of creations and signals, and the worker registry.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::keys;
use ff_core::partition::{Partition, PartitionFamily};

use super::text::Fields;
use super::{Key, Keys, Value};
use crate::intern::Interner;
use crate::store::{Lives, Store};

/// Adds them all.
pub(super) fn render(store: &Store, ids: &Interner, keys: &mut Keys) {
    for ((partition, namespace, key), (number, until)) in store.idempotency_keys() {
        let tag = Partition { family: PartitionFamily::Execution, index: *partition }.hash_tag();
        let name = keys::idempotency_key(&tag, ids.namespace_id(*namespace).as_str(), key);
        let value = Value::Text(ids.execution_name(*number).as_bytes().to_vec());
        keys.insert(name, Key { value, expires_at: Some(*until) });
    }
    for ((partition, waitpoint, key), (signal, until)) in store.signal_keys() {
        let tag = Partition { family: PartitionFamily::Execution, index: *partition }.hash_tag();
        let value = Value::Text(signal.to_string().into_bytes());
        keys.insert(format!("ff:sigdedup:{tag}:{waitpoint}:{key}"), Key { value, expires_at: Some(*until) });
    }
    let mut indexes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (namespace, instance, registration) in store.registry().iter() {
        let (namespace, instance) = (ids.namespace_id(namespace), ids.instance_id(instance));
        let mut fields = Fields::default();
        fields
            .set("worker_id", ids.worker_id(registration.worker))
            .set("lanes_csv", &registration.lanes)
            .set("caps_csv", registration.capabilities.join(","))
            .set("ttl_ms", registration.ttl_ms)
            .set("registered_at_ms", registration.registered_at)
            .set("last_heartbeat_ms", registration.last_heartbeat);
        let names = (keys::worker_caps_key_ns(namespace, instance), keys::worker_alive_key_ns(namespace, instance));
        if registration.advertised != Lives::Gone {
            let value = Value::Hash(fields.done());
            keys.insert(names.0, Key { value, expires_at: registration.advertised.expires_at() });
        }
        if registration.alive != Lives::Gone {
            let value = Value::Text(b"1".to_vec());
            keys.insert(names.1, Key { value, expires_at: registration.alive.expires_at() });
        }
        if registration.indexed {
            indexes.entry(keys::workers_index_key_ns(namespace)).or_default().insert(instance.to_string());
        }
    }
    for (name, members) in indexes {
        keys.insert(name, Key { value: Value::Set(members), expires_at: None });
    }
}
