//! `simulate`: the bench world and, beside it in the same run, the bare substrate: the same workers
//! exchanging empty requests and replies over the same simulated network, without the model.
//!
//! Before criterion's own figures a table is printed: calls by method and outcome, calls a second, the
//! bare substrate's round trips a second, their ratio, and the real-time factor.

use std::hint::black_box;
use std::time::Duration;

use claimlab::campaign::Summary;
use claimlab::clock::TrueTime;
use claimlab::stopwatch::Stopwatch;
use claimlab_benches::world::{bare, bench_plan, calls, simulate};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const WORKERS: [u32; 4] = [1_000, 2_000, 4_000, 10_000];
/// How much simulated time the bare substrate runs.
const BARE_UNTIL: TrueTime = TrueTime::from_ms(500);

fn per_second(count: u64, elapsed: Duration) -> u64 {
    count.saturating_mul(1_000_000) / u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// The table for people: each figure the best of three.
fn print_table() {
    println!(
        "{:>8} {:>12} {:>14} {:>7} {:>10} {:>12} {:>12}",
        "WORKERS", "CALLS/S", "ROUND TRIPS/S", "RATIO", "REAL TIME", "EMPTY SCANS", "HOLD A LEASE"
    );
    for workers in WORKERS {
        let plan = bench_plan(workers);
        let (mut best, mut best_bare, mut factor, mut empty, mut holders) = (0, 0, 0, 0, 0);
        for _ in 0..3 {
            let watch = Stopwatch::start();
            let result = simulate(&plan);
            let elapsed = watch.elapsed();
            let (made, scans, _) = calls(&plan, &result);
            best = best.max(per_second(made, elapsed));
            factor = factor.max(per_second(plan.world.for_ms, elapsed) / 1_000);
            empty = scans;
            holders = result.counts.holders * 100 / u64::from(workers);
            let watch = Stopwatch::start();
            let result = bare(&plan, BARE_UNTIL);
            best_bare = best_bare.max(per_second(result.counts.messages, watch.elapsed()));
        }
        let tenths = best_bare * 10 / best.max(1);
        let ratio = format!("{}.{}", tenths / 10, tenths % 10);
        println!("{workers:>8} {best:>12} {best_bare:>14} {ratio:>7} {factor:>9}x {empty:>12} {holders:>10} %");
    }
    let plan = bench_plan(2_000);
    let mut summary = Summary::of("2000 workers, calls by method and outcome");
    summary.add(plan.seed, &simulate(&plan));
    println!("\n{}", summary.scenario);
    for (method, outcomes) in &summary.methods {
        let outcomes: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        println!("  {method:<28} {}", outcomes.join(", "));
    }
    println!();
}

fn simulate_worlds(criterion: &mut Criterion) {
    print_table();
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(10));
    for workers in WORKERS {
        let plan = bench_plan(workers);
        let (made, _, _) = calls(&plan, &simulate(&plan));
        group.throughput(Throughput::Elements(made));
        group.bench_with_input(BenchmarkId::new("world", workers), &plan, |bench, plan| {
            bench.iter(|| black_box(simulate(plan)));
        });
        let round_trips = bare(&plan, BARE_UNTIL).counts.messages;
        group.throughput(Throughput::Elements(round_trips));
        group.bench_with_input(BenchmarkId::new("bare", workers), &plan, |bench, plan| {
            bench.iter(|| black_box(bare(plan, BARE_UNTIL)));
        });
    }
    group.finish();
}

criterion_group!(benches, simulate_worlds);
criterion_main!(benches);
