//! Where parties and their world meet: waits on one side, outgoing things on the other.
//!
//! A party is ordinary async code. Each of its leaf futures registers a wait here and says what it waits for; the world
//! takes that from the outbox after every poll, turns it into events of its own heap, and polls exactly the task whose
//! wait an event has satisfied. Nothing else wakes anybody, so no runtime's scheduling can reorder anything.

mod calls;
mod news;
mod runs;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claimlab_model::backend::Method;
use claimlab_model::deviation::Deviations;
use claimlab_model::intern::Interner;
use claimlab_model::invariant::WorkerFact;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use uuid::Uuid;

use super::beside::Beside;
use super::outgoing::Outgoing;
use super::run::RunBook;
use super::subscription::Subscriptions;
use super::wait::{Ended, WaitNo, Waits};
use super::{Overhears, Pass};
use crate::address::{About, Address, AddressBook, Draw, Draws, Scope};
use crate::clock::{PartyClock, TrueTime, WorkerTime};
use crate::outcome::MethodCounts;
use crate::plan::{PartyKey, Plan};
use crate::stream::{Range, Ratio};

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
    /// How many lives its process had before this one.
    life: u32,
    /// The present life of its process, in which its messages are counted.
    scope: Scope,
    calls: u64,
    /// Tasks at once; none for a party that needs no permit.
    capacity: Option<u32>,
    /// Executions that the party runs now.
    running: u32,
}

struct Inner {
    now: TrueTime,
    task: TaskNo,
    party: PartyNo,
    book: AddressBook,
    /// Scopes of tasks that have one of their own.
    scopes: HashMap<TaskNo, Scope, FxBuildHasher>,
    /// Complete passes over all work, by who makes them.
    passes: BTreeMap<(Pass, PartyNo), u64>,
    waits: Waits,
    out: Vec<Outgoing>,
    parties: Vec<PartyState>,
    counts: MethodCounts,
    /// The call that the current task is within; only known while recording.
    call: Option<u64>,
    runs: RunBook,
    permitted_calls: u64,
    saturated_calls: u64,
    subscriptions: Subscriptions,
}

/// The meeting place of one world.
pub struct Hub {
    inner: Mutex<Inner>,
    ids: Mutex<Interner>,
    given: Mutex<VecDeque<Uuid>>,
    deviations: Deviations,
    draws: Draws,
    /// What there is to draw from later, and whether that is now.
    later: Draws,
    is_later: AtomicBool,
    /// Whether the outbox carries what only a history needs.
    recording: bool,
    /// One way between a party and the server.
    latency_us: Range,
    beside: Option<Arc<dyn Beside>>,
    overhears: Option<Arc<dyn Overhears>>,
}

/// What surrounds the parties of a world beside its plan.
#[derive(Clone, Default)]
pub struct Ears {
    /// Whether the outbox carries what only a history needs.
    pub recording: bool,
    /// Another server beside the model.
    pub beside: Option<Arc<dyn Beside>>,
    /// Who sees every call of the trait.
    pub overhears: Option<Arc<dyn Overhears>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// The meeting place of a plan's world, without parties.
    pub fn new(plan: &Plan, ears: Ears) -> Arc<Self> {
        let book = AddressBook::new(plan.work.iter().map(|item| (item.execution.as_str(), item.key)));
        Arc::new(Self {
            inner: Mutex::new(Inner {
                now: TrueTime::default(),
                task: 0,
                party: 0,
                book,
                scopes: HashMap::default(),
                passes: BTreeMap::new(),
                waits: Waits::default(),
                out: Vec::new(),
                parties: Vec::new(),
                counts: vec![Vec::new(); Method::ALL.len()],
                call: None,
                runs: RunBook::default(),
                permitted_calls: 0,
                saturated_calls: 0,
                subscriptions: Subscriptions::default(),
            }),
            ids: Mutex::default(),
            given: Mutex::default(),
            deviations: plan.world.deviations.iter().copied().collect(),
            draws: Draws::of(plan.seed),
            later: Draws::of(plan.later.map_or(plan.seed, |later| later.seed)),
            is_later: AtomicBool::new(false),
            recording: ears.recording,
            latency_us: plan.world.latency_us,
            beside: ears.beside,
            overhears: ears.overhears,
        })
    }

    /// Adds a party and gives its position.
    pub fn add_party(&self, key: PartyKey, clock: PartyClock, capacity: Option<u32>) -> PartyNo {
        let mut inner = lock(&self.inner);
        let scope = Scope::named(&key.life(0));
        inner.parties.push(PartyState { key, clock, life: 0, scope, calls: 0, capacity, running: 0 });
        inner.parties.len() - 1
    }

    /// Begins another life of a party's process.
    pub(super) fn begin_life(&self, party: PartyNo, life: u32) {
        let mut inner = lock(&self.inner);
        let state = &mut inner.parties[party];
        state.life = life;
        state.scope = Scope::named(&state.key.life(life));
    }

    /// The messages of a task are addressed and counted under a name of their own from now on.
    pub(super) fn name_task(&self, task: TaskNo, name: &str) {
        lock(&self.inner).scopes.insert(task, Scope::named(name));
    }

    /// The same for the current task.
    pub fn name_current_task(&self, name: &str) {
        let mut inner = lock(&self.inner);
        let task = inner.task;
        inner.scopes.insert(task, Scope::named(name));
    }

    /// A task has ended.
    pub(super) fn forget_task(&self, task: TaskNo) {
        lock(&self.inner).scopes.remove(&task);
    }

    /// The address of the next thing of this name that a task of a party does.
    pub(super) fn address(&self, task: TaskNo, party: PartyNo, about: About, name: &'static str) -> Address {
        let Inner { book, scopes, parties, .. } = &mut *lock(&self.inner);
        let scope = scopes.get_mut(&task).unwrap_or(&mut parties[party].scope);
        book.next(scope, about, name, &lock(&self.ids))
    }

    /// An address that was just given to a task of a party, as a plan names it.
    pub(super) fn write(&self, task: TaskNo, party: PartyNo, address: &Address) -> String {
        let Inner { book, scopes, parties, .. } = &*lock(&self.inner);
        let scope = scopes.get(&task).unwrap_or(&parties[party].scope);
        book.write(scope, address, &lock(&self.ids))
    }

    /// What this world's seed has to draw from now.
    pub fn draws(&self) -> Draws {
        if self.is_later.load(Ordering::Relaxed) { self.later } else { self.draws }
    }

    /// The plan's other seed decides from now on.
    pub(super) fn begin_later(&self) {
        self.is_later.store(true, Ordering::Relaxed);
    }

    /// A latency at an address, one way.
    pub(super) fn latency_us(&self, at: &Address, way: Draw) -> u64 {
        self.draws().within(at.key, way, self.latency_us)
    }

    /// Changes a party's clock.
    pub fn set_clock(&self, party: PartyNo, change: impl FnOnce(&mut PartyClock)) {
        change(&mut lock(&self.inner).parties[party].clock);
    }

    /// A party's clock.
    pub fn clock(&self, party: PartyNo) -> PartyClock {
        lock(&self.inner).parties[party].clock
    }

    /// The true time, for parties that follow the plan.
    pub fn now(&self) -> TrueTime {
        lock(&self.inner).now
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
    pub fn give_ids(&self, ids: impl IntoIterator<Item = Uuid>) {
        let mut given = lock(&self.given);
        given.clear();
        given.extend(ids);
    }

    /// An id that a client library mints.
    pub fn mint(&self, party: PartyNo, about: About, kind: &'static str) -> Uuid {
        let given = lock(&self.given).pop_front();
        given.unwrap_or_else(|| self.id(party, about, kind))
    }

    /// A fresh id of a kind, for something that a party does about something.
    pub fn id(&self, party: PartyNo, about: About, kind: &'static str) -> Uuid {
        let task = lock(&self.inner).task;
        self.draws().uuid(self.address(task, party, about, kind).key)
    }

    /// Whether something of a kind happens this time that a party may do about something.
    pub fn happens(&self, party: PartyNo, about: About, kind: &'static str, share: Ratio) -> bool {
        let task = lock(&self.inner).task;
        self.draws().happens(self.address(task, party, about, kind).key, Draw::Habit, share)
    }

    /// Who sees every call of the trait.
    pub fn overhears(&self) -> Option<&Arc<dyn Overhears>> {
        self.overhears.as_ref()
    }

    /// The server that is laid beside the model, if one is.
    pub fn beside(&self) -> Option<&Arc<dyn Beside>> {
        self.beside.as_ref()
    }

    /// A party's key.
    pub fn key(&self, party: PartyNo) -> PartyKey {
        lock(&self.inner).parties[party].key
    }

    /// The name of a party's process in what is named after it: a later life has its number.
    pub fn process(&self, party: PartyNo) -> String {
        let inner = lock(&self.inner);
        let PartyState { key, life, .. } = inner.parties[party];
        if life == 0 { key.to_string() } else { key.life(life) }
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
    pub fn end(&self, number: WaitNo, ended: Ended) -> Option<TaskNo> {
        lock(&self.inner).waits.end(number, ended)
    }

    /// Whether somebody still waits.
    pub(super) fn is_awaited(&self, number: WaitNo) -> bool {
        lock(&self.inner).waits.task(number).is_some()
    }

    /// What has ended a wait, which is none any more then.
    pub(super) fn take(&self, number: WaitNo) -> Option<Ended> {
        lock(&self.inner).waits.take(number)
    }

    /// Nobody waits any more.
    pub(super) fn forget(&self, number: WaitNo) {
        lock(&self.inner).waits.forget(number);
    }

    /// Sets the scene for polling a task.
    pub fn enter(&self, now: TrueTime, task: TaskNo, party: PartyNo) {
        let mut inner = lock(&self.inner);
        inner.now = now;
        inner.task = task;
        inner.party = party;
    }

    /// Swaps what the polled task wants with an empty list; whatever happens from now on is in nobody's turn.
    pub fn drain(&self, into: &mut Vec<Outgoing>) {
        let mut inner = lock(&self.inner);
        inner.party = PartyNo::MAX;
        std::mem::swap(&mut inner.out, into);
    }

    /// Puts something into the outbox of the current task's party.
    pub fn put(&self, outgoing: Outgoing) {
        lock(&self.inner).out.push(outgoing);
    }

    /// Tells the checks what a worker's process did or said.
    pub fn told(&self, fact: WorkerFact) {
        lock(&self.inner).out.push(Outgoing::Told(fact));
    }

    /// Somebody has gone once by all the work that is theirs to move.
    pub fn passed(&self, pass: Pass, party: PartyNo) {
        *lock(&self.inner).passes.entry((pass, party)).or_default() += 1;
    }

    /// How often the one who goes by most often has gone by all the work of a kind.
    pub(super) fn passes(&self, pass: Pass) -> u64 {
        let inner = lock(&self.inner);
        inner.passes.range((pass, 0)..=(pass, PartyNo::MAX)).map(|(_, count)| *count).max().unwrap_or_default()
    }

    /// The same of one party.
    pub(super) fn passes_of(&self, pass: Pass, party: PartyNo) -> u64 {
        lock(&self.inner).passes.get(&(pass, party)).copied().unwrap_or_default()
    }

    /// Ends every wait for a time without a world, and gives what the checks were told.
    #[cfg(test)]
    pub fn end_sleeps(&self) -> Vec<WorkerFact> {
        let out = std::mem::take(&mut lock(&self.inner).out);
        let mut told = Vec::new();
        for outgoing in out {
            match outgoing {
                Outgoing::Sleep { wait, .. } => drop(self.end(wait, Ended::Elapsed)),
                Outgoing::Told(fact) => told.push(fact),
                _ => {}
            }
        }
        told
    }

    /// Whether the outbox carries what only a history needs.
    pub(super) fn is_recording(&self) -> bool {
        self.recording
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn hub() -> Arc<Hub> {
        let text = "[world]\npartitions = 1\nfor_ms = 1\n[workers]\ncount = 1\n[work]\nrun_ms = [1, 1]\n";
        let scenario = crate::scenario::parse(std::path::Path::new("one.toml"), text).unwrap();
        Hub::new(&crate::plan::draw(&scenario, 1), Ears::default())
    }

    #[test]
    fn what_a_process_does_is_told_to_the_checks_in_order() {
        let hub = hub();
        let told = [false, true].map(|refused| WorkerFact::PermitAsked { refused });
        told.into_iter().for_each(|fact| hub.told(fact));
        assert_eq!(hub.end_sleeps(), told);
        assert_eq!(hub.end_sleeps(), [], "told once");
    }
}
