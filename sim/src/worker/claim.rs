//! The ways to a claimed task, in the steps of `ff-sdk/src/worker.rs`.

use claimlab_model::backend::class;
use ff_core::backend::Handle;
use ff_core::contracts::{
    BlockRouteArgs, ClaimExecutionArgs, ClaimExecutionResult, ClaimForWorkerArgs, ClaimForWorkerOutcome, ClaimGrant,
    ClaimResumedExecutionArgs, ClaimResumedExecutionResult, IssueClaimGrantArgs, ResumeGrant, ScanEligibleArgs,
};
use ff_core::engine_error::{ContentionKind, EngineError, ValidationKind};
use ff_core::error::ErrorClass;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::{AttemptId, ExecutionId, LaneId, LeaseId};

use super::native::{Permit, Worker};
use super::task::ClaimedTask;
use crate::clock::WorkerTime;

/// How long a grant that the worker issues for itself may be consumed.
const SELF_GRANT_TTL_MS: u64 = 5_000;
/// How long a grant that the scheduler issues may be consumed.
const SERVER_GRANT_TTL_MS: u64 = 5_000;

type Claimed = Result<Option<ClaimedTask>, EngineError>;

/// Whether a claim loop goes on with the next partition.
fn is_skippable(error: &EngineError) -> bool {
    matches!(class(error), ErrorClass::Retryable | ErrorClass::Informational)
}

fn is_resumed(error: &EngineError) -> bool {
    matches!(error, EngineError::Contention(ContentionKind::UseClaimResumedExecution))
}

fn is_mismatch(error: &EngineError) -> bool {
    matches!(error, EngineError::Validation { kind: ValidationKind::CapabilityMismatch, .. })
}

/// A permit that is held for a claim under way, noted where the checks can see it.
struct Claiming<'a> {
    worker: &'a Worker,
    permit: Option<Permit>,
}

impl Claiming<'_> {
    /// Hands the permit to the task.
    fn keep(mut self) -> Option<Permit> {
        self.permit.take()
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.worker.party.hub().claiming(self.worker.party.no(), false);
    }
}

impl Worker {
    fn claiming(&self) -> Option<Claiming<'_>> {
        let permit = self.permits.try_acquire()?;
        self.party.hub().claiming(self.party.no(), true);
        Some(Claiming { worker: self, permit: Some(permit) })
    }

    /// Scans its window of partitions, grants and claims by itself.
    pub(super) async fn claim_next(&mut self) -> Claimed {
        if self.permits.try_acquire().is_none() {
            return Ok(None);
        }
        let (lane, window) = (self.next_lane(), self.next_window());
        let now = self.party.now();
        let Some(claiming) = self.claiming() else { return Ok(None) };
        for index in window {
            let partition = Partition { family: PartitionFamily::Execution, index };
            let Some(id) = self.grant_best(&lane, partition, now).await? else { continue };
            match self.claim_fresh(&id, &lane, now).await {
                Ok(handle) => return self.attach(claiming, id, lane, handle).await,
                Err(error) if is_resumed(&error) => match self.claim_resumed(&id, &lane, now).await {
                    Ok(handle) => return self.attach(claiming, id, lane, handle).await,
                    Err(error) if is_skippable(&error) => {}
                    Err(error) => return Err(error),
                },
                Err(error) if is_skippable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Asks the scheduler for a grant, then claims from it. The permit is looked at only afterwards: a
    /// saturated worker makes the scheduler issue a grant that it then refuses.
    pub(super) async fn claim_via_server(&mut self) -> Claimed {
        let lane = self.next_lane();
        let args = ClaimForWorkerArgs::new(
            lane.clone(),
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            self.capabilities.clone(),
            SERVER_GRANT_TTL_MS,
        );
        let scheduler = std::sync::Arc::clone(&self.surroundings.scheduler);
        let request = async move { scheduler.claim_for_worker(args).await };
        match self.party.ask(self.surroundings.positions.scheduler, request).await {
            Some(Ok(ClaimForWorkerOutcome::Granted(grant))) => self.claim_from_grant(lane, grant).await,
            Some(Ok(_)) | None => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    /// Grants by itself, then claims through the grant object that fits the execution.
    pub(super) async fn claim_from_grants(&mut self) -> Claimed {
        let (lane, window) = (self.next_lane(), self.next_window());
        let now = self.party.now();
        for index in window {
            let partition = Partition { family: PartitionFamily::Execution, index };
            let granted = {
                let Some(_claiming) = self.claiming() else { return Ok(None) };
                self.grant_best(&lane, partition, now).await?
            };
            let Some(id) = granted else { continue };
            let key = PartitionKey::from(&partition);
            let expires_at_ms = now.plus_ms(SELF_GRANT_TTL_MS).ms().unsigned_abs();
            let interrupted =
                self.backend.describe_execution(&id).await?.is_some_and(|found| found.current_attempt.is_some());
            let claimed = if interrupted {
                let grant = ResumeGrant::new(id, key, String::new(), expires_at_ms, lane.clone());
                self.claim_from_resume_grant(grant).await
            } else {
                self.claim_from_grant(lane.clone(), ClaimGrant::new(id, key, String::new(), expires_at_ms)).await
            };
            match claimed {
                Err(error) if is_skippable(&error) => {}
                other => return other,
            }
        }
        Ok(None)
    }

    /// Claims what a grant names; errors are returned, not skipped. A worker without a permit leaves the
    /// grant untouched.
    async fn claim_from_grant(&self, lane: LaneId, grant: ClaimGrant) -> Claimed {
        let Some(claiming) = self.claiming() else { return Ok(None) };
        let now = self.party.now();
        let id = grant.execution_id;
        let handle = match self.claim_fresh(&id, &lane, now).await {
            Err(error) if is_resumed(&error) => self.claim_resumed(&id, &lane, now).await?,
            other => other?,
        };
        self.attach(claiming, id, lane, handle).await
    }

    /// Continues the attempt of what a resume grant names.
    async fn claim_from_resume_grant(&self, grant: ResumeGrant) -> Claimed {
        let Some(claiming) = self.claiming() else { return Ok(None) };
        let handle = self.claim_resumed(&grant.execution_id, &grant.lane_id, self.party.now()).await?;
        self.attach(claiming, grant.execution_id, grant.lane_id, handle).await
    }

    /// Grants the best eligible execution of a partition to this worker, or tells why the loop goes on.
    async fn grant_best(
        &self,
        lane: &LaneId,
        partition: Partition,
        now: WorkerTime,
    ) -> Result<Option<ExecutionId>, EngineError> {
        let scan = ScanEligibleArgs::new(lane.clone(), partition, 1);
        let Some(id) = self.backend.scan_eligible_executions(scan).await?.into_iter().next() else { return Ok(None) };
        let args = IssueClaimGrantArgs::new(
            id.clone(),
            lane.clone(),
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            partition,
            self.capabilities.clone(),
            SELF_GRANT_TTL_MS,
            now.to_wire(),
        );
        match self.backend.issue_claim_grant(args).await {
            Ok(_) => Ok(Some(id)),
            Err(error) if is_mismatch(&error) => {
                let block = BlockRouteArgs::new(
                    id,
                    lane.clone(),
                    partition,
                    "waiting_for_capable_worker".into(),
                    "no connected worker satisfies required_capabilities".into(),
                    now.to_wire(),
                );
                // The outcome is only logged there.
                let _ = self.backend.block_route(block).await;
                Ok(None)
            }
            Err(error) if is_skippable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn claim_fresh(&self, id: &ExecutionId, lane: &LaneId, now: WorkerTime) -> Result<Handle, EngineError> {
        let index = self.backend.read_total_attempt_count(id).await?;
        let args = ClaimExecutionArgs::new(
            id.clone(),
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            lane.clone(),
            LeaseId::from_uuid(self.party.uuid()),
            self.surroundings.lease_ttl_ms,
            AttemptId::from_uuid(self.party.uuid()),
            index,
            "{}".into(),
            self.attempt_timeout_ms,
            None,
            now.to_wire(),
        );
        match self.backend.claim_execution(args).await? {
            ClaimExecutionResult::Claimed(claimed) => Ok(claimed.handle),
            _ => Err(EngineError::Unavailable { op: "claim_execution: unknown result" }),
        }
    }

    async fn claim_resumed(&self, id: &ExecutionId, lane: &LaneId, now: WorkerTime) -> Result<Handle, EngineError> {
        let index = self.backend.read_current_attempt_index(id).await?;
        let args = ClaimResumedExecutionArgs {
            execution_id: id.clone(),
            worker_id: self.identity.worker.clone(),
            worker_instance_id: self.identity.instance.clone(),
            lane_id: lane.clone(),
            lease_id: LeaseId::from_uuid(self.party.uuid()),
            lease_ttl_ms: self.surroundings.lease_ttl_ms,
            current_attempt_index: index,
            remaining_attempt_timeout_ms: None,
            now: now.to_wire(),
        };
        let ClaimResumedExecutionResult::Claimed(claimed) = self.backend.claim_resumed_execution(args).await?;
        Ok(claimed.handle)
    }

    /// Reads the context and builds the task; when the read fails, the lease is dropped on the floor.
    async fn attach(&self, claiming: Claiming<'_>, id: ExecutionId, lane: LaneId, handle: Handle) -> Claimed {
        let context = self.backend.read_execution_context(&id).await?;
        let permit = claiming.keep();
        Ok(Some(ClaimedTask::new(
            self.party.clone(),
            std::sync::Arc::clone(&self.backend),
            self.surroundings.clone(),
            id,
            lane,
            handle,
            &context.input_payload,
            permit,
        )))
    }
}
