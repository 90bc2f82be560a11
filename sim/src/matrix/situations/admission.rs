//! Situations of admission: an execution meets quotas and budgets, which have room, are used up, or are not there.

use std::collections::BTreeMap;

use ff_core::backend::UsageDimensions;
use ff_core::contracts::{
    CheckAdmissionArgs, CreateBudgetArgs, CreateQuotaPolicyArgs, RecordSpendArgs, ReleaseAdmissionArgs,
    ReleaseBudgetArgs, ReportUsageAdminArgs, ResetBudgetArgs,
};
use ff_core::types::{BudgetId, ExecutionId, QuotaPolicyId};

use super::super::scene::{Held, Probe, Scene, Stop};
use super::{Family, at, of};
use crate::call::Call;

fn define_quota(s: &mut Scene<'_>, quota: &QuotaPolicyId) -> Probe {
    let args = CreateQuotaPolicyArgs {
        quota_policy_id: quota.clone(),
        window_seconds: 10,
        max_requests_per_window: 2,
        max_concurrent: 1,
        now: s.now()?,
    };
    Ok(Call::CreateQuotaPolicy { args })
}

/// Two in ten seconds, one at once.
fn quota(s: &mut Scene<'_>) -> Result<QuotaPolicyId, Stop> {
    let quota = QuotaPolicyId::from_uuid(s.uuid());
    let call = define_quota(s, &quota)?;
    s.right(call)?;
    Ok(quota)
}

fn admit(s: &mut Scene<'_>, quota: &QuotaPolicyId, id: &ExecutionId, rate_limit: u64, cap: u64) -> Probe {
    let args = CheckAdmissionArgs {
        execution_id: id.clone(),
        now: s.now()?,
        window_seconds: 10,
        rate_limit,
        concurrency_cap: cap,
        jitter_ms: None,
    };
    Ok(Call::CheckAdmission { quota: quota.clone(), dimension: "default".into(), args })
}

fn release(quota: &QuotaPolicyId, id: ExecutionId) -> Call {
    Call::ReleaseAdmission { args: ReleaseAdmissionArgs::new(quota.clone(), id) }
}

fn define_budget(s: &mut Scene<'_>, budget: &BudgetId) -> Probe {
    let args = CreateBudgetArgs {
        budget_id: budget.clone(),
        scope_type: "lane".into(),
        scope_id: "default".into(),
        enforcement_mode: "strict".into(),
        on_hard_limit: "fail".into(),
        on_soft_limit: "warn".into(),
        reset_interval_ms: 0,
        dimensions: vec!["tokens".into()],
        hard_limits: vec![100],
        soft_limits: vec![50],
        now: s.now()?,
    };
    Ok(Call::CreateBudget { args })
}

/// 100 tokens at most, a warning from 50 on.
fn budget(s: &mut Scene<'_>) -> Result<BudgetId, Stop> {
    let budget = BudgetId::from_uuid(s.uuid());
    let call = define_budget(s, &budget)?;
    s.right(call)?;
    Ok(budget)
}

fn report(s: &mut Scene<'_>, budget: BudgetId, tokens: u64, key: Option<&str>) -> Probe {
    let args = ReportUsageAdminArgs::new(vec!["tokens".into()], vec![tokens], s.now()?);
    let args = match key {
        Some(key) => args.with_dedup_key(key.into()),
        None => args,
    };
    Ok(Call::ReportUsageAdmin { budget, args })
}

fn report_by(held: Held, budget: BudgetId, tokens: u64) -> Call {
    let mut dimensions = UsageDimensions::new();
    dimensions.custom.insert("tokens".into(), tokens);
    Call::ReportUsage { handle: held.handle, budget, dimensions }
}

fn spend(budget: &BudgetId, id: &ExecutionId, tokens: u64, key: &str) -> Call {
    let deltas = BTreeMap::from([("tokens".to_owned(), tokens)]);
    Call::RecordSpend { args: RecordSpendArgs::new(budget.clone(), id.clone(), deltas, key) }
}

fn give_back(budget: &BudgetId, id: &ExecutionId) -> Call {
    Call::ReleaseBudget { args: ReleaseBudgetArgs::new(budget.clone(), id.clone()) }
}

/// A budget of which an execution has spent 30 tokens.
fn spent(s: &mut Scene<'_>) -> Result<(BudgetId, ExecutionId), Stop> {
    let (budget, id) = (budget(s)?, s.created()?);
    s.right(spend(&budget, &id, 30, "key"))?;
    Ok((budget, id))
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "create_quota_policy",
        &[
            at("new", |s| {
                let quota = QuotaPolicyId::from_uuid(s.uuid());
                define_quota(s, &quota)
            }),
            at("repeated", |s| {
                let quota = quota(s)?;
                define_quota(s, &quota)
            }),
        ],
    ),
    of(
        "read_quota_policy_limits",
        &[
            at("known", |s| Ok(Call::ReadQuotaPolicyLimits { quota: quota(s)? })),
            at("no such quota", |s| Ok(Call::ReadQuotaPolicyLimits { quota: QuotaPolicyId::from_uuid(s.uuid()) })),
        ],
    ),
    of(
        "check_admission",
        &[
            at("free", |s| {
                let (quota, id) = (quota(s)?, s.created()?);
                admit(s, &quota, &id, 2, 1)
            }),
            at("repeated", |s| {
                let (quota, id) = (quota(s)?, s.created()?);
                let call = admit(s, &quota, &id, 2, 1)?;
                s.right(call)?;
                admit(s, &quota, &id, 2, 1)
            }),
            at("too many at once", |s| {
                let (quota, one, two) = (quota(s)?, s.created()?, s.created()?);
                let call = admit(s, &quota, &one, 0, 1)?;
                s.right(call)?;
                admit(s, &quota, &two, 0, 1)
            }),
            at("too many within the window", |s| {
                let (quota, one, two) = (quota(s)?, s.created()?, s.created()?);
                let call = admit(s, &quota, &one, 1, 0)?;
                s.right(call)?;
                admit(s, &quota, &two, 1, 0)
            }),
            at("room after a release", |s| {
                let (quota, one, two) = (quota(s)?, s.created()?, s.created()?);
                let call = admit(s, &quota, &one, 0, 1)?;
                s.right(call)?;
                s.right(release(&quota, one))?;
                admit(s, &quota, &two, 0, 1)
            }),
            at("room after somebody else's release", |s| {
                let (quota, one, two) = (quota(s)?, s.created()?, s.created()?);
                let call = admit(s, &quota, &one, 0, 1)?;
                s.right(call)?;
                s.right(release(&quota, two.clone()))?;
                admit(s, &quota, &two, 0, 1)
            }),
        ],
    ),
    of(
        "release_admission",
        &[
            at("admitted", |s| {
                let (quota, id) = (quota(s)?, s.created()?);
                let call = admit(s, &quota, &id, 2, 1)?;
                s.right(call)?;
                Ok(release(&quota, id))
            }),
            at("never admitted", |s| Ok(release(&quota(s)?, s.created()?))),
            at("no such quota", |s| {
                let quota = QuotaPolicyId::from_uuid(s.uuid());
                Ok(release(&quota, s.created()?))
            }),
        ],
    ),
    of(
        "create_budget",
        &[
            at("new", |s| {
                let budget = BudgetId::from_uuid(s.uuid());
                define_budget(s, &budget)
            }),
            at("repeated", |s| {
                let budget = budget(s)?;
                define_budget(s, &budget)
            }),
        ],
    ),
    of(
        "report_usage_admin",
        &[
            at("within the limits", |s| {
                let budget = budget(s)?;
                report(s, budget, 30, None)
            }),
            at("over the soft limit", |s| {
                let budget = budget(s)?;
                report(s, budget, 60, None)
            }),
            at("over the hard limit", |s| {
                let budget = budget(s)?;
                report(s, budget, 101, None)
            }),
            at("repeated under its key", |s| {
                let budget = budget(s)?;
                let call = report(s, budget.clone(), 30, Some("key"))?;
                s.right(call)?;
                report(s, budget, 30, Some("key"))
            }),
            at("no such budget", |s| {
                let budget = BudgetId::from_uuid(s.uuid());
                report(s, budget, 30, None)
            }),
        ],
    ),
    of(
        "report_usage",
        &[
            at("within the limits", |s| {
                let (held, budget) = (s.claimed()?, budget(s)?);
                Ok(report_by(held, budget, 30))
            }),
            at("over the hard limit", |s| {
                let (held, budget) = (s.claimed()?, budget(s)?);
                Ok(report_by(held, budget, 101))
            }),
            at("completed", |s| {
                let (held, budget) = (s.completed()?, budget(s)?);
                Ok(report_by(held, budget, 30))
            }),
        ],
    ),
    of(
        "record_spend",
        &[
            at("within the limits", |s| {
                let (budget, id) = (budget(s)?, s.created()?);
                Ok(spend(&budget, &id, 30, "key"))
            }),
            at("over the hard limit", |s| {
                let (budget, id) = (budget(s)?, s.created()?);
                Ok(spend(&budget, &id, 101, "key"))
            }),
            at("repeated under its key", |s| {
                let (budget, id) = spent(s)?;
                Ok(spend(&budget, &id, 30, "key"))
            }),
            at("no such budget", |s| {
                let (budget, id) = (BudgetId::from_uuid(s.uuid()), s.created()?);
                Ok(spend(&budget, &id, 30, "key"))
            }),
        ],
    ),
    of(
        "release_budget",
        &[
            at("spent", |s| {
                let (budget, id) = spent(s)?;
                Ok(give_back(&budget, &id))
            }),
            at("nothing spent", |s| {
                let (budget, id) = (budget(s)?, s.created()?);
                Ok(give_back(&budget, &id))
            }),
            at("no such budget", |s| {
                let (budget, id) = (BudgetId::from_uuid(s.uuid()), s.created()?);
                Ok(give_back(&budget, &id))
            }),
        ],
    ),
    of(
        "reset_budget",
        &[
            at("spent", |s| {
                let (budget_id, _) = spent(s)?;
                Ok(Call::ResetBudget { args: ResetBudgetArgs { budget_id, now: s.now()? } })
            }),
            at("no such budget", |s| {
                let budget_id = BudgetId::from_uuid(s.uuid());
                Ok(Call::ResetBudget { args: ResetBudgetArgs { budget_id, now: s.now()? } })
            }),
        ],
    ),
    of(
        "get_budget_status",
        &[
            at("nothing spent", |s| Ok(Call::GetBudgetStatus { budget: budget(s)? })),
            at("spent", |s| Ok(Call::GetBudgetStatus { budget: spent(s)?.0 })),
            at("spent and given back", |s| {
                let (budget, id) = spent(s)?;
                s.right(give_back(&budget, &id))?;
                Ok(Call::GetBudgetStatus { budget })
            }),
            at("after a spend over the hard limit", |s| {
                let (budget, id) = (budget(s)?, s.created()?);
                s.right(spend(&budget, &id, 101, "key"))?;
                Ok(Call::GetBudgetStatus { budget })
            }),
            at("reset", |s| {
                let (budget, _) = spent(s)?;
                let args = ResetBudgetArgs { budget_id: budget.clone(), now: s.now()? };
                s.right(Call::ResetBudget { args })?;
                Ok(Call::GetBudgetStatus { budget })
            }),
            at("no such budget", |s| Ok(Call::GetBudgetStatus { budget: BudgetId::from_uuid(s.uuid()) })),
        ],
    ),
    of(
        "read_budget_usage_and_limits",
        &[
            at("spent", |s| Ok(Call::ReadBudgetUsageAndLimits { budget: spent(s)?.0 })),
            at("no such budget", |s| Ok(Call::ReadBudgetUsageAndLimits { budget: BudgetId::from_uuid(s.uuid()) })),
        ],
    ),
];
