//! One run of the bench world, for a profiler: `cargo run --release -p claimlab-benches --example profile -- 2000`.

use claimlab::stopwatch::Stopwatch;
use claimlab_benches::world::{bench_plan, calls, simulate};

fn main() {
    let workers = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let plan = bench_plan(workers);
    let watch = Stopwatch::start();
    let result = simulate(&plan);
    let us = watch.elapsed().as_micros().max(1);
    let (made, empty, messages) = calls(&plan, &result);
    let per_second = u128::from(made) * 1_000_000 / us;
    let factor = u128::from(plan.world.for_ms) * 1_000 / us;
    println!("{workers} workers: {made} calls, {empty} empty scans, {messages} messages in {} ms", us / 1_000);
    println!(
        "  {} events, {} scripts, {per_second} calls/s, {factor} times real time",
        result.counts.events, result.counts.scripts
    );
}
