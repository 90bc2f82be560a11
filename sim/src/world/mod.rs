//! The world: a plan becomes a run.
//!
//! True time is the counter of the world's own event heap. One event is delivered, the one task that waited for it is
//! polled until it waits again, what it wants becomes new events, and only then comes the next event. The world reports
//! what happened; what it means is decided outside, and who plays in it is given from outside ([`Cast`]).

mod beside;
mod build;
mod fault;
mod heap;
mod hub;
mod liveness;
mod network;
mod options;
mod outgoing;
mod party;
mod reach;
mod run;
mod seat;
mod server;
mod step;
mod subscription;
mod tasks;
mod tell;
mod wait;

pub use beside::{Beside, Conversation, Inline, Performed, Tag, WholeCall};
pub use hub::{Ears, Hub, PartyNo, TaskFuture};
pub use options::{Checks, Options, Overhears};
pub use party::Party;
pub use run::RunNo;

use std::collections::BTreeMap;
use std::sync::Arc;

use claimlab_model::backend::ModelBackend;
use claimlab_model::completion::SubscriptionNo;
use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::Checker;
use claimlab_model::store::Store;
use ff_core::backend::CompletionPayload;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::address::AddressKey;
use crate::clock::{ServerClock, TrueTime};
use crate::outcome::{Counts, Violation};
use crate::plan::{PartyKey, Plan, Struck};
use crate::scanner::ScannerKind;
use fault::{HeldBack, Logged};
use heap::{Heap, Slab};
use hub::TaskNo;
use network::Flight;
use outgoing::Outgoing;
use seat::Seat;
use tasks::{Request, Task};
use wait::WaitNo;

/// One life of a party's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How many there were before.
    pub number: u32,
    /// The life whose instance id it has: its own, unless it came back as the same instance.
    pub instance: u32,
}

/// Who plays in a world.
pub trait Cast: Send {
    /// The tasks that a party's process starts with in one of its lives.
    fn tasks_of(&mut self, party: Party, key: PartyKey, life: Life) -> Vec<TaskFuture>;

    /// Whether every work item of the plan was acknowledged.
    fn has_submitted_all(&self) -> bool;
}

/// Going once by all work of a kind that somebody has to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// A scanner's pass over every partition.
    Scanner(ScannerKind),
    /// A reclaimer's look at everything that it remembers.
    Reclaimer,
    /// A worker's poll that found nothing.
    IdlePoll,
}

/// One run under way.
pub struct World {
    plan: Arc<Plan>,
    options: Options,
    cast: Box<dyn Cast>,
    now: TrueTime,
    heap: Heap,
    hub: Arc<Hub>,
    seats: Vec<Seat>,
    positions: BTreeMap<PartyKey, PartyNo>,
    tasks: Slab<Task>,
    flights: Slab<Box<Flight>>,
    /// Renewals that have not left their starved processes.
    held_back: Slab<HeldBack>,
    requests: Slab<Request>,
    responses: Slab<(WaitNo, Box<dyn std::any::Any + Send>)>,
    news: Slab<(SubscriptionNo, CompletionPayload)>,
    server_clock: ServerClock,
    store: Store,
    checker: Checker,
    /// Who changed each execution last: role, script and result.
    last_writes: Vec<Option<(&'static str, &'static str, &'static str)>>,
    /// What the server has performed, where a fail-over is planned: a replica is made of it.
    log: Option<Vec<Logged>>,
    /// Until when something kept everybody from hearing.
    disturbed_until: TrueTime,
    /// Until when nobody answers.
    down_until: TrueTime,
    /// When the server has done what has arrived so far.
    free_at: TrueTime,
    /// Faults that wait for somebody to hold an execution, as positions in the plan.
    awaiting_holder: Vec<(ExecutionNo, u32)>,
    /// Planned faults of single messages, as positions in the plan.
    of_messages: HashMap<AddressKey, Vec<u32>, FxBuildHasher>,
    /// Which of the plan's faults have struck.
    has_struck: Vec<bool>,
    struck: Vec<Struck>,
    reached: reach::Reached,
    violations: Vec<Violation>,
    unfinished: u64,
    counts: Counts,
    healed: bool,
    over: bool,
    undecided: Vec<String>,
    overdue: liveness::Overdue,
    /// Messages that somebody waits for, while the world is watched.
    awaited: BTreeMap<WaitNo, u64>,
    outbox: Vec<Outgoing>,
    ready: Vec<TaskNo>,
    inline_schedulers: BTreeMap<PartyNo, Arc<ModelBackend<Party>>>,
}
