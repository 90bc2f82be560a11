//! Situations of repair: the engine compares counters and indexes with what they count, and mends them.

use ff_core::backend::ScannerFilter;
use ff_core::contracts::{
    AddExecutionToFlowArgs, CheckAdmissionArgs, CreateBudgetArgs, CreateFlowArgs, CreateQuotaPolicyArgs,
    RecordSpendArgs,
};
use ff_core::partition::{Partition, PartitionFamily};
use ff_core::types::{BudgetId, FlowId, Namespace, QuotaPolicyId};

use super::super::scene::{Probe, Scene, Stop, lane, partition};
use super::{Family, at, of};
use crate::call::Call;

const fn of_family(family: PartitionFamily) -> Partition {
    Partition { family, index: 0 }
}

/// A budget of which an execution has spent 30 tokens.
fn spend(s: &mut Scene<'_>) -> Result<(), Stop> {
    let budget_id = BudgetId::from_uuid(s.uuid());
    let args = CreateBudgetArgs {
        budget_id: budget_id.clone(),
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
    s.right(Call::CreateBudget { args })?;
    let (id, deltas) = (s.created()?, [("tokens".to_owned(), 30)].into());
    s.right(Call::RecordSpend { args: RecordSpendArgs::new(budget_id, id, deltas, "key") }).map(drop)
}

/// A quota under which one execution is admitted.
fn admit(s: &mut Scene<'_>) -> Result<(), Stop> {
    let quota = QuotaPolicyId::from_uuid(s.uuid());
    let args = CreateQuotaPolicyArgs {
        quota_policy_id: quota.clone(),
        window_seconds: 10,
        max_requests_per_window: 2,
        max_concurrent: 1,
        now: s.now()?,
    };
    s.right(Call::CreateQuotaPolicy { args })?;
    let args = CheckAdmissionArgs {
        execution_id: s.created()?,
        now: s.now()?,
        window_seconds: 10,
        rate_limit: 2,
        concurrency_cap: 1,
        jitter_ms: None,
    };
    s.right(Call::CheckAdmission { quota, dimension: "default".into(), args }).map(drop)
}

fn reconcile_index() -> Call {
    let filter = ScannerFilter::NOOP;
    Call::ReconcileExecutionIndex { partition: partition(), lanes: vec![lane()], filter }
}

/// A flow with one member, for the groups of siblings that it does not have.
fn siblings(s: &mut Scene<'_>) -> Result<(Partition, FlowId, ff_core::types::ExecutionId), Stop> {
    let (flow_id, execution_id) = (FlowId::from_uuid(s.uuid()), s.created()?);
    let args = CreateFlowArgs {
        flow_id: flow_id.clone(),
        flow_kind: "kind".into(),
        namespace: Namespace::new("ns"),
        now: s.now()?,
    };
    s.right(Call::CreateFlow { args })?;
    let (flow, member) = (flow_id.clone(), execution_id.clone());
    let args = AddExecutionToFlowArgs { flow_id, execution_id, now: s.now()? };
    s.right(Call::AddExecutionToFlow { args })?;
    Ok((of_family(PartitionFamily::Flow), flow, member))
}

fn drain(s: &mut Scene<'_>) -> Probe {
    let (partition, flow, downstream) = siblings(s)?;
    Ok(Call::DrainSiblingCancelGroup { partition, flow, downstream })
}

fn reconcile_siblings(s: &mut Scene<'_>) -> Probe {
    let (partition, flow, downstream) = siblings(s)?;
    Ok(Call::ReconcileSiblingCancelGroup { partition, flow, downstream })
}

/// Deletes what has ended, all at once.
fn trim(s: &mut Scene<'_>) -> Probe {
    let (partition, lane, now) = (partition(), lane(), s.now()?);
    Ok(Call::TrimRetention { partition, lane, retention_ms: 0, now, batch: 20, filter: ScannerFilter::NOOP })
}

fn project(s: &mut Scene<'_>) -> Probe {
    let (partition, flow, _) = siblings(s)?;
    Ok(Call::ProjectFlowSummary { partition, flow, now: s.now()? })
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "project_flow_summary",
        &[
            at("one member, which has not ended", project),
            at("no such flow", |s| {
                let flow = FlowId::from_uuid(s.uuid());
                Ok(Call::ProjectFlowSummary { partition: of_family(PartitionFamily::Flow), flow, now: s.now()? })
            }),
        ],
    ),
    of(
        "trim_retention",
        &[
            at("one has ended", |s| {
                s.completed()?;
                trim(s)
            }),
            at("one is claimed", |s| {
                s.claimed()?;
                trim(s)
            }),
        ],
    ),
    of(
        "reconcile_execution_index",
        &[
            at("one is claimable, one claimed", |s| {
                s.claimed()?;
                s.created().map(|_| reconcile_index())
            }),
            at("none is there", |_| Ok(reconcile_index())),
        ],
    ),
    of(
        "reconcile_budget_counters",
        &[at("spent", |s| {
            spend(s)?;
            Ok(Call::ReconcileBudgetCounters { partition: of_family(PartitionFamily::Budget), now: s.now()? })
        })],
    ),
    of(
        "reconcile_quota_counters",
        &[at("admitted", |s| {
            admit(s)?;
            Ok(Call::ReconcileQuotaCounters { partition: of_family(PartitionFamily::Quota), now: s.now()? })
        })],
    ),
    of("drain_sibling_cancel_group", &[at("nothing pends", drain)]),
    of("reconcile_sibling_cancel_group", &[at("nothing pends", reconcile_siblings)]),
];
