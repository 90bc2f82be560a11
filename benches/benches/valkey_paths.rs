//! `valkey_paths`: what the shipped worker does from looking for work to having ended it, on a real server.
//!
//! The server is private, or the one that CLAIMLAB_VALKEY_URL names.

use std::sync::Arc;
use std::time::Duration;

use claimlab_benches::cores::Placement;
use claimlab_benches::lab::Deployed;
use claimlab_benches::path::Path;
use claimlab_benches::plant::Plant;
use claimlab_benches::suite::{CONCURRENCIES, PARTITIONS, USUAL_PARTITIONS};
use claimlab_benches::target::Target;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

fn paths(criterion: &mut Criterion) {
    let target = Target::from_environment(false, Placement::Apart).expect("an empty Valkey (tests/install-valkey)");
    let target = Arc::new(target);
    let runtime = Runtime::new().expect("a runtime starts");
    for path in Path::ALL.iter().copied() {
        let mut group = criterion.benchmark_group(path.name());
        group.throughput(Throughput::Elements(1));
        let partitions = if path.depends_on_partitions() { PARTITIONS } else { &[USUAL_PARTITIONS] };
        for partitions in partitions.iter().copied() {
            for workers in CONCURRENCIES.iter().copied() {
                let deployed = runtime.block_on(Deployed::on(&target, partitions, Plant::default()));
                let lab = deployed.expect("it deploys");
                let name = BenchmarkId::new(format!("{partitions} partitions"), format!("{workers} workers"));
                group.bench_function(name, |bencher| {
                    bencher.iter_custom(|times| {
                        let measured = runtime.block_on(path.measure(&lab, times as usize, workers));
                        measured.expect("the server answers").took
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = valkey;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = paths
}
criterion_main!(valkey);
