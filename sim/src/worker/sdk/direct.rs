//! The shipped worker's functions that set no timer and start no task, called from a party's own tasks.
//!
//! They wait for nothing but the server, so no runtime is needed: a reclaim from a grant, and the
//! delivery of a signal.

use std::sync::Arc;

use async_trait::async_trait;
use ff_core::backend::Handle;
use ff_core::contracts::{IssueReclaimGrantArgs, ReclaimExecutionArgs, ReclaimExecutionOutcome, ReclaimGrant};
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::types::{LaneId, WorkerId, WorkerInstanceId};
use ff_sdk::admin::IssueReclaimGrantRequest;
use ff_sdk::task::Signal as ShippedSignal;
use ff_sdk::{FlowFabricAdminClient, FlowFabricWorker, SdkError, WorkerConfig};

use super::bridge::timed_out;
use super::clock::{as_of_process, entered, set_now};
use super::ids;
use crate::call::{Answer, Answerer, Call, Caller};
use crate::worker::namespace;
use crate::worker::signaller::{SIGNAL_CATEGORY, SIGNAL_NAME, SOURCE, Signal};
use crate::world::Party;

/// The party's way to the server, as the shipped functions see it.
struct Straight {
    party: Party,
    backend: Arc<dyn EngineBackend>,
}

#[async_trait]
impl Answerer for Straight {
    async fn answer(&self, mut call: Call) -> Answer {
        set_now(&mut call);
        ids::set(&self.party, &mut call);
        call.perform(&*self.backend).await.map_error(timed_out)
    }
}

/// The shipped worker of a party that is no worker: what it is configured with beyond its names is not used.
async fn worker(
    backend: Arc<dyn EngineBackend>,
    worker_id: WorkerId,
    worker_instance_id: WorkerInstanceId,
) -> Result<FlowFabricWorker, SdkError> {
    let config = WorkerConfig {
        backend: None,
        worker_id,
        worker_instance_id,
        namespace: namespace(),
        lanes: vec![LaneId::new("default")],
        capabilities: Vec::new(),
        lease_ttl_ms: 30_000,
        claim_poll_interval_ms: 1_000,
        max_concurrent_tasks: 1,
        partition_config: None,
    };
    FlowFabricWorker::connect_with(config, backend, None).await
}

fn engine_error(error: SdkError) -> EngineError {
    match error {
        SdkError::Engine(error) => *error,
        _ => EngineError::Unavailable { op: "ff-sdk" },
    }
}

/// Delivers a signal.
///
/// # Errors
/// Those of the call.
pub(in crate::worker) async fn deliver_signal(
    party: &Party,
    backend: Arc<dyn EngineBackend>,
    signal: &Signal,
) -> Result<(), EngineError> {
    let backend: Arc<dyn EngineBackend> = Arc::new(Caller(Straight { party: party.clone(), backend }));
    let names = (WorkerId::new(SOURCE), WorkerInstanceId::new(SOURCE));
    let worker = worker(backend, names.0, names.1).await.map_err(engine_error)?;
    let shipped = ShippedSignal {
        signal_name: SIGNAL_NAME.into(),
        signal_category: SIGNAL_CATEGORY.into(),
        payload: None,
        source_type: SOURCE.into(),
        source_identity: SOURCE.into(),
        idempotency_key: Some(signal.idempotency_key.clone()),
        waitpoint_token: signal.token.clone(),
    };
    let delivered = worker.deliver_signal(&signal.execution, &signal.waitpoint, shipped);
    entered(party, delivered).await.map(drop).map_err(engine_error)
}

/// What a reclaimer does through the shipped worker and its admin client.
pub(in crate::worker) struct ShippedReclaims {
    party: Party,
    worker: FlowFabricWorker,
    admin: FlowFabricAdminClient,
}

impl ShippedReclaims {
    /// Over a party's way to the server.
    ///
    /// # Errors
    /// When the shipped worker refuses its configuration.
    pub(in crate::worker) async fn connect(
        party: Party,
        backend: Arc<dyn EngineBackend>,
        worker_id: WorkerId,
        instance: WorkerInstanceId,
    ) -> Result<Self, SdkError> {
        let backend: Arc<dyn EngineBackend> = Arc::new(Caller(Straight { party: party.clone(), backend }));
        let admin = FlowFabricAdminClient::connect_with(Arc::clone(&backend));
        Ok(Self { party, worker: worker(backend, worker_id, instance).await?, admin })
    }

    /// Asks for a grant; none where there is nothing to reclaim, or nobody knows.
    pub(in crate::worker) async fn issue_grant(&self, args: IssueReclaimGrantArgs) -> Option<ReclaimGrant> {
        let request = IssueReclaimGrantRequest {
            worker_id: args.worker_id.as_str().to_owned(),
            worker_instance_id: args.worker_instance_id.as_str().to_owned(),
            lane_id: args.lane_id.as_str().to_owned(),
            capability_hash: args.capability_hash,
            grant_ttl_ms: args.grant_ttl_ms,
            route_snapshot_json: args.route_snapshot_json,
            admission_summary: args.admission_summary,
            worker_capabilities: args.worker_capabilities.into_iter().collect(),
        };
        let issue = self.admin.issue_reclaim_grant(args.execution_id.as_str(), request);
        entered(&self.party, issue).await.ok()?.into_grant().ok()
    }

    /// Takes the lease over; none where the grant no longer holds.
    pub(in crate::worker) async fn reclaim(
        &self,
        mut grant: ReclaimGrant,
        args: ReclaimExecutionArgs,
    ) -> Option<Handle> {
        grant.expires_at_ms = as_of_process(&self.party, grant.expires_at_ms);
        let reclaimed = entered(&self.party, self.worker.claim_from_reclaim_grant(grant, args)).await;
        match reclaimed {
            Ok(ReclaimExecutionOutcome::Claimed(handle)) => Some(handle),
            _ => None,
        }
    }
}
