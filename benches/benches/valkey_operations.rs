//! `valkey_operations`: each operation of the claim protocol alone, and the floors, on a real server.
//!
//! The server is private, or the one that CLAIMLAB_VALKEY_URL names.

use std::sync::Arc;
use std::time::Duration;

use claimlab_benches::cores::Placement;
use claimlab_benches::floor::Floor;
use claimlab_benches::lab::Deployed;
use claimlab_benches::operation::Operation;
use claimlab_benches::plant::Plant;
use claimlab_benches::suite::{CONCURRENCIES, USUAL_PARTITIONS};
use claimlab_benches::target::Target;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

fn operations(criterion: &mut Criterion) {
    let target = Target::from_environment(false, Placement::Apart).expect("an empty Valkey (tests/install-valkey)");
    let target = Arc::new(target);
    let runtime = Runtime::new().expect("a runtime starts");
    let deploy = || runtime.block_on(Deployed::on(&target, USUAL_PARTITIONS, Plant::default())).expect("it deploys");
    for concurrency in CONCURRENCIES.iter().copied() {
        let mut group = criterion.benchmark_group(format!("{concurrency} at once"));
        group.throughput(Throughput::Elements(1));
        for floor in Floor::ALL.iter().copied() {
            let lab = deploy();
            group.bench_function(BenchmarkId::from_parameter(floor), |bencher| {
                bencher.iter_custom(|times| {
                    let measured = runtime.block_on(floor.measure(&lab, times as usize, concurrency));
                    measured.expect("the server answers").took
                });
            });
        }
        for operation in Operation::ALL.iter().copied() {
            let lab = deploy();
            group.bench_function(BenchmarkId::from_parameter(operation), |bencher| {
                bencher.iter_custom(|times| {
                    let measured = runtime.block_on(operation.measure(&lab, times as usize, concurrency));
                    measured.expect("the server answers").took
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = valkey;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = operations
}
criterion_main!(valkey);
