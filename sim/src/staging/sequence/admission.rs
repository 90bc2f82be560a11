//! Steps on quotas, budgets, the operator's calls, the scheduler and the registry's listings.

use std::collections::BTreeMap;

use claimlab_model::time::ServerTime;
use ff_core::backend::{CapabilitySet, ClaimPolicy, ScannerFilter, UsageDimensions};
use ff_core::contracts::*;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::*;

use super::memory::Memory;
use super::step::{Pick, Who};
use super::value::{
    PARTITIONS, TTLS_MS, caller_now, capabilities, execution, instance, lane, one, source, text, worker,
};
use crate::call::Call;
use crate::staging::ids::OF_SEQUENCES;

/// One step.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum AdmissionStep {
    CreateQuota { quota: Pick, window: Pick, rate: Pick, cap: Pick, now: Pick },
    Admit { quota: Pick, execution: Pick, dimension: Pick, window: Pick, rate: Pick, cap: Pick, now: Pick },
    Release { quota: Pick, execution: Pick },
    ReadQuota { quota: Pick },
    ReconcileQuotas { partition: Pick, now: Pick },
    CreateBudget { budget: Pick, dimensions: Pick, hard: Pick, soft: Pick, interval: Pick, now: Pick },
    Report { budget: Pick, handle: Pick, tokens: Pick, key: Pick },
    ReportAsAdmin { budget: Pick, dimensions: Pick, delta: Pick, key: Pick, now: Pick },
    Spend { budget: Pick, execution: Pick, delta: Pick, key: Pick },
    ReleaseBudget { budget: Pick, execution: Pick },
    ResetBudget { budget: Pick, now: Pick },
    ReadBudget { budget: Pick, status: bool },
    ReconcileBudgets { partition: Pick, now: Pick },
    Schedule { lane: Pick, who: Who, capabilities: Pick, ttl: Pick },
    ClaimBest { lane: Pick, who: Who, capabilities: Pick, ttl: Pick },
    GrantAndClaim { execution: Pick, lane: Pick, ttl: Pick },
    FailByFence { handle: Pick, fence: Pick, source: Pick, retry: Pick, text: Pick },
    RenewByFence { handle: Pick, fence: Pick, ttl: Pick, grace: Pick },
    MarkDead { who: Who, text: Pick },
    ListWorkers { namespace: Pick, limit: Pick, after: Pick },
    SetTag { execution: Pick, key: Pick, text: Pick },
    Read { execution: Pick, what: Pick, limit: Pick },
}

const RETRIES: [&str; 5] = [
    "",
    r#"{"max_retries":1,"backoff":{"Fixed":{"delay_ms":100}}}"#,
    r#"{"max_retries":2,"backoff":{"type":"fixed","delay_ms":50}}"#,
    "not json",
    "{}",
];

fn dimensions(pick: Pick) -> Vec<String> {
    let list: &[&str] = match pick % 5 {
        0 | 1 => &["input_tokens"],
        2 => &["input_tokens", "cost"],
        3 => &[],
        _ => &["cost", "cost"],
    };
    list.iter().map(|name| (*name).to_owned()).collect()
}

const AMOUNTS: [u64; 6] = [1, 2, 0, 10, 100, 5];

fn key(pick: Pick) -> Option<String> {
    [None, None, Some(""), Some("k1"), Some("k2")][usize::from(pick % 5)].map(str::to_owned)
}

impl Memory {
    /// The call of a step.
    pub(super) fn admission_call(&mut self, step: &AdmissionStep, now: ServerTime) -> Call {
        match *step {
            AdmissionStep::CreateQuota { quota: of, window, rate, cap, now: at } => Call::CreateQuotaPolicy {
                args: CreateQuotaPolicyArgs {
                    quota_policy_id: OF_SEQUENCES.quota(of),
                    window_seconds: one(&AMOUNTS, window),
                    max_requests_per_window: one(&AMOUNTS, rate),
                    max_concurrent: one(&AMOUNTS, cap),
                    now: caller_now(now, at),
                },
            },
            AdmissionStep::Admit { quota: of, execution: who, dimension, window, rate, cap, now: at } => {
                Call::CheckAdmission {
                    quota: OF_SEQUENCES.quota(of),
                    dimension: one(&["default", "", "other"], dimension).into(),
                    args: CheckAdmissionArgs {
                        execution_id: execution(who),
                        now: caller_now(now, at),
                        window_seconds: one(&AMOUNTS, window),
                        rate_limit: one(&AMOUNTS, rate),
                        concurrency_cap: one(&AMOUNTS, cap),
                        jitter_ms: None,
                    },
                }
            }
            AdmissionStep::Release { quota: of, execution: who } => {
                Call::ReleaseAdmission { args: ReleaseAdmissionArgs::new(OF_SEQUENCES.quota(of), execution(who)) }
            }
            AdmissionStep::ReadQuota { quota: of } => Call::ReadQuotaPolicyLimits { quota: OF_SEQUENCES.quota(of) },
            AdmissionStep::ReconcileQuotas { partition, now: at } => Call::ReconcileQuotaCounters {
                partition: Partition { family: PartitionFamily::Quota, index: u16::from(partition % 4) },
                now: caller_now(now, at),
            },
            AdmissionStep::CreateBudget { budget: of, dimensions: on, hard, soft, interval, now: at } => {
                let dimensions = dimensions(on);
                let limits = |pick| vec![one(&AMOUNTS, pick); dimensions.len()];
                Call::CreateBudget {
                    args: CreateBudgetArgs {
                        budget_id: OF_SEQUENCES.budget(of),
                        scope_type: "lane".into(),
                        scope_id: "default".into(),
                        enforcement_mode: "strict".into(),
                        on_hard_limit: "fail".into(),
                        on_soft_limit: "warn".into(),
                        reset_interval_ms: one(&[0, 1_000, 60_000], interval),
                        hard_limits: limits(hard),
                        soft_limits: limits(soft),
                        dimensions,
                        now: caller_now(now, at),
                    },
                }
            }
            AdmissionStep::Report { budget: of, handle, tokens, key: by } => {
                let mut usage = UsageDimensions::default();
                usage.input_tokens = one(&AMOUNTS, tokens);
                usage.dedup_key = key(by);
                if tokens % 3 == 2 {
                    usage.custom.insert("cost".into(), one(&AMOUNTS, by));
                }
                Call::ReportUsage { handle: self.handle(handle), budget: OF_SEQUENCES.budget(of), dimensions: usage }
            }
            AdmissionStep::ReportAsAdmin { budget: of, dimensions: on, delta, key: by, now: at } => {
                let dimensions = dimensions(on);
                let deltas = vec![one(&AMOUNTS, delta); dimensions.len()];
                let mut args = ReportUsageAdminArgs::new(dimensions, deltas, caller_now(now, at));
                args.dedup_key = key(by);
                Call::ReportUsageAdmin { budget: OF_SEQUENCES.budget(of), args }
            }
            AdmissionStep::Spend { budget: of, execution: who, delta, key: by } => {
                let mut deltas: BTreeMap<String, u64> =
                    dimensions(delta).into_iter().map(|name| (name, one(&AMOUNTS, delta))).collect();
                if by % 7 == 6 {
                    deltas.clear();
                }
                let key = key(by).unwrap_or_default();
                Call::RecordSpend { args: RecordSpendArgs::new(OF_SEQUENCES.budget(of), execution(who), deltas, key) }
            }
            AdmissionStep::ReleaseBudget { budget: of, execution: who } => {
                Call::ReleaseBudget { args: ReleaseBudgetArgs::new(OF_SEQUENCES.budget(of), execution(who)) }
            }
            AdmissionStep::ResetBudget { budget: of, now: at } => Call::ResetBudget {
                args: ResetBudgetArgs { budget_id: OF_SEQUENCES.budget(of), now: caller_now(now, at) },
            },
            AdmissionStep::ReadBudget { budget: of, status } => match status {
                true => Call::GetBudgetStatus { budget: OF_SEQUENCES.budget(of) },
                false => Call::ReadBudgetUsageAndLimits { budget: OF_SEQUENCES.budget(of) },
            },
            AdmissionStep::ReconcileBudgets { partition, now: at } => Call::ReconcileBudgetCounters {
                partition: Partition { family: PartitionFamily::Budget, index: u16::from(partition % 4) },
                now: caller_now(now, at),
            },
            AdmissionStep::Schedule { lane: on, who, capabilities: with, ttl } => Call::ClaimForWorker {
                args: ClaimForWorkerArgs::new(
                    lane(on),
                    worker(who),
                    instance(who),
                    capabilities(with),
                    one(&TTLS_MS, ttl),
                ),
            },
            AdmissionStep::ClaimBest { lane: on, who, capabilities: with, ttl } => {
                let mut tokens = CapabilitySet::default();
                tokens.tokens = capabilities(with).into_iter().collect();
                let ttl_ms = u32::try_from(one(&TTLS_MS, ttl)).unwrap_or(u32::MAX);
                Call::Claim {
                    lane: lane(on),
                    capabilities: tokens,
                    policy: ClaimPolicy::new(worker(who), instance(who), ttl_ms, None),
                }
            }
            AdmissionStep::GrantAndClaim { execution: of, lane: on, ttl } => Call::IssueGrantAndClaim {
                args: IssueGrantAndClaimArgs::new(execution(of), lane(on), one(&TTLS_MS, ttl)),
            },
            AdmissionStep::FailByFence { handle, fence, source: from, retry, text: with } => {
                let (held, fence) = self.fence(handle, fence);
                Call::FailExecution {
                    args: FailExecutionArgs {
                        execution_id: held.execution_id,
                        fence,
                        attempt_index: held.attempt_index,
                        failure_reason: text(with),
                        failure_category: "category".into(),
                        retry_policy_json: one(&RETRIES, retry).into(),
                        next_attempt_policy_json: String::new(),
                        source: source(from),
                    },
                }
            }
            AdmissionStep::RenewByFence { handle, fence, ttl, grace } => {
                let (held, fence) = self.fence(handle, fence);
                Call::RenewLease {
                    args: RenewLeaseArgs {
                        execution_id: held.execution_id,
                        attempt_index: held.attempt_index,
                        fence,
                        lease_ttl_ms: one(&TTLS_MS, ttl),
                        lease_history_grace_ms: one(&[60_000, 0, 1], grace),
                    },
                }
            }
            AdmissionStep::MarkDead { who, text: with } => Call::MarkWorkerDead {
                args: MarkWorkerDeadArgs::new(instance(who), Namespace::new("ns"), text(with), now.to_wire()),
            },
            AdmissionStep::ListWorkers { namespace, limit, after } => {
                let mut args = ListWorkersArgs::new();
                args.namespace =
                    [Some("ns"), Some("ns"), None, Some("ns2")][usize::from(namespace % 4)].map(Namespace::new);
                args.limit = one(&[None, Some(1), Some(0)], limit);
                args.after = (after % 3 == 2).then(|| WorkerInstanceId::new("w0-0"));
                Call::ListWorkers { args }
            }
            AdmissionStep::SetTag { execution: of, key: by, text: with } => Call::SetExecutionTag {
                id: execution(of),
                key: one(&["a.b", "no", "A.b", "c.d", "a.b.c"], by).into(),
                value: text(with),
            },
            AdmissionStep::Read { execution: of, what, limit } => {
                let id = execution(of);
                let place = Partition { family: PartitionFamily::Execution, index: id.partition() };
                match what % 8 {
                    0 => Call::ReadExecutionInfo { id },
                    1 => Call::GetExecutionTag { id, key: one(&["a.b", "c.d", "no"], limit).into() },
                    2 => Call::GetExecutionNamespace { id },
                    3 => Call::ListLanes { cursor: (limit % 3 == 2).then(|| lane(0)), limit: usize::from(limit % 3) },
                    4 => Call::ListExecutions {
                        partition: PartitionKey::from(&Partition { index: u16::from(limit) % PARTITIONS, ..place }),
                        cursor: (limit % 3 == 2).then_some(id),
                        limit: usize::from(limit % 4),
                    },
                    // Nothing is kept for long, so that what follows meets what was deleted.
                    5 | 6 => Call::TrimRetention {
                        partition: place,
                        lane: lane(limit % 2),
                        retention_ms: one(&[0, 1, 1_000, 86_400_000], limit),
                        now: now.to_wire(),
                        batch: one(&[20, 1], limit),
                        filter: ScannerFilter::default(),
                    },
                    _ => Call::ReconcileExecutionIndex {
                        partition: place,
                        lanes: vec![lane(0)],
                        filter: ScannerFilter::default(),
                    },
                }
            }
        }
    }
}
