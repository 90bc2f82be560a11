//! Budgets: defining, spending, releasing, resetting, reading and reconciling.

use std::collections::BTreeMap;

use ff_core::backend::{Handle, UsageDimensions};
use ff_core::contracts::{
    BudgetStatus, BudgetUsageAndLimits, CreateBudgetArgs, CreateBudgetResult, RecordSpendArgs, ReleaseBudgetArgs,
    ReportUsageAdminArgs, ReportUsageResult, ResetBudgetArgs, ResetBudgetResult,
};
use ff_core::engine_backend::ReconcileCounts;
use ff_core::engine_error::{EngineError, backend_context};
use ff_core::partition::{Partition, PartitionFamily, budget_partition};
use ff_core::types::{BudgetId, ExecutionId, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Answered, Breach, Command, CreateBudget, Done, Script, Spend};
use crate::port::Server;
use crate::store::{BudgetPlace, Hash};

/// At most so many dimensions in one call (`ff-script/src/functions/budget.rs`).
const MAX_DIMENSIONS: usize = 64;

impl<S: Server> ModelBackend<S> {
    pub(super) fn budget_place(&self, budget: &BudgetId) -> BudgetPlace {
        BudgetPlace { partition: budget_partition(budget, &self.partitions).index, budget: budget.0 }
    }

    pub(super) async fn define_budget(&self, args: CreateBudgetArgs) -> Result<CreateBudgetResult, EngineError> {
        let context = during("create_budget: FCALL ff_create_budget");
        let refuse = |message: String| error::parse("ff_create_budget", None, message);
        let count = args.dimensions.len();
        few(count).map_err(refuse).map_err(&context)?;
        for (name, limits) in [("hard_limits", &args.hard_limits), ("soft_limits", &args.soft_limits)] {
            if limits.len() != count {
                let got = limits.len();
                let message = format!("dimension_limit_array_mismatch: dimensions={count} {name}={got}");
                return Err(context(refuse(message)));
            }
        }
        let limits = args.hard_limits.into_iter().zip(args.soft_limits);
        let script = Script::CreateBudget(Box::new(CreateBudget {
            place: self.budget_place(&args.budget_id),
            scope_type: args.scope_type,
            scope_id: args.scope_id,
            enforcement_mode: args.enforcement_mode,
            on_hard_limit: args.on_hard_limit,
            on_soft_limit: args.on_soft_limit,
            reset_interval_ms: args.reset_interval_ms,
            dimensions: args
                .dimensions
                .into_iter()
                .zip(limits)
                .map(|(name, (hard, soft))| (name, hard, soft))
                .collect(),
            now: args.now,
        }));
        let budget_id = args.budget_id;
        match self.run_opaque(script).await.map_err(&context)? {
            Done::AlreadySatisfied(_) => Ok(CreateBudgetResult::AlreadySatisfied { budget_id }),
            _ => Ok(CreateBudgetResult::Created { budget_id }),
        }
    }

    /// The handle is decoded and otherwise unused; time is the client's own wall clock.
    pub(super) async fn report_by_handle(
        &self,
        handle: &Handle,
        budget: &BudgetId,
        dimensions: UsageDimensions,
    ) -> Result<ReportUsageResult, EngineError> {
        let opened = self.open(handle)?;
        let script = Script::ReportUsage(Box::new(Spend {
            place: self.budget_place(budget),
            deltas: dimensions.custom.into_iter().collect(),
            now: self.server.wall_clock(),
            dedup: dimensions.dedup_key.filter(|key| !key.is_empty()),
            execution: None,
        }));
        let context = during("report_usage: FCALL ff_report_usage_and_check");
        let done = self.run_typed(script).await.map_err(&context)?;
        strictly_reported(done, &opened.payload.execution_id).map_err(context)
    }

    pub(super) async fn report_as_admin(
        &self,
        budget: &BudgetId,
        args: ReportUsageAdminArgs,
    ) -> Result<ReportUsageResult, EngineError> {
        let context = during("report_usage_admin: FCALL ff_report_usage_and_check");
        let refuse = |message: String| error::parse("ff_report_usage_and_check", None, message);
        let (count, deltas) = (args.dimensions.len(), args.deltas.len());
        few(count).map_err(refuse).map_err(&context)?;
        if deltas != count {
            let message = format!("dimension_delta_array_mismatch: dimensions={count} deltas={deltas}");
            return Err(context(refuse(message)));
        }
        let script = Script::ReportUsage(Box::new(Spend {
            place: self.budget_place(budget),
            deltas: args.dimensions.into_iter().zip(args.deltas).collect(),
            now: args.now,
            dedup: args.dedup_key.filter(|key| !key.is_empty()),
            execution: None,
        }));
        reported(self.run_opaque(script).await.map_err(context)?)
    }

    /// Time is the client's own wall clock.
    pub(super) async fn spend(&self, args: RecordSpendArgs) -> Result<ReportUsageResult, EngineError> {
        let context = during("record_spend: FCALL ff_record_spend");
        let id = args.execution_id;
        let refuse = |message: String| error::parse("ff_record_spend", Some(id.to_string()), message);
        few(args.deltas.len()).map_err(refuse).map_err(&context)?;
        let script = Script::RecordSpend(Box::new(Spend {
            place: self.budget_place(&args.budget_id),
            deltas: args.deltas.into_iter().collect(),
            now: self.server.wall_clock(),
            dedup: Some(args.idempotency_key).filter(|key| !key.is_empty()),
            execution: Some(self.number(&id)),
        }));
        reported(self.run_typed(script).await.map_err(context)?)
    }

    pub(super) async fn take_back(&self, args: ReleaseBudgetArgs) -> Result<(), EngineError> {
        let place = self.budget_place(&args.budget_id);
        let script = Script::ReleaseBudget { place, execution: self.number(&args.execution_id) };
        self.run_typed(script).await.map_err(during("release_budget: FCALL ff_release_budget")).map(|_| ())
    }

    pub(super) async fn reset(&self, args: ResetBudgetArgs) -> Result<ResetBudgetResult, EngineError> {
        let script = Script::ResetBudget { place: self.budget_place(&args.budget_id), now: args.now };
        match self.run_opaque(script).await.map_err(during("reset_budget: FCALL ff_reset_budget"))? {
            // A time that the script prints in scientific notation is reported as 0.
            Done::NextReset(next) => {
                Ok(ResetBudgetResult::Reset { next_reset_at: TimestampMs(next.parse().unwrap_or(0)) })
            }
            other => Err(error::unexpected_done(&other)),
        }
    }

    /// The limits are read first, then the usage of each hard-limited dimension, one by one.
    pub(super) async fn usage_and_limits(&self, budget: &BudgetId) -> Result<BudgetUsageAndLimits, EngineError> {
        let place = self.budget_place(budget);
        let context = during("read_budget_usage_and_limits: HGETALL limits");
        let limits = self.hash(Command::BudgetLimits(place)).await.map_err(context)?;
        let mut usage = BTreeMap::new();
        for dimension in limits.keys().filter_map(|field| field.strip_prefix("hard:")) {
            let context = during("read_budget_usage_and_limits: HGET usage");
            let command = Command::BudgetUsed(place, dimension.to_owned());
            let used = match self.command(command).await.map_err(context)? {
                Answered::Text(used) => used.and_then(|used| used.parse().ok()).unwrap_or(0),
                other => return Err(error::unanswerable(&other)),
            };
            usage.insert(dimension.to_owned(), used);
        }
        Ok(BudgetUsageAndLimits::new(limits, usage))
    }

    pub(super) async fn budget_status(&self, budget: &BudgetId) -> Result<BudgetStatus, EngineError> {
        let place = self.budget_place(budget);
        let context = during("get_budget_status: HGETALL budget_def");
        let definition = self.hash(Command::BudgetDefinition(place)).await.map_err(context)?;
        if definition.is_empty() {
            let missing = EngineError::NotFound { entity: "budget" };
            return Err(backend_context(missing, format!("get_budget_status: {budget}")));
        }
        let context = during("get_budget_status: HGETALL budget_usage");
        let usage = self.hash(Command::BudgetUsage(place)).await.map_err(context)?;
        let context = during("get_budget_status: HGETALL budget_limits");
        let limits = self.hash(Command::BudgetLimits(place)).await.map_err(context)?;
        let number = |text: &String| text.parse().unwrap_or(0);
        let limited = |prefix: &'static str| {
            limits.iter().filter_map(move |(field, limit)| {
                field.strip_prefix(prefix).map(|dimension| (dimension.to_owned(), number(limit)))
            })
        };
        let text = |field: &str| definition.get(field).cloned().unwrap_or_default();
        let filled = |field: &str| definition.get(field).filter(|text| !text.is_empty()).cloned();
        Ok(BudgetStatus {
            budget_id: budget.to_string(),
            scope_type: text("scope_type"),
            scope_id: text("scope_id"),
            enforcement_mode: text("enforcement_mode"),
            usage: usage
                .iter()
                .filter(|(name, _)| *name != "_init")
                .map(|(name, used)| (name.clone(), number(used)))
                .collect(),
            hard_limits: limited("hard:").collect(),
            soft_limits: limited("soft:").collect(),
            breach_count: definition.get("breach_count").map_or(0, number),
            soft_breach_count: definition.get("soft_breach_count").map_or(0, number),
            last_breach_at: filled("last_breach_at"),
            last_breach_dim: filled("last_breach_dim"),
            next_reset_at: filled("next_reset_at"),
            created_at: filled("created_at"),
        })
    }

    /// Drops listed budgets that have no definition from the index, and fails on every other.
    ///
    /// The shipped client asks for the definition as a list, which its library refuses to make of a map
    /// with anything in it, so that no breach mark is ever set or cleared.
    pub(super) async fn reconcile_budgets(&self, partition: Partition) -> Result<ReconcileCounts, EngineError> {
        let mut counts = ReconcileCounts::default();
        if partition.family != PartitionFamily::Budget {
            return Ok(counts);
        }
        let Ok(Answered::Ids(budgets)) = self.command(Command::BudgetPolicies(partition.index)).await else {
            return Ok(ReconcileCounts { processed: 0, errors: 1 });
        };
        for budget in budgets {
            let place = BudgetPlace { partition: partition.index, budget };
            match self.hash(Command::BudgetDefinition(place)).await {
                Ok(definition) if definition.is_empty() => drop(self.command(Command::ForgetBudget(place)).await),
                _ => counts.errors += 1,
            }
        }
        Ok(counts)
    }

    pub(super) async fn hash(&self, command: Command) -> Result<Hash, EngineError> {
        match self.command(command).await? {
            Answered::Hash(hash) => Ok(hash),
            other => Err(error::unanswerable(&other)),
        }
    }
}

fn few(count: usize) -> Result<(), String> {
    if count > MAX_DIMENSIONS {
        return Err(format!("too_many_dimensions: limit={MAX_DIMENSIONS}, got={count}"));
    }
    Ok(())
}

/// A report's answer as the script library reads it: numbers that it cannot read are 0.
fn reported(done: Done) -> Result<ReportUsageResult, EngineError> {
    answered(done, |text, _| Ok(text.parse().unwrap_or(0)))
}

/// A report's answer as the handle's path reads it: numbers that it cannot read are errors.
fn strictly_reported(done: Done, id: &ExecutionId) -> Result<ReportUsageResult, EngineError> {
    answered(done, |text, field| {
        let unreadable = |_| {
            let message = format!("{field} not a u64: {text:?}");
            error::parse("ff_report_usage_and_check", Some(id.to_string()), message)
        };
        text.parse().map_err(unreadable)
    })
}

fn answered(
    done: Done,
    number: impl Fn(&str, &'static str) -> Result<u64, EngineError>,
) -> Result<ReportUsageResult, EngineError> {
    match done {
        Done::Ok("ok") => Ok(ReportUsageResult::Ok),
        Done::Ok("already_applied") => Ok(ReportUsageResult::AlreadyApplied),
        Done::Breach(breach) => {
            let Breach { hard, dimension, current, limit } = *breach;
            if hard {
                let current_usage = number(&current, "HARD_BREACH: current_usage (index 1)")?;
                let hard_limit = number(&limit, "HARD_BREACH: hard_limit (index 2)")?;
                Ok(ReportUsageResult::HardBreach { dimension, current_usage, hard_limit })
            } else {
                let current_usage = number(&current, "SOFT_BREACH: current_usage (index 1)")?;
                let soft_limit = number(&limit, "SOFT_BREACH: soft_limit (index 2)")?;
                Ok(ReportUsageResult::SoftBreach { dimension, current_usage, soft_limit })
            }
        }
        other => Err(error::unexpected_done(&other)),
    }
}
