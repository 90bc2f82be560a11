//! The worker registry's keys: an alive key with a time to live, a capability hash, an index.
//!
//! Expiry here never touches leases or grants; it only decides who counts as registered.

use std::collections::BTreeMap;

use ff_core::types::TimestampMs;

use crate::intern::{InstanceNo, NamespaceNo, WorkerNo};
use crate::time::ServerTime;

/// `ff:worker:<ns>:<instance>:caps` with both keys' expiry.
#[derive(Clone, Debug)]
pub struct Registration {
    /// `worker_id`: the last registration's, silently replacing an earlier one.
    pub worker: WorkerNo,
    /// `caps_csv`, as a list.
    pub capabilities: Vec<String>,
    /// `ttl_ms`.
    pub ttl_ms: u64,
    /// `last_heartbeat_ms`, from the worker's clock.
    pub last_heartbeat: TimestampMs,
    /// When the alive key expires.
    pub alive_until: ServerTime,
    /// When the capability hash expires.
    pub capabilities_until: ServerTime,
}

/// All registrations.
#[derive(Debug, Default)]
pub struct Registry(BTreeMap<(NamespaceNo, InstanceNo), Registration>);

impl Registry {
    /// The registration of an instance, expired or not.
    pub fn get(&self, namespace: NamespaceNo, instance: InstanceNo) -> Option<&Registration> {
        self.0.get(&(namespace, instance))
    }

    /// All registrations, expired or not.
    pub fn iter(&self) -> impl Iterator<Item = (NamespaceNo, InstanceNo, &Registration)> {
        self.0.iter().map(|((namespace, instance), registration)| (*namespace, *instance, registration))
    }

    pub(super) fn put(&mut self, namespace: NamespaceNo, instance: InstanceNo, registration: Registration) {
        self.0.insert((namespace, instance), registration);
    }

    /// The union of the capabilities of every indexed instance whose capability hash still exists.
    pub fn capabilities(&self, namespace: NamespaceNo, now: ServerTime) -> Vec<String> {
        let mut union: Vec<String> = self
            .0
            .iter()
            .filter(|((of, _), registration)| *of == namespace && registration.capabilities_until >= now)
            .flat_map(|(_, registration)| registration.capabilities.iter().cloned())
            .collect();
        union.sort_unstable();
        union.dedup();
        union
    }
}
