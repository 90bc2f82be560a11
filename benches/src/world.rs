//! The simulated worlds that benches measure.

use std::path::Path;
use std::sync::Arc;

use claimlab::campaign::Summary;
use claimlab::clock::TrueTime;
use claimlab::outcome::Outcome;
use claimlab::plan::{Plan, draw};
use claimlab::run::run;
use claimlab::scenario::{self, Scenario};
use claimlab::world::Options;

/// The checked-in bench world with a number of workers; work grows with them, so that as many hold a lease.
///
/// # Panics
/// When the checked-in file is no scenario.
pub fn bench_world(workers: u32) -> Scenario {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/world.toml"));
    let mut scenario = scenario::read(file).expect("the bench world is a scenario");
    let scaled = |count: u32| u32::try_from(u64::from(count) * u64::from(workers) / 2_000).unwrap_or(u32::MAX);
    scenario.work.at_start = scaled(scenario.work.at_start);
    scenario.work.per_second = scaled(scenario.work.per_second);
    scenario.workers.count = workers;
    // Larger worlds make more calls in each simulated second; a shorter one measures as many.
    scenario.world.for_ms = scenario.world.for_ms * 2_000 / u64::from(workers.max(2_000));
    scenario
}

/// The bench world's plan under a fixed seed.
pub fn bench_plan(workers: u32) -> Arc<Plan> {
    Arc::new(draw(&bench_world(workers), 1))
}

/// Runs the faulty phase of a plan.
pub fn simulate(plan: &Arc<Plan>) -> Outcome {
    let until = Some(TrueTime::from_ms(plan.world.for_ms));
    run(plan, Options { until, ..Options::default() })
}

/// Runs the same workers on the bare substrate for so long.
pub fn bare(plan: &Arc<Plan>, until: TrueTime) -> Outcome {
    run(plan, Options { until: Some(until), bare: true, ..Options::default() })
}

/// Calls without the scans that found nothing, those scans, and messages of a run.
pub fn calls(plan: &Plan, outcome: &Outcome) -> (u64, u64, u64) {
    let mut summary = Summary::of(&plan.scenario);
    summary.add(plan.seed, outcome);
    (summary.calls, summary.empty_scans, summary.messages)
}
