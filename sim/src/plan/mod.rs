//! A plan: everything that one run will be given, as an explicit list that can be edited.
//!
//! A scenario and a seed are a short name for a plan. The plan is what is stored, replayed and shared: work items,
//! workers with their clocks, what operators do, every fault of a party with its moment, and the rates at which
//! messages meet faults. Each element has a key of its own, and what chance decides while the plan runs depends on
//! the seed and on addresses only ([`crate::address`]), so that taking one element out leaves the rest as it was.

mod around;
mod draw;
mod edit;
mod fault;
mod party;
mod read;
mod redraw;
mod write;

pub use around::{AdmissionPlan, EdgePlan, EnginePlan, FlowPlan, GroupPlan};
pub use draw::draw;
pub use edit::Element;
pub use fault::{Fault, MessageFault, MessageRate, Strikes, Struck, Way, What};
pub use party::PartyKey;
pub use read::{parse, read};
pub use redraw::{Future, LaterSeed};

use claimlab_model::deviation::Deviation;
use serde::{Deserialize, Serialize};

use crate::clock::{Skew, TrueTime};
use crate::scenario::{Ending, Entry, Player, TimeoutDoes};
use crate::stream::{Range, Ratio};

/// The format's version; a plan of another one is refused.
pub const VERSION: u32 = 2;

/// Key id of a deployment's first waitpoint secret (`ff-backend-valkey/src/boot.rs`).
pub const FIRST_KID: &str = "k1";

/// The waitpoint secret of a seed's deployment.
pub fn secret_of(seed: u64) -> [u8; 32] {
    std::array::from_fn(|position| seed.to_be_bytes()[position % 8])
}

/// One run, given explicitly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed that the plan was drawn from; also seeds latencies and ids.
    pub seed: u64,
    /// Another seed from a moment on, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<LaterSeed>,
    /// Extent and surroundings.
    pub world: WorldPlan,
    /// How often the messages of workers and reclaimers meet each kind of fault, as long as faults last.
    pub rates: Vec<MessageRate>,
    /// Reclaimers, then workers.
    pub workers: Vec<WorkerPlan>,
    /// What there is to do.
    pub work: Vec<WorkItem>,
    /// Which work items depend on each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<FlowPlan>,
    /// What operators do.
    pub operators: Vec<OperatorAction>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// Extent and surroundings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldPlan {
    /// Flow partitions.
    pub partitions: u16,
    /// Lanes.
    pub lanes: Vec<String>,
    /// How long faults last.
    pub for_ms: u64,
    /// How long everything may then take to end; 0 leaves the phase out.
    pub liveness_ms: u64,
    /// Lease length.
    pub lease_ttl_ms: u64,
    /// One-way latency.
    pub latency_us: Range,
    /// How long a client waits for one reply.
    pub request_timeout_ms: u64,
    /// How long the server takes for one message.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub service_us: Range,
    /// The server's clock.
    pub server: Skew,
    /// Clocks of parties that are no workers or reclaimers, where they are not right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<OthersClock>,
    /// What the engine runs, where that is not the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EnginePlan>,
    /// Quotas and budgets, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionPlan>,
    /// Engine processes.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub engines: u32,
    /// Processes that run the scheduler.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub schedulers: u32,
    /// Where the model differs from 0.15.0.
    pub deviations: Vec<Deviation>,
}

const fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_one(count: &u32) -> bool {
    *count == 1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_nothing(range: &Range) -> bool {
    range.low == 0 && range.high == 0
}

/// The clock of one party that is no worker or reclaimer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OthersClock {
    /// Whose.
    pub party: PartyKey,
    /// How wrong it is.
    pub clock: Skew,
}

impl WorldPlan {
    /// The parties that are no workers or reclaimers, in the order in which they are seated.
    pub fn others(&self) -> impl Iterator<Item = PartyKey> + use<> {
        let engines = (1..self.engines).map(PartyKey::engine);
        let schedulers = (1..self.schedulers).map(PartyKey::scheduler);
        PartyKey::FIXED.into_iter().chain(engines).chain(schedulers)
    }
}

/// One worker process, or one reclaimer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerPlan {
    /// Its key.
    pub key: PartyKey,
    /// The logical worker id that it presents.
    pub worker_id: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// The lanes that it polls.
    pub lanes: Vec<String>,
    /// How it finds work; none for a reclaimer.
    pub entry: Option<Entry>,
    /// Tasks at once.
    pub concurrency: u32,
    /// Pause after a poll that found nothing.
    pub poll_ms: u64,
    /// When it starts.
    pub starts_at: TrueTime,
    /// Attempt timeout that its claims set; shipped workers set none.
    pub attempt_timeout_ms: Option<u64>,
    /// Whether it registers and sends heartbeats.
    pub registers: bool,
    /// Whether it listens to completions.
    #[serde(default)]
    pub listens: bool,
    /// Its clock.
    pub clock: Skew,
    /// Who plays it.
    #[serde(default)]
    pub player: Player,
    /// What it does besides what the shipped worker does.
    #[serde(default, skip_serializing_if = "HabitPlan::is_none")]
    pub habits: HabitPlan,
}

impl Plan {
    /// The work item of a key. Items stand in the order of their keys, unless somebody has moved a line of a stored plan.
    pub fn item(&self, key: u32) -> Option<&WorkItem> {
        let found = self.work.binary_search_by_key(&key, |item| item.key).ok().map(|position| &self.work[position]);
        found.or_else(|| self.work.iter().find(|item| item.key == key))
    }
}

/// What a worker does besides what the shipped worker does; shares are of its own grants and claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HabitPlan {
    /// It sends an end again when its answer never came.
    pub repeats: bool,
    /// Grants that it hands to another process of its pool.
    pub hands_over: Ratio,
    /// Grants that it hands to a process of another pool.
    pub hands_astray: Ratio,
    /// Grants that it claims with only after they have lapsed.
    pub dawdles: Ratio,
    /// Grants that it never uses.
    pub leaves: Ratio,
    /// Claims that name another lane.
    pub wrong_lane: Ratio,
    /// Resumed claims that name an attempt from an older read.
    pub stale_read: Ratio,
    /// Whose instance id it presents, where not its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<PartyKey>,
}

impl HabitPlan {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One execution to submit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkItem {
    /// Its number.
    pub key: u32,
    /// When it is submitted.
    pub at: TrueTime,
    /// Its execution id.
    pub execution: String,
    /// The flow that it is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// Its lane.
    pub lane: String,
    /// Its priority.
    pub priority: i32,
    /// Required capabilities.
    pub requires: Vec<String>,
    /// Retries that its policy allows.
    pub max_retries: u32,
    /// Reclaims that its policy allows.
    pub max_reclaims: u32,
    /// Delay, by the submitter's clock.
    pub delay_ms: Option<u64>,
    /// Deadline, by the submitter's clock.
    pub deadline_ms: Option<u64>,
    /// Attempt timeout that its policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_timeout_ms: Option<u64>,
    /// Categories of failures that its policy lists as worth a retry; all are when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retryable: Vec<String>,
    /// The quota policy that is attached to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// The budget that is attached to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// How long its policy keeps it once it has ended, where the policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// The id under which it is submitted once more, with the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// What a worker does with it.
    pub task: TaskPlan,
}

/// What a worker does with an execution; travels as its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskPlan {
    /// How long it runs, by the worker's timer.
    pub run_ms: u64,
    /// Whether it tells its progress halfway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reports_progress: bool,
    /// What it does halfway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub park: Option<Park>,
    /// How it ends.
    pub ending: Ending,
    /// How attempts after the first end, where that is another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<Ending>,
    /// The budget that each run spends of, and how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spends: Option<(String, u64)>,
}

/// Signals that are sent besides the one that is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Strays {
    /// The signal is sent again with the same key.
    pub again: bool,
    /// One with a wrong token comes first.
    pub wrong: bool,
    /// During a later suspension the signal of the one before is sent with a key of its own.
    pub old: bool,
}

impl Strays {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_resume(does: &TimeoutDoes) -> bool {
    matches!(does, TimeoutDoes::Resume)
}

/// What a task does halfway through its first attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Park {
    /// Suspends on one waitpoint.
    Suspend {
        /// Timeout, from the worker's clock.
        timeout_ms: u64,
        /// When its signal is sent; none for never.
        signal_after_ms: Option<u64>,
        /// Delayed resume that the signal asks for.
        resume_delay_ms: Option<u64>,
        /// Whether the waitpoint is created when the task begins, so that its signal may come first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        on_pending: bool,
        /// How often it does so, one time after the other.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        times: u32,
        /// Whether it waits for signals to two waitpoints.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        composite: bool,
        /// What goes wrong with its signals.
        #[serde(default, skip_serializing_if = "Strays::is_none")]
        strays: Strays,
        /// What the timeout does.
        #[serde(default, skip_serializing_if = "is_resume")]
        timeout_does: TimeoutDoes,
    },
    /// Delays itself.
    Delay {
        /// For how long, from the worker's clock.
        for_ms: u64,
    },
}

/// One thing that an operator does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorAction {
    /// Its name in this plan.
    pub key: String,
    /// When.
    pub at: TrueTime,
    /// To which work item.
    pub work: u32,
    /// What.
    pub act: Act,
}

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// `cancel_execution` with the operator's override.
    Cancel,
    /// `revoke_lease`.
    Revoke,
    /// `change_priority`.
    Reprioritise(i32),
    /// `replay_execution`.
    Replay,
    /// `resume_execution`.
    Resume,
    /// `close_waitpoint` of the waitpoint that the execution waits at, if it waits.
    CloseWaitpoint,
}

impl Act {
    /// Its kind in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Revoke => "revoke",
            Self::Reprioritise(_) => "reprioritise",
            Self::Replay => "replay",
            Self::Resume => "resume",
            Self::CloseWaitpoint => "close",
        }
    }
}
