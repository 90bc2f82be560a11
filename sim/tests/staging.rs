//! Staged sequences need no client and no server: the model alone plays them.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use claimlab::staging::chance::runner;
use claimlab::staging::sequence::{Memory, PARTITIONS, START_MS, sequences};
use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use claimlab_model::token::Secret;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::Config;

#[test]
fn drawn_sequences_are_played_on_the_model_alone() {
    let mut runner = runner([7; 32], Config { failure_persistence: None, ..Config::default() });
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let steps = sequences(40).new_tree(&mut runner).expect("a sequence").current();
        let mut store = Store::new(Secret::new("k1", vec![7; 32]), Deviations::default());
        store.seed_lanes(["default".to_owned(), "other".to_owned()]);
        let server = Arc::new(Immediate::new(store, ServerTime::from_ms(START_MS)));
        let partitions = PartitionConfig { num_flow_partitions: PARTITIONS, ..PartitionConfig::default() };
        let backend = ModelBackend::new(Arc::clone(&server), partitions).with_scheduler();
        let mut memory = Memory::default();
        for step in &steps {
            let Some(call) = memory.call(step, server.now()) else { continue };
            let mut performed = std::pin::pin!(call.perform(&backend as &dyn EngineBackend));
            let Poll::Ready(answer) = performed.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("the model answers at once");
            };
            memory.learn(&call, &answer);
            answered.insert(call.method());
        }
    }
    assert!(answered.len() > 40, "few methods were called: {answered:?}");
}
