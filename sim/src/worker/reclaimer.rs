//! The external reclaimer, which 0.15.0 leaves to its users.
//!
//! It finds work through `list_expired_leases`, whose shipped client fails as soon as there is an entry
//! to list, and which cannot see revoked leases; so it also remembers what was submitted and looks at
//! it in turn. It runs what it reclaims itself, renewing
//! by hand: a reclaimed handle comes without a task, a permit or a renewal loop.

use std::collections::BTreeSet;
use std::sync::Arc;

use ff_core::backend::Handle;
use ff_core::contracts::{
    IssueReclaimGrantArgs, IssueReclaimGrantOutcome, ListExpiredLeasesArgs, ReclaimExecutionArgs,
    ReclaimExecutionOutcome, ReclaimGrant,
};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::hash::fnv1a_u64;
use ff_core::state::PublicState;
use ff_core::types::{AttemptId, AttemptIndex, ExecutionId, LaneId, LeaseId, WorkerInstanceId};

use super::task::ClaimedTask;
use super::{Identity, Surroundings};
use crate::plan::WorkerPlan;
use crate::scenario::Player;
use crate::world::{Party, Pass};

/// How long a reclaim grant may be consumed.
const GRANT_TTL_MS: u64 = 5_000;
/// A pass looks at one of so many remembered executions, so that each has its turn in as many passes.
const TURNS: usize = 10;

struct Reclaimer {
    party: Party,
    backend: Arc<dyn EngineBackend>,
    identity: Identity,
    capabilities: BTreeSet<String>,
    surroundings: Surroundings,
    /// When the process began, in microseconds of the party's timer.
    began_us: u64,
    player: Player,
    #[cfg(feature = "sdk")]
    shipped: Option<super::sdk::ShippedReclaims>,
}

/// An execution whose lease is to be taken over.
struct Target {
    id: ExecutionId,
    lane: LaneId,
    holder: WorkerInstanceId,
    attempt: AttemptIndex,
}

pub(super) async fn run(party: Party, plan: WorkerPlan, identity: Identity, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    let capabilities = plan.capabilities.iter().cloned().collect();
    let began_us = party.timer_us();
    #[cfg(feature = "sdk")]
    let shipped = match plan.player {
        Player::Sdk => {
            let names = (identity.worker.clone(), identity.instance.clone());
            super::sdk::ShippedReclaims::connect(party.clone(), Arc::clone(&backend), names.0, names.1).await.ok()
        }
        Player::Native => None,
    };
    let reclaimer = Reclaimer {
        party,
        backend,
        identity,
        capabilities,
        surroundings,
        began_us,
        player: plan.player,
        #[cfg(feature = "sdk")]
        shipped,
    };
    // An execution's turn depends on its id alone, whatever else is remembered.
    let mut turns: [Vec<(ExecutionId, LaneId)>; TURNS] = std::array::from_fn(|_| Vec::new());
    let mut known = 0;
    for pass in 0_usize.. {
        reclaimer.party.sleep_ms(plan.poll_ms).await;
        // A pass that meets an error is over; the next one starts afresh.
        let _ = reclaimer.pass().await;
        let fresh = reclaimer.surroundings.ledger.page(known, usize::MAX);
        known += fresh.len();
        for entry in fresh {
            turns[(fnv1a_u64(entry.0.as_str().as_bytes()) % TURNS as u64) as usize].push(entry);
        }
        for (id, lane) in std::mem::take(&mut turns[pass % TURNS]) {
            if !reclaimer.look_at(&id, &lane).await {
                turns[pass % TURNS].push((id, lane));
            }
        }
        reclaimer.party.hub().passed(Pass::Reclaimer, reclaimer.party.number());
    }
}

impl Reclaimer {
    /// Reclaims every expired lease that the listing shows, window of partitions by window.
    async fn pass(&self) -> Result<(), EngineError> {
        let partitions = self.surroundings.partitions.num_flow_partitions;
        let mut args = ListExpiredLeasesArgs::new(self.party.now().to_wire());
        args.max_partitions_per_call = Some(u32::from(partitions));
        loop {
            let page = self.backend.list_expired_leases(args.clone()).await?;
            for entry in page.entries {
                let Some(lane) = self.surroundings.ledger.lane_of(&entry.execution_id) else { continue };
                let target = Target {
                    id: entry.execution_id,
                    lane,
                    holder: entry.worker_instance_id,
                    attempt: entry.attempt_index,
                };
                self.take_over(target).await;
            }
            match page.cursor {
                Some(cursor) => args.after = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// Looks at one remembered execution; tells whether it has ended and can be forgotten.
    async fn look_at(&self, id: &ExecutionId, lane: &LaneId) -> bool {
        let Ok(Some(found)) = self.backend.describe_execution(id).await else { return false };
        let lost = |detail: &str| detail.starts_with("lease revoked") || detail.starts_with("lease expired");
        if found.blocking_detail.as_deref().is_some_and(lost)
            && let (Some(lease), Some(attempt)) = (found.current_lease, found.current_attempt)
        {
            let target = Target {
                id: id.clone(),
                lane: lane.clone(),
                holder: lease.worker_instance_id,
                attempt: attempt.attempt_index,
            };
            self.take_over(target).await;
        }
        matches!(
            found.public_state,
            PublicState::Completed
                | PublicState::Failed
                | PublicState::Cancelled
                | PublicState::Expired
                | PublicState::Skipped
        )
    }

    /// Grant, reclaim, run. Whatever is refused is left to a later pass.
    async fn take_over(&self, target: Target) {
        let args = IssueReclaimGrantArgs::new(
            target.id.clone(),
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            target.lane.clone(),
            None,
            GRANT_TTL_MS,
            None,
            None,
            self.capabilities.clone(),
            self.party.now().to_wire(),
        );
        if let Some(grant) = self.issue_grant(args).await
            && let Some(handle) = self.claim_from_reclaim_grant(grant, &target).await
            && let Ok(context) = self.backend.read_execution_context(&target.id).await
        {
            let task = ClaimedTask::new(
                self.party.clone(),
                Arc::clone(&self.backend),
                self.surroundings.clone(),
                self.player,
                self.began_us,
                target.id,
                handle,
                &context.input_payload,
                None,
            );
            self.party.spawn(task.run());
        }
    }

    async fn issue_grant(&self, args: IssueReclaimGrantArgs) -> Option<ReclaimGrant> {
        #[cfg(feature = "sdk")]
        if let Some(shipped) = &self.shipped {
            return shipped.issue_grant(args).await;
        }
        match self.backend.issue_reclaim_grant(args).await {
            Ok(IssueReclaimGrantOutcome::Granted(grant)) => Some(grant),
            _ => None,
        }
    }

    /// The client's own checks, then the reclaim; other outcomes than a handle are nothing to run.
    async fn claim_from_reclaim_grant(&self, grant: ReclaimGrant, target: &Target) -> Option<Handle> {
        let args = ReclaimExecutionArgs::new(
            target.id.clone(),
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            target.lane.clone(),
            None,
            LeaseId::from_uuid(self.party.id(&target.id, "reclaimed lease")),
            self.surroundings.lease_ttl_ms,
            AttemptId::from_uuid(self.party.id(&target.id, "reclaiming attempt")),
            "{}".into(),
            None,
            target.holder.clone(),
            target.attempt,
        );
        #[cfg(feature = "sdk")]
        if let Some(shipped) = &self.shipped {
            return shipped.reclaim(grant, args).await;
        }
        let stale = i64::try_from(grant.expires_at_ms).unwrap_or(i64::MAX) <= self.party.now().ms();
        if grant.execution_id != target.id || grant.lane_id != target.lane || stale {
            return None;
        }
        match self.backend.reclaim_execution(args).await {
            Ok(ReclaimExecutionOutcome::Claimed(handle)) => Some(handle),
            _ => None,
        }
    }
}
