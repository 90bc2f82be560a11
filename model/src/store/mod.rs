//! Everything that the server holds, and the only ways to change it.
//!
//! A [`Store`] is driven by scripts, one at a time. Scripts read executions through shared
//! references and change them through the mutators here; each mutator notes its change, so that the
//! list of changes a script leaves behind cannot be incomplete. A store is never cloned or hashed.

mod admission;
mod budget;
mod change;
mod composite;
mod dependency;
mod detail;
mod document;
mod execution;
pub(crate) mod flow;
mod index;
mod parking;
mod pending;
mod quota;
mod random;
mod registry;
mod render;
mod retention;
mod secrets;
mod signal;
mod suspension;

pub use admission::Attached;
pub use budget::{Budget, BudgetPlace, Budgets, Hash};
pub use change::{Change, Changes};
pub use composite::{Composite, Offer};
pub use dependency::{Dependencies, Dependency, DependencyMeta, DependencyState};
pub use detail::Detail;
pub use execution::{Attempt, Core, Execution, Grant, Holder, Lease, Reasons, Submission};
pub use flow::{COUNTED, Edge, EdgeGroup, Flow, FlowCancellation, FlowCore, FlowIndexes, FlowSummary, SUMMARY_SAMPLE};
pub use index::{IndexKey, Members};
pub use parking::Stray;
pub use quota::{Quota, QuotaDefinition, QuotaPlace, Quotas};
pub use random::Random;
pub use registry::{Lives, Registration, Registry};
pub use render::Fields;
pub use retention::Deleted;
pub use secrets::{Keystore, Kid, Rotation, TokenError};
pub use signal::{Entry, SignalRecord};
pub use suspension::{Condition, MatchMode, Matcher, Stamp, SuspendDone, Suspension, Terms, Waitpoint, WaitpointState};

use std::collections::BTreeMap;
use std::sync::Arc;

use ff_core::types::{AttemptIndex, SignalId, WaitpointId};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::deviation::{Deviation, Deviations};
use crate::intern::{ExecutionNo, InstanceNo, NamespaceNo};
use crate::number::Score;
use crate::time::ServerTime;
use crate::token::Secret;

/// The server's state.
#[derive(Debug)]
pub struct Store {
    executions: Vec<Option<Box<Execution>>>,
    remains: BTreeMap<ExecutionNo, Box<Execution>>,
    created: usize,
    indexes: index::Indexes,
    idempotency: HashMap<(u16, NamespaceNo, String), (ExecutionNo, ServerTime), FxBuildHasher>,
    waitpoints: HashMap<(u16, WaitpointId), Waitpoint, FxBuildHasher>,
    signal_done: HashMap<(u16, WaitpointId, String), (SignalId, ServerTime), FxBuildHasher>,
    signals: HashMap<(u16, SignalId), SignalRecord, FxBuildHasher>,
    strays: BTreeMap<u16, Stray>,
    pending: pending::PendingExpiry,
    registry: Registry,
    secrets: secrets::Secrets,
    deviations: Deviations,
    changes: Changes,
    admission: admission::Admission,
    flows: flow::Flows,
}

impl Store {
    /// An empty server with one waitpoint secret, as a deployment has after its initialisation.
    pub fn new(secret: Secret, deviations: Deviations) -> Self {
        Self::over(Keystore::seeded(&secret), deviations)
    }

    fn over(keystore: Keystore, deviations: Deviations) -> Self {
        Self {
            executions: Vec::new(),
            remains: BTreeMap::new(),
            created: 0,
            indexes: index::Indexes::default(),
            idempotency: HashMap::default(),
            waitpoints: HashMap::default(),
            signal_done: HashMap::default(),
            signals: HashMap::default(),
            strays: BTreeMap::new(),
            pending: pending::PendingExpiry::default(),
            registry: Registry::default(),
            secrets: secrets::Secrets::new(keystore),
            deviations,
            changes: Changes::default(),
            admission: admission::Admission::default(),
            flows: flow::Flows::default(),
        }
    }

    /// The switches that this server runs with.
    pub fn deviations(&self) -> Deviations {
        self.deviations
    }

    /// The changes since [`Self::forget_changes`].
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Starts a new list of changes.
    pub fn forget_changes(&mut self) {
        self.changes.clear();
    }

    /// An execution, if it was created.
    pub fn execution(&self, number: ExecutionNo) -> Option<&Execution> {
        self.executions.get(number.index())?.as_deref()
    }

    /// All executions, in order of first mention.
    pub fn executions(&self) -> impl Iterator<Item = &Execution> {
        self.executions.iter().flatten().map(Box::as_ref)
    }

    /// How many executions were created.
    pub fn execution_count(&self) -> usize {
        self.created
    }

    /// An index's members by ascending score, then id.
    pub fn range(&self, partition: u16, key: IndexKey) -> Members<'_> {
        self.indexes.range(partition, key)
    }

    /// Every idempotency key with what it names and its expiry: partition, namespace, key.
    pub fn idempotency_keys(&self) -> impl Iterator<Item = (&(u16, NamespaceNo, String), &(ExecutionNo, ServerTime))> {
        self.idempotency.iter()
    }

    /// The execution that an idempotency key still names.
    pub fn idempotent(
        &self,
        partition: u16,
        namespace: NamespaceNo,
        key: &str,
        now: ServerTime,
    ) -> Option<ExecutionNo> {
        let (number, until) = self.idempotency.get(&(partition, namespace, key.to_owned()))?;
        (*until >= now).then_some(*number)
    }

    /// The signal that a deduplication key still names.
    pub fn signal_done(
        &self,
        partition: u16,
        waitpoint: &WaitpointId,
        key: &str,
        now: ServerTime,
    ) -> Option<&SignalId> {
        let (signal, until) = self.signal_done.get(&(partition, waitpoint.clone(), key.to_owned()))?;
        (*until >= now).then_some(signal)
    }

    /// Every signal's deduplication key with the signal and its expiry: partition, waitpoint, key.
    pub fn signal_keys(&self) -> impl Iterator<Item = (&(u16, WaitpointId, String), &(SignalId, ServerTime))> {
        self.signal_done.iter()
    }

    /// The worker registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    fn execution_mut(&mut self, number: ExecutionNo) -> &mut Execution {
        self.executions[number.index()].as_deref_mut().expect("a script changes only what it has read")
    }

    fn note(&mut self, number: ExecutionNo, change: Change) {
        self.changes.items.push((number, change));
    }

    /// Reads an execution's core as a script's `HGETALL` does, dropping a grant key that has expired.
    ///
    /// The server may drop an expired key at any moment from its expiry on; the model does it at
    /// the first visit.
    pub(crate) fn visit(&mut self, number: ExecutionNo, now: ServerTime) -> Option<&Execution> {
        let lapsed = match &self.execution(number)?.grant {
            Some(grant) => grant.expires_at < now,
            None => false,
        };
        if lapsed && let Some(grant) = self.execution_mut(number).grant.take() {
            self.note(number, Change::GrantLapsed(grant));
        }
        self.execution(number)
    }

    /// Drops the keys of an execution that are past their expiry, as a look at them does.
    pub fn lapse(&mut self, number: ExecutionNo, now: ServerTime) {
        self.visit(number, now);
        let Some(found) = self.executions.get_mut(number.index()).and_then(Option::as_deref_mut) else { return };
        if found.lease.as_ref().and_then(|lease| lease.key_expires_at).is_some_and(|expires| expires < now) {
            found.lease = None;
        }
    }

    /// Drops every key that is past its expiry.
    pub fn lapse_all(&mut self, now: ServerTime) {
        for position in 0..self.executions.len() {
            if let Some(number) = self.executions[position].as_ref().map(|found| found.number) {
                self.lapse(number, now);
            }
        }
        for found in self.executions.iter_mut().flatten().chain(self.remains.values_mut()) {
            found.suspend_done.retain(|(_, until, _)| *until >= now);
        }
        self.idempotency.retain(|_, (_, until)| *until >= now);
        self.signal_done.retain(|_, (_, until)| *until >= now);
        self.registry.lapse(now);
        self.admission.lapse(now);
    }

    pub(crate) fn create(&mut self, mut execution: Execution) {
        let number = execution.number;
        self.take_over(&mut execution);
        if self.executions.len() <= number.index() {
            self.executions.resize_with(number.index() + 1, || None);
        }
        self.executions[number.index()] = Some(Box::new(execution));
        self.created += 1;
        self.note(number, Change::Created);
    }

    pub(crate) fn edit(&mut self, number: ExecutionNo, write: impl FnOnce(&mut Core)) {
        let core = &mut self.execution_mut(number).core;
        let before = core.clone();
        write(core);
        let after = core.clone();
        let position = self.changes.cores.len();
        self.changes.cores.push((before, after));
        self.note(number, Change::Core(position));
    }

    /// `ZADD` or `SADD`.
    pub(crate) fn add(&mut self, number: ExecutionNo, key: IndexKey, score: Score) {
        if matches!(key, IndexKey::Delayed(_)) && self.deviations.has(Deviation::BugForgetsDelayedIndex) {
            return;
        }
        let execution = self.executions[number.index()].as_deref_mut().expect("a script changes only what it has read");
        let before = match execution.members.iter_mut().find(|(held, _)| *held == key) {
            Some((_, held)) => Some(std::mem::replace(held, score)),
            None => {
                execution.members.push((key, score));
                None
            }
        };
        if before == Some(score) {
            return;
        }
        if let Some(before) = before {
            self.indexes.remove(execution.partition, key, before, &execution.name);
        }
        self.indexes.insert(execution.partition, key, score, &execution.name, number);
        self.note(number, Change::Member { key, before, after: Some(score) });
    }

    /// `ZREM` or `SREM`; nothing where it is no member. An index can hold an execution whose core is gone.
    pub(crate) fn remove(&mut self, number: ExecutionNo, key: IndexKey) {
        if key.is_kept_by().is_some_and(|bug| self.deviations.has(bug)) {
            return;
        }
        let Some(execution) = retention::held_mut(&mut self.executions, &mut self.remains, number) else { return };
        let Some(position) = execution.members.iter().position(|(held, _)| *held == key) else {
            return;
        };
        let (_, before) = execution.members.swap_remove(position);
        self.indexes.remove(execution.partition, key, before, &execution.name);
        self.bury(number);
        self.note(number, Change::Member { key, before: Some(before), after: None });
    }

    /// `HSET` on an attempt record, creating it where the index names none.
    pub(crate) fn write_attempt(&mut self, number: ExecutionNo, index: AttemptIndex, write: impl FnOnce(&mut Attempt)) {
        let attempts = &mut self.execution_mut(number).attempts;
        let (position, before) = match attempts.iter().position(|attempt| attempt.index == index) {
            Some(position) => (position, Some(attempts[position].state)),
            None => {
                attempts.push(Attempt {
                    index,
                    id: None,
                    kind: None,
                    state: ff_core::state::AttemptLifecycle::Created,
                    lease_epoch: None,
                    instance: None,
                    previous: None,
                    ended_at: None,
                    suspended_at: Stamp::Absent,
                    suspension_id: None,
                    failure_reason: None,
                    failure_category: None,
                });
                (attempts.len() - 1, None)
            }
        };
        write(&mut attempts[position]);
        let after = attempts[position].state;
        self.note(number, Change::Attempt { index, before, after });
    }

    pub(crate) fn write_lease(&mut self, number: ExecutionNo, lease: Lease) {
        self.execution_mut(number).lease = Some(lease);
        self.note(number, Change::Lease);
    }

    /// `HSET` and `PEXPIREAT` on `lease:current` as a renewal does.
    pub(crate) fn extend_lease(&mut self, number: ExecutionNo, now: ServerTime, expires_at: ServerTime, grace_ms: u64) {
        let key_expires_at = expires_at.plus_ms(grace_ms);
        let lease = &mut self.execution_mut(number).lease;
        let held = lease.take().filter(|lease| lease.key_expires_at.is_none_or(|expires| expires >= now));
        let holder = held.and_then(|lease| lease.holder);
        // A key told to expire now is gone at once.
        if key_expires_at > now {
            *lease = Some(Lease { holder, expires_at, key_expires_at: Some(key_expires_at) });
        }
        self.note(number, Change::Lease);
    }

    pub(crate) fn delete_lease(&mut self, number: ExecutionNo) {
        if self.execution_mut(number).lease.take().is_some() {
            self.note(number, Change::Lease);
        }
    }

    pub(crate) fn issue_grant(&mut self, number: ExecutionNo, grant: Grant) {
        self.execution_mut(number).grant = Some(grant.clone());
        self.note(number, Change::GrantIssued(grant));
    }

    pub(crate) fn delete_grant(&mut self, number: ExecutionNo) {
        if let Some(grant) = self.execution_mut(number).grant.take() {
            self.note(number, Change::GrantDeleted(grant));
        }
    }

    pub(crate) fn remember_signal(
        &mut self,
        partition: u16,
        waitpoint: &WaitpointId,
        key: &str,
        signal: SignalId,
        until: ServerTime,
    ) {
        self.signal_done.insert((partition, waitpoint.clone(), key.to_owned()), (signal, until));
    }

    pub(crate) fn remember_create(
        &mut self,
        partition: u16,
        namespace: NamespaceNo,
        key: String,
        number: ExecutionNo,
        until: ServerTime,
    ) {
        self.idempotency.insert((partition, namespace, key), (number, until));
    }

    pub(crate) fn remember_suspend(&mut self, number: ExecutionNo, key: String, until: ServerTime, done: SuspendDone) {
        let remembered = &mut self.execution_mut(number).suspend_done;
        remembered.retain(|(held, _, _)| *held != key);
        remembered.push((key, until, done));
        self.note(number, Change::Note);
    }

    pub(crate) fn set_result(&mut self, number: ExecutionNo, payload: Vec<u8>) {
        self.execution_mut(number).result = Some(payload);
        self.note(number, Change::Result);
    }

    pub(crate) fn write_reasons(&mut self, number: ExecutionNo, write: impl FnOnce(&mut Reasons)) {
        write(&mut self.execution_mut(number).reasons);
        self.note(number, Change::Note);
    }

    pub(crate) fn register(&mut self, namespace: NamespaceNo, instance: InstanceNo, registration: Registration) {
        self.registry.put(namespace, instance, registration);
    }

    /// The shared name of an execution, or of what is left of one, for those who print it.
    pub fn name(&self, number: ExecutionNo) -> Option<&Arc<str>> {
        self.execution(number).or_else(|| self.left_of(number)).map(|execution| &execution.name)
    }
}
