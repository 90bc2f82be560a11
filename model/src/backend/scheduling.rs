//! The scheduler behind `claim_for_worker` (`ff-scheduler/src/claim.rs`): capabilities only.
//!
//! Budgets and quotas are read from core fields that no production code of 0.15.0 writes.

use ff_core::contracts::{
    BlockExecutionForAdmissionArgs, BlockingReason, ClaimForWorkerArgs, ClaimForWorkerOutcome,
    ClaimGrant, IssueClaimGrantArgs,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::hash::fnv1a_u16_mod;
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::TimestampMs;

use super::ModelBackend;
use super::error;
use crate::message::{Message, Reply};
use crate::port::Server;
use crate::store::IndexKey;

/// At most so many partitions are looked at in one call.
const MAX_PARTITIONS: u16 = 32;
/// The window's start moves on once in so many milliseconds of server time.
const ROTATION_MS: u64 = 250;

impl<S: Server> ModelBackend<S> {
    /// Grants the best eligible execution of the first partition in the window that has one.
    pub(super) async fn schedule(
        &self,
        args: ClaimForWorkerArgs,
    ) -> Result<ClaimForWorkerOutcome, EngineError> {
        let partitions = self.partitions.num_flow_partitions;
        if partitions == 0 {
            return Err(EngineError::Validation {
                kind: ValidationKind::InvalidInput,
                detail: "num_flow_partitions must be > 0".into(),
            });
        }
        let now_ms = self.server_time_ms().await?;
        let window = MAX_PARTITIONS.min(partitions);
        let rotation =
            (now_ms / ROTATION_MS).wrapping_mul(u64::from(window)) % u64::from(partitions);
        let first =
            u64::from(fnv1a_u16_mod(args.worker_instance_id.as_str(), partitions)) + rotation;
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
        let partition = Partition {
            family: PartitionFamily::Execution,
            index,
        };
        let key = IndexKey::Eligible(self.server.ids().lane(&args.lane_id));
        // A failing read only skips the partition.
        let Ok(Reply::Members(best)) = self
            .ask(Message::Range {
                partition: index,
                key,
                up_to_ms: None,
                limit: 1,
            })
            .await
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
        let capable = required
            .iter()
            .all(|token| args.worker_capabilities.contains(token));
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
        if !capable {
            let _ = self.block_execution_for_admission(block()).await;
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
                Ok(Some(ClaimGrant::new(
                    id,
                    PartitionKey::from(&partition),
                    grant_key,
                    expires_at_ms,
                )))
            }
            Err(EngineError::Validation {
                kind: ValidationKind::CapabilityMismatch,
                ..
            }) => {
                let _ = self.block_execution_for_admission(block()).await;
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}
