//! Admission and administration: what travels for quotas, budgets, the worker registry and plain reads.
//!
//! Arguments of the functions of `lua/quota.lua` and `lua/budget.lua`, and the plain commands that
//! `ff-backend-valkey/src/lib.rs` sends around them, each a message of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ff_core::types::{AttemptId, TimestampMs};
use uuid::Uuid;

use super::{Place, Taker};
use crate::intern::{ExecutionNo, InstanceNo, NamespaceNo, WorkerNo};
use crate::store::{
    Attached, BudgetPlace, Core, IndexKey, QuotaDefinition, QuotaPlace, Reasons, Registration, Submission,
};

/// `ff_create_budget`.
#[derive(Clone, Debug)]
pub struct CreateBudget {
    /// Where.
    pub place: BudgetPlace,
    /// `scope_type`.
    pub scope_type: String,
    /// `scope_id`.
    pub scope_id: String,
    /// `enforcement_mode`.
    pub enforcement_mode: String,
    /// `on_hard_limit`.
    pub on_hard_limit: String,
    /// `on_soft_limit`.
    pub on_soft_limit: String,
    /// Reset period; zero never resets.
    pub reset_interval_ms: u64,
    /// Dimension, hard limit and soft limit; a limit of zero is none.
    pub dimensions: Vec<(String, u64, u64)>,
    /// The caller's time.
    pub now: TimestampMs,
}

/// `ff_report_usage_and_check` and `ff_record_spend`.
#[derive(Clone, Debug)]
pub struct Spend {
    /// Where.
    pub place: BudgetPlace,
    /// Dimensions with their increments; a report may name one twice.
    pub deltas: Vec<(String, u64)>,
    /// The caller's time, kept as text only.
    pub now: TimestampMs,
    /// Deduplication id within the budget's partition.
    pub dedup: Option<String>,
    /// Whose ledger is kept; only spends name one.
    pub execution: Option<ExecutionNo>,
}

/// `ff_create_quota_policy`.
#[derive(Clone, Debug)]
pub struct CreateQuotaPolicy {
    /// Where.
    pub place: QuotaPlace,
    /// What is defined.
    pub definition: QuotaDefinition,
}

/// `ff_check_admission_and_record`: limits come from the caller, not from the definition.
#[derive(Clone, Debug)]
pub struct CheckAdmission {
    /// Where.
    pub place: QuotaPlace,
    /// Names the window.
    pub dimension: String,
    /// Who asks.
    pub execution: ExecutionNo,
    /// The caller's time, which is trusted.
    pub now: TimestampMs,
    /// Window length in seconds.
    pub window_seconds: u64,
    /// Admissions in a window; zero is no limit.
    pub rate_limit: u64,
    /// Admissions at once; zero is no limit.
    pub concurrency_cap: u64,
    /// Spread that is added to the time to wait.
    pub jitter_ms: u64,
}

/// `ff_issue_grant_and_claim`.
#[derive(Clone, Debug)]
pub struct IssueGrantAndClaim {
    /// Who takes the lease.
    pub taker: Taker,
    /// New attempt id, minted by the caller; unused where an attempt is continued.
    pub attempt_id: AttemptId,
}

/// A plain command on the keys of budgets, quotas and workers, or a read beside the preludes'.
#[derive(Clone, Debug)]
pub enum Command {
    /// `HGETALL` of a budget's definition.
    BudgetDefinition(BudgetPlace),
    /// `HGETALL` of a budget's limits.
    BudgetLimits(BudgetPlace),
    /// `HGETALL` of a budget's usage.
    BudgetUsage(BudgetPlace),
    /// `HGET` of one dimension's usage.
    BudgetUsed(BudgetPlace, String),
    /// `ZRANGEBYSCORE -inf …` of a partition's budgets by their next reset.
    BudgetResets {
        /// Partition of the index.
        partition: u16,
        /// Highest score.
        up_to_ms: i64,
        /// At most so many.
        limit: u32,
    },
    /// `SSCAN` of a partition's budgets.
    BudgetPolicies(u16),
    /// `SREM` of a budget from its partition's index.
    ForgetBudget(BudgetPlace),
    /// `HMGET` or `HGET` of a quota policy's definition.
    QuotaDefinition(QuotaPlace),
    /// `SMEMBERS` of a partition's quota policies.
    QuotaPolicies(u16),
    /// `ZREMRANGEBYSCORE -inf …` of the window that the reconciler names.
    TrimWindow {
        /// Where.
        place: QuotaPlace,
        /// Highest score that goes.
        up_to_ms: u64,
    },
    /// `ZCARD` of the window that the reconciler names.
    WindowCount(QuotaPlace),
    /// `SSCAN` of the admitted set.
    Admitted(QuotaPlace),
    /// `EXISTS` of an admission's guard.
    GuardExists(QuotaPlace, ExecutionNo),
    /// `SREM` from the admitted set.
    ForgetAdmitted(QuotaPlace, ExecutionNo),
    /// `GET` of the concurrency counter.
    Concurrency(QuotaPlace),
    /// `SET` of the concurrency counter.
    SetConcurrency(QuotaPlace, i64),
    /// `SET … NX PX` of a worker's alive key.
    SetAlive {
        /// Where.
        namespace: NamespaceNo,
        /// Who.
        worker: WorkerNo,
        /// Which of its processes.
        instance: InstanceNo,
        /// For how long.
        ttl_ms: u64,
    },
    /// `HSET` of a worker's capability hash, which keeps the time to live that it has.
    Advertise {
        /// Where.
        namespace: NamespaceNo,
        /// Which process.
        instance: InstanceNo,
        /// The fields.
        shown: Box<Registration>,
    },
    /// `SADD` of a worker to its namespace's index.
    IndexWorker(NamespaceNo, InstanceNo),
    /// `DEL` of a worker's alive key.
    DeleteAlive(NamespaceNo, InstanceNo),
    /// `DEL` of a worker's capability hash.
    DeleteCapabilities(NamespaceNo, InstanceNo),
    /// `SREM` of a worker from its namespace's index.
    ForgetWorker(NamespaceNo, InstanceNo),
    /// `SSCAN` of a namespace's index of workers.
    Workers(NamespaceNo),
    /// `HGETALL` of a worker's capability hash.
    Worker(NamespaceNo, InstanceNo),
    /// `SMEMBERS` of the lane registry.
    Lanes,
    /// `SMEMBERS` or `SSCAN` of a partition's executions.
    AllExecutions(u16),
    /// `ZSCORE`.
    Score {
        /// Whose.
        place: Place,
        /// In which index.
        key: IndexKey,
    },
    /// `HMGET` or `HGETALL` of the whole core hash.
    CoreHash(Place),
    /// `HGET` of one tag.
    Tag(ExecutionNo, String),
    /// `HGET budget_ids`.
    BudgetIds(Place),
    /// `HGET quota_policy_id`.
    QuotaPolicyId(Place),
    /// `HSET` of the two admission fields, which no production code sends.
    Attach {
        /// The execution.
        execution: ExecutionNo,
        /// `budget_ids`; none leaves it.
        budget_ids: Option<String>,
        /// `quota_policy_id`; none leaves it.
        quota_policy_id: Option<String>,
    },
}

impl Command {
    /// A short name: the command and its key.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BudgetDefinition(_) => "HGETALL budget",
            Self::BudgetLimits(_) => "HGETALL budget limits",
            Self::BudgetUsage(_) => "HGETALL budget usage",
            Self::BudgetUsed(..) => "HGET budget usage",
            Self::BudgetResets { .. } => "ZRANGEBYSCORE budget resets",
            Self::BudgetPolicies(_) => "SSCAN budgets",
            Self::ForgetBudget(_) => "SREM budgets",
            Self::QuotaDefinition(_) => "HMGET quota",
            Self::QuotaPolicies(_) => "SMEMBERS quotas",
            Self::TrimWindow { .. } => "ZREMRANGEBYSCORE quota window",
            Self::WindowCount(_) => "ZCARD quota window",
            Self::Admitted(_) => "SSCAN admitted",
            Self::GuardExists(..) => "EXISTS admitted",
            Self::ForgetAdmitted(..) => "SREM admitted",
            Self::Concurrency(_) => "GET concurrency",
            Self::SetConcurrency(..) => "SET concurrency",
            Self::SetAlive { .. } => "SET worker alive",
            Self::Advertise { .. } => "HSET worker caps",
            Self::IndexWorker(..) => "SADD workers",
            Self::DeleteAlive(..) => "DEL worker alive",
            Self::DeleteCapabilities(..) => "DEL worker caps",
            Self::ForgetWorker(..) => "SREM workers",
            Self::Workers(_) => "SSCAN workers",
            Self::Worker(..) => "HGETALL worker",
            Self::Lanes => "SMEMBERS lanes",
            Self::AllExecutions(_) => "SMEMBERS executions",
            Self::Score { .. } => "ZSCORE",
            Self::CoreHash(_) => "HMGET core fields",
            Self::Tag(..) => "HGET tag",
            Self::BudgetIds(_) => "HGET budget_ids",
            Self::QuotaPolicyId(_) => "HGET quota_policy_id",
            Self::Attach { .. } => "HSET admission",
        }
    }

    /// The execution that the command is about.
    pub const fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::GuardExists(_, number)
            | Self::ForgetAdmitted(_, number)
            | Self::Tag(number, _)
            | Self::Attach { execution: number, .. } => Some(*number),
            Self::CoreHash(place) | Self::BudgetIds(place) | Self::QuotaPolicyId(place) | Self::Score { place, .. } => {
                Some(place.execution)
            }
            Self::BudgetDefinition(_)
            | Self::BudgetLimits(_)
            | Self::BudgetUsage(_)
            | Self::BudgetUsed(..)
            | Self::BudgetResets { .. }
            | Self::BudgetPolicies(_)
            | Self::ForgetBudget(_) => None,
            Self::QuotaDefinition(_)
            | Self::QuotaPolicies(_)
            | Self::TrimWindow { .. }
            | Self::WindowCount(_)
            | Self::Admitted(_)
            | Self::Concurrency(_)
            | Self::SetConcurrency(..) => None,
            Self::SetAlive { .. }
            | Self::Advertise { .. }
            | Self::IndexWorker(..)
            | Self::DeleteAlive(..)
            | Self::DeleteCapabilities(..)
            | Self::ForgetWorker(..)
            | Self::Workers(_)
            | Self::Worker(..)
            | Self::Lanes
            | Self::AllExecutions(_) => None,
        }
    }
}

/// A core hash as a reader sees it.
#[derive(Clone, Debug)]
pub struct CoreHash {
    /// `execution_id`.
    pub name: Arc<str>,
    /// What was submitted.
    pub submission: Submission,
    /// The scalar fields.
    pub core: Core,
    /// Free texts.
    pub reasons: Reasons,
    /// `budget_ids` and `quota_policy_id`.
    pub attached: Attached,
    /// `blocking_detail`, rendered.
    pub blocking_detail: String,
}

/// What a plain command answered.
#[derive(Clone, Debug)]
pub enum Answered {
    /// A hash; empty for a missing key.
    Hash(BTreeMap<String, String>),
    /// A string, if there is one.
    Text(Option<String>),
    /// How many were removed, deleted or found.
    Count(i64),
    /// Budget or policy ids.
    Ids(Vec<Uuid>),
    /// Executions of a set.
    Executions(Vec<ExecutionNo>),
    /// Instances of a set.
    Instances(Vec<InstanceNo>),
    /// Texts of a set.
    Texts(BTreeSet<String>),
    /// A quota policy's definition.
    Quota(Option<QuotaDefinition>),
    /// A core hash.
    Core(Option<Box<CoreHash>>),
    /// A worker's capability hash.
    Worker(Option<Box<Registration>>),
}

/// Which limit a report or spend went over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Whether the hard limit refused; a soft one only warns.
    pub hard: bool,
    /// Dimension.
    pub dimension: String,
    /// Usage, as the script prints it.
    pub current: String,
    /// Limit, as the script prints it.
    pub limit: String,
}
