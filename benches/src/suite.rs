//! Measures every operation and path beside the floor of the same minute.

use std::process::Command;
use std::sync::Arc;

use hdrhistogram::Histogram;

use crate::closed_loop::{add, histogram};
use crate::error::Error;
use crate::floor::Floor;
use crate::gate::judge::{Question, judge};
use crate::lab::Deployed;
use crate::operation::Operation;
use crate::path::Path;
use crate::plant::Plant;
use crate::results::{Kind, Latency, Measurement, Overhead, Results};
use crate::target::Target;

/// Callers or workers at once.
pub const CONCURRENCIES: &[usize] = &[1, 8, 32, 128];
/// Partitions, where the cost depends on them.
pub const PARTITIONS: &[u16] = &[1, 4, 32, 256];
/// Partitions where it does not.
pub const USUAL_PARTITIONS: u16 = 4;

/// So often an operation is counted; each counts the same.
const COUNTED_OPERATIONS: usize = 8;
/// So often a path is counted at least.
const COUNTED_PATHS: usize = 64;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// How often each operation is performed at one concurrency.
    pub operations: usize,
    /// How often each path is gone.
    pub paths: usize,
    /// Round trips of the floor.
    pub floors: usize,
    /// Turns of harness and bare loop.
    pub turns: usize,
}

impl Profile {
    /// What CI can afford.
    pub const QUICK: Self = Self { name: "quick", operations: 1_000, paths: 300, floors: 4_000, turns: 40 };
    /// What a person waits for.
    pub const FULL: Self = Self { name: "full", operations: 4_000, paths: 2_000, floors: 20_000, turns: 80 };

    /// Long enough for a clock, however many share it.
    fn of_turn(self, concurrency: usize) -> usize {
        self.floors / 4 * (1 + concurrency / 8)
    }

    fn of_operation(self, concurrency: usize) -> usize {
        self.operations.max(concurrency * 4)
    }

    fn of_path(self, concurrency: usize) -> usize {
        self.paths.max(concurrency * 2)
    }
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A floor.
    Floor(Floor),
    /// One call.
    Operation(Operation),
    /// A way that users feel, on so many partitions.
    Path(Path, u16),
}

impl Subject {
    /// Everything, the floors first.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Floor::ALL.iter().map(|floor| Self::Floor(*floor)).collect();
        all.extend(Operation::ALL.iter().map(|operation| Self::Operation(*operation)));
        for path in Path::ALL {
            let partitions = if path.depends_on_partitions() { PARTITIONS } else { &[USUAL_PARTITIONS] };
            all.extend(partitions.iter().map(|partitions| Self::Path(*path, *partitions)));
        }
        all
    }

    /// Its name, as results carry it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor(floor) => floor.name(),
            Self::Operation(operation) => operation.name(),
            Self::Path(path, _) => path.name(),
        }
    }

    async fn measure(self, target: &Arc<Target>, profile: Profile, concurrency: usize) -> Result<Measurement, Error> {
        let partitions = match self {
            Self::Path(_, partitions) => partitions,
            _ => USUAL_PARTITIONS,
        };
        let deploy = || Deployed::on(target, partitions, Plant::default());
        let lab = deploy().await?;
        let mut beside = Beside::new(profile.of_turn(concurrency), concurrency);
        beside.measure(&lab).await?;
        let (kind, measured) = match self {
            Self::Floor(floor) => (Kind::Floor, floor.measure(&lab, profile.floors, concurrency).await?),
            Self::Operation(operation) => {
                let count = profile.of_operation(concurrency);
                (Kind::Operation, operation.measure(&lab, count, concurrency).await?)
            }
            Self::Path(path, _) => (Kind::Path, path.measure(&lab, profile.of_path(concurrency), concurrency).await?),
        };
        beside.measure(&lab).await?;
        // Counting slows the server down: it has a turn of its own.
        let lab = deploy().await?;
        let commands = match self {
            Self::Floor(floor) => floor.count(&lab).await?,
            Self::Operation(operation) => operation.count(&lab, COUNTED_OPERATIONS).await?,
            Self::Path(path, _) => path.count(&lab, COUNTED_PATHS.max(concurrency), concurrency).await?,
        };
        let (name, latency) = (self.name().to_owned(), Latency::of(&measured.latencies));
        let (concurrency, per_second) = (concurrency as u64, measured.per_second());
        let (floors, functions) = beside.multiples(latency.p50_ns);
        Ok(Measurement { name, kind, partitions, concurrency, latency, per_second, commands, floors, functions })
    }
}

/// Measures everything; `begin` is told what comes next.
///
/// # Errors
/// Those of the server and of the shipped crates.
pub async fn run(
    target: &Arc<Target>,
    profile: Profile,
    subjects: &[Subject],
    mut begin: impl FnMut(&str),
) -> Result<Results, Error> {
    let mut results = Results::new(target, profile.name)?;
    for concurrency in CONCURRENCIES.iter().copied() {
        for floor in Floor::ALL {
            begin(&format!("{floor} beside a bare loop, {concurrency} at once"));
            results.overheads.push(overhead(target, *floor, profile, concurrency).await?);
        }
        for subject in subjects {
            begin(&format!("{}, {concurrency} at once", subject.name()));
            results.measurements.push(subject.measure(target, profile, concurrency).await?);
        }
    }
    results.valkey_benchmark_ns = valkey_benchmark(target, profile.floors);
    Ok(results)
}

/// The floors right before and right after something: a scheduler that places client and server otherwise from one
/// second to the next does so for all three.
struct Beside {
    round_trips: usize,
    concurrency: usize,
    ping: Histogram<u64>,
    function: Histogram<u64>,
}

impl Beside {
    fn new(round_trips: usize, concurrency: usize) -> Self {
        Self { round_trips, concurrency, ping: histogram(), function: histogram() }
    }

    async fn measure(&mut self, lab: &Deployed) -> Result<(), Error> {
        for (floor, sum) in [(Floor::Ping, &mut self.ping), (Floor::Function, &mut self.function)] {
            add(sum, &floor.measure(lab, self.round_trips, self.concurrency).await?.latencies);
        }
        Ok(())
    }

    /// So many PINGs and trivial functions fit into a latency.
    fn multiples(&self, p50_ns: u64) -> (f64, f64) {
        let multiple = |floor: &Histogram<u64>| p50_ns as f64 / floor.value_at_quantile(0.5) as f64;
        (multiple(&self.ping), multiple(&self.function))
    }
}

/// Harness and bare loop by turns, so that the machine's minute is the same for both.
async fn overhead(target: &Arc<Target>, floor: Floor, profile: Profile, concurrency: usize) -> Result<Overhead, Error> {
    let lab = Deployed::on(target, USUAL_PARTITIONS, Plant::default()).await?;
    let count = profile.of_turn(concurrency);
    let mut turns = Vec::new();
    for turn in 0..=profile.turns {
        let (through, without) = if turn.is_multiple_of(2) {
            let through = floor.measure(&lab, count, concurrency).await?.took;
            (through, floor.bare(&lab, count, concurrency).await?)
        } else {
            let without = floor.bare(&lab, count, concurrency).await?;
            (floor.measure(&lab, count, concurrency).await?.took, without)
        };
        // The first turn warms both up.
        if turn > 0 {
            turns.push((without.as_nanos() as f64, through.as_nanos() as f64));
        }
    }
    let each = |of: fn(&(f64, f64)) -> f64| median(&mut turns.iter().map(of).collect::<Vec<_>>()) / count as f64;
    let judged = judge(&turns, Question { threshold_ppm: 50_000, risk_ppm: 50_000 });
    Ok(Overhead {
        name: floor.name().to_owned(),
        concurrency: concurrency as u64,
        harness_ns: each(|turn| turn.1) as u64,
        bare_ns: each(|turn| turn.0) as u64,
        ratio: judged.ratio,
        low: judged.low,
        high: judged.high,
    })
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// What Valkey's own tool measures for a PING on one connection; none where it is not installed.
fn valkey_benchmark(target: &Target, count: usize) -> Option<u64> {
    let address = target.primaries().first()?;
    let output = Command::new("valkey-benchmark")
        .args(["-h", &address.host, "-p", &address.port.to_string()])
        .args(["-c", "1", "-n", &count.to_string(), "-t", "ping_mbulk", "--csv"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "test","rps","avg_latency_ms",…
    let rate = text.lines().find(|line| line.starts_with("\"PING"))?.split(',').nth(1)?;
    let rate: f64 = rate.trim_matches('"').parse().ok()?;
    Some((1e9 / rate) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::closed_loop::record;
    use crate::lab::TASKS_AT_ONCE;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_multiple_is_one_of_the_median_of_all_floors_beside_it() {
        let mut beside = Beside::new(2, 1);
        for nanoseconds in [10, 20, 20, 90] {
            record(&mut beside.ping, Duration::from_nanos(nanoseconds));
            record(&mut beside.function, Duration::from_nanos(2 * nanoseconds));
        }
        assert_eq!(beside.multiples(80), (4.0, 2.0));
    }

    #[test]
    fn a_worker_may_hold_as_many_tasks_as_any_path_needs() {
        for profile in [Profile::QUICK, Profile::FULL] {
            assert!(CONCURRENCIES.iter().all(|concurrency| profile.of_path(*concurrency) <= TASKS_AT_ONCE));
        }
    }

    #[test]
    fn every_operation_and_path_is_measured() {
        let names: Vec<&str> = Subject::all().iter().map(|subject| subject.name()).collect();
        assert!(Operation::ALL.iter().all(|operation| names.contains(&operation.name())));
        assert_eq!(names.iter().filter(|name| **name == Path::ClaimNext.name()).count(), PARTITIONS.len());
    }
}
