//! Completions as subscribers hear them: ends of flows' executions, once, in order, filtered.

mod common;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use common::Lab;
use ff_core::backend::{CompletionPayload, FailureClass, FailureReason, ScannerFilter};
use ff_core::completion_backend::{CompletionBackend, CompletionStream};
use ff_core::engine_backend::EngineBackend;
use ff_core::types::{ExecutionId, Namespace, TimestampMs};
use pollster::FutureExt as _;

fn open(deviations: Deviations) -> (Arc<Immediate>, Arc<dyn EngineBackend>) {
    common::model(deviations)
}

fn listen(lab: &Lab, filter: &ScannerFilter) -> CompletionStream {
    let backend = ModelBackend::new(Arc::clone(&lab.server), common::partitions());
    backend.subscribe_completions_filtered(filter).block_on().unwrap()
}

/// What was heard and not looked at yet.
fn heard(stream: &mut CompletionStream) -> Vec<(ExecutionId, String)> {
    let mut heard = Vec::new();
    while let Poll::Ready(Some(payload)) = stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())) {
        let CompletionPayload { execution_id, outcome, payload_bytes, produced_at_ms, .. } = payload;
        assert_eq!((payload_bytes, produced_at_ms), (None, TimestampMs(0)), "never told");
        heard.push((execution_id, outcome));
    }
    heard
}

fn complete(lab: &Lab, id: &ExecutionId) {
    lab.backend.complete(&lab.claim(id, 1_000), None).block_on().unwrap();
}

#[test]
fn each_end_of_a_flows_execution_is_heard_once_and_in_order() {
    let lab = Lab::new();
    let mut stream = listen(&lab, &ScannerFilter::NOOP);
    let [one, two, three, alone] = [lab.member("a"), lab.member("a"), lab.member("a"), lab.create()];
    complete(&lab, &one);
    complete(&lab, &alone);
    lab.cancel_by_operator(&two).unwrap();
    let reason = FailureReason::with_detail("broken", b"permanent".to_vec());
    lab.backend.fail(&lab.claim(&three, 1_000), reason, FailureClass::Permanent).block_on().unwrap();
    let expected = [(one, "success"), (two, "cancelled"), (three, "failed")];
    assert_eq!(heard(&mut stream), expected.map(|(id, outcome)| (id, outcome.to_owned())));
    assert_eq!(heard(&mut stream), []);
}

#[test]
fn a_subscriber_hears_nothing_from_before_it_came() {
    let lab = Lab::new();
    complete(&lab, &lab.member("a"));
    let mut late = listen(&lab, &ScannerFilter::NOOP);
    let next = lab.member("a");
    complete(&lab, &next);
    assert_eq!(heard(&mut late), [(next, "success".to_owned())]);
}

#[test]
fn a_filter_lets_through_its_namespace_and_its_tag() {
    let lab = Lab::new();
    let team = |team: &str| ScannerFilter::new().with_instance_tag("team", team);
    let mut streams = [
        listen(&lab, &team("a")),
        listen(&lab, &team("b")),
        listen(&lab, &ScannerFilter::new().with_namespace(Namespace::new("ns"))),
        listen(&lab, &ScannerFilter::new().with_namespace(Namespace::new("other"))),
    ];
    let id = lab.member("a");
    complete(&lab, &id);
    assert_eq!(streams.each_mut().map(|stream| heard(stream).len()), [1, 0, 1, 0]);
}
