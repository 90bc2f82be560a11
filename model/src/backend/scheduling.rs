//! The scheduler behind `claim_for_worker` (`ff-scheduler/src/claim.rs`): capabilities only.
//!
//! Budgets and quotas are read from core fields that no production code of 0.15.0 writes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ff_core::contracts::{
    BlockExecutionForAdmissionArgs, BlockingReason, ClaimForWorkerArgs, ClaimForWorkerOutcome, ClaimGrant,
    IssueClaimGrantArgs,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::hash::fnv1a_u16_mod;
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::policy::{CAPS_MAX_BYTES, CAPS_MAX_TOKENS};
use ff_core::types::TimestampMs;

use super::ModelBackend;
use super::error::{self, during};
use crate::message::{Message, Reply};
use crate::port::Server;
use crate::store::IndexKey;

/// At most so many partitions are looked at in one call.
const MAX_PARTITIONS: u16 = 32;
/// The window's start moves on once in so many milliseconds of server time.
const ROTATION_MS: u64 = 250;

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
        for step in 0..window {
            let index = ((first + u64::from(step)) % u64::from(partitions)) as u16;
            if let Some(grant) = self.schedule_partition(&args, index, now_ms).await? {
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
    ) -> Result<Option<ClaimGrant>, EngineError> {
        let partition = Partition { family: PartitionFamily::Execution, index };
        let key = IndexKey::Eligible(self.server.ids().lane(&args.lane_id));
        // A failing read only skips the partition.
        let Ok(Reply::Members(best)) =
            self.ask(Message::Range { partition: index, key, up_to_ms: None, limit: 1 }).await
        else {
            return Ok(None);
        };
        let Some((_, no)) = best.first() else {
            return Ok(None);
        };
        let id = self.server.ids().execution_id(*no).clone();
        let required = match self.ask(Message::Required(*no)).await {
            Ok(Reply::Required(required)) => required,
            Ok(other) => return Err(error::unexpected(&other)),
            Err(_) => return Ok(None),
        };
        let now = TimestampMs(now_ms as i64);
        let block = || {
            BlockExecutionForAdmissionArgs::new(
                id.clone(),
                args.lane_id.clone(),
                partition,
                BlockingReason::WaitingForCapableWorker,
                Some("no connected worker satisfies required_capabilities".into()),
                now,
            )
        };
        if !required.iter().all(|token| args.worker_capabilities.contains(token)) {
            let _ = self.block_execution_for_admission(block()).await;
            return Ok(None);
        }
        // `budget_ids` and `quota_policy_id` are read even though nothing ever writes them.
        for _ in ["budget_ids", "quota_policy_id"] {
            self.ask(Message::Core(*no)).await.map_err(during("claim_for_worker: scheduler"))?;
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
            Err(EngineError::Validation { kind: ValidationKind::CapabilityMismatch, .. }) => {
                let _ = self.block_execution_for_admission(block()).await;
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}
