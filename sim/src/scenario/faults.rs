//! What goes wrong: each kind of fault with the share of seeds in which it exists, whom it strikes and how.

use serde::Deserialize;

use crate::stream::{Range, Ratio};

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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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

/// Crashes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// Share of seeds.
    #[serde(default = "super::always")]
    pub seeds: Ratio,
    /// Share of workers.
    pub workers: Ratio,
    /// Share of the others.
    #[serde(default)]
    pub others: Others,
    /// Share of work items whose holder is struck, whoever that is then.
    #[serde(default)]
    pub holders: Ratio,
    /// Share of crashes that strike right after a message was sent, wherever the code then waits.
    #[serde(default)]
    pub at_message: Ratio,
    /// Names of the messages that count for that, as `ff_…` functions are named without their prefix; any when empty.
    #[serde(default)]
    pub messages: Vec<String>,
    /// Share of crashes after which the process comes back under the instance id that it had.
    #[serde(default)]
    pub same_instance: Ratio,
    /// How long the worker stays down.
    pub restart_ms: Range,
}

/// Stalls, cuts and starved renewals.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// Share of seeds.
    #[serde(default = "super::always")]
    pub seeds: Ratio,
    /// Share of workers.
    pub workers: Ratio,
    /// Share of the others.
    #[serde(default)]
    pub others: Others,
    /// Share of work items whose holder is struck, whoever that is then.
    #[serde(default)]
    pub holders: Ratio,
    /// How long.
    pub for_ms: Range,
}

/// Faults of single messages.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Share of seeds.
    #[serde(default = "super::always")]
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
    #[serde(default = "super::always")]
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
    #[serde(default = "super::always")]
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
    #[serde(default = "super::always")]
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
    #[serde(default = "super::always")]
    pub seeds: Ratio,
    /// How many.
    pub count: Range,
    /// The writes of so many last milliseconds are missing on the replica.
    pub lose_ms: Range,
    /// The replica's clock minus the server's.
    #[serde(default)]
    pub clock_ms: Range,
    /// How long nobody answers.
    #[serde(default)]
    pub down_ms: Range,
}

/// Steps of workers' clocks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerStep {
    /// Share of seeds.
    #[serde(default = "super::always")]
    pub seeds: Ratio,
    /// Share of workers.
    pub workers: Ratio,
    /// Share of the others.
    #[serde(default)]
    pub others: Others,
    /// How far; negative is backwards.
    pub by_ms: Range,
}
