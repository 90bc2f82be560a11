//! The shipped worker's claims over the model: its two names for one function, and what it leaves alone.

#[path = "../../model/tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use claimlab::call::{Answer, Answerer, Call, Caller};
use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use common::Lab;
use ff_core::contracts::{ClaimGrant, ResumeGrant};
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionKey;
use ff_core::types::{ExecutionId, LaneId, Namespace, WorkerId, WorkerInstanceId};
use ff_sdk::{FlowFabricWorker, SdkError, WorkerConfig};

fn open(deviations: Deviations) -> (Arc<Immediate>, Arc<dyn EngineBackend>) {
    common::model(deviations)
}

/// The model, its calls noted.
#[derive(Clone)]
struct Noted {
    backend: Arc<ModelBackend<Arc<Immediate>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Answerer for Noted {
    async fn answer(&self, call: Call) -> Answer {
        let answer = call.perform(&*self.backend).await;
        let said = match &answer {
            Answer::ClaimExecution(Ok(_)) => "claimed".to_owned(),
            Answer::ReadExecutionContext(Ok(_)) => "read".to_owned(),
            other => other.text(),
        };
        self.note(format!("{} {said}", call.method()));
        answer
    }
}

impl Noted {
    fn over(lab: &Lab) -> Self {
        let backend = ModelBackend::new(Arc::clone(&lab.server), common::partitions());
        Self { backend: Arc::new(backend), calls: Arc::default() }
    }

    fn note(&self, text: String) {
        self.calls.lock().expect("nobody panics here").push(text);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().expect("nobody panics here"))
    }

    /// A worker that runs one task at a time.
    async fn worker(&self) -> FlowFabricWorker {
        let config = WorkerConfig {
            backend: None,
            worker_id: WorkerId::new("w"),
            worker_instance_id: WorkerInstanceId::new("w-1"),
            namespace: Namespace::new("ns"),
            lanes: vec![LaneId::new("default")],
            capabilities: Vec::new(),
            lease_ttl_ms: 6_000,
            claim_poll_interval_ms: 1_000,
            max_concurrent_tasks: 1,
            partition_config: Some(common::partitions()),
        };
        let backend: Arc<dyn EngineBackend> = Arc::new(Caller(self.clone()));
        FlowFabricWorker::connect_with(config, backend, None).await.expect("a good configuration")
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Four polls over a store with a task that fits, one that does not, and a worker that runs one at most.
fn polls(by_alias: bool) -> Vec<String> {
    let lab = common::Lab::new();
    lab.breaks("S26 rate_limited block_execution_for_admission=blocked");
    lab.create();
    let mut policy = ff_core::policy::ExecutionPolicy::default();
    let routing = ff_core::policy::RoutingRequirements {
        required_capabilities: BTreeSet::from(["gpu".to_owned()]),
        ..Default::default()
    };
    policy.routing_requirements = Some(routing);
    lab.create_with_policy(policy);
    let noted = Noted::over(&lab);
    runtime().block_on(async {
        let worker = noted.worker().await;
        let mut tasks = Vec::new();
        for poll in 0..4 {
            let claimed = if by_alias { worker.claim_next().await } else { worker.claim_next_via_backend().await };
            let claimed = claimed.expect("no poll fails");
            let found = claimed
                .as_ref()
                .map(|task| (task.execution_id().to_string(), task.lease_epoch(), task.attempt_index()));
            noted.note(format!("poll {poll}: {found:?}"));
            tasks.extend(claimed);
            if poll == 2 {
                // The permit comes back.
                tasks.clear();
            }
        }
    });
    noted.take()
}

#[test]
fn claim_next_is_its_ungated_twin() {
    let (twin, alias) = (polls(false), polls(true));
    assert!(twin.iter().any(|call| call.starts_with("claim_execution claimed")), "{twin:#?}");
    assert!(twin.iter().any(|call| call.starts_with("block_route")), "{twin:#?}");
    assert_eq!(alias, twin);
}

#[test]
fn a_saturated_worker_leaves_grants_as_they_are() {
    let lab = Lab::new();
    let [first, second, third] = [lab.create(), lab.create(), lab.create()];
    let parked = lab.claim(&third, 60_000);
    let details = lab.suspend(&parked, lab.suspend_args("go"));
    let signal = lab.signal_args(&third, &details, "go");
    pollster::block_on(lab.backend.deliver_signal(signal)).expect("it waits for one");
    for id in [&first, &second, &third] {
        lab.grant(id, "w", 30_000).expect("nobody else has it");
    }
    let noted = Noted::over(&lab);
    let key = |id| PartitionKey::from(&common::partition(id));
    let claim = |id| ClaimGrant::new(ExecutionId::clone(id), key(id), String::new(), u64::MAX);
    let resume = ResumeGrant::new(third.clone(), key(&third), String::new(), u64::MAX, LaneId::new("default"));
    runtime().block_on(async {
        let worker = noted.worker().await;
        let lane = LaneId::new("default");
        let held = worker.claim_from_grant(lane.clone(), claim(&first)).await.expect("it has a permit");
        noted.take();
        let refused = [
            worker.claim_from_grant(lane.clone(), claim(&second)).await.err(),
            worker.claim_from_resume_grant(resume.clone()).await.err(),
        ];
        assert!(refused.iter().all(|error| matches!(error, Some(SdkError::WorkerAtCapacity))), "{refused:?}");
        assert_eq!(noted.take(), [""; 0], "nothing is sent");
        drop(held);
        drop(worker.claim_from_grant(lane, claim(&second)).await.expect("the grant still stands"));
        drop(worker.claim_from_resume_grant(resume).await.expect("so does this one"));
    });
}

#[test]
fn a_dropped_task_gives_its_permit_back_and_sends_nothing() {
    let lab = Lab::new();
    (0..2).for_each(|_| drop(lab.create()));
    let noted = Noted::over(&lab);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let worker = noted.worker().await;
        let task = worker.claim_next_via_backend().await.expect("no call fails").expect("there is work");
        assert_eq!(runtime.metrics().num_alive_tasks(), 1, "its renewals");
        drop(task);
        noted.take();
        // Many lease times pass.
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!((runtime.metrics().num_alive_tasks(), noted.take()), (0, Vec::new()));
        drop(worker.claim_next_via_backend().await.expect("no call fails").expect("it has a permit again"));
    });
}
