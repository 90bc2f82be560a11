//! A plan: everything that one run will be given, as an explicit list.
//!
//! A scenario and a seed are a short name for a plan. The plan is what is stored, replayed and shared:
//! work items, workers with their clocks, what operators do, and every fault with its moment. Each
//! element carries its own key, so that taking one out leaves the rest as it was.

mod draw;

pub use draw::draw;

use std::collections::BTreeSet;
use std::path::Path;

use claimlab_model::deviation::Deviation;
use serde::{Deserialize, Serialize};

use crate::clock::{Skew, TrueTime};
use crate::input::{InputError, line_of, read_text};
use crate::scenario::{Ending, Entry, Player};
use crate::stream::Range;

/// The format's version; a plan of another one is refused.
pub const VERSION: u32 = 1;

/// Who a message, a wait or a fault belongs to; also the tie-break between events of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartyKey(pub u32);

impl PartyKey {
    /// The server itself: only its clock can be faulty.
    pub const SERVER: Self = Self(0);
    /// The engine process with its scanners.
    pub const ENGINE: Self = Self(1);
    /// The process that runs the scheduler.
    pub const SCHEDULER: Self = Self(2);
    /// Whoever submits the work.
    pub const SUBMITTER: Self = Self(3);
    /// Whoever cancels, revokes, reprioritises and replays.
    pub const OPERATOR: Self = Self(4);
    /// Whoever delivers signals.
    pub const SIGNALLER: Self = Self(5);
    /// The first reclaimer.
    pub const RECLAIMERS: u32 = 100;
    /// The first worker.
    pub const WORKERS: u32 = 10_000;

    /// What kind of party this is, in one word.
    pub const fn role(self) -> &'static str {
        match self.0 {
            0 => "server",
            1 => "engine",
            2 => "scheduler",
            3 => "submitter",
            4 => "operator",
            5 => "signaller",
            Self::RECLAIMERS..Self::WORKERS => "reclaimer",
            _ => "worker",
        }
    }
}

impl std::fmt::Display for PartyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            Self::WORKERS.. => format!("worker-{}", self.0 - Self::WORKERS),
            Self::RECLAIMERS.. => format!("reclaimer-{}", self.0 - Self::RECLAIMERS),
            _ => self.role().to_owned(),
        };
        f.pad(&name)
    }
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
    /// Extent and surroundings.
    pub world: WorldPlan,
    /// Reclaimers, then workers.
    pub workers: Vec<WorkerPlan>,
    /// What there is to do.
    pub work: Vec<WorkItem>,
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
    /// The server's clock.
    pub server: Skew,
    /// Where the model differs from 0.15.0.
    pub deviations: Vec<Deviation>,
    /// Signatures of violations that are known, each with its reason.
    pub accept: Vec<(String, String)>,
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
    /// What a worker does with it.
    pub task: Task,
}

/// What a worker does with an execution; travels as its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
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
}

impl Act {
    /// A number for its kind.
    pub const fn number(self) -> u64 {
        match self {
            Self::Cancel => 0,
            Self::Revoke => 1,
            Self::Reprioritise(_) => 2,
            Self::Replay => 3,
        }
    }
}

/// One fault with its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Whom it strikes.
    pub party: PartyKey,
    /// When.
    pub when: When,
    /// How.
    pub what: What,
}

/// A fault's moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A true time.
    At(TrueTime),
    /// With the party's message of this number, counted from 0 over all its lives.
    Message(u64),
}

/// Which way a cut goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Requests are lost.
    Out,
    /// Replies are lost.
    In,
    /// Both are.
    Both,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The process dies; a new instance starts after this long.
    Crash {
        /// How long it stays down.
        restart_ms: u64,
    },
    /// The machine stalls.
    Pause {
        /// How long.
        for_ms: u64,
    },
    /// The request does not arrive.
    LostRequest,
    /// The reply does not arrive.
    LostReply,
    /// The request arrives late.
    Delay {
        /// How much later.
        by_ms: u64,
    },
    /// The request is applied twice.
    Duplicate {
        /// How long after the first time.
        after_ms: u64,
    },
    /// The party is cut off.
    Cut {
        /// How long.
        for_ms: u64,
        /// Which way.
        way: Way,
    },
    /// The server's clock steps.
    ServerStep {
        /// How far.
        by_ms: i64,
    },
    /// The party's wall clock steps.
    WorkerStep {
        /// How far.
        by_ms: i64,
    },
}

impl What {
    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Pause { .. } => "pause",
            Self::LostRequest => "lost_request",
            Self::LostReply => "lost_reply",
            Self::Delay { .. } => "delay",
            Self::Duplicate { .. } => "duplicate",
            Self::Cut { .. } => "cut",
            Self::ServerStep { .. } => "server_step",
            Self::WorkerStep { .. } => "worker_step",
        }
    }
}

/// Reads a plan.
///
/// # Errors
/// When the file is missing, no JSON, of another version or not a plan.
pub fn read(file: &Path) -> Result<Plan, InputError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let text = read_text(file, "plan", "a plan in JSON")?;
    let malformed = |line: usize, why: String| InputError::Malformed { file: file.to_owned(), line, why };
    let from_json =
        |error: serde_json::Error| malformed(error.line().max(1), format!("{error}; accepted is a plan in JSON"));
    let line_of_key = |key: &str| {
        let name = key.rsplit('.').next().unwrap_or(key).split('[').next().unwrap_or(key);
        line_of(&text, text.find(&format!("\"{name}\"")).unwrap_or(0))
    };
    let Versioned { version } = serde_json::from_str(&text).map_err(from_json)?;
    if version != VERSION {
        return Err(malformed(line_of_key("version"), format!("version: found {version}, accepted is {VERSION}")));
    }
    let plan: Plan = serde_json::from_str(&text).map_err(from_json)?;
    plan.check().map_err(|(key, found, accepted)| {
        malformed(line_of_key(&key), format!("{key}: found {found}, accepted is {accepted}"))
    })?;
    Ok(plan)
}

const DAY_MS: u64 = 86_400_000;

impl Plan {
    /// Finds a value that no drawn plan has: its key, what was found, what is accepted.
    fn check(&self) -> Result<(), (String, String, &'static str)> {
        let require = |holds: bool, key: String, found: String, accepted: &'static str| {
            if holds { Ok(()) } else { Err((key, found, accepted)) }
        };
        let world = &self.world;
        let of_world = |name: &str| format!("world.{name}");
        require(world.partitions > 0, of_world("partitions"), "0".into(), "1 to 65535")?;
        require(!world.lanes.is_empty(), of_world("lanes"), "no lanes".into(), "at least one lane")?;
        let durations = [
            ("for_ms", world.for_ms, 1),
            ("liveness_ms", world.liveness_ms, 0),
            ("lease_ttl_ms", world.lease_ttl_ms, 3),
            ("request_timeout_ms", world.request_timeout_ms, 1),
        ];
        for (name, value, least) in durations {
            require(
                (least..=DAY_MS).contains(&value),
                of_world(name),
                value.to_string(),
                "up to a day, and long enough",
            )?;
        }
        let Range { low, high } = world.latency_us;
        require(low >= 1 && high <= 60_000_000, of_world("latency_us"), format!("[{low}, {high}]"), "1 to 60000000")?;
        let (mut workers, mut items) = (BTreeSet::new(), BTreeSet::new());
        for (position, worker) in self.workers.iter().enumerate() {
            let key = |name: &str| format!("workers[{position}].{name}");
            let drift = worker.clock.drift_ppm;
            require(
                (-500_000..=500_000).contains(&drift),
                key("clock.drift_ppm"),
                drift.to_string(),
                "-500000 to 500000",
            )?;
            require(
                (1..=DAY_MS).contains(&worker.poll_ms),
                key("poll_ms"),
                worker.poll_ms.to_string(),
                "1 to 86400000",
            )?;
            let is_worker = worker.key.0 >= PartyKey::RECLAIMERS && workers.insert(worker.key);
            require(!worker.lanes.is_empty(), key("lanes"), "no lanes".into(), "at least one lane")?;
            require(is_worker, key("key"), worker.key.0.to_string(), "100 or more, each once")?;
        }
        for (position, item) in self.work.iter().enumerate() {
            let id = ff_core::types::ExecutionId::parse(&item.execution);
            let accepted = "{fp:N}:UUID with N below world.partitions";
            let known = id.is_ok_and(|id| id.partition() < world.partitions);
            require(known, format!("work[{position}].execution"), item.execution.clone(), accepted)?;
            let fresh = items.insert(item.key);
            require(fresh, format!("work[{position}].key"), item.key.to_string(), "each key once")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_another_version_is_refused_by_its_version() {
        let folder = std::env::temp_dir().join(format!("claimlab-plan-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("plan.json");
        std::fs::write(&file, "{\"version\": 99, \"anything\": true}").unwrap();
        let error = read(&file).unwrap_err().to_string();
        assert!(error.ends_with("plan.json:1: version: found 99, accepted is 1"), "{error}");
        assert!(read(&folder).unwrap_err().to_string().contains("it is a directory"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn parties_are_named_for_people() {
        assert_eq!(PartyKey(PartyKey::WORKERS + 17).to_string(), "worker-17");
        assert_eq!(PartyKey(PartyKey::RECLAIMERS).to_string(), "reclaimer-0");
        assert_eq!(PartyKey::ENGINE.to_string(), "engine");
    }
}
