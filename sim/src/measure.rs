//! Measures the checks: which planted defect is seen by which invariant, after how many worlds and how much time.
//!
//! In go scenarios with the findings that each accepts; each defect is planted into their worlds, one after the other,
//! until the verdict on the worlds of one scenario is red: by a cause that none of these findings knows, by one that
//! comes more often than its finding allows, or by a measure over its bound. A trial does so from seeds of its own; a
//! control plants nothing and must see nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::Invariant;
use serde::Serialize;

use crate::campaign::Summary;
use crate::judge::{Finding, Verdict};
use crate::outcome::Cause;
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
    /// What is red in the worlds of a summary; nothing where the verdict is not red.
    fn red(&self, worlds: &Summary) -> BTreeSet<Red> {
        let Verdict { unexpected, known, exceeded, .. } =
            worlds.verdict(&self.accepted, &[], &self.scenario.bounds, false);
        let too_often = known.into_iter().filter(|known| known.is_too_often).filter_map(|known| {
            let finding = self.accepted.iter().find(|finding| finding.id == known.id)?;
            Some(Red::TooOften { invariant: finding.invariant.clone(), finding: known.id })
        });
        let unknown = unexpected.into_iter().map(Red::Unknown);
        unknown.chain(too_often).chain(exceeded.into_iter().map(|measure| Red::Exceeded(measure.id))).collect()
    }
}

/// One reason for a red verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Red {
    /// A cause that no accepted finding knows.
    Unknown(Cause),
    /// An accepted finding that came more often than it may.
    TooOften {
        /// The promise that it breaks.
        invariant: String,
        /// Its id.
        finding: String,
    },
    /// A measure over its bound, by its id.
    Exceeded(&'static str),
}

impl Red {
    /// The id of the invariant or of the measure that shows it.
    pub fn by(&self) -> &str {
        match self {
            Self::Unknown(cause) => cause.invariant.id(),
            Self::TooOften { invariant, .. } => invariant,
            Self::Exceeded(measure) => measure,
        }
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
    /// Whether a trial that has seen its defect goes on to the end of its round of scenarios, which names more of the
    /// invariants that see it. Worlds and time are those to the first sight.
    pub whole_rounds: bool,
    /// Trials at once.
    pub jobs: usize,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
}

/// One trial of one defect.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Worlds that were run until something was red, or all.
    pub worlds: u64,
    /// Real time of these worlds, in milliseconds.
    pub ms: u64,
    /// The scenario and the seed that showed it first; none where nothing did.
    pub shown_by: Option<(String, u64)>,
    /// Why the verdict is red there, and on the other scenarios of that round where they were run.
    pub red: BTreeSet<Red>,
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

    /// In how many trials each invariant, or each measure with a bound, has shown it.
    pub fn seen_by(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for trial in &self.trials {
            let by: BTreeSet<&str> = trial.red.iter().map(Red::by).collect();
            by.into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
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
    let broken: BTreeSet<&str> = rows.iter().flat_map(|row| row.seen_by().into_keys()).collect();
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
    let mut done = Trial { worlds: 0, ms: 0, shown_by: None, red: BTreeSet::new() };
    let mut summaries: Vec<Summary> = subjects.iter().map(|subject| Summary::of(&subject.scenario.name)).collect();
    for round in 0.. {
        for (subject, summary) in subjects.iter().zip(&mut summaries) {
            let is_shown = done.shown_by.is_some();
            let is_over = done.worlds >= options.worlds || stopwatch.elapsed() >= options.time;
            if options.stop.load(Ordering::Relaxed) || !is_shown && is_over || is_shown && !options.whole_rounds {
                return done;
            }
            let mut scenario = subject.scenario.clone();
            scenario.deviations.extend(defect);
            let seed = trial * SEEDS_APART + round;
            summary.add(seed, &run::run(&Arc::new(draw(&scenario, seed)), world::Options::default()));
            let red = subject.red(summary);
            if !is_shown {
                done.worlds += 1;
                done.ms = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
                done.shown_by = (!red.is_empty()).then_some((scenario.name, seed));
            }
            done.red.extend(red);
        }
        if done.shown_by.is_some() {
            return done;
        }
    }
    unreachable!("rounds never end by themselves")
}
