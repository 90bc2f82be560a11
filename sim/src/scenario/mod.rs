//! A scenario: TOML that a person reads in a minute, and the validated value that it becomes.
//!
//! In goes a file; out comes a [`Scenario`] whose every number is possible, or an error that names
//! file, line, key, what was found and what is accepted. Nothing is drawn here; see [`crate::plan`].

mod read;

pub use read::{parse, read};

use claimlab_model::deviation::Deviation;
use serde::{Deserialize, Serialize};

use crate::scanner::ScannerKind;
use crate::stream::{Range, Ratio};

/// A world to draw plans from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name; the file's stem when the file gives none.
    #[serde(default)]
    pub name: String,
    /// Extent.
    pub world: World,
    /// Leases, as every worker of the scenario takes them.
    #[serde(default)]
    pub lease: Lease,
    /// Who works.
    pub workers: Workers,
    /// What there is to do.
    pub work: Work,
    /// How wrong clocks are.
    #[serde(default)]
    pub clocks: Clocks,
    /// How slow the network is when nothing is wrong.
    #[serde(default)]
    pub network: Network,
    /// Work that depends on other work.
    #[serde(default)]
    pub flows: Flows,
    /// Who may run how much.
    #[serde(default)]
    pub admission: Admission,
    /// What the engine runs.
    #[serde(default)]
    pub engine: Engine,
    /// What the people around the system do.
    #[serde(default)]
    pub operators: Operators,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
    /// The phase after the faults.
    #[serde(default)]
    pub liveness: Liveness,
    /// Bounds of what is measured.
    #[serde(default)]
    pub bounds: Bounds,
    /// Where the model differs from 0.15.0.
    #[serde(default)]
    pub deviations: Vec<Deviation>,
    /// Ids of the known findings that it accepts (`findings/*.toml`).
    #[serde(default)]
    pub accept: Vec<String>,
    /// Ids of invariants that it promises to look at; a run that does not is undecided.
    #[serde(default)]
    pub must_exercise: Vec<String>,
}

impl Scenario {
    /// The scenario with fewer workers and as much less work; as it is where it has no more than that.
    #[must_use]
    pub fn with_workers(mut self, workers: u32) -> Self {
        let from = self.workers.count;
        if workers < from {
            let scaled = |count: u32| {
                let count = u64::from(count) * u64::from(workers);
                u32::try_from(count.div_ceil(u64::from(from))).unwrap_or(u32::MAX)
            };
            self.work.at_start = scaled(self.work.at_start);
            self.work.per_second = scaled(self.work.per_second);
            self.workers.count = workers;
        }
        self
    }
}

/// The highest values that measures may have over all seeds; what is not named has no bound.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Runs that overlapped another run of the same execution, in parts per million of all runs.
    pub overlap_ppm: Option<u64>,
    /// How long before its time delayed work ran, by true time and what was meant.
    pub early_ms: Option<u64>,
    /// How long after its time.
    pub late_ms: Option<u64>,
    /// How long a run went on under a lost lease.
    pub unaware_ms: Option<u64>,
    /// Leases that nobody ever ran under, in parts per million of all leases.
    pub unrun_ppm: Option<u64>,
    /// Acknowledged writes that a replica lacked.
    pub lost_writes: Option<u64>,
    /// Executions that met the cap on their reclaims before anybody had run them.
    pub ended_unrun: Option<u64>,
}

/// Flows with dependencies between their members.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flows {
    /// Share of work items that begin a flow, of which the next items are members too.
    pub begin: Ratio,
    /// How many members a flow has.
    pub members: Range,
    /// Share of the pairs of its members of which the later one waits for the earlier one.
    pub edges: Ratio,
    /// Share of edges that pass the earlier one's result on.
    pub pass_data: Ratio,
    /// Share of waiting members that need one upstream only, whichever.
    pub any_of: Ratio,
    /// Share of the rest that need some of their upstreams only.
    pub quorum: Ratio,
    /// Share of those that have the remaining upstreams cancelled once they have enough.
    pub cancel_remaining: Ratio,
    /// Share of flows that an operator cancels.
    pub cancel: Ratio,
    /// How long after the flow began.
    pub cancel_after_ms: Range,
}

impl Default for Flows {
    fn default() -> Self {
        let none = Ratio::NEVER;
        Self {
            begin: none,
            members: Range { low: 2, high: 5 },
            edges: Ratio { times: 1, of: 2 },
            pass_data: none,
            any_of: none,
            quorum: none,
            cancel_remaining: none,
            cancel: none,
            cancel_after_ms: Range { low: 0, high: 20_000 },
        }
    }
}

/// Quotas and budgets. Nothing that 0.15.0 ships attaches them to executions, so the submitter writes the two fields
/// that its scheduler reads; workers that claim by themselves are not admitted by anybody.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Quota policies.
    pub quotas: u32,
    /// Share of executions that one of them is attached to.
    pub quota: Ratio,
    /// Executions at once in each; 0 is no limit.
    pub max_concurrent: u64,
    /// Length of the window.
    pub window_seconds: u64,
    /// Admissions in a window; 0 is no limit.
    pub max_per_window: u64,
    /// Budgets.
    pub budgets: u32,
    /// Share of executions that one of them is attached to.
    pub budget: Ratio,
    /// Hard limit of each budget's one dimension.
    pub hard_limit: u64,
    /// What each run of an attached execution spends of it.
    pub spend: Range,
    /// How often each budget begins again; 0 is never.
    pub reset_ms: u64,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            quotas: 0,
            quota: Ratio::NEVER,
            max_concurrent: 0,
            window_seconds: 60,
            max_per_window: 0,
            budgets: 0,
            budget: Ratio::NEVER,
            hard_limit: 0,
            spend: Range::just(1),
            reset_ms: 0,
        }
    }
}

/// At most so many engines, and so many schedulers.
pub const MOST_OF_A_ROLE: u32 = 9;

/// What the engine runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// Names of its scanners.
    pub scanners: Vec<String>,
    /// Lanes that it is configured with; the world's when empty.
    pub lanes: Vec<String>,
    /// At most so many members of anything in one pass, in place of the shipped sizes.
    pub batch: Option<u32>,
    /// Whether it listens to completions and resolves dependencies at once.
    pub cascades: bool,
}

impl Default for Engine {
    fn default() -> Self {
        let scanners = DEFAULT_SCANNERS.iter().map(|kind| kind.name().to_owned()).collect();
        Self { scanners, lanes: Vec::new(), batch: None, cascades: false }
    }
}

/// The scanners of an engine that has no flows, waitpoints made in advance, quotas or budgets to look after.
pub const DEFAULT_SCANNERS: [ScannerKind; 6] = [
    ScannerKind::LeaseExpiry,
    ScannerKind::DelayedPromoter,
    ScannerKind::AttemptTimeout,
    ScannerKind::ExecutionDeadline,
    ScannerKind::SuspensionTimeout,
    ScannerKind::Unblock,
];

/// Extent of a world.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Flow partitions; as many as an id can name.
    pub partitions: u32,
    /// Lanes; also those that the engine's scanners are configured with.
    #[serde(default = "default_lanes")]
    pub lanes: Vec<String>,
    /// How long faults and new work last, in milliseconds of true time.
    pub for_ms: u64,
    /// Engine processes, each with every scanner.
    #[serde(default = "one")]
    pub engines: u32,
    /// Processes that run the scheduler; each worker asks one of them.
    #[serde(default = "one")]
    pub schedulers: u32,
}

fn default_lanes() -> Vec<String> {
    vec!["default".into()]
}

/// Leases.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Length; a worker renews at a third of it.
    pub ttl_ms: u64,
}

impl Default for Lease {
    fn default() -> Self {
        Self { ttl_ms: 30_000 }
    }
}

/// How a worker finds its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Scans, grants and claims by itself.
    ClaimNext,
    /// Asks the scheduler for a grant.
    ClaimViaServer,
    /// Scans and grants by itself, then claims through grant objects: a resume grant where an attempt
    /// was interrupted, a claim grant elsewhere.
    ClaimFromGrants,
    /// Calls `EngineBackend::claim` in a loop.
    Claim,
}

/// Who plays a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Player {
    /// The native worker, for thousands.
    #[default]
    Native,
    /// The shipped SDK's own worker; for builds with the feature `sdk`.
    Sdk,
}

/// Who works.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    /// How many processes.
    pub count: u32,
    /// Who plays them, where their kind does not say.
    #[serde(default)]
    pub worker: Player,
    /// Tasks at once in each.
    #[serde(default = "one")]
    pub concurrency: u32,
    /// Pause after a poll that found nothing.
    #[serde(default = "default_poll_ms")]
    pub poll_ms: u64,
    /// How many logical worker ids the processes share; 0 gives each its own.
    #[serde(default)]
    pub pools: u32,
    /// Kinds of workers by weight; one kind without capabilities when empty.
    #[serde(default)]
    pub kinds: Vec<WorkerKind>,
    /// Whether workers register themselves and send heartbeats.
    #[serde(default)]
    pub register: bool,
    /// Whether workers listen to completions.
    #[serde(default)]
    pub listen: bool,
    /// External reclaimers.
    #[serde(default = "one")]
    pub reclaimers: u32,
    /// What clients do that they had better not, or that their users expect to work.
    #[serde(default)]
    pub habits: Habits,
}

/// What clients do besides what the shipped worker does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Habits {
    /// Share of workers that send an end again when its answer never came.
    pub repeat: Ratio,
    /// Share of grants that are handed to another process of the same pool.
    pub hand_over: Ratio,
    /// Share of grants that nobody ever uses.
    pub leave: Ratio,
    /// Share of claims that name another lane.
    pub wrong_lane: Ratio,
    /// Share of resumed claims that name an attempt from an older read.
    pub stale_read: Ratio,
    /// Share of workers that present the instance id of the worker before them.
    pub twin: Ratio,
}

impl Default for Habits {
    fn default() -> Self {
        let none = Ratio::NEVER;
        Self { repeat: none, hand_over: none, leave: none, wrong_lane: none, stale_read: none, twin: none }
    }
}

const fn one() -> u32 {
    1
}

const fn default_poll_ms() -> u64 {
    1_000
}

/// One kind of worker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerKind {
    /// Share of this kind among all weights.
    #[serde(default = "one")]
    pub weight: u32,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// How it finds work.
    #[serde(default = "default_entry")]
    pub entry: Entry,
    /// Who plays it; without, who plays all.
    #[serde(default)]
    pub worker: Option<Player>,
}

impl Workers {
    /// Who plays the workers of each kind.
    pub fn players(&self) -> impl Iterator<Item = Player> + '_ {
        let of_kinds = self.kinds.iter().map(|kind| kind.worker.unwrap_or(self.worker));
        of_kinds.chain(self.kinds.is_empty().then_some(self.worker))
    }
}

const fn default_entry() -> Entry {
    Entry::ClaimNext
}

/// How a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Completes with a result.
    Complete,
    /// Completes its first attempt with a result, later ones without.
    CompleteEmpty,
    /// Fails.
    Fail,
    /// Cancels itself by its handle.
    Cancel,
    /// Is dropped without an end: the lease runs out, and whoever reclaims it completes it.
    Drop,
    /// Steps back until its children are done. It has none, and an operator cancels it.
    WaitChildren,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Executions submitted in the first second.
    #[serde(default)]
    pub at_start: u32,
    /// Executions submitted in each later second of the faulty phase.
    #[serde(default)]
    pub per_second: u32,
    /// How long one runs, in milliseconds of the worker's timer.
    pub run_ms: Range,
    /// Priorities.
    #[serde(default = "zero_range")]
    pub priority: Range,
    /// How tasks end, by weight.
    #[serde(default)]
    pub endings: Endings,
    /// How attempts after the first end, by weight; as the first when absent.
    #[serde(default)]
    pub later_endings: Option<Endings>,
    /// Categories of failures that policies list as worth a retry; all are when empty.
    #[serde(default)]
    pub retryable: Vec<String>,
    /// Share of executions whose policy sets the attempt timeout that claims should have.
    #[serde(default = "never")]
    pub policy_timeout: Ratio,
    /// Share of executions that park themselves halfway on a waitpoint.
    #[serde(default = "never")]
    pub suspend: Ratio,
    /// How often a suspending execution parks itself, one time after the other.
    #[serde(default = "once")]
    pub suspend_times: Range,
    /// Share of suspensions that wait for signals to two waitpoints.
    #[serde(default = "never")]
    pub composite: Ratio,
    /// Share of signals that are sent again with the same key.
    #[serde(default = "never")]
    pub signal_again: Ratio,
    /// Share of signals before which one with a wrong token is sent.
    #[serde(default = "never")]
    pub signal_wrong: Ratio,
    /// Share of later suspensions during which the signal of the one before is sent with a key of its own.
    #[serde(default = "never")]
    pub signal_old: Ratio,
    /// What the suspension's timeout does.
    #[serde(default)]
    pub suspend_timeout_does: TimeoutDoes,
    /// Suspension timeout, from the suspending worker's clock.
    #[serde(default = "default_suspend_timeout")]
    pub suspend_timeout_ms: Range,
    /// Share of suspensions whose signal is sent.
    #[serde(default = "always")]
    pub signal: Ratio,
    /// How long after the suspension the signal is sent.
    #[serde(default = "default_signal_after")]
    pub signal_after_ms: Range,
    /// Share of signals that ask for a delayed resume.
    #[serde(default = "never")]
    pub resume_delay: Ratio,
    /// Share of suspending executions that create their waitpoint when they begin.
    #[serde(default = "never")]
    pub on_pending: Ratio,
    /// Share of executions that belong to a flow, whose ends are published.
    #[serde(default = "never")]
    pub flow: Ratio,
    /// Share of executions that tell their progress halfway.
    #[serde(default = "never")]
    pub progress: Ratio,
    /// Share of executions that delay themselves halfway.
    #[serde(default = "never")]
    pub delay: Ratio,
    /// For how long.
    #[serde(default = "default_delay")]
    pub delay_ms: Range,
    /// Share of executions submitted with a delay.
    #[serde(default = "never")]
    pub submit_delayed: Ratio,
    /// Share of executions submitted with a deadline.
    #[serde(default = "never")]
    pub deadline: Ratio,
    /// The deadline, from submission.
    #[serde(default = "default_deadline")]
    pub deadline_ms: Range,
    /// Share of claims that set an attempt timeout.
    #[serde(default = "never")]
    pub attempt_timeout: Ratio,
    /// The attempt timeout.
    #[serde(default = "default_deadline")]
    pub attempt_timeout_ms: Range,
    /// Retries that the policy allows.
    #[serde(default = "default_retries")]
    pub max_retries: u32,
    /// Reclaims that the policy allows.
    #[serde(default = "default_reclaims")]
    pub max_reclaims: u32,
    /// Capabilities that executions require, by weight; none when empty.
    #[serde(default)]
    pub requires: Vec<Requirement>,
}

const fn once() -> Range {
    Range::just(1)
}

/// What a suspension's timeout does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutDoes {
    /// The execution goes on.
    #[default]
    Resume,
    /// It fails.
    Fail,
    /// It is cancelled.
    Cancel,
    /// It ends as expired.
    Expire,
}

const fn zero_range() -> Range {
    Range::just(0)
}

const fn never() -> Ratio {
    Ratio::NEVER
}

const fn always() -> Ratio {
    Ratio::ALWAYS
}

const fn default_suspend_timeout() -> Range {
    Range { low: 20_000, high: 40_000 }
}

const fn default_signal_after() -> Range {
    Range { low: 500, high: 8_000 }
}

const fn default_delay() -> Range {
    Range { low: 1_000, high: 5_000 }
}

const fn default_deadline() -> Range {
    Range { low: 20_000, high: 60_000 }
}

const fn default_retries() -> u32 {
    2
}

const fn default_reclaims() -> u32 {
    100
}

/// How tasks end, by weight.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endings {
    /// Complete with a result.
    pub complete: u32,
    /// Complete the first attempt with a result, later ones (after a replay, say) without.
    pub complete_empty: u32,
    /// Fail.
    pub fail: u32,
    /// Cancel by handle.
    pub cancel: u32,
    /// Drop without an end; whoever reclaims it completes it.
    pub drop: u32,
    /// Step back until children are done that do not exist; an operator cancels it.
    pub wait_children: u32,
}

impl Default for Endings {
    fn default() -> Self {
        Self { complete: 1, complete_empty: 0, fail: 0, cancel: 0, drop: 0, wait_children: 0 }
    }
}

impl Endings {
    /// Endings with their weights.
    pub const fn weights(&self) -> [(Ending, u32); 6] {
        [
            (Ending::Complete, self.complete),
            (Ending::CompleteEmpty, self.complete_empty),
            (Ending::Fail, self.fail),
            (Ending::Cancel, self.cancel),
            (Ending::Drop, self.drop),
            (Ending::WaitChildren, self.wait_children),
        ]
    }
}

/// Capabilities that some executions require.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Share among all weights.
    #[serde(default = "one")]
    pub weight: u32,
    /// The capabilities; none for any worker.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// How wrong clocks are at the start.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clocks {
    /// Workers' offset from true time.
    pub worker_offset_ms: Range,
    /// Workers' drift.
    pub worker_drift_ppm: Range,
    /// The server's drift.
    pub server_drift_ppm: Range,
    /// Offset from true time of everybody else: engines, schedulers, submitter, operator, signaller, reclaimers.
    pub others_offset_ms: Range,
    /// Drift of everybody else.
    pub others_drift_ppm: Range,
}

impl Default for Clocks {
    fn default() -> Self {
        let none = zero_range();
        Self {
            worker_offset_ms: none,
            worker_drift_ppm: none,
            server_drift_ppm: none,
            others_offset_ms: none,
            others_drift_ppm: none,
        }
    }
}

/// The network when nothing is wrong.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// One way, in microseconds.
    pub latency_us: Range,
    /// How long the client waits for one reply.
    pub request_timeout_ms: u64,
    /// How long the server, which does one thing at a time, takes for one message, in microseconds. What arrives
    /// meanwhile waits in a queue.
    pub service_us: Range,
}

impl Default for Network {
    fn default() -> Self {
        Self { latency_us: Range { low: 100, high: 900 }, request_timeout_ms: 250, service_us: zero_range() }
    }
}

/// What the people around the system do, as shares of all executions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Operators {
    /// Cancelled by id.
    pub cancel: Ratio,
    /// Lease revoked.
    pub revoke: Ratio,
    /// Priority changed.
    pub reprioritise: Ratio,
    /// Replayed.
    pub replay: Ratio,
    /// Resumed, suspended or not.
    pub resume: Ratio,
    /// The waitpoint closed that it waits at, if it waits.
    pub close: Ratio,
    /// How long after the submission.
    pub after_ms: Range,
}

impl Default for Operators {
    fn default() -> Self {
        Self {
            cancel: Ratio::NEVER,
            revoke: Ratio::NEVER,
            reprioritise: Ratio::NEVER,
            replay: Ratio::NEVER,
            resume: Ratio::NEVER,
            close: Ratio::NEVER,
            after_ms: Range { low: 0, high: 30_000 },
        }
    }
}

/// What goes wrong. Every fault has a share of seeds in which it exists at all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// A worker process dies and comes back as a new instance.
    pub crash: Option<Crash>,
    /// A worker's machine stalls and goes on where it was.
    pub pause: Option<Stall>,
    /// A request never arrives.
    pub lost_request: Option<Messages>,
    /// A request is applied, its reply never arrives.
    pub lost_reply: Option<Messages>,
    /// A message takes much longer.
    pub delay: Option<Slow>,
    /// A request is applied twice.
    pub duplicate: Option<Messages>,
    /// A worker cannot reach the server, or hear it, or both.
    pub cut: Option<Stall>,
    /// The server's clock steps.
    pub server_step: Option<ServerStep>,
    /// A worker's wall clock steps.
    pub worker_step: Option<WorkerStep>,
    /// A worker's renewals leave its process only later, while its work goes on.
    pub starve: Option<Stall>,
    /// The server is down for a while and comes back with all that it held.
    pub server_restart: Option<ServerRestart>,
    /// A replica takes over that lacks the server's last writes and has a clock of its own.
    pub fail_over: Option<FailOver>,
}

/// Shares of the parties beside the workers that a fault strikes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Others {
    /// Of the engines.
    pub engine: Ratio,
    /// Of the schedulers.
    pub scheduler: Ratio,
    /// The submitter.
    pub submitter: Ratio,
    /// The operator.
    pub operator: Ratio,
    /// The signaller.
    pub signaller: Ratio,
    /// Of the reclaimers.
    pub reclaimer: Ratio,
}

impl Default for Others {
    fn default() -> Self {
        let none = Ratio::NEVER;
        Self { engine: none, scheduler: none, submitter: none, operator: none, signaller: none, reclaimer: none }
    }
}

/// Crashes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// Share of workers.
    pub workers: Ratio,
    /// Share of the others.
    #[serde(default)]
    pub others: Others,
    /// Share of work items whose holder is struck, whoever that is then.
    #[serde(default = "never")]
    pub holders: Ratio,
    /// Share of crashes that strike right after a message was sent, wherever the code then waits.
    #[serde(default = "never")]
    pub at_message: Ratio,
    /// Names of the messages that count for that, as `ff_…` functions are named without their prefix; any when empty.
    #[serde(default)]
    pub messages: Vec<String>,
    /// Share of crashes after which the process comes back under the instance id that it had.
    #[serde(default = "never")]
    pub same_instance: Ratio,
    /// How long the worker stays down.
    pub restart_ms: Range,
}

/// Stalls, cuts and starved renewals.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// Share of workers.
    pub workers: Ratio,
    /// Share of the others.
    #[serde(default)]
    pub others: Others,
    /// Share of work items whose holder is struck, whoever that is then.
    #[serde(default = "never")]
    pub holders: Ratio,
    /// How long.
    pub for_ms: Range,
}

/// Faults of single messages.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// Share of messages.
    pub messages: Ratio,
    /// Whether messages of engines, schedulers, submitter, operator and signaller count too.
    #[serde(default)]
    pub everyone: bool,
}

/// Slow messages.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// Share of messages.
    pub messages: Ratio,
    /// How much longer.
    pub by_ms: Range,
    /// Whether messages of engines, schedulers, submitter, operator and signaller count too.
    #[serde(default)]
    pub everyone: bool,
}

/// Steps of the server's clock.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerStep {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// How many.
    pub count: Range,
    /// How far; negative is backwards.
    pub by_ms: Range,
    /// How long after each step the clock steps back by as much; never without.
    #[serde(default)]
    pub back_after_ms: Option<Range>,
}

/// Restarts of the server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerRestart {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// How many.
    pub count: Range,
    /// How long nobody answers.
    pub down_ms: Range,
}

/// Fail-overs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailOver {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// How many.
    pub count: Range,
    /// The writes of so many last milliseconds are missing on the replica.
    pub lose_ms: Range,
    /// The replica's clock minus the server's.
    #[serde(default = "zero_range")]
    pub clock_ms: Range,
    /// How long nobody answers.
    #[serde(default = "zero_range")]
    pub down_ms: Range,
}

/// Steps of workers' clocks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerStep {
    /// Share of seeds.
    #[serde(default = "always")]
    pub seeds: Ratio,
    /// Share of workers.
    pub workers: Ratio,
    /// Share of the others.
    #[serde(default)]
    pub others: Others,
    /// How far; negative is backwards.
    pub by_ms: Range,
}

/// The phase after the faults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Liveness {
    /// How long everything may take to end, in milliseconds of true time; 0 leaves the phase out.
    pub within_ms: u64,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { within_ms: 600_000 }
    }
}
