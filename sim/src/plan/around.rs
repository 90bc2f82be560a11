//! What surrounds the work of a plan: flows with their dependencies, quotas, budgets, and what the engine runs.

use serde::{Deserialize, Serialize};

use crate::clock::TrueTime;
use crate::stream::Range;

/// One flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowPlan {
    /// Its number: that of the work item that begins it.
    pub key: u32,
    /// Its flow id.
    pub flow: String,
    /// When it is built.
    pub at: TrueTime,
    /// Its members, by their work items.
    pub members: Vec<u32>,
    /// Who waits for whom.
    pub edges: Vec<EdgePlan>,
    /// Policies of members that do not need all of their upstreams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupPlan>,
    /// When an operator cancels it with all its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<TrueTime>,
}

/// One dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgePlan {
    /// Who must end first.
    pub from: u32,
    /// Who waits.
    pub to: u32,
    /// Whether the result is passed on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passes_data: bool,
}

/// The policy of one waiting member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPlan {
    /// Who waits.
    pub to: u32,
    /// How many upstreams it needs; any one where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// Whether the remaining upstreams are cancelled then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancels_remaining: bool,
}

/// Quotas and budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionPlan {
    /// Ids of the quota policies.
    pub quotas: Vec<String>,
    /// Executions at once in each; 0 is no limit.
    pub max_concurrent: u64,
    /// Length of the window.
    pub window_seconds: u64,
    /// Admissions in a window; 0 is no limit.
    pub max_per_window: u64,
    /// Ids of the budgets.
    pub budgets: Vec<String>,
    /// Hard limit of each budget's one dimension.
    pub hard_limit: u64,
    /// What each run of an attached execution spends of it.
    pub spend: Range,
    /// How often each budget begins again; 0 is never.
    pub reset_ms: u64,
}

/// What the engine runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnginePlan {
    /// Names of its scanners.
    pub scanners: Vec<String>,
    /// Lanes that it is configured with.
    pub lanes: Vec<String>,
    /// At most so many members of anything in one pass, in place of the shipped sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// How long its trimmer keeps what has ended, in place of the shipped day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<u64>,
    /// Whether it listens to completions and resolves dependencies at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cascades: bool,
}
