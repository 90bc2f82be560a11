//! The world: a plan becomes a run.
//!
//! True time is the counter of the world's own event heap. One event is delivered, the one task that
//! waited for it is polled until it waits again, what it wants becomes new events, and only then comes
//! the next event. A run is hosted by a madsim runtime on a thread of its own, so that clocks and
//! entropy of any library underneath are simulated too; madsim's scheduler has nothing to decide.

mod fault;
mod heap;
mod hub;
mod liveness;
mod outgoing;
mod party;
mod run;
mod seat;
mod server;
#[cfg(feature = "live")]
mod shadow;
mod subscription;
mod tally;
mod wait;
#[cfg(feature = "live")]
mod whole;

pub use hub::{Hub, MethodCounts, PartyNo};
pub use outgoing::Broken;
pub use party::Party;
pub use run::{RunNo, Runs, Span};
pub use subscription::Completions;
pub use tally::Tally;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use claimlab_model::completion::SubscriptionNo;
use claimlab_model::deviation::Deviations;
use claimlab_model::invariant::{Checker, Invariant};
use claimlab_model::store::Store;
use claimlab_model::token::Secret;

use ff_core::backend::CompletionPayload;
use ff_core::state::OwnershipState;

use crate::check::Signatures;
use crate::clock::{PartyClock, ServerClock, TrueTime};
use crate::history::{Event as HistoryEvent, Finding, Kind, Observer};
use crate::plan::{PartyKey, Plan, What, When};
use crate::stream::{Purpose, Stream};
use crate::worker::Cast;
use heap::{Event, Heap, Slab};
use hub::{TaskFuture, TaskNo};
use outgoing::{Latency, Load, Outgoing};
use seat::Seat;
use wait::{Ended, WaitNo};

/// How long a party waits for another's answer, in milliseconds of its own counting.
const REQUEST_PATIENCE_MS: u64 = 10_000;
/// Keys of streams: tasks that follow the plan, and tasks that another party asked for.
const TASKS_OF_PLAN: u64 = 1 << 30;
const TASKS_OF_OTHERS: u64 = 1 << 55;

/// Key id of a deployment's first waitpoint secret (`ff-backend-valkey/src/boot.rs`).
pub const FIRST_KID: &str = "k1";

/// The waitpoint secret of a seed's deployment.
pub fn secret_of(seed: u64) -> [u8; 32] {
    std::array::from_fn(|position| seed.to_be_bytes()[position % 8])
}

/// How a run is watched and stopped.
#[derive(Default)]
pub struct Watch {
    /// Who reads the history; none in campaigns.
    pub observers: Vec<Box<dyn Observer>>,
    /// Ends the run early when set.
    pub stop: Arc<AtomicBool>,
    /// Compares the incremental state checks with a full recheck after every so many scripts.
    pub recheck_every: Option<u64>,
    /// Ends the run before the liveness phase, at this true time.
    pub until: Option<TrueTime>,
    /// The real server that performs what this world's does, and what is delivered as one piece.
    #[cfg(feature = "live")]
    pub unit: Option<crate::live::unit::Unit>,
    /// Notes every call of the trait.
    #[cfg(any(feature = "live", feature = "sdk"))]
    pub calls: Option<Arc<crate::call::log::CallLog>>,
    /// Runs the bare substrate: every worker sends empty requests one after the other, nobody performs them.
    pub bare: bool,
}

/// What came out of a run.
#[derive(Debug)]
pub struct RunResult {
    /// Counts and findings.
    pub tally: Tally,
    /// Trait calls by method and outcome.
    pub methods: MethodCounts,
    /// How often each invariant was looked at.
    pub checked: Vec<(Invariant, u64)>,
    /// Runs and overlaps.
    pub runs: Runs,
    /// Completions that somebody listened to.
    pub completions: Completions,
    /// True time at the end.
    pub ended_at: TrueTime,
    /// Why no answer could be had, if so.
    pub undecided: Option<String>,
    /// Executions created, and those not terminal at the end.
    pub executions: (usize, usize),
    /// Workers whose process holds at least one lease at the end.
    pub holders: usize,
}

/// A message under way.
struct Flight {
    party: PartyNo,
    number: u64,
    wait: WaitNo,
    load: Load,
    reply: Option<Ended>,
    sent_at: TrueTime,
    back_us: u64,
    lose_reply: bool,
    /// Deliveries still to come.
    deliveries: u8,
    /// Whether the reply is on its way.
    reply_due: bool,
    /// Whether a reply was ever sent.
    answered: bool,
}

struct Task {
    party: PartyNo,
    future: TaskFuture,
    /// Latencies of its own; without, it draws from its party's.
    latency: Option<Stream>,
}

/// A task on its way to another party.
struct Request {
    to: PartyNo,
    future: TaskFuture,
    latency: Stream,
}

/// One run under way.
pub struct World {
    plan: Arc<Plan>,
    now: TrueTime,
    heap: Heap,
    hub: Arc<Hub>,
    seats: Vec<Seat>,
    positions: BTreeMap<PartyKey, PartyNo>,
    tasks: Slab<Task>,
    flights: Slab<Box<Flight>>,
    requests: Slab<Request>,
    responses: Slab<(WaitNo, Box<dyn std::any::Any + Send>)>,
    news: Slab<(SubscriptionNo, CompletionPayload)>,
    server_clock: ServerClock,
    store: Store,
    checker: Checker,
    signatures: Signatures,
    unfinished: usize,
    tally: Tally,
    watch: Watch,
    healed: bool,
    over: bool,
    undecided: Option<String>,
    stuck: BTreeSet<(Invariant, claimlab_model::intern::ExecutionNo)>,
    outbox: Vec<Outgoing>,
    ready: Vec<TaskNo>,
    cast: Cast,
    #[cfg(feature = "live")]
    inline_scheduler: Option<Arc<claimlab_model::backend::ModelBackend<Party>>>,
}

/// Runs a plan on this thread, inside a madsim runtime.
pub fn run(plan: &Arc<Plan>, watch: Watch) -> RunResult {
    let runtime = madsim::runtime::Runtime::with_seed_and_config(plan.seed, madsim::Config::default());
    runtime.block_on(async { World::new(Arc::clone(plan), watch).run() })
}

impl World {
    fn new(plan: Arc<Plan>, watch: Watch) -> Self {
        let deviations: Deviations = plan.world.deviations.iter().copied().collect();
        let hub = Hub::new(!watch.observers.is_empty(), deviations, plan.world.latency_us);
        #[cfg(any(feature = "live", feature = "sdk"))]
        watch.calls.iter().for_each(|log| hub.note_calls(Arc::clone(log)));
        #[cfg(feature = "live")]
        watch.unit.iter().for_each(|unit| hub.lay_beside(unit.clone()));
        let secret = Secret::new(FIRST_KID, secret_of(plan.seed).to_vec());
        let cast = Cast::new(Arc::clone(&plan), Arc::clone(&hub));
        let server_clock = ServerClock::new(plan.world.server);
        let mut world = Self {
            plan,
            now: TrueTime::default(),
            heap: Heap::default(),
            hub,
            seats: Vec::new(),
            positions: BTreeMap::new(),
            tasks: Slab::default(),
            flights: Slab::default(),
            requests: Slab::default(),
            responses: Slab::default(),
            news: Slab::default(),
            server_clock,
            store: Store::new(secret, deviations),
            checker: Checker::default(),
            signatures: Signatures::default(),
            unfinished: 0,
            tally: Tally::default(),
            watch,
            healed: false,
            over: false,
            undecided: None,
            stuck: BTreeSet::new(),
            outbox: Vec::new(),
            ready: Vec::new(),
            cast,
            #[cfg(feature = "live")]
            inline_scheduler: None,
        };
        world.store.seed_lanes(world.plan.world.lanes.iter().cloned());
        world.take_seats();
        world
    }

    /// Seats every party, and puts its start and its faults on the heap.
    fn take_seats(&mut self) {
        let plan = Arc::clone(&self.plan);
        let fixed = [
            PartyKey::SERVER,
            PartyKey::ENGINE,
            PartyKey::SCHEDULER,
            PartyKey::SUBMITTER,
            PartyKey::OPERATOR,
            PartyKey::SIGNALLER,
        ];
        let start = TrueTime::default();
        for key in fixed {
            let no = self.seat(key, PartyClock::default(), None);
            self.schedule(start, no, Event::Start(no as u32));
        }
        for worker in &plan.workers {
            let capacity = worker.entry.map(|_| worker.concurrency);
            let no = self.seat(worker.key, PartyClock::new(worker.clock), capacity);
            self.schedule(worker.starts_at, no, Event::Start(no as u32));
        }
        let mut message_faults: BTreeMap<PartyNo, Vec<(u64, What)>> = BTreeMap::new();
        for (position, fault) in plan.faults.iter().enumerate() {
            let Some(no) = self.position_of(fault.party) else { continue };
            match fault.when {
                When::At(at) => self.schedule(at, no, Event::Fault(position as u32)),
                When::Message(number) => message_faults.entry(no).or_default().push((number, fault.what)),
            }
        }
        for (no, faults) in message_faults {
            self.seats[no].plan_message_faults(faults);
        }
        self.schedule(TrueTime::from_ms(plan.world.for_ms), 0, Event::Heal);
    }

    fn seat(&mut self, key: PartyKey, clock: PartyClock, capacity: Option<u32>) -> PartyNo {
        let no = self.seats.len();
        self.positions.insert(key, no);
        self.seats.push(Seat::new(self.plan.seed, key));
        self.hub.add_party(self.plan.seed, key, clock, capacity)
    }

    /// A party's position, if it is seated.
    fn position_of(&self, key: PartyKey) -> Option<PartyNo> {
        self.positions.get(&key).copied()
    }

    fn schedule(&mut self, at: TrueTime, party: PartyNo, event: Event) {
        let seat = &mut self.seats[party];
        seat.events += 1;
        self.heap.push(at, seat.key, seat.events, event);
    }

    fn run(mut self) -> RunResult {
        let mut undecided = None;
        while !self.over {
            let Some((at, event)) = self.heap.pop() else { break };
            if self.watch.until.is_some_and(|until| at > until) {
                self.now = self.watch.until.unwrap_or(self.now);
                break;
            }
            self.now = at;
            self.tally.events += 1;
            self.happen(event);
            #[cfg(feature = "live")]
            if self.told_apart() {
                break;
            }
            if self.tally.events.is_multiple_of(4_096) && self.watch.stop.load(Ordering::Relaxed) {
                undecided = Some("interrupted".to_owned());
                break;
            }
        }
        self.finish(undecided)
    }

    fn finish(mut self, interrupted: Option<String>) -> RunResult {
        #[cfg(feature = "live")]
        self.finish_comparison();
        let saturated = self.hub.saturated_calls();
        if saturated > 0 {
            let detail = format!("{saturated} granting or claiming calls without a free permit");
            let signature = format!("{} worker", Invariant::S14.id());
            let at_us = self.now.us();
            self.tally.find(Finding { invariant: Invariant::S14, signature, execution: String::new(), detail, at_us });
        }
        let permitted_calls = self.hub.permitted_calls();
        let looked_at = |(invariant, count): (Invariant, u64)| match invariant {
            Invariant::S14 => (invariant, permitted_calls),
            _ => (invariant, count + self.hub.looks(invariant)),
        };
        let checked = self.checker.checked().map(looked_at).collect();
        RunResult {
            methods: self.hub.method_counts(),
            checked,
            runs: self.hub.run_counts(),
            completions: self.hub.completions(),
            ended_at: self.now,
            executions: (self.store.execution_count(), self.unfinished),
            holders: self.holders(),
            undecided: interrupted.or(self.undecided),
            tally: self.tally,
        }
    }

    /// Workers whose present process holds a lease.
    fn holders(&self) -> usize {
        let ids = self.hub.ids();
        let leased =
            self.store.executions().filter(|found| found.core.vector.ownership_state == OwnershipState::Leased);
        let holders = leased.filter_map(|found| found.core.current_instance);
        let names: BTreeSet<&str> = holders.map(|instance| ids.instance_id(instance).as_str()).collect();
        let workers = self.seats.iter().filter(|seat| seat.key.0 >= PartyKey::WORKERS);
        workers.filter(|seat| names.contains(crate::worker::instance_name(seat.key, seat.life).as_str())).count()
    }

    /// Delivers one event.
    fn happen(&mut self, event: Event) {
        match event {
            Event::Elapse(party, wait) => self.end_wait(event, party as PartyNo, wait, Ended::Elapsed),
            Event::GiveUp(party, wait) => self.end_wait(event, party as PartyNo, wait, Ended::Unanswered),
            Event::Deliver(flight) => self.deliver(flight),
            Event::Reply(flight) => self.reply(event, flight),
            Event::Begin(request) => self.begin(event, request),
            Event::Respond(party, response) => self.respond(event, party as PartyNo, response),
            Event::Hear(party, news) => self.hear(event, party as PartyNo, news),
            Event::Fault(position) => self.strike(position),
            Event::Start(party) => self.start(party as PartyNo),
            Event::Resume(party) => self.resume(party as PartyNo),
            Event::Heal => self.heal(),
            Event::Look => self.look(),
        }
    }

    /// Ends a wait and polls its task; a stalled party's waits end when it goes on.
    fn end_wait(&mut self, event: Event, party: PartyNo, wait: WaitNo, ended: Ended) {
        let seat = &mut self.seats[party];
        if seat.stalled() {
            seat.deferred.push(event);
            return;
        }
        if let Some(task) = self.hub.end(wait, ended) {
            self.poll(task);
        }
    }

    fn begin(&mut self, event: Event, position: u32) {
        let Some(to) = self.requests.get_mut(position).map(|request| request.to) else { return };
        if self.seats[to].stalled() {
            self.seats[to].deferred.push(event);
            return;
        }
        let Some(Request { to, future, latency }) = self.requests.remove(position) else { return };
        if self.seats[to].alive {
            let task = self.spawn(to, future, Some(latency));
            self.poll(task);
        }
    }

    fn respond(&mut self, event: Event, to: PartyNo, position: u32) {
        let seat = &mut self.seats[to];
        if seat.cut_in > self.now {
            self.responses.remove(position);
            return;
        }
        if seat.stalled() {
            seat.deferred.push(event);
            return;
        }
        let Some((wait, value)) = self.responses.remove(position) else { return };
        if let Some(task) = self.hub.end(wait, Ended::Value(value)) {
            self.poll(task);
        }
    }

    /// News of a completion reaches a listener, unless it is cut off then: nobody sends it again.
    fn hear(&mut self, event: Event, party: PartyNo, position: u32) {
        let seat = &mut self.seats[party];
        if seat.stalled() {
            seat.deferred.push(event);
            return;
        }
        let is_cut_off = seat.cut_in > self.now;
        let Some((subscription, payload)) = self.news.remove(position).filter(|_| !is_cut_off) else { return };
        if let Some(task) = self.hub.hear(subscription, payload) {
            self.poll(task);
        }
    }

    /// Starts a party's process: its first task, polled at once.
    fn start(&mut self, party: PartyNo) {
        let seat = &mut self.seats[party];
        if seat.alive || self.over {
            return;
        }
        seat.alive = true;
        let (key, life) = (seat.key, seat.life);
        self.tell(party, |_| Kind::Started { life });
        let tasks = match self.watch.bare {
            true => self.cast.bare_tasks_of(key, party),
            false => self.cast.tasks_of(key, party, life),
        };
        for (number, future) in (0..).zip(tasks) {
            let latency = self.stream_of(party, number);
            let task = self.spawn(party, future, Some(latency));
            self.poll(task);
        }
    }

    /// The latencies of a task that is named by a key within its party.
    fn stream_of(&self, party: PartyNo, key: u64) -> Stream {
        let own = u64::from(self.seats[party].key.0) << 32;
        Stream::new(self.plan.seed, Purpose::Latency, own ^ key)
    }

    fn spawn(&mut self, party: PartyNo, future: TaskFuture, latency: Option<Stream>) -> TaskNo {
        let task = self.tasks.insert(Task { party, future, latency });
        self.seats[party].tasks.push(task);
        task
    }

    /// Polls a task and everything that it starts, until all wait.
    fn poll(&mut self, task: TaskNo) {
        debug_assert!(self.ready.is_empty(), "one task is polled at a time");
        self.ready.push(task);
        let mut position = 0;
        while let Some(task) = self.ready.get(position).copied() {
            position += 1;
            self.poll_one(task);
        }
        self.ready.clear();
    }

    fn poll_one(&mut self, no: TaskNo) {
        let Some(mut task) = self.tasks.lend(no) else { return };
        self.hub.enter(self.now, no);
        let done = task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let (party, life) = (task.party, self.seats[task.party].life);
        self.carry_out(&mut task);
        // What it wanted may have been the message after which its process dies.
        if self.seats[party].life != life {
            drop(task);
            self.tasks.restore(no, None);
        } else if done {
            drop(task);
            self.tasks.restore(no, None);
            let tasks = &mut self.seats[party].tasks;
            if let Some(position) = tasks.iter().position(|held| *held == no) {
                tasks.swap_remove(position);
            }
        } else {
            self.tasks.restore(no, Some(task));
        }
    }

    /// Turns what a polled task wants into events.
    fn carry_out(&mut self, task: &mut Task) {
        let party = task.party;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub.drain(&mut outbox);
        for outgoing in outbox.drain(..) {
            // A process that died while its wishes were carried out has none left.
            if !self.seats[party].alive {
                continue;
            }
            match outgoing {
                Outgoing::Send { wait, load, latency } => self.send(task, wait, load, latency),
                Outgoing::Sleep { wait, timer_us } => {
                    let clock = self.hub.clock(party);
                    let until = clock.when_timer_reads(clock.timer_us(self.now).saturating_add(timer_us)).max(self.now);
                    self.schedule(until, party, Event::Elapse(party as u32, wait));
                }
                Outgoing::SleepUntil { wait, until } => {
                    self.schedule(until.max(self.now), party, Event::Elapse(party as u32, wait));
                }
                Outgoing::Spawn { task, key } => {
                    let latency = key.map(|key| self.stream_of(party, TASKS_OF_PLAN | key));
                    let task = self.spawn(party, task, latency);
                    self.ready.push(task);
                }
                Outgoing::Request { to, task: future, wait, latency } => {
                    let latency_us = self.latency(task, latency);
                    self.request(party, to, future, wait, latency_us);
                }
                Outgoing::Respond { wait, to, value } => {
                    let latency = self.latency(task, Latency::OfTask);
                    let response = self.responses.insert((wait, value));
                    self.schedule(self.now.plus_us(latency), party, Event::Respond(to as u32, response));
                }
                Outgoing::MethodStarted { call, method } => {
                    self.tell(party, |_| Kind::Call { call, method: method.name() });
                }
                Outgoing::MethodEnded { call, method, outcome } => {
                    self.tell(party, |_| Kind::Return { call, method: method.name(), outcome });
                }
                Outgoing::Found { invariant, broken: Broken { execution, cause, detail } } => {
                    let signature = format!("{} {}:{cause}", invariant.id(), self.seats[party].key.role());
                    self.found(party, invariant, execution, signature, detail);
                }
            }
        }
        self.outbox = outbox;
    }

    /// Sends a task to another party, unless the sender is cut off; who expects an answer gives up in time.
    fn request(&mut self, party: PartyNo, to: PartyNo, future: TaskFuture, wait: Option<WaitNo>, latency_us: u64) {
        let arrives = self.now.plus_us(latency_us);
        if let Some(wait) = wait {
            let patience_us = self.hub.clock(party).true_us_of(REQUEST_PATIENCE_MS * 1_000);
            self.schedule(self.now.plus_us(patience_us), party, Event::GiveUp(party as u32, wait));
        }
        let seat = &mut self.seats[party];
        seat.requests += 1;
        if seat.cut_out > self.now {
            return;
        }
        // The task's own latencies are named by who asked, not by how many others did before.
        let key = u64::from(seat.key.0) << 24 | (seat.requests & 0xff_ffff);
        let latency = self.stream_of(to, TASKS_OF_OTHERS | key);
        let request = self.requests.insert(Request { to, future, latency });
        self.schedule(arrives, party, Event::Begin(request));
    }

    fn latency(&mut self, task: &mut Task, whose: Latency) -> u64 {
        let own = task.latency.as_mut().filter(|_| whose == Latency::OfTask);
        let stream = own.unwrap_or(&mut self.seats[task.party].latency);
        stream.within_unsigned(self.plan.world.latency_us)
    }

    /// Tells the observers, if any.
    fn tell<'k>(&mut self, party: PartyNo, kind: impl FnOnce(&Self) -> Kind<'k>) {
        if self.watch.observers.is_empty() {
            return;
        }
        let event = HistoryEvent {
            at: self.now,
            server: self.server_clock.at(self.now),
            party: self.seats[party].key,
            wall: self.hub.clock(party).at(self.now),
            kind: kind(self),
        };
        for observer in &mut self.watch.observers {
            observer.observe(&event);
        }
    }
}
