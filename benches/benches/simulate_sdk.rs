//! `simulate_sdk`: the bench world played by the shipped worker, the same world played by the native one,
//! and what a shipped worker costs that only waits.
//!
//! Before criterion's own figures a table is printed: the real-time factor on one core for each, the cost
//! of a waiting worker for each simulated second, and the memory that a process of one such world takes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use claimlab::plan::{PartyKey, Plan, WorkerPlan, draw};
use claimlab::scenario::Player;
use claimlab::stopwatch::Stopwatch;
use claimlab::stream::Ratio;
use claimlab_benches::world::{bench_world, simulate};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};

const WORKERS: [u32; 3] = [100, 200, 1_000];
/// How long a waiting worker's world runs.
const WAITING_MS: u64 = 3_600_000;

fn played(workers: u32, player: Player) -> Arc<Plan> {
    let mut scenario = bench_world(workers);
    scenario.workers.worker = player;
    Arc::new(draw(&scenario, 1))
}

/// A world of workers that only wait: for the day on which they poll again.
fn waiting(workers: u32) -> Arc<Plan> {
    let mut scenario = bench_world(1);
    scenario.world.for_ms = WAITING_MS;
    scenario.workers.worker = Player::Sdk;
    (scenario.workers.concurrency, scenario.workers.poll_ms) = (1, 86_400_000);
    (scenario.work.at_start, scenario.work.per_second) = (0, 0);
    scenario.operators.cancel = Ratio::NEVER;
    scenario.operators.revoke = Ratio::NEVER;
    let mut plan = draw(&scenario, 1);
    plan.faults.clear();
    plan.rates.clear();
    let one = plan.workers.iter().find(|worker| worker.entry.is_some()).cloned();
    let one = one.expect("the world has a worker");
    plan.workers =
        (0..workers).map(|number| WorkerPlan { key: PartyKey(PartyKey::WORKERS + number), ..one.clone() }).collect();
    Arc::new(plan)
}

fn elapsed(plan: &Arc<Plan>) -> Duration {
    let watch = Stopwatch::start();
    black_box(simulate(plan));
    watch.elapsed()
}

fn best_of_three(plan: &Arc<Plan>) -> Duration {
    (0..3).map(|_| elapsed(plan)).min().unwrap_or_default()
}

fn times_real(plan: &Plan, elapsed: Duration) -> u128 {
    u128::from(plan.world.for_ms) * 1_000 / elapsed.as_micros().max(1)
}

/// The process's peak memory so far, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1_024)
}

fn print_table() {
    println!("{:>8} {:>12} {:>12} {:>10}", "WORKERS", "SHIPPED", "NATIVE", "PEAK MIB");
    for workers in WORKERS {
        let shipped = played(workers, Player::Sdk);
        let shipped_factor = times_real(&shipped, best_of_three(&shipped));
        let peak = peak_mib().map_or_else(|| "-".to_owned(), |mib| mib.to_string());
        let native = played(workers, Player::Native);
        let native_factor = times_real(&native, best_of_three(&native));
        println!("{workers:>8} {shipped_factor:>11}x {native_factor:>11}x {peak:>10}");
    }
    // What the world itself does in that time is taken off.
    let (few, many) = (waiting(1), waiting(101));
    let cost = best_of_three(&many).saturating_sub(best_of_three(&few));
    let per_second_ns = cost.as_nanos() / 100 / u128::from(WAITING_MS / 1_000);
    println!("\na shipped worker that only waits: {per_second_ns} ns for each simulated second\n");
}

fn simulate_sdk(criterion: &mut Criterion) {
    print_table();
    let mut group = criterion.benchmark_group("simulate_sdk");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(10));
    for workers in [100, 200] {
        let plan = played(workers, Player::Sdk);
        group.bench_with_input(BenchmarkId::new("world", workers), &plan, |bench, plan| {
            bench.iter(|| black_box(simulate(plan)));
        });
    }
    let plan = waiting(100);
    group.bench_with_input(BenchmarkId::new("waiting", 100), &plan, |bench, plan| {
        bench.iter(|| black_box(simulate(plan)));
    });
    group.finish();
}

criterion_group!(benches, simulate_sdk);
criterion_main!(benches);
