//! The worker registry's keys: an alive key with a time to live, a capability hash, an index.
//!
//! Expiry here never touches leases or grants; it only decides who counts as registered.

use std::collections::BTreeMap;

use ff_core::types::TimestampMs;

use crate::intern::{InstanceNo, NamespaceNo, WorkerNo};
use crate::time::ServerTime;

/// `ff:worker:<ns>:<instance>:caps` with both keys' expiry and the index's member.
#[derive(Clone, Debug)]
pub struct Registration {
    /// `worker_id`: the last registration's, silently replacing an earlier one.
    pub worker: WorkerNo,
    /// `lanes_csv`.
    pub lanes: String,
    /// `caps_csv`, as a list.
    pub capabilities: Vec<String>,
    /// `ttl_ms`.
    pub ttl_ms: u64,
    /// `registered_at_ms`, from the worker's clock, of the last registration.
    pub registered_at: TimestampMs,
    /// `last_heartbeat_ms`, from the worker's clock.
    pub last_heartbeat: TimestampMs,
    /// When the alive key expires; none once it was deleted.
    pub alive_until: Option<ServerTime>,
    /// When the capability hash expires; none once it was deleted.
    pub capabilities_until: Option<ServerTime>,
    /// Whether the namespace's index names the instance.
    pub indexed: bool,
}

impl Registration {
    /// Whether the alive key exists.
    pub fn is_alive(&self, now: ServerTime) -> bool {
        self.alive_until.is_some_and(|until| until >= now)
    }

    /// Whether the capability hash exists.
    pub fn has_capabilities(&self, now: ServerTime) -> bool {
        self.capabilities_until.is_some_and(|until| until >= now)
    }
}

impl Registration {
    /// Looks at the capability hash, which drops it once it has expired; tells whether it exists.
    pub(crate) fn look_at_capabilities(&mut self, now: ServerTime) -> bool {
        self.capabilities_until = self.capabilities_until.filter(|until| *until >= now);
        self.capabilities_until.is_some()
    }

    /// Looks at the alive key likewise.
    pub(crate) fn look_at_alive(&mut self, now: ServerTime) -> bool {
        self.alive_until = self.alive_until.filter(|until| *until >= now);
        self.alive_until.is_some()
    }
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

    pub(super) fn lapse(&mut self, now: ServerTime) {
        self.0.values_mut().for_each(|held| {
            held.look_at_capabilities(now);
            held.look_at_alive(now);
        });
    }

    pub(crate) fn get_mut(&mut self, namespace: NamespaceNo, instance: InstanceNo) -> Option<&mut Registration> {
        self.0.get_mut(&(namespace, instance))
    }

    /// The instances that a namespace's index names.
    pub fn indexed(&self, namespace: NamespaceNo) -> impl Iterator<Item = InstanceNo> + '_ {
        let named = self.0.iter().filter(move |((of, _), held)| *of == namespace && held.indexed);
        named.map(|((_, instance), _)| *instance)
    }

    /// The union of the capabilities of every indexed instance whose capability hash still exists.
    pub fn capabilities(&self, namespace: NamespaceNo, now: ServerTime) -> Vec<String> {
        let mut union: Vec<String> = self
            .0
            .iter()
            .filter(|((of, _), held)| *of == namespace && held.indexed && held.has_capabilities(now))
            .flat_map(|(_, registration)| registration.capabilities.iter().cloned())
            .collect();
        union.sort_unstable();
        union.dedup();
        union
    }
}
