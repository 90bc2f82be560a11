//! A server that answers at once, one client, and short spellings of the calls.

#![allow(dead_code)]
#![allow(clippy::disallowed_types)]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::store::{Core, Execution, Store};
use claimlab_model::time::ServerTime;
use claimlab_model::token::Secret;
use ff_core::backend::Handle;
use ff_core::contracts::*;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionConfig, PartitionFamily};
use ff_core::policy::ExecutionPolicy;
use ff_core::state::LifecyclePhase;
use ff_core::types::*;
use pollster::FutureExt as _;
use uuid::Uuid;

pub const START_MS: i64 = 1_700_000_000_000;

pub struct Lab {
    pub server: Arc<Immediate>,
    pub backend: Arc<dyn EngineBackend>,
    minted: std::cell::Cell<u128>,
    breaks: RefCell<BTreeSet<String>>,
}

pub fn partitions() -> PartitionConfig {
    PartitionConfig { num_flow_partitions: 4, ..PartitionConfig::default() }
}

/// The model alone, on a server that answers at once.
pub fn model(deviations: Deviations) -> (Arc<Immediate>, Arc<dyn EngineBackend>) {
    let store = Store::new(Secret::new("k1", vec![7; 32]), deviations);
    let server = Arc::new(Immediate::new(store, ServerTime::from_ms(START_MS)).judged());
    let backend = Arc::new(ModelBackend::new(Arc::clone(&server), partitions()));
    (server, backend)
}

/// A test that pins a surprise names the promises that it breaks, and breaks no others.
impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.server.ever_broken(), *self.breaks.borrow(), "the promises that the test breaks");
        }
    }
}

impl Lab {
    pub fn new() -> Self {
        Self::with(Deviations::default())
    }

    /// A laboratory over what the test's program opens: the model alone, or the model and more.
    pub fn with(deviations: Deviations) -> Self {
        let (server, backend) = crate::open(deviations);
        Self { server, backend, minted: std::cell::Cell::new(1), breaks: RefCell::default() }
    }

    /// Says that the test breaks a promise: invariant, case, and the script with its result.
    pub fn breaks(&self, promise: &str) {
        self.breaks.borrow_mut().insert(promise.to_owned());
    }

    pub fn uuid(&self) -> Uuid {
        self.minted.set(self.minted.get() + 1);
        Uuid::from_u128(self.minted.get())
    }

    pub fn wait(&self, ms: u64) {
        self.server.set_now(self.server.now().plus_ms(ms));
    }

    pub fn now(&self) -> TimestampMs {
        self.server.now().to_wire()
    }

    pub fn core(&self, id: &ExecutionId) -> Core {
        self.look(id, |found| found.core.clone())
    }

    pub fn look<T>(&self, id: &ExecutionId, read: impl FnOnce(&Execution) -> T) -> T {
        self.server.look(|store| {
            let found = store.executions().find(|found| *found.name == *id.as_str());
            read(found.expect("created"))
        })
    }

    /// The names of the indexes that hold an execution, sorted; lane and instance are left out.
    pub fn indexes(&self, id: &ExecutionId) -> Vec<&'static str> {
        self.look(id, |found| {
            let mut names: Vec<_> = found.members.iter().map(|(key, _)| key.name()).collect();
            names.sort_unstable();
            names
        })
    }

    /// `phase e=epoch i=index t=total r=reclaims`, as the traces write a state.
    pub fn counters(&self, id: &ExecutionId) -> String {
        let core = self.core(id);
        let index = core.current_attempt_index.map_or("-".into(), |index| index.to_string());
        format!(
            "e={} i={index} t={} r={}",
            core.current_lease_epoch, core.total_attempt_count, core.lease_reclaim_count
        )
    }

    pub fn is_terminal(&self, id: &ExecutionId) -> bool {
        self.core(id).vector.lifecycle_phase == LifecyclePhase::Terminal
    }

    pub fn create_args(&self) -> CreateExecutionArgs {
        CreateExecutionArgs {
            execution_id: ExecutionId::parse(&format!("{{fp:1}}:{}", self.uuid())).unwrap(),
            namespace: Namespace::new("ns"),
            lane_id: LaneId::new("default"),
            execution_kind: "kind".into(),
            input_payload: b"in".to_vec(),
            payload_encoding: None,
            priority: 0,
            creator_identity: "test".into(),
            idempotency_key: None,
            tags: HashMap::new(),
            policy: None,
            delay_until: None,
            execution_deadline_at: None,
            partition_id: 1,
            now: self.now(),
        }
    }

    pub fn create_with(&self, args: CreateExecutionArgs) -> ExecutionId {
        let id = args.execution_id.clone();
        self.backend.create_execution(args).block_on().unwrap();
        id
    }

    pub fn create(&self) -> ExecutionId {
        self.create_with(self.create_args())
    }

    pub fn create_with_policy(&self, policy: ExecutionPolicy) -> ExecutionId {
        self.create_with(CreateExecutionArgs { policy: Some(policy), ..self.create_args() })
    }

    /// An execution that is the only member of a new flow, with a team's tag.
    pub fn member(&self, team: &str) -> ExecutionId {
        let flow = FlowId::from_uuid(self.uuid());
        let execution_id = ExecutionId::deterministic_for_flow(&flow, &partitions(), self.uuid());
        let (namespace, now) = (Namespace::new("ns"), self.now());
        let args = CreateFlowArgs { flow_id: flow.clone(), flow_kind: "kind".into(), namespace, now };
        self.backend.create_flow(args).block_on().unwrap();
        let tags = HashMap::from([("team".to_owned(), team.to_owned())]);
        let partition_id = execution_id.partition();
        let args = CreateExecutionArgs { execution_id, tags, partition_id, ..self.create_args() };
        let execution_id = self.create_with(args);
        let args = AddExecutionToFlowArgs { flow_id: flow, execution_id: execution_id.clone(), now };
        self.backend.add_execution_to_flow(args).block_on().unwrap();
        execution_id
    }

    pub fn grant(&self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Result<IssueClaimGrantOutcome, EngineError> {
        self.grant_with(id, worker, ttl_ms, &[])
    }

    pub fn grant_with(
        &self,
        id: &ExecutionId,
        worker: &str,
        ttl_ms: u64,
        capabilities: &[&str],
    ) -> Result<IssueClaimGrantOutcome, EngineError> {
        let args = IssueClaimGrantArgs::new(
            id.clone(),
            LaneId::new("default"),
            WorkerId::new(worker),
            WorkerInstanceId::new(format!("{worker}-1")),
            partition(id),
            capabilities.iter().map(|token| (*token).to_owned()).collect(),
            ttl_ms,
            self.now(),
        );
        self.backend.issue_claim_grant(args).block_on()
    }

    pub fn claim_args(&self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> ClaimExecutionArgs {
        ClaimExecutionArgs::new(
            id.clone(),
            WorkerId::new(worker),
            WorkerInstanceId::new(format!("{worker}-1")),
            LaneId::new("default"),
            LeaseId::from_uuid(self.uuid()),
            ttl_ms,
            AttemptId::from_uuid(self.uuid()),
            AttemptIndex::new(0),
            "{}".into(),
            None,
            None,
            self.now(),
        )
    }

    pub fn try_claim(&self, args: ClaimExecutionArgs) -> Result<ClaimedExecution, EngineError> {
        match self.backend.claim_execution(args).block_on()? {
            ClaimExecutionResult::Claimed(claimed) => Ok(claimed),
            other => panic!("{other:?}"),
        }
    }

    /// Grants and claims for worker `w`.
    pub fn claim(&self, id: &ExecutionId, ttl_ms: u64) -> Handle {
        self.grant(id, "w", 5_000).unwrap();
        self.try_claim(self.claim_args(id, "w", ttl_ms)).unwrap().handle
    }

    pub fn resume_claim(&self, id: &ExecutionId, worker: &str, ttl_ms: u64) -> Result<Handle, EngineError> {
        let index = self.backend.read_current_attempt_index(id).block_on()?;
        let args = ClaimResumedExecutionArgs {
            execution_id: id.clone(),
            worker_id: WorkerId::new(worker),
            worker_instance_id: WorkerInstanceId::new(format!("{worker}-1")),
            lane_id: LaneId::new("default"),
            lease_id: LeaseId::from_uuid(self.uuid()),
            lease_ttl_ms: ttl_ms,
            current_attempt_index: index,
            remaining_attempt_timeout_ms: None,
            now: self.now(),
        };
        let ClaimResumedExecutionResult::Claimed(claimed) = self.backend.claim_resumed_execution(args).block_on()?;
        Ok(claimed.handle)
    }

    pub fn mark_expired(&self, id: &ExecutionId) {
        self.backend.mark_lease_expired_if_due(partition(id), id).block_on().unwrap();
    }

    pub fn grant_reclaim(&self, id: &ExecutionId, worker: &str) -> IssueReclaimGrantOutcome {
        let args = IssueReclaimGrantArgs::new(
            id.clone(),
            WorkerId::new(worker),
            WorkerInstanceId::new(format!("{worker}-1")),
            LaneId::new("default"),
            None,
            5_000,
            None,
            None,
            BTreeSet::new(),
            self.now(),
        );
        self.backend.issue_reclaim_grant(args).block_on().unwrap()
    }

    pub fn reclaim(&self, id: &ExecutionId, worker: &str, cap: Option<u32>) -> ReclaimExecutionOutcome {
        let args = ReclaimExecutionArgs::new(
            id.clone(),
            WorkerId::new(worker),
            WorkerInstanceId::new(format!("{worker}-1")),
            LaneId::new("default"),
            None,
            LeaseId::from_uuid(self.uuid()),
            30_000,
            AttemptId::from_uuid(self.uuid()),
            "{}".into(),
            cap,
            WorkerInstanceId::new("w-1"),
            self.core(id).current_attempt_index.unwrap_or(AttemptIndex::new(0)),
        );
        self.backend.reclaim_execution(args).block_on().unwrap()
    }

    pub fn revoke(&self, id: &ExecutionId) -> RevokeLeaseResult {
        let args = RevokeLeaseArgs {
            execution_id: id.clone(),
            expected_lease_id: None,
            worker_instance_id: WorkerInstanceId::new(""),
            reason: "test".into(),
        };
        self.backend.revoke_lease(args).block_on().unwrap()
    }

    pub fn cancel_by_operator(&self, id: &ExecutionId) -> Result<CancelExecutionResult, EngineError> {
        let args = CancelExecutionArgs {
            execution_id: id.clone(),
            reason: "test".into(),
            source: CancelSource::OperatorOverride,
            lease_id: None,
            lease_epoch: None,
            attempt_id: None,
            now: self.now(),
        };
        self.backend.cancel_execution(args).block_on()
    }

    pub fn replay(&self, id: &ExecutionId) -> Result<ReplayExecutionResult, EngineError> {
        self.backend.replay_execution(ReplayExecutionArgs { execution_id: id.clone(), now: self.now() }).block_on()
    }

    pub fn suspend_args(&self, name: &str) -> SuspendArgs {
        SuspendArgs::new(
            SuspensionId::from_uuid(self.uuid()),
            WaitpointBinding::Fresh { waitpoint_id: WaitpointId::from_uuid(self.uuid()), waitpoint_key: "wp".into() },
            ResumeCondition::Single { waitpoint_key: "wp".into(), matcher: SignalMatcher::ByName(name.into()) },
            ResumePolicy::normal(),
            SuspensionReasonCode::WaitingForSignal,
            self.now(),
        )
    }

    pub fn suspend(&self, handle: &Handle, args: SuspendArgs) -> SuspendOutcomeDetails {
        match self.backend.suspend(handle, args).block_on().unwrap() {
            SuspendOutcome::Suspended { details, .. } => details,
            other => panic!("{other:?}"),
        }
    }

    pub fn signal_args(&self, id: &ExecutionId, details: &SuspendOutcomeDetails, name: &str) -> DeliverSignalArgs {
        DeliverSignalArgs {
            execution_id: id.clone(),
            waitpoint_id: details.waitpoint_id.clone(),
            signal_id: SignalId::from_uuid(self.uuid()),
            signal_name: name.into(),
            signal_category: "test".into(),
            source_type: "test".into(),
            source_identity: "test".into(),
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
            waitpoint_token: details.waitpoint_token.token().clone(),
            now: self.now(),
        }
    }
}

pub fn partition(id: &ExecutionId) -> Partition {
    Partition { family: PartitionFamily::Execution, index: id.partition() }
}
