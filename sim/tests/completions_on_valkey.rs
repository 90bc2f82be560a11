//! Completions of the model beside those that the shipped backend hears from a real server.

#[path = "../../model/tests/common/mod.rs"]
mod common;
#[path = "common/strict.rs"]
mod strict;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use claimlab::live::lockstep::Lockstep;
use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::time::ServerTime;
use claimlab_valkey::{Server, own_clock, relaunch_with};
use common::Lab;
use ff_backend_valkey::{ValkeyBackend, build_client};
use ff_core::backend::{
    BackendConfig, CompletionPayload, FailureClass, FailureReason, ScannerFilter, ValkeyConnection,
};
use ff_core::completion_backend::{CompletionBackend, CompletionStream};
use ff_core::engine_backend::EngineBackend;
use ff_core::types::LaneId;
use pollster::FutureExt as _;

thread_local! {
    /// Where the server of this test listens.
    static PORT: std::cell::Cell<u16> = const { std::cell::Cell::new(0) };
}

fn open(deviations: Deviations) -> (Arc<Immediate>, Arc<dyn EngineBackend>) {
    let server = Server::start(common::START_MS).expect("valkey-server starts");
    PORT.set(server.address().port);
    let now = ServerTime::from_ms(common::START_MS);
    let lockstep = Lockstep::start(server, common::partitions(), &[LaneId::new("default")], deviations, now);
    let lockstep = lockstep.expect("the shipped backend is set up");
    let model = Arc::clone(lockstep.model());
    (model, strict::backend(lockstep))
}

/// The next so many, and that no other follows at once.
async fn heard(stream: &mut CompletionStream, count: usize) -> Vec<CompletionPayload> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let next = poll_fn(|context| stream.as_mut().poll_next(context));
        let next = tokio::time::timeout(Duration::from_secs(20), next).await.expect("it is published");
        heard.push(next.expect("the stream goes on"));
    }
    let more = poll_fn(|context| stream.as_mut().poll_next(context));
    assert!(tokio::time::timeout(Duration::from_millis(50), more).await.is_err(), "one more than {count}");
    heard
}

#[test]
fn the_model_publishes_what_the_server_does() {
    // The shipped client needs a clock of its own, so the program is started again for this test.
    if own_clock().expect("the clock's cell is there").is_none() {
        let arguments = ["the_model_publishes_what_the_server_does", "--exact", "--nocapture"];
        assert_eq!(relaunch_with(arguments).expect("the program starts again"), 0);
        return;
    }
    let lab = Lab::new();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let filters = [ScannerFilter::NOOP, ScannerFilter::new().with_instance_tag("team", "a")];
    let subscribe = async {
        let client = build_client(&BackendConfig::valkey("127.0.0.1", PORT.get())).await.expect("the server answers");
        let connection = ValkeyConnection::new("127.0.0.1", PORT.get());
        let shipped =
            ValkeyBackend::from_client_partitions_and_connection(client.clone(), common::partitions(), connection);
        let model = ModelBackend::new(Arc::clone(&lab.server), common::partitions());
        let mut streams = Vec::new();
        for filter in &filters {
            let shipped = shipped.subscribe_completions_filtered(filter).await.expect("it has a connection");
            streams.push((shipped, model.subscribe_completions_filtered(filter).await.expect("the model publishes")));
        }
        let mut connection = redis::Client::open(format!("redis://127.0.0.1:{}", PORT.get()))
            .and_then(|client| client.get_connection())
            .expect("the server answers");
        for _ in 0..1_000 {
            let mut count = redis::cmd("PUBSUB");
            let (_, listeners): (String, usize) =
                count.arg("NUMSUB").arg("ff:dag:completions").query(&mut connection).expect("it answers");
            if listeners == filters.len() {
                return streams;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the shipped backend does not subscribe");
    };
    let mut streams = runtime.block_on(subscribe);
    let [one, two, three, four] = ["a", "b", "a", "b"].map(|team| lab.member(team));
    lab.backend.complete(&lab.claim(&one, 1_000), None).block_on().expect("it is claimed");
    lab.cancel_by_operator(&two).expect("it is there");
    let reason = FailureReason::with_detail("broken", b"permanent".to_vec());
    lab.backend.fail(&lab.claim(&three, 1_000), reason, FailureClass::Permanent).block_on().expect("it is claimed");
    lab.backend.cancel(&lab.claim(&four, 1_000), "enough").block_on().expect("it is claimed");
    lab.backend.complete(&lab.claim(&lab.create(), 1_000), None).block_on().expect("it is claimed");
    for ((shipped, model), expected) in streams.iter_mut().zip([4, 2]) {
        let (shipped, model) =
            runtime.block_on(async { (heard(shipped, expected).await, heard(model, expected).await) });
        assert_eq!(model, shipped);
    }
}
