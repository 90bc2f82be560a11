//! Quotas and budgets: created before anything is submitted, attached to executions, spent by runs.

use std::collections::BTreeMap;

use claimlab_model::backend::ModelBackend;
use ff_core::contracts::{CreateBudgetArgs, CreateQuotaPolicyArgs, RecordSpendArgs};
use ff_core::engine_backend::EngineBackend;
use ff_core::types::{BudgetId, ExecutionId, QuotaPolicyId};

use super::submitter::acknowledged;
use crate::plan::{AdmissionPlan, WorkItem};
use crate::world::Party;

/// The one dimension of every budget.
const DIMENSION: &str = "units";

/// Creates every quota policy and budget of the plan, until each is acknowledged.
pub(super) async fn create(party: &Party, backend: &dyn EngineBackend, plan: &AdmissionPlan) {
    for id in plan.quotas.iter().filter_map(|id| QuotaPolicyId::parse(id).ok()) {
        let args = || CreateQuotaPolicyArgs {
            quota_policy_id: id.clone(),
            window_seconds: plan.window_seconds,
            max_requests_per_window: plan.max_per_window,
            max_concurrent: plan.max_concurrent,
            now: party.now().to_wire(),
        };
        acknowledged(party, || backend.create_quota_policy(args())).await;
    }
    for id in plan.budgets.iter().filter_map(|id| BudgetId::parse(id).ok()) {
        let args = || CreateBudgetArgs {
            budget_id: id.clone(),
            scope_type: "lane".into(),
            scope_id: "planned".into(),
            enforcement_mode: "strict".into(),
            on_hard_limit: "block".into(),
            on_soft_limit: "warn".into(),
            reset_interval_ms: plan.reset_ms,
            dimensions: vec![DIMENSION.into()],
            hard_limits: vec![plan.hard_limit],
            soft_limits: vec![0],
            now: party.now().to_wire(),
        };
        acknowledged(party, || backend.create_budget(args())).await;
    }
}

/// Writes what a work item's execution has attached, as an operator with a client of their own does.
pub(super) async fn attach(party: &Party, own: &ModelBackend<Party>, item: &WorkItem, id: &ExecutionId) {
    if item.quota.is_none() && item.budget.is_none() {
        return;
    }
    let (budget, quota) = (item.budget.as_deref(), item.quota.as_deref());
    acknowledged(party, || own.attach_admission(id, budget, quota)).await;
}

/// Records what a run spends; a breach stops nobody who runs already.
pub(super) async fn spend(backend: &dyn EngineBackend, id: &ExecutionId, (budget, units): (&str, u64), run: String) {
    let Ok(budget_id) = BudgetId::parse(budget) else { return };
    let deltas = BTreeMap::from([(DIMENSION.to_owned(), units)]);
    let _ = backend.record_spend(RecordSpendArgs::new(budget_id, id.clone(), deltas, run)).await;
}
