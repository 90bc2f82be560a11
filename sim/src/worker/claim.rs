//! The ways to a claimed task, in the steps of `ff-sdk/src/worker.rs`.

use std::sync::PoisonError;

use claimlab_model::backend::class;
use ff_core::backend::{CapabilitySet, ClaimPolicy, Handle};
use ff_core::contracts::{
    BlockRouteArgs, ClaimExecutionArgs, ClaimExecutionResult, ClaimForWorkerArgs, ClaimForWorkerOutcome, ClaimGrant,
    ClaimResumedExecutionArgs, ClaimResumedExecutionResult, ExecutionContext, IssueClaimGrantArgs, ResumeGrant,
    ScanEligibleArgs,
};
use ff_core::engine_error::{ContentionKind, EngineError, ValidationKind};
use ff_core::error::ErrorClass;
use ff_core::handle_codec;
use ff_core::partition::{Partition, PartitionFamily, PartitionKey};
use ff_core::types::{AttemptId, AttemptIndex, ExecutionId, LaneId, LeaseId};

use super::PutDown;
use super::native::{Permit, Worker};
use super::task::ClaimedTask;
use crate::address::About;
use crate::clock::WorkerTime;
use crate::scenario::Player;
use crate::stream::Ratio;

/// How long a grant that the worker issues for itself may be consumed.
const SELF_GRANT_TTL_MS: u64 = 5_000;
/// How long a grant that the scheduler issues may be consumed.
pub(super) const SERVER_GRANT_TTL_MS: u64 = 5_000;

/// How long a worker that dawdles keeps its grant before it claims: for longer than that lives.
pub(super) const DAWDLES_MS: u64 = SELF_GRANT_TTL_MS + 500;

type Claimed = Result<Option<ClaimedTask>, EngineError>;
/// A grant in a worker's hands, by what its execution needs.
pub(super) enum Grant {
    /// It has no attempt under way.
    Claim(ClaimGrant),
    /// Its attempt was interrupted.
    Resume(ResumeGrant),
}

impl Grant {
    /// What it is for.
    pub(super) const fn execution(&self) -> &ExecutionId {
        match self {
            Self::Claim(grant) => &grant.execution_id,
            Self::Resume(grant) => &grant.execution_id,
        }
    }
}

/// A lease with what its holder needs to know.
type Leased = (Handle, ExecutionContext);

/// Whether a claim loop goes on with the next partition.
pub(super) fn is_skippable(error: &EngineError) -> bool {
    matches!(class(error), ErrorClass::Retryable | ErrorClass::Informational)
}

fn is_resumed(error: &EngineError) -> bool {
    matches!(error, EngineError::Contention(ContentionKind::UseClaimResumedExecution))
}

fn is_mismatch(error: &EngineError) -> bool {
    matches!(error, EngineError::Validation { kind: ValidationKind::CapabilityMismatch, .. })
}

impl Worker {
    /// Scans its window of partitions, grants and claims by itself.
    pub(super) async fn claim_next(&mut self) -> Claimed {
        let Some(permit) = self.permit() else { return Ok(None) };
        let (lane, window) = (self.next_lane(), self.next_window());
        let now = self.party.now();
        if let Some((id, lane)) = self.picks_up() {
            let (handle, context) = self.claim_either(&id, &lane, now).await?;
            return Ok(Some(self.task(id, handle, &context, permit)));
        }
        for index in window {
            let partition = Partition { family: PartitionFamily::Execution, index };
            let Some(id) = self.grant_and_keep(&lane, partition, now).await? else { continue };
            if self.dawdles(&id) {
                self.party.sleep_ms(DAWDLES_MS).await;
            }
            match self.claim_either(&id, &lane, now).await {
                Ok((handle, context)) => return Ok(Some(self.task(id, handle, &context, permit))),
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
        let asked = self.surroundings.scheduler_of(&self.party);
        let scheduler = std::sync::Arc::clone(&asked.backend);
        let request = async move { scheduler.claim_for_worker(args).await };
        let about = About::Lane(self.party.hub().ids().lane(&lane));
        match self.party.ask(asked.position, about, "claim_for_worker", request).await {
            Some(Ok(ClaimForWorkerOutcome::Granted(grant))) => self.claim_from_grant(lane, grant).await,
            Some(Ok(_)) | None => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    /// Grants by itself, then claims through the grant object that fits the execution.
    pub(super) async fn claim_from_grants(&mut self) -> Claimed {
        if self.permit().is_none() {
            return Ok(None);
        }
        let (lane, window) = (self.next_lane(), self.next_window());
        let now = self.party.now();
        if let Some((id, lane)) = self.picks_up() {
            let grant = self.grant_object(id, &lane, now).await?;
            return self.claim_by(lane, grant).await;
        }
        for index in window {
            let Some(grant) = self.grant_for_itself(&lane, index, now).await? else { continue };
            if self.dawdles(grant.execution()) {
                self.party.sleep_ms(DAWDLES_MS).await;
            }
            match self.claim_by(lane.clone(), grant).await {
                Err(error) if is_skippable(&error) => {}
                other => return other,
            }
        }
        Ok(None)
    }

    async fn claim_by(&self, lane: LaneId, grant: Grant) -> Claimed {
        match grant {
            Grant::Claim(grant) => self.claim_from_grant(lane, grant).await,
            Grant::Resume(grant) => self.claim_from_resume_grant(grant).await,
        }
    }

    /// Grants the best of a partition to itself, and makes the object that claims it, unless it gives the grant away.
    pub(super) async fn grant_for_itself(
        &self,
        lane: &LaneId,
        index: u16,
        now: WorkerTime,
    ) -> Result<Option<Grant>, EngineError> {
        let partition = Partition { family: PartitionFamily::Execution, index };
        match self.grant_and_keep(lane, partition, now).await? {
            Some(id) => self.grant_object(id, lane, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Grants the best of a partition to itself, unless it gives the grant away.
    async fn grant_and_keep(
        &self,
        lane: &LaneId,
        partition: Partition,
        now: WorkerTime,
    ) -> Result<Option<ExecutionId>, EngineError> {
        let granted = self.grant_best(lane, partition, now).await?;
        Ok(granted.filter(|id| !self.gives_away(id, lane)))
    }

    /// The object that claims what was granted.
    pub(super) async fn grant_object(
        &self,
        id: ExecutionId,
        lane: &LaneId,
        now: WorkerTime,
    ) -> Result<Grant, EngineError> {
        let key = PartitionKey::from(&Partition { family: PartitionFamily::Execution, index: id.partition() });
        let expires_at_ms = now.plus_ms(SELF_GRANT_TTL_MS).ms().unsigned_abs();
        let found = self.backend.describe_execution(&id).await?;
        let interrupted = found.is_some_and(|found| found.current_attempt.is_some());
        Ok(match interrupted {
            true => Grant::Resume(ResumeGrant::new(id, key, String::new(), expires_at_ms, lane.clone())),
            false => Grant::Claim(ClaimGrant::new(id, key, String::new(), expires_at_ms)),
        })
    }

    /// Claims what a grant names; errors are returned, not skipped. A worker without a permit leaves the
    /// grant untouched.
    async fn claim_from_grant(&self, lane: LaneId, grant: ClaimGrant) -> Claimed {
        let Some(permit) = self.permit() else { return Ok(None) };
        let id = grant.execution_id;
        let (handle, context) = self.claim_either(&id, &lane, self.party.now()).await?;
        Ok(Some(self.task(id, handle, &context, permit)))
    }

    /// Continues the attempt of what a resume grant names.
    async fn claim_from_resume_grant(&self, grant: ResumeGrant) -> Claimed {
        let Some(permit) = self.permit() else { return Ok(None) };
        let id = grant.execution_id;
        let lane = self.named_lane(&id, &grant.lane_id);
        let (handle, context) = self.claim_resumed(&id, &lane, self.party.now()).await?;
        Ok(Some(self.task(id, handle, &context, permit)))
    }

    /// A fresh claim, or a resumed one where the server asks for it, both on the lane that it names.
    async fn claim_either(&self, id: &ExecutionId, lane: &LaneId, now: WorkerTime) -> Result<Leased, EngineError> {
        let lane = self.named_lane(id, lane);
        match self.claim_fresh(id, &lane, now).await {
            Err(error) if is_resumed(&error) => self.claim_resumed(id, &lane, now).await,
            other => other,
        }
    }

    /// Grants the best eligible execution of a partition to this worker, or tells why the loop goes on.
    async fn grant_best(
        &self,
        lane: &LaneId,
        partition: Partition,
        now: WorkerTime,
    ) -> Result<Option<ExecutionId>, EngineError> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).look(lane.as_str(), partition.index);
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

    /// A grant that was put down for it, with its lane.
    pub(super) fn picks_up(&self) -> Option<(ExecutionId, LaneId)> {
        self.surroundings.shelf.take(&self.identity.worker, self.party.number())
    }

    /// Whether it claims only after its grant has lapsed.
    pub(super) fn dawdles(&self, id: &ExecutionId) -> bool {
        self.happens(id, "dawdles", self.habits.dawdles)
    }

    /// Whether it leaves a grant of its own: to another process of its pool, to one of another pool, or to nobody.
    fn gives_away(&self, id: &ExecutionId, lane: &LaneId) -> bool {
        if self.happens(id, "leaves", self.habits.leaves) {
            return true;
        }
        let is_for_own = self.happens(id, "hands over", self.habits.hands_over);
        let is_put_down = is_for_own || self.happens(id, "hands astray", self.habits.hands_astray);
        if is_put_down {
            let (pool, by) = (self.identity.worker.clone(), self.party.number());
            self.surroundings.shelf.put(PutDown { pool, by, is_for_own, id: id.clone(), lane: lane.clone() });
        }
        is_put_down
    }

    /// Whether it does this time what it does now and then.
    fn happens(&self, id: &ExecutionId, kind: &'static str, share: Ratio) -> bool {
        // Without the habit nothing is looked up and nothing drawn.
        if share == Ratio::NEVER {
            return false;
        }
        let about = About::Execution(self.party.hub().ids().execution(id));
        self.party.hub().happens(self.party.number(), about, kind, share)
    }

    /// The lane that a claim names: its own, or by mistake the next one.
    pub(super) fn named_lane(&self, id: &ExecutionId, lane: &LaneId) -> LaneId {
        let lanes = &self.surroundings.lanes;
        let is_wrong = self.happens(id, "mistakes the lane", self.habits.wrong_lane);
        let position = lanes.iter().position(|known| known == lane).unwrap_or_default();
        if is_wrong { lanes[(position + 1) % lanes.len()].clone() } else { lane.clone() }
    }

    /// Claims whatever the backend finds for it, as `EngineBackend::claim` offers it.
    pub(super) async fn claim_any(&mut self) -> Claimed {
        let Some(permit) = self.permit() else { return Ok(None) };
        let lane = self.next_lane();
        let capabilities = CapabilitySet::new(self.capabilities.iter().cloned());
        let ttl_ms = u32::try_from(self.surroundings.lease_ttl_ms).unwrap_or(u32::MAX);
        let (worker, instance) = (self.identity.worker.clone(), self.identity.instance.clone());
        let policy = ClaimPolicy::new(worker, instance, ttl_ms, None);
        let Some(handle) = self.backend.claim(&lane, &capabilities, policy).await? else { return Ok(None) };
        let Ok(decoded) = handle_codec::decode(&handle.opaque) else { return Ok(None) };
        let id = decoded.payload.execution_id;
        let (handle, context) = self.with_context(&id, handle).await?;
        Ok(Some(self.task(id, handle, &context, permit)))
    }

    async fn claim_fresh(&self, id: &ExecutionId, lane: &LaneId, now: WorkerTime) -> Result<Leased, EngineError> {
        let index = self.backend.read_total_attempt_count(id).await?;
        let args = ClaimExecutionArgs::new(
            id.clone(),
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            lane.clone(),
            LeaseId::from_uuid(self.party.id(id, "claimed lease")),
            self.surroundings.lease_ttl_ms,
            AttemptId::from_uuid(self.party.id(id, "attempt")),
            index,
            "{}".into(),
            self.attempt_timeout_ms,
            None,
            now.to_wire(),
        );
        match self.backend.claim_execution(args).await? {
            ClaimExecutionResult::Claimed(claimed) => self.with_context(id, claimed.handle).await,
            _ => Err(EngineError::Unavailable { op: "claim_execution: unknown result" }),
        }
    }

    async fn claim_resumed(&self, id: &ExecutionId, lane: &LaneId, now: WorkerTime) -> Result<Leased, EngineError> {
        let mut index = self.backend.read_current_attempt_index(id).await?;
        if self.happens(id, "reads early", self.habits.stale_read) {
            index = AttemptIndex::new(index.0.saturating_sub(1));
        }
        let args = ClaimResumedExecutionArgs {
            execution_id: id.clone(),
            worker_id: self.identity.worker.clone(),
            worker_instance_id: self.identity.instance.clone(),
            lane_id: lane.clone(),
            lease_id: LeaseId::from_uuid(self.party.id(id, "resumed lease")),
            lease_ttl_ms: self.surroundings.lease_ttl_ms,
            current_attempt_index: index,
            remaining_attempt_timeout_ms: None,
            now: now.to_wire(),
        };
        let ClaimResumedExecutionResult::Claimed(claimed) = self.backend.claim_resumed_execution(args).await?;
        self.with_context(id, claimed.handle).await
    }

    /// Reads the context as part of the claim; when the read fails, the lease is dropped on the floor.
    async fn with_context(&self, id: &ExecutionId, handle: Handle) -> Result<Leased, EngineError> {
        let context = self.backend.read_execution_context(id).await?;
        Ok((handle, context))
    }

    fn task(&self, id: ExecutionId, handle: Handle, context: &ExecutionContext, permit: Permit) -> ClaimedTask {
        let (party, backend) = (self.party.clone(), std::sync::Arc::clone(&self.backend));
        ClaimedTask::new(
            party,
            backend,
            self.surroundings.clone(),
            Player::Native,
            self.began_us,
            id,
            handle,
            &context.input_payload,
            Some(permit),
        )
        .repeating(self.habits.repeats)
    }
}
