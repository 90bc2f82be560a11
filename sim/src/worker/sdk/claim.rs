//! The shipped worker's ways to a claimed task, as an application enters them.

use std::sync::Arc;

use async_trait::async_trait;
use ff_core::engine_error::EngineError;
use ff_core::types::LaneId;
use ff_sdk::task::ClaimedTask;
use ff_sdk::{FlowFabricAdminClient, FlowFabricWorker, SdkError};

use super::bridge::{Bridge, Leases};
use super::clock::{entered, entered_next};
use super::task::ShippedTask;
use super::ward::Wards;
use crate::address::About;
use crate::call::{Answer, Answerer, Call, Caller};
use crate::scenario::Player;
use crate::worker::Surroundings;
use crate::worker::application::Application;
use crate::worker::claim::{DAWDLES_MS, Grant, SERVER_GRANT_TTL_MS, is_skippable};
use crate::worker::native::{Permit, Worker};
use crate::world::Party;

type Claimed = Result<Option<ShippedTask>, SdkError>;

/// A process of the shipped worker.
pub(super) struct Process {
    worker: FlowFabricWorker,
    /// The application's own rotation over lanes and partitions, and its own count of tasks, for claims
    /// through grants.
    own: Worker,
    admin: FlowFabricAdminClient,
    bridge: Bridge,
    leases: Arc<Leases>,
    wards: Wards,
}

impl Process {
    pub(super) fn new(
        worker: FlowFabricWorker,
        own: Worker,
        bridge: Bridge,
        leases: Arc<Leases>,
        wards: Wards,
    ) -> Self {
        let asks =
            AsksScheduler { party: own.party.clone(), bridge: bridge.clone(), surroundings: own.surroundings.clone() };
        let admin = FlowFabricAdminClient::connect_with(Arc::new(Caller(asks)));
        Self { worker, own, admin, bridge, leases, wards }
    }

    /// The shipped worker scans, grants and claims by itself.
    pub(super) async fn claim_next(&mut self) -> Claimed {
        let claimed = entered(&self.own.party, self.worker.claim_next_via_backend()).await?;
        Ok(claimed.map(|task| self.task(task, None)))
    }

    /// The shipped worker asks the scheduler.
    pub(super) async fn claim_via_server(&mut self) -> Claimed {
        let lane = self.own.next_lane();
        let claim = self.worker.claim_via_server(&self.admin, &lane, SERVER_GRANT_TTL_MS);
        let claimed = entered(&self.own.party, claim).await?;
        Ok(claimed.map(|task| self.task(task, None)))
    }

    /// The application grants; the shipped worker claims through the grant object that fits.
    pub(super) async fn claim_from_grants(&mut self) -> Claimed {
        let Some(permit) = self.own.permit() else { return Ok(None) };
        let (lane, window) = (self.own.next_lane(), self.own.next_window());
        let now = self.own.party.now();
        if let Some((id, lane)) = self.own.picks_up() {
            let grant = self.own.grant_object(id, &lane, now).await.map_err(SdkError::from)?;
            return self.claim_by(&lane, grant).await.map(|task| Some(self.task(task, Some(permit))));
        }
        for index in window {
            let Some(grant) = self.own.grant_for_itself(&lane, index, now).await.map_err(SdkError::from)? else {
                continue;
            };
            if self.own.dawdles(grant.execution()) {
                self.bridge.sleep_ms(&self.own.party, DAWDLES_MS).await;
            }
            match self.claim_by(&lane, grant).await {
                Ok(task) => return Ok(Some(self.task(task, Some(permit)))),
                Err(SdkError::Engine(error)) if is_skippable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The lane is the application's word.
    async fn claim_by(&self, lane: &LaneId, grant: Grant) -> Result<ClaimedTask, SdkError> {
        let lane = self.own.named_lane(grant.execution(), lane);
        match grant {
            Grant::Claim(grant) => entered(&self.own.party, self.worker.claim_from_grant(lane, grant)).await,
            Grant::Resume(mut grant) => {
                grant.lane_id = lane;
                entered(&self.own.party, self.worker.claim_from_resume_grant(grant)).await
            }
        }
    }

    /// The application's own worker object: its rotation and what it has looked at.
    pub(super) fn own(&self) -> &Worker {
        &self.own
    }

    fn task(&self, task: ClaimedTask, permit: Option<Permit>) -> ShippedTask {
        let (party, surroundings) = (self.own.party.clone(), self.own.surroundings.clone());
        let id = task.execution_id().clone();
        let kind = self.leases.kind_of(task.lease_id());
        let lease = task.lease_id().clone();
        let of_lease = (task.lease_epoch(), task.attempt_index().0);
        let application = Application::start(party, surroundings, Player::Sdk, id, of_lease, task.input_payload());
        let run = application.run();
        let task = ShippedTask::new(task, application, self.bridge.clone(), kind, permit);
        self.wards.add(&lease, task.kept(), run);
        task
    }
}

/// The scheduler's process, asked over the network.
struct AsksScheduler {
    party: Party,
    bridge: Bridge,
    surroundings: Surroundings,
}

#[async_trait]
impl Answerer for AsksScheduler {
    async fn answer(&self, call: Call) -> Answer {
        let asked = self.surroundings.scheduler_of(&self.party);
        let scheduler = Arc::clone(&asked.backend);
        let (party, to) = (self.party.clone(), asked.position);
        let about = match &call {
            Call::ClaimForWorker { args } => About::Lane(self.party.hub().ids().lane(&args.lane_id)),
            _ => About::Nothing,
        };
        let method = call.method();
        let cut_off = call.failed(EngineError::Unavailable { op: "the scheduler's process" });
        let asked = self
            .bridge
            .wait(async move { party.ask(to, about, method, async move { call.perform(&*scheduler).await }).await });
        let answer = asked.await.flatten().unwrap_or(cut_off);
        entered_next(&self.party);
        answer
    }
}
