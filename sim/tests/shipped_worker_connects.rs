//! `FlowFabricWorker::connect` as shipped, on a real server under a virtual clock, beside the model's
//! registry: each connect is made on both, and every key is compared after it.

#[path = "../../model/tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use claimlab::live::keyspace::compare_all;
use claimlab_model::backend::{ConnectRefusal, Connecting, ModelBackend};
use claimlab_model::deviation::Deviations;
use claimlab_model::port::{Immediate, Server as _};
use claimlab_model::projection::everything;
use claimlab_model::time::ServerTime;
use claimlab_valkey::{Clock, Server, own_clock, relaunch_with};
use ff_core::backend::BackendConfig;
use ff_core::contracts::ListWorkersArgs;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::partition::PartitionConfig;
use ff_core::types::{LaneId, Namespace, TimestampMs, WorkerId, WorkerInstanceId};
use ff_sdk::{FlowFabricWorker, SdkError, WorkerConfig};
use tokio::runtime::Runtime;

const LEASE_TTL_MS: u64 = 6_000;
/// The alive key's.
const ALIVE_MS: i64 = 12_000;

fn open(deviations: Deviations) -> (Arc<Immediate>, Arc<dyn EngineBackend>) {
    common::model(deviations)
}

/// A server, the model and the process, all at the same time.
struct Both {
    server: Server,
    process: Clock,
    connection: redis::Connection,
    runtime: Runtime,
    model: Arc<Immediate>,
    backend: ModelBackend<Arc<Immediate>>,
    now_ms: i64,
}

/// The shipped client needs a clock of its own, so the program is started again for this test; none there.
fn both() -> Option<Both> {
    let Some(process) = own_clock().expect("the clock's cell is there") else {
        let name = std::thread::current().name().expect("a test's thread has its name").to_owned();
        let code = relaunch_with([name.as_str(), "--exact", "--nocapture"]).expect("the program starts again");
        assert_eq!(code, 0, "{name} failed on the real server");
        return None;
    };
    let server = Server::start(common::START_MS).expect("valkey-server starts");
    let connection = claimlab_valkey::connect(server.address()).expect("the server answers");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (model, _) = common::model(Deviations::default());
    let backend = ModelBackend::new(Arc::clone(&model), PartitionConfig::default());
    let mut both = Both { server, process, connection, runtime, model, backend, now_ms: common::START_MS };
    both.at(0);
    Some(both)
}

fn config(instance: &str, capabilities: &[&str]) -> WorkerConfig {
    WorkerConfig {
        backend: None,
        worker_id: WorkerId::new("w"),
        worker_instance_id: WorkerInstanceId::new(instance),
        namespace: Namespace::new("lab"),
        lanes: vec![LaneId::new("slow"), LaneId::new("fast")],
        capabilities: capabilities.iter().map(|capability| (*capability).to_owned()).collect(),
        lease_ttl_ms: LEASE_TTL_MS,
        claim_poll_interval_ms: 1_000,
        max_concurrent_tasks: 1,
        partition_config: None,
    }
}

/// What became of a connect: the field that is refused, or nothing.
fn refused(error: &SdkError) -> String {
    match error {
        SdkError::Config { context, field, .. } => format!("{context} {}", field.as_deref().unwrap_or("-")),
        other => other.to_string(),
    }
}

fn refused_by_model(refusal: &ConnectRefusal) -> &'static str {
    match refusal {
        ConnectRefusal::NoLanes => "worker_config -",
        ConnectRefusal::Duplicate => "worker_connect worker_instance_id",
        ConnectRefusal::Capability(_) | ConnectRefusal::TooManyCapabilities => "worker_config capabilities",
        ConnectRefusal::Engine(_) => "no answer",
    }
}

impl Both {
    /// Sets every clock to so many milliseconds after the start.
    fn at(&mut self, after_ms: i64) {
        self.now_ms = common::START_MS + after_ms;
        self.server.clock().set(self.now_ms).expect("the cell is writable");
        self.process.set(self.now_ms).expect("the cell is writable");
        self.model.set_now(ServerTime::from_ms(self.now_ms));
    }

    /// A shipped worker without its like on the model.
    fn connect_shipped(&mut self, mut config: WorkerConfig) -> Result<FlowFabricWorker, SdkError> {
        let address = self.server.address();
        config.backend = Some(BackendConfig::valkey(address.host.clone(), address.port));
        self.runtime.block_on(FlowFabricWorker::connect(config))
    }

    /// Connects on both sides; what is refused, and every key after it, must be the same.
    #[track_caller]
    fn connect(&mut self, config: WorkerConfig) -> Result<FlowFabricWorker, String> {
        let connecting = Connecting {
            namespace: config.namespace.clone(),
            worker: config.worker_id.clone(),
            instance: config.worker_instance_id.clone(),
            lanes: config.lanes.clone(),
            capabilities: config.capabilities.clone(),
            lease_ttl_ms: config.lease_ttl_ms,
            now: TimestampMs(self.now_ms),
        };
        let shipped = self.connect_shipped(config).map_err(|error| refused(&error));
        let model = pollster::block_on(self.backend.connect_worker(&connecting));
        let model = model.map_err(|refusal| refused_by_model(&refusal).to_owned());
        assert_eq!(shipped.as_ref().err(), model.as_ref().err());
        self.assert_same_keys();
        shipped
    }

    #[track_caller]
    fn assert_same_keys(&mut self) {
        let ids = self.model.ids();
        let expected = self.model.look(|store| everything(store, &ids, 0));
        drop(ids);
        let now = ServerTime::from_ms(self.now_ms);
        let differences = compare_all(&mut self.connection, now, expected).expect("the server can be read");
        assert_eq!(differences, [], "the registry differs");
        self.model.lapse(None);
    }

    fn command<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut self.connection).expect("the server answers")
    }

    fn keys(&mut self) -> BTreeSet<String> {
        self.command(&["KEYS", "*"])
    }

    /// The instances that the trait lists, which must be the same on both sides.
    #[track_caller]
    fn listed(&self, worker: &FlowFabricWorker) -> Vec<String> {
        let args = || {
            let mut args = ListWorkersArgs::new();
            args.namespace = Some(Namespace::new("lab"));
            args
        };
        let shipped = worker.backend().expect("a worker has a backend").list_workers(args());
        let shipped = self.runtime.block_on(shipped).expect("the listing is answered").entries;
        let model = pollster::block_on(self.backend.list_workers(args())).expect("the listing is answered").entries;
        assert_eq!(shipped, model);
        shipped.iter().map(|entry| entry.worker_instance_id.to_string()).collect()
    }
}

#[test]
fn a_second_process_of_an_instance_is_refused_until_the_first_ones_key_expires() {
    let Some(mut both) = both() else { return };
    both.connect(config("one", &["cpu"])).expect("nobody else is there");
    both.connect(config("two", &["cpu"])).expect("another instance");
    for after_ms in [1, ALIVE_MS - 1, ALIVE_MS] {
        both.at(after_ms);
        let refused = both.connect(config("one", &["cpu"])).err();
        assert_eq!(refused.as_deref(), Some("worker_connect worker_instance_id"), "after {after_ms} ms");
    }
    both.at(ALIVE_MS + 1);
    both.connect(config("one", &["cpu"])).expect("its key has expired");
}

#[test]
fn the_guard_stands_however_long_its_holder_has_been_working() {
    // Nothing renews the alive key of a connected worker: a second process comes in beside the first.
    let Some(mut both) = both() else { return };
    let first = both.connect(config("one", &[])).expect("nobody else is there");
    both.at(ALIVE_MS + 1);
    let second = both.connect(config("one", &[])).expect("the first one's guard is gone though it lives");
    assert_eq!(first.config().worker_instance_id, second.config().worker_instance_id);
}

#[test]
fn published_capabilities_outlive_their_worker_for_ever() {
    let Some(mut both) = both() else { return };
    both.connect(config("gone", &["gpu", "cpu", "gpu"])).expect("nobody else is there");
    both.at(365 * 86_400_000);
    let alive = both.connect(config("alive", &[])).expect("nobody else is there");
    assert_eq!(both.listed(&alive), ["gone"], "the dead one is listed, the living one has nothing to show");
    let capabilities: String = both.command(&["HGET", "ff:worker:lab:gone:caps", "caps_csv"]);
    assert_eq!(capabilities, "cpu,gpu");
}

#[test]
fn a_connect_without_capabilities_withdraws_those_of_the_life_before() {
    let Some(mut both) = both() else { return };
    both.connect(config("one", &["gpu"])).expect("nobody else is there");
    both.at(ALIVE_MS + 1);
    let worker = both.connect(config("one", &[])).expect("its key has expired");
    assert_eq!(both.listed(&worker), [""; 0]);
    assert_eq!(both.keys(), BTreeSet::from(["ff:worker:lab:one:alive".to_owned()]));
}

#[test]
fn a_refused_capability_leaves_the_instance_occupied() {
    for bad in ["", "a,b", "a b", "a\u{7}b"] {
        let Some(mut both) = both() else { return };
        let refused = both.connect(config("one", &["cpu", bad])).err();
        assert_eq!(refused.as_deref(), Some("worker_config capabilities"), "{bad:?}");
        assert_eq!(both.keys(), BTreeSet::from(["ff:worker:lab:one:alive".to_owned()]), "{bad:?}");
        both.at(ALIVE_MS);
        let refused = both.connect(config("one", &["cpu"])).err();
        assert_eq!(refused.as_deref(), Some("worker_connect worker_instance_id"), "though it is right now");
        both.at(ALIVE_MS + 1);
        both.connect(config("one", &["cpu"])).expect("the refused one's key has expired");
    }
}

#[test]
fn too_many_or_too_long_capabilities_are_refused_likewise() {
    let Some(mut both) = both() else { return };
    let many: Vec<String> = (0..257).map(|number| format!("c{number}")).collect();
    let long = vec!["x".repeat(4_097)];
    for (instance, capabilities) in [("many", many), ("long", long)] {
        let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        let refused = both.connect(config(instance, &capabilities)).err();
        assert_eq!(refused.as_deref(), Some("worker_config capabilities"), "{instance}");
        assert!(both.keys().contains(&format!("ff:worker:lab:{instance}:alive")), "{instance}");
        let fitting = &capabilities[..capabilities.len() - 1];
        both.connect(config(&format!("{instance}-fits"), fitting)).expect("one less fits");
    }
}

#[test]
fn a_worker_without_lanes_leaves_nothing_behind() {
    let Some(mut both) = both() else { return };
    let without = WorkerConfig { lanes: Vec::new(), ..config("one", &["cpu"]) };
    assert_eq!(both.connect(without).err().as_deref(), Some("worker_config -"));
    assert_eq!(both.keys(), BTreeSet::new());
}

#[test]
fn the_guards_life_is_at_least_a_second() {
    let Some(mut both) = both() else { return };
    let short = || WorkerConfig { lease_ttl_ms: 3, ..config("one", &[]) };
    both.connect(short()).expect("nobody else is there");
    both.at(1_000);
    assert!(both.connect(short()).is_err(), "twice the lease, but a second at least");
    both.at(1_001);
    both.connect(short()).expect("a second is over");
}

#[test]
fn a_server_that_publishes_no_partitions_gets_a_worker_with_the_default_ones() {
    let Some(mut both) = both() else { return };
    let worker = both.connect(config("one", &[])).expect("nobody else is there");
    let PartitionConfig { num_flow_partitions, num_budget_partitions, num_quota_partitions } =
        worker.partition_config();
    assert_eq!([*num_flow_partitions, *num_budget_partitions, *num_quota_partitions], [256, 32, 32]);
}

#[test]
fn published_partitions_are_taken_field_by_field_where_they_are_numbers() {
    let Some(mut both) = both() else { return };
    let partitions = |both: &mut Both, instance: &str, flow: &str, budget: &str| {
        let key = "ff:config:partitions";
        let _: i64 = both.command(&["DEL", key]);
        let _: i64 = both.command(&["HSET", key, "num_flow_partitions", flow, "num_budget_partitions", budget]);
        let worker = both.connect_shipped(config(instance, &[])).expect("nobody else is there");
        let found = worker.partition_config();
        [found.num_flow_partitions, found.num_budget_partitions, found.num_quota_partitions]
    };
    assert_eq!(partitions(&mut both, "a", "8", "4"), [8, 4, 32]);
    assert_eq!(partitions(&mut both, "b", "0", "many"), [256, 32, 32]);
    assert_eq!(partitions(&mut both, "c", "65536", "-1"), [256, 32, 32]);
}

#[test]
fn a_connected_worker_offers_completions_that_nobody_can_subscribe_to() {
    // `connect` keeps a backend without a subscriber's connection, and offers it all the same.
    let Some(mut both) = both() else { return };
    let worker = both.connect(config("one", &[])).expect("nobody else is there");
    let completions = worker.completion_backend().expect("it is offered");
    let refused = both.runtime.block_on(completions.subscribe_completions()).err();
    assert!(matches!(refused, Some(EngineError::Unavailable { .. })), "{refused:?}");
}
