//! The hunt: worlds of every kind, as fast as they go, until somebody has had enough.
//!
//! In go the tables of scenarios and what is known; out come broken promises that nobody knows, each with the plan that
//! shows it, and what was reached. Each seed draws which operations, parties, faults and parameters its world has at all
//! ([`swarm`]). What becomes of a find is decided outside.

pub mod swarm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::Invariant;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;
use serde::Serialize;
use toml::Table;

use crate::outcome::{Cause, End, Outcome, Violation, Wanted};
use crate::plan::{Plan, draw};
use crate::run;
use crate::scenario;
use crate::stopwatch::Stopwatch;
use crate::world;

/// Where worlds are drawn from: a scenario's name and its table.
pub type Base = (String, Table);

/// The base that has everything.
pub fn everything() -> Table {
    include_str!("everything.toml").parse().expect("the base is a table")
}

/// How to hunt.
pub struct Options {
    /// The first seed.
    pub first: u64,
    /// Worlds at once.
    pub jobs: usize,
    /// No world is started after so much real time.
    pub time: Duration,
    /// Ends the hunt when so many worlds in a row have reached nothing new.
    pub plateau: Option<u64>,
    /// Set when a find was made that is enough; ends the hunt.
    pub enough: Arc<AtomicBool>,
    /// Deviations of every world's model.
    pub deviations: Vec<Deviation>,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
}

/// A broken promise that nobody knew before.
#[derive(Clone, Debug)]
pub struct Find {
    /// Its cause.
    pub cause: Cause,
    /// What was seen.
    pub violation: Violation,
    /// The plan that shows it.
    pub plan: Arc<Plan>,
    /// The scenario that was drawn, as text.
    pub world: String,
    /// The seed, of that scenario and of what was drawn from the base.
    pub seed: u64,
    /// After how many worlds.
    pub worlds: u64,
    /// After how much real time, in milliseconds.
    pub ms: u64,
}

/// How far a hunt is, and what it came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// Worlds that were run.
    pub worlds: u64,
    /// Messages of all worlds.
    pub messages: u64,
    /// Worlds in which something was broken, known or not.
    pub red: u64,
    /// Worlds without an answer, by reason.
    pub undecided: BTreeMap<String, u64>,
    /// Seeds that panicked, with the message.
    pub panicked: BTreeMap<u64, String>,
    /// Different things that were reached.
    pub reached: u64,
    /// How many there were after so many milliseconds.
    pub over_time: Vec<(u64, u64)>,
    /// Causes that were seen, with the worlds that showed them.
    pub causes: BTreeMap<Cause, u64>,
    /// How often each invariant was looked at.
    pub checked: BTreeMap<&'static str, u64>,
    /// Why it ended, in a few words.
    pub ended: &'static str,
}

impl Progress {
    /// Invariants that no world has looked at.
    pub fn never_checked(&self) -> Vec<&'static str> {
        let is_checked = |id: &str| self.checked.get(id).is_some_and(|count| *count > 0);
        Invariant::ALL.iter().map(|invariant| invariant.id()).filter(|id| !is_checked(id)).collect()
    }

    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.worlds += 1;
        self.messages += outcome.counts.messages;
        self.red += u64::from(!outcome.violations.is_empty());
        match &outcome.end {
            End::Held | End::Violated => {}
            End::Undecided(reasons) => {
                reasons.iter().for_each(|why| *self.undecided.entry(why.clone()).or_default() += 1)
            }
            End::Panicked(message) => drop(self.panicked.insert(seed, message.clone())),
        }
        for (invariant, count) in &outcome.counts.checked {
            *self.checked.entry(invariant.id()).or_default() += count;
        }
        let causes: BTreeSet<Cause> = outcome.violations.iter().map(Violation::cause).collect();
        causes.into_iter().for_each(|cause| *self.causes.entry(cause).or_default() += 1);
    }
}

/// One world's result on its way to whoever lays them together.
struct Done {
    seed: u64,
    base: usize,
    plan: Arc<Plan>,
    outcome: Outcome,
}

/// The scenario of a seed. Each base has its turn.
///
/// # Errors
/// What keeps the drawn table from being a scenario: a defect of the swarm.
fn world_of(bases: &[Base], seed: u64, deviations: &[Deviation]) -> (usize, Table, Result<scenario::Scenario, String>) {
    let base = (seed % bases.len() as u64) as usize;
    let (name, table) = &bases[base];
    let table = swarm::draw(table, seed);
    let scenario = scenario::from_table(name, table.clone()).map(|mut scenario| {
        scenario.deviations.extend(deviations);
        scenario
    });
    (base, table, scenario)
}

/// Hunts; `found` hears of each cause that `is_known` does not know, once, and `told` of every world.
pub fn hunt(
    bases: &[Base],
    options: &Options,
    is_known: impl Fn(&Cause) -> bool,
    mut found: impl FnMut(Find),
    mut told: impl FnMut(&Progress),
) -> Progress {
    let stopwatch = Stopwatch::start();
    let next = AtomicU64::new(options.first);
    let over = AtomicBool::new(false);
    let (send, receive) = mpsc::sync_channel::<Done>(64);
    let mut progress = Progress::default();
    let mut reached: HashSet<u64, FxBuildHasher> = HashSet::default();
    let mut finds: BTreeSet<Wanted> = BTreeSet::new();
    let mut since_new = 0_u64;
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            let (send, next, over) = (send.clone(), &next, &over);
            let worker = move || {
                let is_over = || {
                    over.load(Ordering::Relaxed)
                        || options.stop.load(Ordering::Relaxed)
                        || stopwatch.elapsed() >= options.time
                };
                while !is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let (base, _, scenario) = world_of(bases, seed, &options.deviations);
                    let scenario = scenario.unwrap_or_else(|why| panic!("seed {seed} draws no scenario: {why}"));
                    let plan = Arc::new(draw(&scenario, seed));
                    let of_world = world::Options {
                        stop: Arc::clone(&options.stop),
                        keep_reached: true,
                        ..world::Options::default()
                    };
                    let outcome = run::here(&plan, of_world);
                    if send.send(Done { seed, base, plan, outcome }).is_err() {
                        return;
                    }
                }
            };
            #[allow(clippy::disallowed_methods)]
            let thread = run::builder().spawn_scoped(scope, worker);
            drop(thread.expect("the system gives another thread"));
        }
        drop(send);
        for Done { seed, base, plan, outcome } in receive.iter() {
            let is_interrupted = options.stop.load(Ordering::Relaxed);
            if is_interrupted && matches!(outcome.end, End::Undecided(_)) {
                continue;
            }
            progress.add(seed, &outcome);
            let before = reached.len();
            reached.extend(&outcome.reached);
            since_new = if reached.len() > before { 0 } else { since_new + 1 };
            progress.reached = reached.len() as u64;
            let ms = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
            // A point for each doubling of the time, and then for each minute.
            let last = progress.over_time.last().map_or(500, |(ms, _)| *ms);
            if ms >= (last * 2).min(last + 60_000) {
                progress.over_time.push((ms, progress.reached));
            }
            for violation in &outcome.violations {
                let cause = violation.cause();
                if is_known(&cause) || !finds.insert(Wanted::of(&cause)) {
                    continue;
                }
                let (_, table, _) = world_of(bases, seed, &options.deviations);
                let (violation, worlds, name) = (violation.clone(), progress.worlds, &bases[base].0);
                let world = format!("# Drawn from {name} by seed {seed}.\n\n{table}");
                found(Find { cause, violation, plan: Arc::clone(&plan), world, seed, worlds, ms });
            }
            if options.enough.load(Ordering::Relaxed) {
                progress.ended = "the first find was made";
                over.store(true, Ordering::Relaxed);
            }
            if options.plateau.is_some_and(|plateau| since_new >= plateau) {
                progress.ended = "nothing new was reached any more";
                over.store(true, Ordering::Relaxed);
            }
            told(&progress);
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        // Whoever still has a result to tell is not waited for.
        drop(receive);
    });
    if progress.ended.is_empty() {
        progress.ended = if options.stop.load(Ordering::Relaxed) { "it was interrupted" } else { "the time was up" };
    }
    progress
}
