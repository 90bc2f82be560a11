//! A deployment of FlowFabric on a target, and the arguments of the calls that are made on it.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use claimlab::live::client::{Deployment, REQUEST_TIMEOUT, set_up};
use claimlab::stream::{Purpose, Stream};
use ff_backend_valkey::build_client;
use ff_core::contracts::*;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::{Partition, PartitionConfig, PartitionFamily};
use ff_core::types::*;
use ff_sdk::{FlowFabricWorker, WorkerConfig};
use uuid::Uuid;

use crate::error::{Error, engine_error, sdk_error};
use crate::plant::Plant;
use crate::statistics::Counter;
use crate::target::Target;
use crate::wall;

/// A grant that nobody waits for lives so long.
const GRANT_TTL_MS: u64 = 60_000;
/// A lease that nothing is to happen to.
pub const LEASE_TTL_MS: u64 = 60_000;
/// So many tasks a worker may hold at once: more than anybody here gives it.
pub const TASKS_AT_ONCE: usize = 100_000;
/// What every worker is called that claims by itself.
pub const WORKER: &str = "bench";

/// A backend, and what calls on it need.
pub struct Lab {
    /// The trait.
    pub backend: Arc<dyn EngineBackend>,
    /// How many partitions there are.
    pub partitions: PartitionConfig,
    /// What is slowed down on purpose.
    pub plant: Plant,
    ids: Mutex<Stream>,
    labels: AtomicU64,
}

/// A deployment on a server, with the shipped client.
pub struct Deployed {
    lab: Lab,
    /// The shipped client under the backend.
    pub client: ferriskey::Client,
    target: Arc<Target>,
}

impl Deref for Deployed {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Deployed {
    /// Empties a target and deploys FlowFabric with so many partitions on it.
    ///
    /// # Errors
    /// When the server or the shipped backend refuses.
    pub async fn on(target: &Arc<Target>, partitions: u16, plant: Plant) -> Result<Arc<Self>, Error> {
        target.empty()?;
        let mut config = target.client_config();
        config.timeouts.request = Some(REQUEST_TIMEOUT);
        let client = build_client(&config).await.map_err(engine_error("connecting"))?;
        let partitions = PartitionConfig { num_flow_partitions: partitions, ..PartitionConfig::default() };
        let deployment = Deployment { secret: [7; 32], lanes: vec![lane()], partitions };
        let backend = set_up(&client, &deployment).await.map_err(engine_error("initialising"))?;
        let lab = Lab::over(backend, partitions, plant);
        Ok(Arc::new(Self { lab, client, target: Arc::clone(target) }))
    }

    /// Begins to count what the server is asked; nothing else may happen on it meanwhile.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn count(&self) -> Result<Counter, Error> {
        Counter::begin(&self.target).await
    }
}

impl Lab {
    /// A laboratory over a backend.
    pub fn over(backend: Arc<dyn EngineBackend>, partitions: PartitionConfig, plant: Plant) -> Self {
        let ids = Mutex::new(Stream::new(0, Purpose::Work, 0));
        Self { backend, partitions, plant, ids, labels: AtomicU64::new(0) }
    }

    /// A fresh id; the same ones in the same order in each deployment, so that the same work lies on the
    /// same partitions.
    pub fn uuid(&self) -> Uuid {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).uuid()
    }

    /// An id of an execution, on any partition.
    pub fn execution(&self) -> ExecutionId {
        let flow = FlowId::from_uuid(self.uuid());
        ExecutionId::deterministic_for_flow(&flow, &self.partitions, self.uuid())
    }

    /// Where an execution lies.
    pub fn partition(&self, id: &ExecutionId) -> Partition {
        Partition { family: PartitionFamily::Execution, index: id.partition() }
    }

    /// An execution without anything special.
    pub fn create_args(&self, id: &ExecutionId) -> CreateExecutionArgs {
        CreateExecutionArgs {
            execution_id: id.clone(),
            namespace: Namespace::new("bench"),
            lane_id: lane(),
            execution_kind: "task".into(),
            input_payload: b"in".to_vec(),
            payload_encoding: None,
            priority: 0,
            creator_identity: WORKER.into(),
            idempotency_key: None,
            tags: [].into(),
            policy: None,
            delay_until: None,
            execution_deadline_at: None,
            partition_id: id.partition(),
            now: wall::now(),
        }
    }

    /// Creates it.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn create(&self, id: &ExecutionId) -> Result<(), Error> {
        let created = self.backend.create_execution(self.create_args(id)).await;
        created.map(drop).map_err(engine_error("create_execution"))
    }

    /// A look at the first of a partition.
    pub fn scan_args(&self, id: &ExecutionId) -> ScanEligibleArgs {
        ScanEligibleArgs::new(lane(), self.partition(id), 1)
    }

    /// A claim grant.
    pub fn grant_args(&self, id: &ExecutionId) -> IssueClaimGrantArgs {
        let (worker, instance) = who(WORKER);
        let (partition, able) = (self.partition(id), BTreeSet::new());
        IssueClaimGrantArgs::new(id.clone(), lane(), worker, instance, partition, able, GRANT_TTL_MS, wall::now())
    }

    /// A claim.
    pub fn claim_args(&self, id: &ExecutionId, lease_ttl_ms: u64) -> ClaimExecutionArgs {
        let (worker, instance) = who(WORKER);
        ClaimExecutionArgs::new(
            id.clone(),
            worker,
            instance,
            lane(),
            LeaseId::from_uuid(self.uuid()),
            lease_ttl_ms,
            AttemptId::from_uuid(self.uuid()),
            AttemptIndex::new(0),
            "{}".into(),
            None,
            None,
            wall::now(),
        )
    }

    /// A claim of an attempt that was interrupted.
    pub fn resume_args(&self, id: &ExecutionId) -> ClaimResumedExecutionArgs {
        let (worker_id, worker_instance_id) = who(WORKER);
        ClaimResumedExecutionArgs {
            execution_id: id.clone(),
            worker_id,
            worker_instance_id,
            lane_id: lane(),
            lease_id: LeaseId::from_uuid(self.uuid()),
            lease_ttl_ms: LEASE_TTL_MS,
            current_attempt_index: AttemptIndex::new(0),
            remaining_attempt_timeout_ms: None,
            now: wall::now(),
        }
    }

    /// A suspension until the signal `go`.
    pub fn suspend_args(&self) -> SuspendArgs {
        let waitpoint_id = WaitpointId::from_uuid(self.uuid());
        SuspendArgs::new(
            SuspensionId::from_uuid(self.uuid()),
            WaitpointBinding::Fresh { waitpoint_id, waitpoint_key: "wp".into() },
            until_go(),
            ResumePolicy::normal(),
            SuspensionReasonCode::WaitingForSignal,
            wall::now(),
        )
    }

    /// The signal `go`.
    pub fn signal_args(&self, id: &ExecutionId, waitpoint: WaitpointId, token: WaitpointToken) -> DeliverSignalArgs {
        DeliverSignalArgs {
            execution_id: id.clone(),
            waitpoint_id: waitpoint,
            signal_id: SignalId::from_uuid(self.uuid()),
            signal_name: "go".into(),
            signal_category: "bench".into(),
            source_type: "bench".into(),
            source_identity: WORKER.into(),
            payload: None,
            payload_encoding: None,
            correlation_id: None,
            idempotency_key: None,
            target_scope: "waitpoint".into(),
            created_at: None,
            dedup_ttl_ms: None,
            resume_delay_ms: None,
            max_signals_per_execution: None,
            signal_maxlen: None,
            waitpoint_token: token,
            now: wall::now(),
        }
    }

    /// A reclaim grant.
    pub fn reclaim_grant_args(&self, id: &ExecutionId) -> IssueReclaimGrantArgs {
        let (worker, instance) = who(WORKER);
        let able = BTreeSet::new();
        let now = wall::now();
        IssueReclaimGrantArgs::new(id.clone(), worker, instance, lane(), None, GRANT_TTL_MS, None, None, able, now)
    }

    /// A reclaim.
    pub fn reclaim_args(&self, id: &ExecutionId) -> ReclaimExecutionArgs {
        let (worker, instance) = who(WORKER);
        ReclaimExecutionArgs::new(
            id.clone(),
            worker,
            instance,
            lane(),
            None,
            LeaseId::from_uuid(self.uuid()),
            LEASE_TTL_MS,
            AttemptId::from_uuid(self.uuid()),
            "{}".into(),
            None,
            who(WORKER).1,
            AttemptIndex::new(0),
        )
    }

    /// A request to the scheduler.
    pub fn claim_for_worker_args(&self) -> ClaimForWorkerArgs {
        let (worker, instance) = who(WORKER);
        ClaimForWorkerArgs::new(lane(), worker, instance, BTreeSet::new(), GRANT_TTL_MS)
    }

    /// A shipped worker over a backend; each has another instance.
    ///
    /// # Errors
    /// When it refuses its configuration.
    pub async fn worker(&self, backend: Arc<dyn EngineBackend>, lease_ttl_ms: u64) -> Result<FlowFabricWorker, Error> {
        let label = self.labels.fetch_add(1, Ordering::Relaxed);
        let config = WorkerConfig {
            backend: None,
            worker_id: WorkerId::new(WORKER),
            worker_instance_id: WorkerInstanceId::new(format!("{WORKER}-{label}")),
            namespace: Namespace::new("bench"),
            lanes: vec![lane()],
            capabilities: Vec::new(),
            lease_ttl_ms,
            claim_poll_interval_ms: 1_000,
            max_concurrent_tasks: TASKS_AT_ONCE,
            partition_config: Some(self.partitions),
        };
        FlowFabricWorker::connect_with(config, backend, None).await.map_err(sdk_error("connect_with"))
    }
}

/// The one lane.
pub fn lane() -> LaneId {
    LaneId::new("default")
}

/// What every suspension here waits for.
pub fn until_go() -> ResumeCondition {
    ResumeCondition::Single { waitpoint_key: "wp".into(), matcher: SignalMatcher::ByName("go".into()) }
}

/// A worker and its first instance.
pub fn who(worker: &str) -> (WorkerId, WorkerInstanceId) {
    (WorkerId::new(worker), WorkerInstanceId::new(format!("{worker}-0")))
}
