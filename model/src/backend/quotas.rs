//! Quota policies: defining, admitting, releasing, reading and reconciling.

use ff_core::contracts::{
    CheckAdmissionArgs, CheckAdmissionResult, CreateQuotaPolicyArgs, CreateQuotaPolicyResult, QuotaPolicyLimits,
    ReleaseAdmissionArgs, ReleaseAdmissionResult,
};
use ff_core::engine_backend::ReconcileCounts;
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionFamily, quota_partition};
use ff_core::types::{QuotaPolicyId, TimestampMs};

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Answered, CheckAdmission, Command, CreateQuotaPolicy, Done, Script};
use crate::port::Server;
use crate::store::{QuotaDefinition, QuotaPlace};

/// The window of a caller that names no dimension, and the scheduler's.
const DEFAULT_DIMENSION: &str = "default";

impl<S: Server> ModelBackend<S> {
    pub(super) fn quota_place(&self, policy: &QuotaPolicyId) -> QuotaPlace {
        QuotaPlace { partition: quota_partition(policy, &self.partitions).index, policy: policy.0 }
    }

    pub(super) async fn define_quota(
        &self,
        args: CreateQuotaPolicyArgs,
    ) -> Result<CreateQuotaPolicyResult, EngineError> {
        let script = Script::CreateQuotaPolicy(Box::new(CreateQuotaPolicy {
            place: self.quota_place(&args.quota_policy_id),
            definition: QuotaDefinition {
                window_seconds: args.window_seconds,
                max_requests_per_window: args.max_requests_per_window,
                max_concurrent: args.max_concurrent,
                created_at: args.now,
            },
        }));
        let context = during("create_quota_policy: FCALL ff_create_quota_policy");
        let quota_policy_id = args.quota_policy_id;
        match self.run_opaque(script).await.map_err(context)? {
            Done::AlreadySatisfied(_) => Ok(CreateQuotaPolicyResult::AlreadySatisfied { quota_policy_id }),
            _ => Ok(CreateQuotaPolicyResult::Created { quota_policy_id }),
        }
    }

    pub(super) async fn admit(
        &self,
        policy: &QuotaPolicyId,
        dimension: &str,
        args: CheckAdmissionArgs,
    ) -> Result<CheckAdmissionResult, EngineError> {
        let dimension = if dimension.is_empty() { DEFAULT_DIMENSION } else { dimension };
        let script = Script::CheckAdmission(Box::new(CheckAdmission {
            place: self.quota_place(policy),
            dimension: dimension.to_owned(),
            execution: self.number(&args.execution_id),
            now: args.now,
            window_seconds: args.window_seconds,
            rate_limit: args.rate_limit,
            concurrency_cap: args.concurrency_cap,
            jitter_ms: args.jitter_ms.unwrap_or(0),
        }));
        match self.run_opaque(script).await.map_err(during("check_admission: FCALL ff_check_admission_and_record"))? {
            Done::Ok("admitted") => Ok(CheckAdmissionResult::Admitted),
            Done::Ok("already_admitted") => Ok(CheckAdmissionResult::AlreadyAdmitted),
            Done::Ok("concurrency_exceeded") => Ok(CheckAdmissionResult::ConcurrencyExceeded),
            // A wait that the script prints in scientific notation is reported as 0.
            Done::RateExceeded(wait) => {
                Ok(CheckAdmissionResult::RateExceeded { retry_after_ms: wait.parse().unwrap_or(0) })
            }
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn give_back(&self, args: ReleaseAdmissionArgs) -> Result<ReleaseAdmissionResult, EngineError> {
        let place = self.quota_place(&args.quota_policy_id);
        let script = Script::ReleaseAdmission { place, execution: self.number(&args.execution_id) };
        self.run_opaque(script).await.map_err(during("release_admission: FCALL ff_release_admission"))?;
        Ok(ReleaseAdmissionResult::Released)
    }

    pub(super) async fn quota_limits(&self, policy: &QuotaPolicyId) -> Result<Option<QuotaPolicyLimits>, EngineError> {
        let definition = self.quota_definition(self.quota_place(policy)).await;
        let definition = definition.map_err(during("read_quota_policy_limits: HMGET"))?;
        Ok(definition.map(|defined| {
            QuotaPolicyLimits::new(defined.max_requests_per_window, defined.window_seconds, defined.max_concurrent, 0)
        }))
    }

    pub(super) async fn quota_definition(&self, place: QuotaPlace) -> Result<Option<QuotaDefinition>, EngineError> {
        match self.command(Command::QuotaDefinition(place)).await? {
            Answered::Quota(definition) => Ok(definition),
            other => Err(error::unanswerable(&other)),
        }
    }

    /// Trims one window of each listed policy and sets its counter to the number of live guards.
    ///
    /// An index that cannot be read counts as one error; a policy that cannot, likewise.
    pub(super) async fn reconcile_quotas(
        &self,
        partition: Partition,
        now: TimestampMs,
    ) -> Result<ReconcileCounts, EngineError> {
        let mut counts = ReconcileCounts::default();
        if partition.family != PartitionFamily::Quota {
            return Ok(counts);
        }
        let Ok(Answered::Ids(policies)) = self.command(Command::QuotaPolicies(partition.index)).await else {
            return Ok(ReconcileCounts { processed: 0, errors: 1 });
        };
        for policy in policies {
            let place = QuotaPlace { partition: partition.index, policy };
            match self.reconcile_quota(place, now.0.max(0).unsigned_abs()).await {
                Ok(true) => counts.processed += 1,
                Ok(false) => {}
                Err(_) => counts.errors += 1,
            }
        }
        Ok(counts)
    }

    /// Tells whether anything was trimmed or corrected. The definition is read once for each field.
    async fn reconcile_quota(&self, place: QuotaPlace, now_ms: u64) -> Result<bool, EngineError> {
        let mut worked = false;
        let window_seconds = self.quota_definition(place).await?.map_or(0, |defined| defined.window_seconds);
        if window_seconds > 0 {
            let up_to_ms = now_ms.saturating_sub(window_seconds.wrapping_mul(1000));
            let trimmed = self.command(Command::TrimWindow { place, up_to_ms }).await;
            worked |= matches!(trimmed, Ok(Answered::Count(removed)) if removed > 0);
        }
        if self.quota_definition(place).await?.is_none_or(|defined| defined.max_concurrent == 0) {
            return Ok(worked);
        }
        let Answered::Executions(admitted) = self.command(Command::Admitted(place)).await? else {
            return Ok(worked);
        };
        let mut live = 0;
        for execution in admitted {
            match self.command(Command::GuardExists(place, execution)).await {
                Ok(Answered::Count(1)) => live += 1,
                _ => drop(self.command(Command::ForgetAdmitted(place, execution)).await),
            }
        }
        let stored = match self.command(Command::Concurrency(place)).await? {
            Answered::Text(Some(text)) => text.parse().unwrap_or(0),
            _ => 0,
        };
        if stored != live {
            self.command(Command::SetConcurrency(place, live)).await?;
            worked = true;
        }
        Ok(worked)
    }
}
