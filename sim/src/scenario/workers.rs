//! Who works: processes, how they find their work, and what they do besides what the shipped worker does.

use serde::{Deserialize, Serialize};

use crate::stream::Ratio;

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
    #[serde(default = "super::one")]
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
    #[serde(default = "super::one")]
    pub reclaimers: u32,
    /// What clients do that they had better not, or that their users expect to work.
    #[serde(default)]
    pub habits: Habits,
}

/// What clients do besides what the shipped worker does.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Habits {
    /// Share of workers that send an end again when its answer never came.
    pub repeat: Ratio,
    /// Share of grants that are handed to another process of the same pool.
    pub hand_over: Ratio,
    /// Share of grants that are handed to a process of another pool, which must not be able to use them.
    pub hand_astray: Ratio,
    /// Share of grants that their worker claims with only after they have lapsed.
    pub dawdle: Ratio,
    /// Share of grants that nobody ever uses.
    pub leave: Ratio,
    /// Share of claims that name another lane.
    pub wrong_lane: Ratio,
    /// Share of resumed claims that name an attempt from an older read.
    pub stale_read: Ratio,
    /// Share of workers that present the instance id of the worker before them.
    pub twin: Ratio,
}

const fn default_poll_ms() -> u64 {
    1_000
}

/// One kind of worker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerKind {
    /// Share of this kind among all weights.
    #[serde(default = "super::one")]
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
