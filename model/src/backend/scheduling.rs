//! The scheduler behind `claim_for_worker` (`ff-scheduler/src/claim.rs`): capabilities, budgets, quota,
//! grant, in this order, for the best candidate of each partition in its window.
//!
//! Budgets and quota are named by core fields that no production code of 0.15.0 writes; see
//! [`ModelBackend::attach_admission`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use ff_core::contracts::{
    BlockExecutionForAdmissionArgs, BlockingReason, CheckAdmissionArgs, CheckAdmissionResult, ClaimForWorkerArgs,
    ClaimForWorkerOutcome, ClaimGrant, IssueClaimGrantArgs, ReleaseAdmissionArgs,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{EngineError, ValidationKind, backend_context};
use ff_core::hash::fnv1a_u16_mod;
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::policy::{CAPS_MAX_BYTES, CAPS_MAX_TOKENS};
use ff_core::types::{BudgetId, ExecutionId, QuotaPolicyId, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use crate::deviation::Deviation;
use crate::message::{Command, Message, Place, Reply};
use crate::port::Server;
use crate::store::IndexKey;

/// At most so many partitions are looked at in one call.
const MAX_PARTITIONS: u16 = 32;
/// The window's start moves on once in so many milliseconds of server time.
const ROTATION_MS: u64 = 250;
/// Why a candidate that needs more than the worker has is parked.
const INCAPABLE: &str = "no connected worker satisfies required_capabilities";
/// The window of a quota policy whose own is zero.
const DEFAULT_WINDOW_SECONDS: u64 = 60;

/// Where the scheduler's window starts: moved on by a whole window when a new epoch is first seen.
#[derive(Debug, Default)]
pub(super) struct Rotation(Mutex<(u64, u64)>);

impl Rotation {
    fn cursor(&self, now_ms: u64, partitions: u16) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = now_ms / ROTATION_MS;
        if state.0 != epoch {
            *state = (epoch, (state.1 + u64::from(MAX_PARTITIONS)) % u64::from(partitions));
        }
        state.1
    }
}

/// What budgets answered in one call, by the text that named them: the detail of a breach, or none.
type Budgets = BTreeMap<String, Option<String>>;

/// What a candidate's quota policy says.
enum Admission {
    /// There is none that limits.
    Free,
    /// A slot is taken, now or before.
    Taken(QuotaPolicyId),
    /// No slot, with the detail.
    Refused(String),
}

/// The scheduler's own look at a worker's capabilities, before anything is sent.
fn check_capabilities(capabilities: &BTreeSet<String>) -> Result<(), String> {
    for token in capabilities {
        if token.is_empty() {
            return Err("capability token must not be empty".into());
        }
        if token.contains(',') {
            return Err(format!("capability token may not contain ',' (CSV delimiter): {token:?}"));
        }
        if token.chars().any(|char| char.is_control() || char.is_whitespace()) {
            return Err(format!("capability token must not contain whitespace or control characters: {token:?}"));
        }
    }
    if capabilities.len() > CAPS_MAX_TOKENS {
        return Err(format!("capability set exceeds CAPS_MAX_TOKENS ({CAPS_MAX_TOKENS}): {}", capabilities.len()));
    }
    let bytes = capabilities.iter().map(|token| token.len() + 1).sum::<usize>().saturating_sub(1);
    if bytes > CAPS_MAX_BYTES {
        return Err(format!("capability CSV exceeds CAPS_MAX_BYTES ({CAPS_MAX_BYTES}): {bytes}"));
    }
    Ok(())
}

impl<S: Server> ModelBackend<S> {
    /// Grants the best eligible execution of the first partition in the window that has one.
    pub(super) async fn schedule(
        &self,
        rotation: &Rotation,
        args: ClaimForWorkerArgs,
    ) -> Result<ClaimForWorkerOutcome, EngineError> {
        let partitions = self.partitions.num_flow_partitions;
        let invalid = |detail: String| EngineError::Validation { kind: ValidationKind::InvalidInput, detail };
        if partitions == 0 {
            return Err(invalid("num_flow_partitions must be > 0".into()));
        }
        check_capabilities(&args.worker_capabilities).map_err(invalid)?;
        let context = during("scheduler: server_time_ms for rotation cursor");
        let now_ms = self.server_time_ms().await.map_err(context)?;
        let window = MAX_PARTITIONS.min(partitions);
        let start = fnv1a_u16_mod(args.worker_instance_id.as_str(), partitions);
        let first = u64::from(start) + rotation.cursor(now_ms, partitions);
        let mut budgets = Budgets::new();
        for step in 0..window {
            let index = ((first + u64::from(step)) % u64::from(partitions)) as u16;
            if let Some(grant) = self.schedule_partition(&args, index, now_ms, &mut budgets).await? {
                return Ok(ClaimForWorkerOutcome::Granted(grant));
            }
        }
        Ok(ClaimForWorkerOutcome::NoWork)
    }

    async fn schedule_partition(
        &self,
        args: &ClaimForWorkerArgs,
        index: u16,
        now_ms: u64,
        budgets: &mut Budgets,
    ) -> Result<Option<ClaimGrant>, EngineError> {
        let partition = Partition { family: PartitionFamily::Execution, index };
        let key = IndexKey::Eligible(self.server.ids().lane(&args.lane_id));
        // A failing read only skips the partition.
        let Ok(Reply::Members(best)) =
            self.ask(Message::Range { partition: index, key, up_to_ms: None, limit: 1 }).await
        else {
            return Ok(None);
        };
        let Some((_, number)) = best.first() else {
            return Ok(None);
        };
        let id = self.server.ids().execution_id(*number).clone();
        let required = match self.ask(Message::Required(*number)).await {
            Ok(Reply::Required(required)) => required,
            Ok(other) => return Err(error::unexpected(&other)),
            Err(_) => return Ok(None),
        };
        let now = TimestampMs(now_ms as i64);
        let block = async |reason: BlockingReason, detail: &str| {
            let detail = Some(detail.to_owned()).filter(|detail| !detail.is_empty());
            let lane = args.lane_id.clone();
            let args = BlockExecutionForAdmissionArgs::new(id.clone(), lane, partition, reason, detail, now);
            // Whatever comes of it, the next partition follows.
            let _ = self.block_execution_for_admission(args).await;
        };
        if !required.iter().all(|token| args.worker_capabilities.contains(token)) {
            block(BlockingReason::WaitingForCapableWorker, INCAPABLE).await;
            return Ok(None);
        }
        let place = Place { execution: *number, partition: index };
        if let Some(detail) = self.breached_budget(place, budgets).await? {
            block(BlockingReason::WaitingForBudget, &detail).await;
            return Ok(None);
        }
        let admission = self.take_slot(place, &id, now).await?;
        if let Admission::Refused(detail) = &admission {
            block(BlockingReason::WaitingForQuota, detail).await;
            return Ok(None);
        }
        let grant = IssueClaimGrantArgs::new(
            id.clone(),
            args.lane_id.clone(),
            args.worker_id.clone(),
            args.worker_instance_id.clone(),
            partition,
            args.worker_capabilities.clone(),
            args.grant_ttl_ms,
            now,
        );
        match self.issue_claim_grant(grant).await {
            Ok(_) => {
                let grant_key = ExecKeyContext::new(&partition, &id).claim_grant();
                // Computed from the time read at the start: at most as late as the key's own expiry.
                let expires_at_ms = now_ms.saturating_add(args.grant_ttl_ms);
                Ok(Some(ClaimGrant::new(id, PartitionKey::from(&partition), grant_key, expires_at_ms)))
            }
            Err(refused) => {
                if matches!(refused, EngineError::Validation { kind: ValidationKind::CapabilityMismatch, .. }) {
                    block(BlockingReason::WaitingForCapableWorker, INCAPABLE).await;
                }
                // A slot that an earlier call took goes too, and with it one of the counter.
                if let Admission::Taken(policy) = admission {
                    let _ = self.release_admission(ReleaseAdmissionArgs::new(policy, id)).await;
                }
                Ok(None)
            }
        }
    }

    /// The first attached budget of which a dimension has reached its hard limit, in words.
    ///
    /// Each budget is read once in a call. An id that is none counts as unlimited; a failing read ends
    /// the call.
    async fn breached_budget(&self, place: Place, known: &mut Budgets) -> Result<Option<String>, EngineError> {
        let context = during("claim_for_worker: scheduler");
        let attached = self.text(Command::BudgetIds(place)).await.map_err(context)?.unwrap_or_default();
        for name in attached.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !known.contains_key(name) {
                let breach = match BudgetId::parse(name) {
                    Ok(budget) => self.breach_of(name, &budget).await?,
                    Err(_) => None,
                };
                known.insert(name.to_owned(), breach);
            }
            if let Some(Some(detail)) = known.get(name) {
                return Ok(Some(detail.clone()));
            }
        }
        Ok(None)
    }

    async fn breach_of(&self, name: &str, budget: &BudgetId) -> Result<Option<String>, EngineError> {
        let read = self.read_budget_usage_and_limits(budget).await;
        let snapshot = read.map_err(|failed| backend_context(failed, format!("budget_checker read {name}")))?;
        let is_heeded = !self.server.deviations().has(Deviation::BugBudgetUnheeded);
        let breach = snapshot.hard_limits_with_usage().find(|(_, used, limit)| used >= limit && is_heeded);
        Ok(breach.map(|(dimension, used, limit)| format!("budget ff:budget:{name}:usage: {dimension} {used}/{limit}")))
    }

    /// Asks the attached quota policy for a slot by the time that the call began with.
    async fn take_slot(&self, place: Place, id: &ExecutionId, now: TimestampMs) -> Result<Admission, EngineError> {
        let context = during("claim_for_worker: scheduler");
        let attached = self.text(Command::QuotaPolicyId(place)).await.map_err(context)?.unwrap_or_default();
        let Ok(policy) = QuotaPolicyId::parse(&attached) else {
            return Ok(Admission::Free);
        };
        let limits = self.read_quota_policy_limits(&policy).await;
        let limits = limits
            .map_err(|failed| backend_context(failed, format!("check_quota: read_quota_policy_limits {policy}")))?;
        let Some(limits) = limits.filter(|limits| !limits.is_unlimited()) else {
            return Ok(Admission::Free);
        };
        let window_seconds = match limits.requests_per_window_seconds {
            0 => DEFAULT_WINDOW_SECONDS,
            seconds => seconds,
        };
        let (rate, cap) = (limits.max_requests_per_window, limits.active_concurrency_cap);
        let args = CheckAdmissionArgs {
            execution_id: id.clone(),
            now,
            window_seconds,
            rate_limit: rate,
            concurrency_cap: cap,
            jitter_ms: Some(limits.jitter_ms).filter(|jitter| *jitter != 0),
        };
        let answer = self.check_admission(&policy, "default", args).await;
        match answer.map_err(|failed| backend_context(failed, format!("check_admission {attached}")))? {
            CheckAdmissionResult::Admitted | CheckAdmissionResult::AlreadyAdmitted => Ok(Admission::Taken(policy)),
            CheckAdmissionResult::RateExceeded { .. } => Ok(Admission::Refused(format!(
                "quota {attached}: rate limit {rate}/{rate} per {window_seconds}s window"
            ))),
            CheckAdmissionResult::ConcurrencyExceeded => {
                Ok(Admission::Refused(format!("quota {attached}: concurrency cap {cap}")))
            }
        }
    }
}
