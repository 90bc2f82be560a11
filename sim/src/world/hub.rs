//! Where parties and their world meet: waits on one side, outgoing things on the other.
//!
//! A party is ordinary async code. Each of its leaf futures registers a wait here and says what it
//! waits for; the world takes that from the outbox after every poll, turns it into events of its own
//! heap, and polls exactly the task whose wait an event has satisfied. Nothing else wakes anybody, so
//! no runtime's scheduling can reorder anything.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claimlab_model::backend::Method;
use claimlab_model::completion::SubscriptionNo;
use claimlab_model::deviation::Deviations;
use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::invariant::Invariant;
use ff_core::backend::CompletionPayload;
use ff_core::types::LeaseEpoch;
use uuid::Uuid;

use super::outgoing::{Broken, Outgoing};
use super::run::{RunBook, RunNo, Runs};
use super::subscription::{Completions, Subscriptions};
use super::wait::{Ended, WaitNo, Waits};
use crate::clock::{PartyClock, TrueTime, WorkerTime};
use crate::plan::PartyKey;
use crate::stream::{Extra, Purpose, Range, Stream};

/// A party's position in the world's tables.
pub type PartyNo = usize;
/// A task's position in the world's tables.
pub type TaskNo = u32;
/// A party's task.
pub type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One party as its own code sees it.
struct PartyState {
    key: PartyKey,
    clock: PartyClock,
    ids: Stream,
    jitter: Stream,
    calls: u64,
    /// Tasks at once; none for a party that needs no permit.
    capacity: Option<u32>,
    /// Executions that the party runs now.
    running: u32,
    seed: u64,
    /// Subscriptions begun so far.
    subscriptions: u16,
}

/// How often each method ended how.
pub type MethodCounts = Vec<Vec<(&'static str, u64)>>;

struct Inner {
    now: TrueTime,
    task: TaskNo,
    waits: Waits,
    out: Vec<Outgoing>,
    parties: Vec<PartyState>,
    counts: MethodCounts,
    recording: bool,
    runs: RunBook,
    permitted_calls: u64,
    saturated_calls: u64,
    /// How often each of the holders' own promises was looked at.
    looked: BTreeMap<Invariant, u64>,
    subscriptions: Subscriptions,
}

/// The meeting place of one world.
pub struct Hub {
    inner: Mutex<Inner>,
    ids: Mutex<Interner>,
    given: Mutex<VecDeque<Uuid>>,
    deviations: Deviations,
    /// One way between a party and the server.
    latency_us: Range,
    #[cfg(feature = "live")]
    unit: std::sync::OnceLock<crate::live::unit::Unit>,
    #[cfg(any(feature = "live", feature = "sdk"))]
    calls: std::sync::OnceLock<Arc<crate::call::log::CallLog>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// An empty meeting place.
    pub fn new(recording: bool, deviations: Deviations, latency_us: Range) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                now: TrueTime::default(),
                task: 0,
                waits: Waits::default(),
                out: Vec::new(),
                parties: Vec::new(),
                counts: vec![Vec::new(); Method::ALL.len()],
                recording,
                runs: RunBook::default(),
                permitted_calls: 0,
                saturated_calls: 0,
                looked: BTreeMap::new(),
                subscriptions: Subscriptions::default(),
            }),
            ids: Mutex::default(),
            given: Mutex::default(),
            deviations,
            latency_us,
            #[cfg(feature = "live")]
            unit: std::sync::OnceLock::new(),
            #[cfg(any(feature = "live", feature = "sdk"))]
            calls: std::sync::OnceLock::new(),
        })
    }

    /// Adds a party and gives its position.
    pub fn add_party(&self, seed: u64, key: PartyKey, clock: PartyClock, capacity: Option<u32>) -> PartyNo {
        let mut inner = lock(&self.inner);
        inner.parties.push(PartyState {
            key,
            clock,
            ids: Stream::new(seed, Purpose::Ids, u64::from(key.0)),
            jitter: Stream::new(seed, Purpose::Jitter, u64::from(key.0)),
            calls: 0,
            capacity,
            running: 0,
            seed,
            subscriptions: 0,
        });
        inner.parties.len() - 1
    }

    /// Changes a party's clock.
    pub fn set_clock(&self, party: PartyNo, change: impl FnOnce(&mut PartyClock)) {
        change(&mut lock(&self.inner).parties[party].clock);
    }

    /// A party's clock.
    pub fn clock(&self, party: PartyNo) -> PartyClock {
        lock(&self.inner).parties[party].clock
    }

    /// What a party's wall clock shows now.
    pub fn wall(&self, party: PartyNo) -> WorkerTime {
        let inner = lock(&self.inner);
        inner.parties[party].clock.at(inner.now)
    }

    /// What a party's own timer has counted since the world began.
    pub fn timer_us(&self, party: PartyNo) -> u64 {
        let inner = lock(&self.inner);
        inner.parties[party].clock.timer_us(inner.now)
    }

    /// The next ids that a client library mints, before fresh ones: those that another client minted.
    #[cfg(feature = "live")]
    pub fn give_ids(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut given = lock(&self.given);
        given.clear();
        given.extend(ids);
    }

    /// An id that a client library mints.
    pub fn mint(&self, party: PartyNo) -> Uuid {
        let given = lock(&self.given).pop_front();
        given.unwrap_or_else(|| self.uuid(party))
    }

    /// A fresh id from a party's own stream.
    pub fn uuid(&self, party: PartyNo) -> Uuid {
        lock(&self.inner).parties[party].ids.uuid()
    }

    /// A number below `bound` from a party's own stream.
    pub fn jitter(&self, party: PartyNo, bound: u64) -> u64 {
        lock(&self.inner).parties[party].jitter.below(bound)
    }

    /// Has every call noted.
    #[cfg(any(feature = "live", feature = "sdk"))]
    pub fn note_calls(&self, log: Arc<crate::call::log::CallLog>) {
        // A world has one log; it is given before anything happens.
        let _ = self.calls.set(log);
    }

    /// Where calls are noted, if they are.
    #[cfg(any(feature = "live", feature = "sdk"))]
    pub fn calls(&self) -> Option<&Arc<crate::call::log::CallLog>> {
        self.calls.get()
    }

    /// A party's key.
    pub fn key(&self, party: PartyNo) -> PartyKey {
        lock(&self.inner).parties[party].key
    }

    /// Lays a real server beside the model.
    #[cfg(feature = "live")]
    pub fn lay_beside(&self, unit: crate::live::unit::Unit) {
        // A world has one real side; it is given before anything happens.
        let _ = self.unit.set(unit);
    }

    /// What is compared with a real server, if anything is.
    #[cfg(feature = "live")]
    pub fn unit(&self) -> Option<&crate::live::unit::Unit> {
        self.unit.get()
    }

    /// The switches of this run.
    pub fn deviations(&self) -> Deviations {
        self.deviations
    }

    /// The ids of this run.
    pub fn ids(&self) -> MutexGuard<'_, Interner> {
        lock(&self.ids)
    }

    /// Registers a wait of the current task.
    pub(super) fn register(&self, outgoing: impl FnOnce(WaitNo) -> Outgoing) -> WaitNo {
        let mut inner = lock(&self.inner);
        let task = inner.task;
        let wait = inner.waits.add(task);
        let outgoing = outgoing(wait);
        inner.out.push(outgoing);
        wait
    }

    /// Ends a wait if it still stands; gives the task to poll.
    pub fn end(&self, no: WaitNo, ended: Ended) -> Option<TaskNo> {
        lock(&self.inner).waits.end(no, ended)
    }

    /// The task of a wait that still stands.
    pub fn waiting_task(&self, no: WaitNo) -> Option<TaskNo> {
        lock(&self.inner).waits.task(no)
    }

    /// What has ended a wait, which is none any more then.
    pub(super) fn take(&self, no: WaitNo) -> Option<Ended> {
        lock(&self.inner).waits.take(no)
    }

    /// Nobody waits any more.
    pub(super) fn forget(&self, no: WaitNo) {
        lock(&self.inner).waits.forget(no);
    }

    /// Sets the scene for polling a task.
    pub fn enter(&self, now: TrueTime, task: TaskNo) {
        let mut inner = lock(&self.inner);
        inner.now = now;
        inner.task = task;
    }

    /// Swaps what the polled task wants with an empty list.
    pub fn drain(&self, into: &mut Vec<Outgoing>) {
        std::mem::swap(&mut lock(&self.inner).out, into);
    }

    /// Puts something into the outbox of the current task's party.
    pub fn put(&self, outgoing: Outgoing) {
        lock(&self.inner).out.push(outgoing);
    }

    /// Notes that a party started to run an execution under a lease.
    pub fn run_started(&self, party: PartyNo, execution: ExecutionNo, epoch: LeaseEpoch) -> RunNo {
        let mut inner = lock(&self.inner);
        inner.parties[party].running += 1;
        inner.runs.start(execution, epoch)
    }

    /// Notes whether a party gives up the lease of its run by itself.
    pub fn run_ending(&self, run: RunNo, ending: bool) {
        lock(&self.inner).runs.ending(run, ending);
    }

    /// Whether a party gives up the lease of its run by itself.
    pub fn is_run_ending(&self, run: RunNo) -> bool {
        lock(&self.inner).runs.is_ending(run)
    }

    /// Notes whether a party calls the lease of its run healthy.
    pub fn run_doubted(&self, run: RunNo, doubts: bool) {
        let mut inner = lock(&self.inner);
        let now = inner.now;
        inner.runs.doubts(run, doubts, now);
    }

    /// Notes that a party stopped running an execution.
    pub fn run_ended(&self, party: PartyNo, run: RunNo) {
        let mut inner = lock(&self.inner);
        let now = inner.now;
        inner.parties[party].running -= 1;
        inner.runs.end(run, now);
    }

    /// Tells which lease of an execution is live by the server's state.
    pub(super) fn live_lease(&self, execution: ExecutionNo, epoch: Option<LeaseEpoch>, now: TrueTime) {
        lock(&self.inner).runs.live_lease(execution, epoch, now);
    }

    /// Executions that anybody runs now, zombies included.
    pub fn runs_under_way(&self) -> u64 {
        lock(&self.inner).runs.under_way()
    }

    /// Executions that a party runs now.
    pub fn running(&self, party: PartyNo) -> u32 {
        lock(&self.inner).parties[party].running
    }

    /// Granting and claiming calls of parties with permits.
    pub fn permitted_calls(&self) -> u64 {
        lock(&self.inner).permitted_calls
    }

    /// Granting and claiming calls of saturated workers.
    pub fn saturated_calls(&self) -> u64 {
        lock(&self.inner).saturated_calls
    }

    /// How executions were run.
    pub fn run_counts(&self) -> Runs {
        lock(&self.inner).runs.counts()
    }

    /// Counts a look at a promise that a party itself has to keep; a broken one is reported.
    pub fn looked_at(&self, invariant: Invariant, broken: Option<Broken>) {
        let mut inner = lock(&self.inner);
        *inner.looked.entry(invariant).or_default() += 1;
        inner.out.extend(broken.map(|broken| Outgoing::Found { invariant, broken }));
    }

    /// Ends every wait for a time without a world, and gives the promises that were found broken.
    #[cfg(all(test, feature = "sdk"))]
    pub fn end_sleeps(&self) -> Vec<Invariant> {
        let out = std::mem::take(&mut lock(&self.inner).out);
        let mut found = Vec::new();
        for outgoing in out {
            match outgoing {
                Outgoing::Sleep { wait, .. } => drop(self.end(wait, Ended::Elapsed)),
                Outgoing::Found { invariant, .. } => found.push(invariant),
                _ => {}
            }
        }
        found
    }

    /// How often such a promise was looked at.
    pub fn looks(&self, invariant: Invariant) -> u64 {
        lock(&self.inner).looked.get(&invariant).copied().unwrap_or_default()
    }

    /// Begins to listen to completions, which takes a round trip; latencies are the subscription's own.
    pub fn subscribe(&self, party: PartyNo) -> SubscriptionNo {
        let mut inner = lock(&self.inner);
        let (now, state) = (inner.now, &mut inner.parties[party]);
        state.subscriptions += 1;
        let key = u64::from(state.subscriptions) << 32 | u64::from(state.key.0);
        let latency = Stream::of_extra(state.seed, Extra::Subscription, key);
        inner.subscriptions.add(party, latency, self.latency_us, now)
    }

    /// Stops listening.
    pub fn unsubscribe(&self, subscription: SubscriptionNo) {
        let mut inner = lock(&self.inner);
        if let Some(wait) = inner.subscriptions.remove(subscription) {
            inner.waits.forget(wait);
        }
    }

    /// The next completion that was heard; without one the current task is polled again when there is.
    pub fn heard(&self, subscription: SubscriptionNo) -> Option<CompletionPayload> {
        let Inner { task, waits, subscriptions, .. } = &mut *lock(&self.inner);
        subscriptions.next_or_wait(subscription, || waits.add(*task))
    }

    /// A completion is published: who will hear of it, and when.
    pub(super) fn published(&self, now: TrueTime) -> Vec<(PartyNo, SubscriptionNo, TrueTime)> {
        lock(&self.inner).subscriptions.published(now)
    }

    /// The news of a completion has arrived; gives the task that waits for it.
    pub(super) fn hear(&self, subscription: SubscriptionNo, payload: CompletionPayload) -> Option<TaskNo> {
        let mut inner = lock(&self.inner);
        let wait = inner.subscriptions.hear(subscription, payload)?;
        let task = inner.waits.task(wait);
        inner.waits.forget(wait);
        task
    }

    /// Completions published while anybody listened, and how often one was heard.
    pub fn completions(&self) -> Completions {
        lock(&self.inner).subscriptions.counts()
    }

    /// How often each method ended how, by [`Method::ALL`].
    pub fn method_counts(&self) -> MethodCounts {
        lock(&self.inner).counts.clone()
    }

    pub(super) fn method_started(&self, party: PartyNo, method: Method) -> u64 {
        let mut inner = lock(&self.inner);
        inner.parties[party].calls += 1;
        let call = inner.parties[party].calls;
        let claims = matches!(
            method,
            Method::IssueClaimGrant
                | Method::ClaimExecution
                | Method::ClaimResumedExecution
                | Method::ClaimFromResumeGrant
        );
        if let (true, Some(capacity)) = (claims, inner.parties[party].capacity) {
            inner.permitted_calls += 1;
            inner.saturated_calls += u64::from(inner.parties[party].running >= capacity);
        }
        if inner.recording {
            inner.out.push(Outgoing::MethodStarted { call, method });
        }
        call
    }

    pub(super) fn method_ended(&self, call: u64, method: Method, outcome: &'static str) {
        let mut inner = lock(&self.inner);
        let counts = &mut inner.counts[method as usize];
        match counts.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((outcome, 1)),
        }
        if inner.recording {
            inner.out.push(Outgoing::MethodEnded { call, method, outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claiming_call_of_a_worker_that_runs_all_it_may_is_noticed() {
        let id = ff_core::types::ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        let hub = Hub::new(false, Deviations::default(), Range::just(1));
        let worker = hub.add_party(1, PartyKey(PartyKey::WORKERS), PartyClock::default(), Some(1));
        let reclaimer = hub.add_party(1, PartyKey(PartyKey::RECLAIMERS), PartyClock::default(), None);
        let execution = hub.ids().execution(&id);
        let epoch = ff_core::types::LeaseEpoch(1);
        hub.run_started(reclaimer, execution, epoch);
        hub.method_started(reclaimer, Method::IssueClaimGrant);
        hub.method_started(worker, Method::IssueClaimGrant);
        assert_eq!(hub.saturated_calls(), 0);
        let run = hub.run_started(worker, execution, epoch);
        hub.method_started(worker, Method::Complete);
        assert_eq!(hub.saturated_calls(), 0, "ending a task needs no free permit");
        hub.method_started(worker, Method::ClaimExecution);
        assert_eq!(hub.saturated_calls(), 1);
        hub.run_ended(worker, run);
        hub.method_started(worker, Method::ClaimExecution);
        assert_eq!(hub.saturated_calls(), 1);
    }
}
