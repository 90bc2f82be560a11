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
    /// The alive key.
    pub alive: Lives,
    /// The capability hash.
    pub advertised: Lives,
    /// Whether the namespace's index names the instance.
    pub indexed: bool,
}

impl Registration {
    /// A worker of which no key exists.
    pub(crate) fn of(worker: WorkerNo) -> Self {
        Self {
            worker,
            lanes: String::new(),
            capabilities: Vec::new(),
            ttl_ms: 0,
            registered_at: TimestampMs(0),
            last_heartbeat: TimestampMs(0),
            alive: Lives::Gone,
            advertised: Lives::Gone,
            indexed: false,
        }
    }
}

/// Whether a key exists, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lives {
    /// It does not, or was deleted.
    Gone,
    /// To this time of the server's clock, that time included.
    Until(ServerTime),
    /// Until it is deleted.
    Always,
}

impl Lives {
    /// Whether the key exists now.
    pub fn on(self, now: ServerTime) -> bool {
        match self {
            Self::Gone => false,
            Self::Until(until) => until >= now,
            Self::Always => true,
        }
    }

    /// When it expires, where it does.
    pub const fn expires_at(self) -> Option<ServerTime> {
        match self {
            Self::Until(until) => Some(until),
            Self::Gone | Self::Always => None,
        }
    }

    /// A command looks at the key, which drops it once it has expired; tells whether it exists.
    pub(crate) fn look(&mut self, now: ServerTime) -> bool {
        if !self.on(now) {
            *self = Self::Gone;
        }
        *self != Self::Gone
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
            held.advertised.look(now);
            held.alive.look(now);
        });
    }

    pub(crate) fn get_mut(&mut self, namespace: NamespaceNo, instance: InstanceNo) -> Option<&mut Registration> {
        self.0.get_mut(&(namespace, instance))
    }

    pub(crate) fn entry(
        &mut self,
        namespace: NamespaceNo,
        instance: InstanceNo,
        worker: WorkerNo,
    ) -> &mut Registration {
        self.0.entry((namespace, instance)).or_insert_with(|| Registration::of(worker))
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
            .filter(|((of, _), held)| *of == namespace && held.indexed && held.advertised.on(now))
            .flat_map(|(_, registration)| registration.capabilities.iter().cloned())
            .collect();
        union.sort_unstable();
        union.dedup();
        union
    }
}
