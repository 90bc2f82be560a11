//! A scenario: TOML that a person reads in a minute, and the validated value that it becomes.
//!
//! In goes a file; out comes a [`Scenario`] whose every number is possible, or an error that names
//! file, line, key, what was found and what is accepted. Nothing is drawn here; see [`crate::plan`].

mod around;
mod faults;
mod read;
mod work;
mod workers;

pub use around::{Admission, DEFAULT_SCANNERS, Engine, Flows, Operators};
pub use faults::{Crash, FailOver, Faults, Messages, Others, ServerRestart, ServerStep, Slow, Stall, WorkerStep};
pub use read::{from_table, parse, read};
pub use work::{Ending, Endings, Requirement, TimeoutDoes, Work};
pub use workers::{Entry, Habits, Player, WorkerKind, Workers};

use claimlab_model::deviation::Deviation;
use serde::Deserialize;

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

/// At most so many engines, and so many schedulers.
pub const MOST_OF_A_ROLE: u32 = 9;

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

const fn one() -> u32 {
    1
}

const fn always() -> Ratio {
    Ratio::ALWAYS
}

/// How wrong clocks are at the start.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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
        Self { latency_us: Range { low: 100, high: 900 }, request_timeout_ms: 250, service_us: Range::default() }
    }
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
