//! Quotas, budgets, the scheduler's admission, operator claims, the worker registry and core reads.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claimlab_model::backend::ModelBackend;
use claimlab_model::port::Immediate;
use common::model as open;
use common::{Lab, START_MS, partition};
use ff_core::backend::{CapabilitySet, ClaimPolicy, FailureClass, FailureReason, ScannerFilter, UsageDimensions};
use ff_core::contracts::*;
use ff_core::engine_backend::{EngineBackend, ReconcileCounts};
use ff_core::engine_error::{ContentionKind, EngineError, StateKind, ValidationKind};
use ff_core::partition::{
    Partition, PartitionConfig, PartitionFamily, PartitionKey, budget_partition, quota_partition,
};
use ff_core::types::*;
use pollster::FutureExt as _;

fn config() -> PartitionConfig {
    PartitionConfig { num_flow_partitions: 4, ..PartitionConfig::default() }
}

fn scheduler(lab: &Lab) -> ModelBackend<Arc<Immediate>> {
    ModelBackend::new(Arc::clone(&lab.server), config()).with_scheduler()
}

fn schedule(backend: &dyn EngineBackend) -> ClaimForWorkerOutcome {
    let args = ClaimForWorkerArgs::new(
        LaneId::new("default"),
        WorkerId::new("w"),
        WorkerInstanceId::new("w-1"),
        BTreeSet::new(),
        5_000,
    );
    backend.claim_for_worker(args).block_on().unwrap()
}

fn quota(lab: &Lab, per_window: u64, at_once: u64) -> QuotaPolicyId {
    let quota_policy_id = QuotaPolicyId::from_uuid(lab.uuid());
    let args = CreateQuotaPolicyArgs {
        quota_policy_id: quota_policy_id.clone(),
        window_seconds: 10,
        max_requests_per_window: per_window,
        max_concurrent: at_once,
        now: lab.now(),
    };
    lab.backend.create_quota_policy(args).block_on().unwrap();
    quota_policy_id
}

fn ask(lab: &Lab, quota: &QuotaPolicyId, id: &ExecutionId, rate: u64, cap: u64) -> CheckAdmissionResult {
    let args = CheckAdmissionArgs {
        execution_id: id.clone(),
        now: lab.now(),
        window_seconds: 10,
        rate_limit: rate,
        concurrency_cap: cap,
        jitter_ms: None,
    };
    lab.backend.check_admission(quota, "", args).block_on().unwrap()
}

fn budget(lab: &Lab, hard: u64, soft: u64, reset_interval_ms: u64) -> BudgetId {
    let budget_id = BudgetId::from_uuid(lab.uuid());
    let args = CreateBudgetArgs {
        budget_id: budget_id.clone(),
        scope_type: "lane".into(),
        scope_id: "default".into(),
        enforcement_mode: "strict".into(),
        on_hard_limit: "fail".into(),
        on_soft_limit: "warn".into(),
        reset_interval_ms,
        dimensions: vec!["tokens".into()],
        hard_limits: vec![hard],
        soft_limits: vec![soft],
        now: lab.now(),
    };
    lab.backend.create_budget(args).block_on().unwrap();
    budget_id
}

fn report(lab: &Lab, budget: &BudgetId, tokens: u64) -> ReportUsageResult {
    let args = ReportUsageAdminArgs::new(vec!["tokens".into()], vec![tokens], lab.now());
    lab.backend.report_usage_admin(budget, args).block_on().unwrap()
}

fn used(lab: &Lab, budget: &BudgetId) -> u64 {
    lab.backend.get_budget_status(budget).block_on().unwrap().usage["tokens"]
}

fn spend(lab: &Lab, budget: &BudgetId, id: &ExecutionId, tokens: u64, key: &str) -> ReportUsageResult {
    let deltas = BTreeMap::from([("tokens".to_owned(), tokens)]);
    lab.backend.record_spend(RecordSpendArgs::new(budget.clone(), id.clone(), deltas, key)).block_on().unwrap()
}

// ── quotas ──

#[test]
fn an_admission_is_free_again_until_its_guard_expires_by_the_servers_clock() {
    let lab = Lab::new();
    let (quota, id) = (quota(&lab, 1, 0), lab.create());
    assert_eq!(ask(&lab, &quota, &id, 1, 0), CheckAdmissionResult::Admitted);
    assert_eq!(ask(&lab, &quota, &id, 1, 0), CheckAdmissionResult::AlreadyAdmitted);
    lab.wait(10_001);
    assert_eq!(ask(&lab, &quota, &id, 1, 0), CheckAdmissionResult::Admitted);
}

#[test]
fn a_full_window_names_the_time_until_its_oldest_entry_leaves() {
    let lab = Lab::new();
    let (quota, one, other) = (quota(&lab, 1, 0), lab.create(), lab.create());
    ask(&lab, &quota, &one, 1, 0);
    lab.wait(4_000);
    assert_eq!(ask(&lab, &quota, &other, 1, 0), CheckAdmissionResult::RateExceeded { retry_after_ms: 6_000 });
}

#[test]
fn the_jitter_of_a_fresh_server_is_known() {
    let lab = Lab::new();
    let (quota, one, other) = (quota(&lab, 1, 0), lab.create(), lab.create());
    ask(&lab, &quota, &one, 1, 0);
    let args = CheckAdmissionArgs {
        execution_id: other,
        now: lab.now(),
        window_seconds: 10,
        rate_limit: 1,
        concurrency_cap: 0,
        jitter_ms: Some(1_000),
    };
    let refused = lab.backend.check_admission(&quota, "default", args).block_on().unwrap();
    assert_eq!(refused, CheckAdmissionResult::RateExceeded { retry_after_ms: 10_396 });
}

#[test]
fn a_release_frees_a_slot_of_somebody_else() {
    let lab = Lab::new();
    lab.breaks("S44 never-admitted release_admission=released");
    let (quota, one, other) = (quota(&lab, 0, 1), lab.create(), lab.create());
    ask(&lab, &quota, &one, 0, 1);
    assert_eq!(ask(&lab, &quota, &other, 0, 1), CheckAdmissionResult::ConcurrencyExceeded);
    let stranger = ReleaseAdmissionArgs::new(quota.clone(), other.clone());
    lab.backend.release_admission(stranger).block_on().unwrap();
    assert_eq!(ask(&lab, &quota, &other, 0, 1), CheckAdmissionResult::Admitted);
}

#[test]
fn reconciling_a_quota_counts_live_guards_and_trims_no_default_window() {
    let lab = Lab::new();
    let (quota, id) = (quota(&lab, 1, 1), lab.create());
    ask(&lab, &quota, &id, 1, 1);
    lab.wait(10_001);
    let partition = quota_partition(&quota, &config());
    let reconciled = lab.backend.reconcile_quota_counters(partition, lab.now()).block_on().unwrap();
    assert_eq!(reconciled, ReconcileCounts { processed: 1, errors: 0 }, "the counter, from 1 to 0");
    lab.server.look(|store| {
        let (_, held) = store.quotas().iter().next().unwrap();
        assert_eq!((held.concurrency, held.admitted.len()), (Some(0), 0));
        assert_eq!(held.windows["default"].len(), 1);
    });
}

#[test]
fn a_window_too_long_for_a_guard_fails_after_the_entry_was_added() {
    let lab = Lab::new();
    let (quota, id) = (quota(&lab, 1, 0), lab.create());
    let args = CheckAdmissionArgs {
        execution_id: id,
        now: lab.now(),
        window_seconds: u64::MAX,
        rate_limit: 1,
        concurrency_cap: 1,
        jitter_ms: None,
    };
    assert!(lab.backend.check_admission(&quota, "", args).block_on().is_err());
    lab.server.look(|store| {
        let (_, held) = store.quotas().iter().next().unwrap();
        assert_eq!((held.windows["default"].len(), held.concurrency, held.guards.len()), (1, Some(0), 0));
    });
}

// ── budgets ──

#[test]
fn a_hard_breach_counts_nothing_and_a_soft_one_everything() {
    let lab = Lab::new();
    let budget = budget(&lab, 10, 5, 0);
    assert_eq!(report(&lab, &budget, 4), ReportUsageResult::Ok);
    let soft = ReportUsageResult::SoftBreach { dimension: "tokens".into(), current_usage: 8, soft_limit: 5 };
    assert_eq!(report(&lab, &budget, 4), soft);
    let hard = ReportUsageResult::HardBreach { dimension: "tokens".into(), current_usage: 8, hard_limit: 10 };
    assert_eq!(report(&lab, &budget, 4), hard);
    let status = lab.backend.get_budget_status(&budget).block_on().unwrap();
    assert_eq!((status.usage["tokens"], status.breach_count, status.soft_breach_count), (8, 1, 1));
    assert_eq!(status.last_breach_dim.as_deref(), Some("tokens"));
}

#[test]
fn a_report_that_names_a_dimension_twice_passes_its_limit() {
    let lab = Lab::new();
    let budget = budget(&lab, 10, 0, 0);
    let args = ReportUsageAdminArgs::new(vec!["tokens".into(), "tokens".into()], vec![8, 8], lab.now());
    assert_eq!(lab.backend.report_usage_admin(&budget, args).block_on().unwrap(), ReportUsageResult::Ok);
    assert_eq!(used(&lab, &budget), 16);
}

#[test]
fn a_report_on_a_budget_that_nobody_created_keeps_it_from_ever_getting_limits() {
    let lab = Lab::new();
    let budget_id = BudgetId::from_uuid(lab.uuid());
    report(&lab, &budget_id, 1);
    let args = CreateBudgetArgs {
        budget_id: budget_id.clone(),
        scope_type: String::new(),
        scope_id: String::new(),
        enforcement_mode: String::new(),
        on_hard_limit: String::new(),
        on_soft_limit: String::new(),
        reset_interval_ms: 0,
        dimensions: vec!["tokens".into()],
        hard_limits: vec![1],
        soft_limits: vec![0],
        now: lab.now(),
    };
    let created = lab.backend.create_budget(args).block_on().unwrap();
    assert_eq!(created, CreateBudgetResult::AlreadySatisfied { budget_id: budget_id.clone() });
    assert_eq!(report(&lab, &budget_id, 100), ReportUsageResult::Ok);
}

#[test]
fn a_spend_is_released_as_far_as_a_reset_left_it() {
    let lab = Lab::new();
    let (budget, id) = (budget(&lab, 100, 0, 60_000), lab.create());
    assert_eq!(spend(&lab, &budget, &id, 30, "k1"), ReportUsageResult::Ok);
    assert_eq!(spend(&lab, &budget, &id, 30, "k1"), ReportUsageResult::AlreadyApplied);
    let reset = lab.backend.reset_budget(ResetBudgetArgs { budget_id: budget.clone(), now: lab.now() });
    let ResetBudgetResult::Reset { next_reset_at } = reset.block_on().unwrap();
    assert_eq!(next_reset_at, TimestampMs(START_MS + 60_000));
    report(&lab, &budget, 20);
    let release = ReleaseBudgetArgs::new(budget.clone(), id.clone());
    lab.backend.release_budget(release.clone()).block_on().unwrap();
    assert_eq!(used(&lab, &budget), 0);
    report(&lab, &budget, 7);
    lab.backend.release_budget(release).block_on().unwrap();
    assert_eq!(used(&lab, &budget), 7, "the ledger is gone");
}

#[test]
fn a_deduplication_id_is_shared_by_every_budget_of_a_partition() {
    let lab = Lab::new();
    let one = budget(&lab, 0, 0, 0);
    let home = budget_partition(&one, &config()).index;
    let other = std::iter::repeat_with(|| budget(&lab, 0, 0, 0))
        .find(|other| budget_partition(other, &config()).index == home)
        .unwrap();
    let id = lab.create();
    assert_eq!(spend(&lab, &one, &id, 1, "k"), ReportUsageResult::Ok);
    assert_eq!(spend(&lab, &other, &id, 1, "k"), ReportUsageResult::AlreadyApplied);
}

#[test]
fn a_breach_beyond_fourteen_digits_is_an_error_by_handle_and_zero_by_admin() {
    let lab = Lab::new();
    let budget = budget(&lab, 1_000_000_000_000_000, 0, 0);
    report(&lab, &budget, 1_000_000_000_000_000);
    let hard_limit = 1_000_000_000_000_000;
    let hard = ReportUsageResult::HardBreach { dimension: "tokens".into(), current_usage: 0, hard_limit };
    assert_eq!(report(&lab, &budget, 1), hard);
    let handle = lab.claim(&lab.create(), 30_000);
    let mut usage = UsageDimensions::new();
    usage.custom.insert("tokens".into(), 1);
    let refused = lab.backend.report_usage(&handle, &budget, usage).block_on().unwrap_err();
    assert!(refused.to_string().contains("HARD_BREACH: current_usage (index 1) not a u64: \"1e+15\""), "{refused}");
}

#[test]
fn an_increment_that_the_server_refuses_leaves_the_earlier_dimensions_counted() {
    let lab = Lab::new();
    let budget = budget(&lab, 0, 0, 0);
    let args = ReportUsageAdminArgs::new(vec!["tokens".into(), "x".into()], vec![5, u64::MAX], lab.now());
    assert!(lab.backend.report_usage_admin(&budget, args).block_on().is_err());
    assert_eq!(used(&lab, &budget), 5);
}

#[test]
fn reconciling_budgets_fails_on_every_one_that_is_defined() {
    let lab = Lab::new();
    let budget = budget(&lab, 1, 0, 0);
    let partition = budget_partition(&budget, &config());
    let reconciled = lab.backend.reconcile_budget_counters(partition, lab.now()).block_on().unwrap();
    assert_eq!(reconciled, ReconcileCounts { processed: 0, errors: 1 });
}

// ── the scheduler ──

#[test]
fn a_spent_budget_parks_a_candidate() {
    let lab = Lab::new();
    let backend = scheduler(&lab);
    let (budget, id) = (budget(&lab, 10, 0, 0), lab.create());
    backend.attach_admission(&id, Some(&format!(" {budget},not-an-id")), None).block_on().unwrap();
    report(&lab, &budget, 10);
    assert_eq!(schedule(&backend), ClaimForWorkerOutcome::NoWork);
    assert_eq!(lab.indexes(&id), ["blocked:budget"]);
    let info = lab.backend.read_execution_info(&id).block_on().unwrap().unwrap();
    assert_eq!(info.blocking_detail, format!("budget ff:budget:{budget}:usage: tokens 10/10"));
}

#[test]
fn a_full_quota_parks_a_candidate_and_a_refused_grant_gives_its_slot_back() {
    let lab = Lab::new();
    let backend = scheduler(&lab);
    let (quota, one, other) = (quota(&lab, 0, 1), lab.create(), lab.create());
    for id in [&one, &other] {
        backend.attach_admission(id, None, Some(&quota.to_string())).block_on().unwrap();
    }
    lab.grant(&one, "other", 5_000).unwrap();
    assert_eq!(schedule(&backend), ClaimForWorkerOutcome::NoWork, "one holds a grant already");
    lab.server.look(|store| assert_eq!(store.quotas().iter().next().unwrap().1.concurrency, Some(0)));
    lab.wait(5_001);
    assert!(matches!(schedule(&backend), ClaimForWorkerOutcome::Granted(_)));
    lab.try_claim(lab.claim_args(&one, "w", 30_000)).unwrap();
    assert_eq!(schedule(&backend), ClaimForWorkerOutcome::NoWork);
    assert_eq!(lab.indexes(&other), ["blocked:quota"]);
    let info = lab.backend.read_execution_info(&other).block_on().unwrap().unwrap();
    assert_eq!(info.blocking_detail, format!("quota {quota}: concurrency cap 1"));
}

// ── claiming without a scheduler, and typed calls ──

fn claim_any(lab: &Lab) -> Result<Option<ff_core::backend::Handle>, EngineError> {
    let policy = ClaimPolicy::new(WorkerId::new("w"), WorkerInstanceId::new("w-1"), 30_000, None);
    lab.backend.claim(&LaneId::new("default"), &CapabilitySet::new(["cpu"]), policy).block_on()
}

#[test]
fn claim_leaves_a_grant_on_an_interrupted_attempt_and_finds_no_work() {
    let lab = Lab::new();
    let id = lab.create();
    let handle = claim_any(&lab).unwrap().unwrap();
    let details = lab.suspend(&handle, lab.suspend_args("go"));
    lab.backend.deliver_signal(lab.signal_args(&id, &details, "go")).block_on().unwrap();
    assert!(claim_any(&lab).unwrap().is_none());
    assert!(lab.look(&id, |found| found.grant.is_some()));
}

#[test]
fn an_operator_continues_an_interrupted_attempt_wherever_it_is() {
    let lab = Lab::new();
    lab.breaks("S27 several issue_grant_and_claim=leased");
    lab.breaks("S32 delayed issue_grant_and_claim=leased");
    let id = lab.create();
    let handle = lab.claim(&id, 30_000);
    lab.backend.delay(&handle, TimestampMs(START_MS + 60_000)).block_on().unwrap();
    let args = IssueGrantAndClaimArgs::new(id.clone(), LaneId::new("default"), 30_000);
    let taken = lab.backend.issue_grant_and_claim(args.clone()).block_on().unwrap();
    assert_eq!((taken.lease_epoch, taken.attempt_index), (LeaseEpoch::new(2), AttemptIndex::new(0)));
    assert_eq!(lab.indexes(&id), ["active", "delayed", "lease_expiry", "worker_leases"]);
    assert!(lab.core(&id).delay_until.is_some());
    let again = lab.backend.issue_grant_and_claim(args).block_on().unwrap_err();
    assert!(matches!(again, EngineError::Contention(ContentionKind::ExecutionNotEligible)), "{again:?}");
}

#[test]
fn an_operator_does_not_pass_a_live_grant() {
    let lab = Lab::new();
    let id = lab.create();
    lab.grant(&id, "w", 5_000).unwrap();
    let args = IssueGrantAndClaimArgs::new(id, LaneId::new("default"), 30_000);
    let refused = lab.backend.issue_grant_and_claim(args).block_on().unwrap_err();
    assert!(matches!(refused, EngineError::State(StateKind::GrantAlreadyExists)), "{refused:?}");
}

fn fail_args(lab: &Lab, id: &ExecutionId, retry_policy_json: &str) -> FailExecutionArgs {
    let core = lab.core(id);
    FailExecutionArgs {
        execution_id: id.clone(),
        fence: core.current_lease_id.zip(core.current_attempt_id).map(|(lease_id, attempt_id)| LeaseFence {
            lease_id,
            lease_epoch: core.current_lease_epoch,
            attempt_id,
        }),
        attempt_index: core.current_attempt_index.unwrap_or(AttemptIndex::new(0)),
        failure_reason: "boom".into(),
        failure_category: "mine".into(),
        retry_policy_json: retry_policy_json.into(),
        next_attempt_policy_json: String::new(),
        source: CancelSource::LeaseHolder,
    }
}

#[test]
fn a_typed_failure_follows_the_callers_retry_policy() {
    let lab = Lab::new();
    lab.breaks("S50 retries fail_execution=retry_scheduled");
    let id = lab.create();
    lab.claim(&id, 30_000);
    let failed = lab.backend.fail_execution(fail_args(&lab, &id, r#"{"max_retries":1}"#)).block_on().unwrap();
    let delay_until = TimestampMs(START_MS + 1_000);
    assert_eq!(failed, FailExecutionResult::RetryScheduled { delay_until, next_attempt_index: AttemptIndex::new(0) });
    let category = lab.look(&id, |found| found.attempts[0].failure_category.clone());
    assert_eq!(category.as_deref(), Some("mine"));
    let again = lab.backend.fail_execution(fail_args(&lab, &id, "")).block_on().unwrap_err();
    assert!(matches!(again, EngineError::Validation { kind: ValidationKind::InvalidLeaseForSuspend, .. }));
}

#[test]
fn a_typed_failure_whose_retry_time_has_a_fraction_fails_after_it_took_effect() {
    let lab = Lab::new();
    lab.breaks("S50 retries fail_execution=retry_scheduled");
    let id = lab.create();
    lab.claim(&id, 30_000);
    let json = r#"{"max_retries":9,"backoff":{"type":"exponential","initial_delay_ms":333,"multiplier":1.5}}"#;
    lab.backend.fail_execution(fail_args(&lab, &id, json)).block_on().unwrap();
    lab.wait(333);
    lab.backend.promote_delayed(partition(&id), &LaneId::new("default"), &id, lab.now()).block_on().unwrap();
    lab.claim(&id, 30_000);
    let unread = lab.backend.fail_execution(fail_args(&lab, &id, json)).block_on().unwrap_err();
    assert!(unread.to_string().contains("bad delay_until: invalid digit found in string"), "{unread}");
    assert_eq!(lab.core(&id).retry_count, 2);
}

#[test]
fn a_failures_category_is_the_callers_own_word_or_its_class() {
    let lab = Lab::new();
    for (reason, category) in [
        (FailureReason::new("boom"), "infra_crash"),
        (FailureReason::with_detail("boom", b"disk_full".to_vec()), "disk_full"),
    ] {
        let id = lab.create();
        let handle = lab.claim(&id, 30_000);
        lab.backend.fail(&handle, reason, FailureClass::InfraCrash).block_on().unwrap();
        assert_eq!(lab.look(&id, |found| found.attempts[0].failure_category.clone()).as_deref(), Some(category));
    }
}

#[test]
fn a_typed_renewal_keeps_the_lease_record_for_its_own_grace() {
    let lab = Lab::new();
    let id = lab.create();
    lab.claim(&id, 30_000);
    let fence = fail_args(&lab, &id, "").fence;
    let args = RenewLeaseArgs {
        execution_id: id.clone(),
        attempt_index: AttemptIndex::new(0),
        fence,
        lease_ttl_ms: 1_000,
        lease_history_grace_ms: 60_000,
    };
    let RenewLeaseResult::Renewed { expires_at } = lab.backend.renew_lease(args.clone()).block_on().unwrap();
    assert_eq!(expires_at, TimestampMs(START_MS + 1_000));
    let key_expires_at = lab.look(&id, |found| found.lease.clone().unwrap().key_expires_at.unwrap());
    assert_eq!(key_expires_at.ms(), START_MS + 61_000);
    let unfenced = RenewLeaseArgs { fence: None, ..args };
    assert!(lab.backend.renew_lease(unfenced).block_on().unwrap_err().to_string().contains("fence_required"));
}

// ── the worker registry ──

#[test]
fn a_dead_worker_is_neither_listed_nor_alive_and_keeps_its_lease() {
    let lab = Lab::new();
    let (namespace, instance) = (Namespace::new("ns"), WorkerInstanceId::new("w-1"));
    let id = lab.create();
    lab.claim(&id, 30_000);
    let register = RegisterWorkerArgs::new(
        WorkerId::new("w"),
        instance.clone(),
        BTreeSet::from([LaneId::new("b"), LaneId::new("a")]),
        BTreeSet::from(["gpu".to_owned()]),
        1_000,
        namespace.clone(),
        lab.now(),
    );
    lab.backend.register_worker(register).block_on().unwrap();
    let mut list = ListWorkersArgs::new();
    list.namespace = Some(namespace.clone());
    let listed = lab.backend.list_workers(list.clone()).block_on().unwrap();
    assert_eq!(listed.entries[0].lanes, BTreeSet::from([LaneId::new("a"), LaneId::new("b")]));
    assert_eq!(listed.entries[0].registered_at_ms, lab.now());
    let dead = |reason: &str| MarkWorkerDeadArgs::new(instance.clone(), namespace.clone(), reason.into(), lab.now());
    assert!(lab.backend.mark_worker_dead(dead("bad\nreason")).block_on().is_err());
    assert_eq!(lab.backend.mark_worker_dead(dead("oom")).block_on().unwrap(), MarkWorkerDeadOutcome::Marked);
    assert_eq!(lab.backend.mark_worker_dead(dead("oom")).block_on().unwrap(), MarkWorkerDeadOutcome::NotRegistered);
    assert!(lab.backend.list_workers(list).block_on().unwrap().entries.is_empty());
    assert!(lab.core(&id).current_lease_id.is_some());
}

// ── reads ──

#[test]
fn core_fields_tell_a_cleared_field_from_one_never_written() {
    let lab = Lab::new();
    let id = lab.create();
    let names = ["lifecycle_phase", "current_lease_id", "failure_reason", "creator_identity", "partition_id"];
    let fields = lab.backend.read_exec_core_fields(partition(&id), &id, &names).block_on().unwrap();
    let text = |name: &str| fields[name].as_deref();
    assert_eq!((text("lifecycle_phase"), text("current_lease_id")), (Some("runnable"), Some("")));
    assert_eq!(text("failure_reason"), None);
    assert_eq!((text("creator_identity"), text("partition_id")), (Some("test"), Some("1")));
    let elsewhere = Partition { family: PartitionFamily::Execution, index: 2 };
    let fields = lab.backend.read_exec_core_fields(elsewhere, &id, &names).block_on().unwrap();
    assert!(fields.len() == 5 && fields.values().all(Option::is_none));
}

#[test]
fn a_tag_is_written_under_the_callers_prefix_only() {
    let lab = Lab::new();
    let id = lab.create();
    lab.backend.set_execution_tag(&id, "app.key", "value").block_on().unwrap();
    assert_eq!(lab.backend.get_execution_tag(&id, "app.key").block_on().unwrap().as_deref(), Some("value"));
    assert!(lab.backend.set_execution_tag(&id, "key", "value").block_on().is_err());
    let missing = ExecutionId::parse(&format!("{{fp:1}}:{}", lab.uuid())).unwrap();
    let refused = lab.backend.set_execution_tag(&missing, "app.key", "value").block_on().unwrap_err();
    assert!(matches!(refused, EngineError::NotFound { entity: "execution" }));
}

#[test]
fn executions_are_listed_in_the_order_of_their_ids() {
    let lab = Lab::new();
    let ids = [lab.create(), lab.create(), lab.create()];
    let key = PartitionKey::from(&partition(&ids[0]));
    let first = lab.backend.list_executions(key.clone(), None, 2).block_on().unwrap();
    assert_eq!(first.executions, ids[..2]);
    let rest = lab.backend.list_executions(key, first.next_cursor, 2).block_on().unwrap();
    assert_eq!((rest.executions, rest.next_cursor), (ids[2..].to_vec(), None));
}

#[test]
fn the_index_reconciler_counts_what_is_missing_and_repairs_nothing() {
    let lab = Lab::new();
    lab.breaks("S27 other create_execution=created");
    let late = CreateExecutionArgs { delay_until: Some(TimestampMs(1)), ..lab.create_args() };
    let id = lab.create_with(late);
    let filter = ScannerFilter::new().with_namespace("ns");
    let found = lab.backend.reconcile_execution_index(partition(&id), &[], &filter).block_on().unwrap();
    assert_eq!(found, ReconcileCounts { processed: 1, errors: 0 }, "eligible by its state, in the delayed index");
    assert_eq!(lab.indexes(&id), ["delayed"]);
    let other = ScannerFilter::new().with_namespace("other");
    let skipped = lab.backend.reconcile_execution_index(partition(&id), &[], &other).block_on().unwrap();
    assert_eq!(skipped, ReconcileCounts::default());
}

#[test]
fn capabilities_name_the_scheduler_where_one_is_installed() {
    let lab = Lab::new();
    assert!(!lab.backend.capabilities().supports.claim_for_worker);
    assert!(scheduler(&lab).capabilities().supports.claim_for_worker);
    assert_eq!(lab.backend.capabilities().identity.family, "valkey");
}
