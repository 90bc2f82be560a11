//! An open loop: work arrives at a fixed rate whether or not the last of it is done.
//!
//! Every latency is counted from when its execution was due, not from when the harness came round to it:
//! a server that stands still for a second makes a second's arrivals late, and all of them show it.

mod arrivals;
mod failures;
pub mod logs;
mod renewals;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claimlab::stopwatch::Stopwatch;
use ff_core::engine_backend::EngineBackend;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::closed_loop::{add, histogram};
use crate::error::Error;
use crate::lab::Deployed;
use crate::plant::Plant;
use crate::results::{Latency, Load, Second};
use crate::target::Target;
use arrivals::Arrivals;
use failures::Failures;
use renewals::Renewals;

/// Done at most so long after it was due and had run, an execution is done in time.
const IN_TIME: Duration = Duration::from_secs(1);
/// So many millionths of what was due must be.
const DONE_PPM: u64 = 990_000;

/// What is offered.
#[derive(Clone, Debug)]
pub struct Options {
    /// Arrivals in each second.
    pub rate: u64,
    /// For so long.
    pub lasts: Duration,
    /// Shipped workers, each looking for one task at a time.
    pub workers: usize,
    /// Partitions of the deployment.
    pub partitions: u16,
    /// Each task runs for so long.
    pub run: Duration,
    /// Under a lease of so long.
    pub lease_ttl_ms: u64,
    /// How long a worker sleeps that found nothing.
    pub poll: Duration,
    /// How long after the last arrival the rest is waited for.
    pub drain: Duration,
    /// Above this tail a rate is not sustained.
    pub limit_p99: Duration,
}

/// A load with its histograms, of nanoseconds.
pub struct Loaded {
    /// What it came to.
    pub load: Load,
    /// Second by second, from due to completed, for a log file.
    pub seconds: Vec<Histogram<u64>>,
}

/// What is shared by everybody in a load.
struct Shared {
    lab: Arc<Deployed>,
    began: Stopwatch,
    arrivals: Arrivals,
    options: Options,
    /// Nobody looks for work any more.
    is_over: AtomicBool,
    renewals: Arc<Renewals>,
    failures: Failures,
}

/// Offers a load; `each` is told arrivals and completions about ten times in a second.
///
/// # Errors
/// When nothing can be deployed, or nothing at all could be created: that is no load.
pub async fn run(target: &Arc<Target>, options: Options, each: impl Fn(u64, u64)) -> Result<Loaded, Error> {
    let lab = Deployed::on(target, options.partitions, Plant::default()).await?;
    let renewals = Arc::new(Renewals::new(options.lease_ttl_ms, options.run));
    let backend = renewals::counting(&lab.backend, &renewals);
    let mut workers = Vec::new();
    for _ in 0..options.workers {
        workers.push(lab.worker(Arc::clone(&backend) as Arc<dyn EngineBackend>, options.lease_ttl_ms).await?);
    }
    let arrivals = Arrivals::new(options.rate, options.lasts);
    let shared = Arc::new(Shared {
        lab,
        began: Stopwatch::start(),
        arrivals,
        options,
        is_over: AtomicBool::new(false),
        renewals,
        failures: Failures::default(),
    });
    let mut running = JoinSet::new();
    for worker in workers {
        running.spawn(worker::work(Arc::clone(&shared), worker));
    }
    let creating = tokio::spawn(arrivals::create_all(Arc::clone(&shared)));
    let last = shared.options.lasts + shared.options.drain;
    while shared.began.elapsed() < last && !shared.arrivals.all_done() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (created, completed) = shared.arrivals.progress();
        each(created, completed);
    }
    shared.is_over.store(true, Ordering::Relaxed);
    creating.await??;
    let took = shared.began.elapsed();
    let mut tasks_of_workers = Vec::new();
    while let Some(ended) = running.join_next().await {
        tasks_of_workers.push(ended?);
    }
    match shared.failures.all() {
        (_, _, Some(first)) if shared.arrivals.progress().0 == 0 => {
            Err(Error::Unexpected { what: "every create_execution", found: first })
        }
        _ => Ok(loaded(&shared, tasks_of_workers, took)),
    }
}

fn loaded(shared: &Shared, tasks_of_workers: Vec<u64>, took: Duration) -> Loaded {
    let Options { rate, lasts, workers, partitions, run, lease_ttl_ms, limit_p99, .. } = shared.options.clone();
    let arrivals = &shared.arrivals;
    let seconds = arrivals.completions(took);
    let mut complete = histogram();
    seconds.iter().for_each(|of_second| add(&mut complete, of_second));
    let due = arrivals.count();
    let (created, completed) = arrivals.progress();
    // How long a task runs is nobody's delay.
    let completed_in_time = arrivals.completed_within(run + IN_TIME);
    let latency = Latency::of(&complete);
    let in_time = completed_in_time * 1_000_000 >= due * DONE_PPM;
    let sustained = in_time && u128::from(latency.p99_ns) <= (run + limit_p99).as_nanos();
    let (sent, create) = arrivals.latencies();
    let (renewals_due, renewals_missed) = shared.renewals.due_and_missed();
    let (failed_creates, failed_calls_of_workers, first_failure) = shared.failures.all();
    let load = Load {
        rate,
        for_ms: lasts.as_millis() as u64,
        workers: workers as u64,
        partitions,
        run_ms: run.as_millis() as u64,
        lease_ttl_ms,
        due,
        created,
        completed,
        completed_in_time,
        failed_creates,
        failed_calls_of_workers,
        first_failure,
        sent: Latency::of(&sent),
        create: Latency::of(&create),
        claim: Latency::of(&arrivals.claims()),
        complete: latency,
        renewals_due,
        renewals_missed,
        fairness: jain(&tasks_of_workers),
        tasks_of_workers,
        seconds: (0..)
            .zip(&seconds)
            .map(|(second, of_second)| Second { second, complete: Latency::of(of_second) })
            .collect(),
        percentiles: percentiles(&complete),
        sustained,
    };
    Loaded { load, seconds }
}

/// Jain's index: 1 where all have the same, 1/n where one has all.
fn jain(counts: &[u64]) -> f64 {
    let sum: f64 = counts.iter().map(|count| *count as f64).sum();
    let squares: f64 = counts.iter().map(|count| *count as f64 * *count as f64).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (counts.len() as f64 * squares) }
}

/// Halving what is left with each step, as far as there is anything.
fn percentiles(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let steps = histogram.iter_quantiles(4);
    steps.map(|step| ((step.quantile_iterated_to() * 1e6) as u64, step.value_iterated_to())).collect()
}

/// The highest rate up to which every rate was sustained; none where the first was not.
pub fn knee(loads: &[Load]) -> Option<u64> {
    let mut by_rate: Vec<&Load> = loads.iter().collect();
    by_rate.sort_by_key(|load| load.rate);
    by_rate.iter().take_while(|load| load.sustained).last().map(|load| load.rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_where_all_have_the_same_and_a_share_where_one_has_all() {
        assert_eq!(jain(&[5, 5, 5, 5]), 1.0);
        assert_eq!(jain(&[20, 0, 0, 0]), 0.25);
        assert_eq!(jain(&[0, 0]), 1.0);
    }
}
