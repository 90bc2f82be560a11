//! Measures the checks: which planted defect is seen by which invariant, after how many worlds and how much time.
//!
//! In go scenarios with the findings that each accepts; each defect is planted into their worlds, one after the other,
//! until a cause is met that none of these findings knows. A trial does so from seeds of its own; a control plants
//! nothing and must meet nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::Invariant;
use serde::Serialize;

use crate::judge::Finding;
use crate::outcome::{Cause, Outcome};
use crate::plan::draw;
use crate::run;
use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;
use crate::world;

/// The seeds of one trial begin so far after those of the one before.
const SEEDS_APART: u64 = 10_000;

/// A scenario with what is known of it.
#[derive(Clone)]
pub struct Subject {
    /// The scenario.
    pub scenario: Scenario,
    /// The findings that it accepts.
    pub accepted: Vec<Finding>,
}

impl Subject {
    /// The causes of an outcome that no accepted finding knows.
    fn unknown(&self, outcome: &Outcome) -> BTreeSet<Cause> {
        let causes = outcome.violations.iter().map(|violation| violation.cause());
        causes.filter(|cause| !self.accepted.iter().any(|finding| finding.knows(cause))).collect()
    }
}

/// How to measure.
pub struct Options {
    /// Trials of each defect.
    pub trials: u64,
    /// A trial ends unseen after so much real time, of one core.
    pub time: Duration,
    /// A trial ends unseen after so many worlds.
    pub worlds: u64,
    /// Trials at once.
    pub jobs: usize,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
}

/// One trial of one defect.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Worlds that were run.
    pub worlds: u64,
    /// Real time, in milliseconds.
    pub ms: u64,
    /// The scenario and the seed that showed it; none where nothing did.
    pub shown_by: Option<(String, u64)>,
    /// The causes that were met there and that nobody knows.
    pub causes: BTreeSet<Cause>,
}

/// What became of one defect; the control has none.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The planted defect; none for the control.
    pub defect: Option<Deviation>,
    /// Its trials.
    pub trials: Vec<Trial>,
}

impl Row {
    /// Whether every trial has shown it.
    pub fn is_seen(&self) -> bool {
        self.trials.iter().all(|trial| trial.shown_by.is_some())
    }

    /// In how many trials each invariant was broken.
    pub fn invariants(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for trial in &self.trials {
            let broken: BTreeSet<&str> = trial.causes.iter().map(|cause| cause.invariant.id()).collect();
            broken.into_iter().for_each(|invariant| *counts.entry(invariant).or_default() += 1);
        }
        counts
    }

    /// The median and the 95th percentile of a number over the trials.
    pub fn spread(&self, of: impl Fn(&Trial) -> u64) -> (u64, u64) {
        let mut numbers: Vec<u64> = self.trials.iter().map(of).collect();
        numbers.sort_unstable();
        let at = |percent: usize| numbers.get((numbers.len().saturating_sub(1) * percent).div_ceil(100)).copied();
        (at(50).unwrap_or_default(), at(95).unwrap_or_default())
    }
}

/// The invariants that no planted defect has broken.
pub fn unbroken(rows: &[Row]) -> Vec<Invariant> {
    let broken: BTreeSet<&str> = rows.iter().flat_map(|row| row.invariants().into_keys()).collect();
    Invariant::ALL.iter().copied().filter(|invariant| !broken.contains(invariant.id())).collect()
}

/// Measures every defect and a control; `progress` hears of each row that is done.
pub fn measure(
    subjects: &[Subject],
    defects: &[Deviation],
    options: &Options,
    mut progress: impl FnMut(&Row),
) -> Vec<Row> {
    let planted: Vec<Option<Deviation>> = std::iter::once(None).chain(defects.iter().copied().map(Some)).collect();
    let wanted: Vec<(usize, u64)> =
        (0..planted.len()).flat_map(|row| (0..options.trials).map(move |trial| (row, trial))).collect();
    let next = Mutex::new(wanted.into_iter());
    let mut rows: Vec<Row> = planted.iter().map(|defect| Row { defect: *defect, trials: Vec::new() }).collect();
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            let (send, next, planted) = (send.clone(), &next, &planted);
            scope.spawn(move || {
                loop {
                    let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((row, trial)) = taken.filter(|_| !options.stop.load(Ordering::Relaxed)) else { return };
                    let done = try_once(subjects, planted[row], trial, options);
                    if send.send((row, done)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (row, trial) in receive {
            rows[row].trials.push(trial);
            if rows[row].trials.len() as u64 == options.trials {
                progress(&rows[row]);
            }
        }
    });
    rows
}

fn try_once(subjects: &[Subject], defect: Option<Deviation>, trial: u64, options: &Options) -> Trial {
    let stopwatch = Stopwatch::start();
    let mut worlds = 0;
    let ms = |stopwatch: Stopwatch| u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
    for round in 0.. {
        for subject in subjects {
            let is_over = worlds >= options.worlds || stopwatch.elapsed() >= options.time;
            if is_over || options.stop.load(Ordering::Relaxed) {
                return Trial { worlds, ms: ms(stopwatch), shown_by: None, causes: BTreeSet::new() };
            }
            let mut scenario = subject.scenario.clone();
            scenario.deviations.extend(defect);
            let seed = trial * SEEDS_APART + round;
            worlds += 1;
            let outcome = run::run(&Arc::new(draw(&scenario, seed)), world::Options::default());
            let causes = subject.unknown(&outcome);
            if !causes.is_empty() {
                let shown_by = Some((scenario.name, seed));
                return Trial { worlds, ms: ms(stopwatch), shown_by, causes };
            }
        }
    }
    unreachable!("rounds never end by themselves")
}
