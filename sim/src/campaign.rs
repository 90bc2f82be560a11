//! Many seeds of one scenario: each a run of its own, all together one summary.
//!
//! Results are merged by operations that do not care about their order, so the summary is the same for
//! any number of jobs, and memory does not grow with the number of seeds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use claimlab_model::backend::Method;
use claimlab_model::invariant::Invariant;
use serde::Serialize;

use crate::clock::TrueTime;
use crate::history::Observer;
use crate::judge::{Evidence, Finding, Measure, Verdict, judge, measures};
use crate::outcome::{Cause, Completions, End, Outcome, Runs, Violation};
use crate::plan::{Plan, draw};
use crate::run;
use crate::scenario::{Bounds, Scenario};
use crate::stopwatch::Stopwatch;
use crate::story::{Collector, Story};
use crate::world;

/// Which seeds to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The first.
    pub first: u64,
    /// How many; none for as many as the time allows.
    pub count: Option<u64>,
}

/// How a campaign is run.
pub struct Options {
    /// Which seeds.
    pub seeds: Seeds,
    /// Runs at once.
    pub jobs: usize,
    /// No new seed is started after so much real time.
    pub time: Option<Duration>,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
    /// Checks of one's own, beside the catalogue's.
    pub checks: world::Checks,
}

/// One cause over all seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Violations.
    pub count: u64,
    /// Seeds that had at least one.
    pub seeds: u64,
    /// The smallest of them.
    pub smallest_seed: u64,
    /// That seed's first violation.
    pub first: Violation,
}

/// Everything that a campaign counted; no real time in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The scenario.
    pub scenario: String,
    /// Seeds run.
    pub seeds: u64,
    /// Seeds in which something was violated, accepted or not.
    pub seeds_with_violations: u64,
    /// Seeds without an answer, by reason: how many, and the smallest.
    pub undecided: BTreeMap<String, (u64, u64)>,
    /// Whether somebody ended the campaign before all its seeds were run.
    pub interrupted: bool,
    /// Seeds that panicked, with the message.
    pub panicked: BTreeMap<u64, String>,
    /// Trait calls, but for scans that found nothing.
    pub calls: u64,
    /// Scans that found nothing.
    pub empty_scans: u64,
    /// Messages that the server performed.
    pub messages: u64,
    /// Functions among them.
    pub scripts: u64,
    /// Events of the worlds.
    pub events: u64,
    /// Simulated time of all seeds, in milliseconds.
    pub simulated_ms: u64,
    /// Executions created.
    pub executions: u64,
    /// Executions not terminal at the end.
    pub unfinished: u64,
    /// Runs of executions by workers.
    pub runs: Runs,
    /// Acknowledged writes that a replica lacked.
    pub lost_writes: u64,
    /// Completions that somebody listened to.
    pub completions: Completions,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// How often each invariant was looked at.
    pub checked: BTreeMap<String, u64>,
    /// Calls by method and outcome.
    pub methods: BTreeMap<String, BTreeMap<String, u64>>,
    /// Functions by name and outcome.
    pub outcomes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Planned faults that struck nobody.
    pub unstruck: u64,
    /// Violations by cause.
    pub causes: BTreeMap<Cause, Group>,
}

impl Summary {
    /// An empty summary of a scenario.
    pub fn of(scenario: &str) -> Self {
        let checked = Invariant::ALL.iter().map(|invariant| (invariant.id().to_owned(), 0)).collect();
        Self { scenario: scenario.to_owned(), checked, ..Self::default() }
    }

    /// Adds one seed's outcome.
    pub fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.seeds_with_violations += u64::from(!outcome.violations.is_empty());
        let mut undecided = |why: &str| {
            let (count, smallest) = self.undecided.entry(why.to_owned()).or_insert((0, seed));
            *count += 1;
            *smallest = seed.min(*smallest);
        };
        match &outcome.end {
            End::Held | End::Violated => {}
            End::Undecided(reasons) => reasons.iter().for_each(|why| undecided(why)),
            End::Panicked(message) => {
                undecided("the run panicked");
                self.panicked.insert(seed, message.clone());
            }
        }
        let counts = &outcome.counts;
        self.messages += counts.messages;
        self.scripts += counts.scripts;
        self.events += counts.events;
        self.simulated_ms += outcome.ended_at.ms();
        self.executions += counts.created;
        self.unfinished += counts.unfinished;
        self.unstruck += outcome.unstruck.len() as u64;
        self.runs.merge(counts.runs);
        self.lost_writes += counts.lost_writes;
        self.completions.merge(counts.completions);
        for (kind, count) in &counts.faults {
            *self.faults.entry((*kind).to_owned()).or_default() += count;
        }
        for (invariant, count) in &counts.checked {
            *self.checked.entry(invariant.id().to_owned()).or_default() += count;
        }
        for ((script, outcome), count) in counts.scripts() {
            *self.outcomes.entry(script.to_owned()).or_default().entry(outcome.to_owned()).or_default() += count;
        }
        for (method, counts) in Method::ALL.iter().zip(&counts.methods) {
            for (outcome, count) in counts {
                let empty = *method == Method::ScanEligible && *outcome == "empty";
                *if empty { &mut self.empty_scans } else { &mut self.calls } += count;
                let outcomes = self.methods.entry(method.name().to_owned()).or_default();
                *outcomes.entry((*outcome).to_owned()).or_default() += count;
            }
        }
        let mut of_seed: BTreeMap<Cause, (u64, &Violation)> = BTreeMap::new();
        for violation in &outcome.violations {
            of_seed.entry(violation.cause()).or_insert((0, violation)).0 += 1;
        }
        for (cause, (count, first)) in of_seed {
            let fresh = || Group { count: 0, seeds: 0, smallest_seed: seed, first: first.clone() };
            let group = self.causes.entry(cause).or_insert_with(fresh);
            group.count += count;
            group.seeds += 1;
            if seed < group.smallest_seed {
                group.smallest_seed = seed;
                group.first = first.clone();
            }
        }
    }

    /// The verdict, with what is known and what has to be looked at.
    pub fn verdict(&self, accepted: &[Finding], must_exercise: &[String], bounds: &Bounds, strict: bool) -> Verdict {
        let mut undecided: Vec<String> = self
            .undecided
            .iter()
            .map(|(why, (count, smallest))| match count {
                1 => format!("{why} (seed {smallest})"),
                _ => format!("{why} ({count} seeds, smallest {smallest})"),
            })
            .collect();
        if self.interrupted {
            undecided.push("interrupted before all seeds were run".to_owned());
        }
        if self.seeds == 0 {
            undecided.push("no seed was run".to_owned());
        }
        let scripts = self.outcomes.iter().flat_map(|(script, results)| {
            results.iter().map(move |(result, count)| (format!("{script}={result}"), *count))
        });
        let evidence = Evidence {
            causes: self.causes.iter().map(|(cause, group)| (*cause, group.count)).collect(),
            scripts: scripts.collect(),
            looks: self.checked.clone(),
            executions: self.executions,
            measures: self.measures(bounds),
            undecided,
        };
        // What one seed leaves out another may show, so the promise is the campaign's; an interrupted one is excused.
        let promised = if self.interrupted { &[] } else { must_exercise };
        judge(&evidence, accepted, promised, strict)
    }

    /// What was measured, beside the bounds that a scenario sets.
    pub fn measures(&self, bounds: &Bounds) -> Vec<Measure> {
        measures(&self.runs, self.lost_writes, bounds)
    }
}

/// Runs a campaign; `progress` hears of every seed that is done. A seed that panics is counted, and the others go on.
pub fn run(scenario: &Scenario, options: &Options, mut progress: impl FnMut(&Summary)) -> Summary {
    let mut summary = Summary::of(&scenario.name);
    let (send, receive) = mpsc::channel();
    let stopwatch = Stopwatch::start();
    let mut next = options.seeds.first;
    let mut left = options.seeds.count;
    let mut under_way = 0;
    loop {
        let in_time = options.time.is_none_or(|time| stopwatch.elapsed() < time);
        let wanted = in_time && left != Some(0) && !options.stop.load(Ordering::Relaxed);
        if wanted && under_way < options.jobs {
            let (send, stop) = (send.clone(), Arc::clone(&options.stop));
            let seed = next;
            let checks = options.checks.clone();
            let of_world = world::Options { stop, checks, ..world::Options::default() };
            run::start(&Arc::new(draw(scenario, seed)), of_world, move |outcome| {
                // Nobody listens any more when the campaign is over.
                let _ = send.send((seed, outcome));
            });
            under_way += 1;
            left = left.map(|left| left - 1);
            match next.checked_add(1) {
                Some(following) => next = following,
                None => left = Some(0),
            }
            continue;
        }
        if under_way == 0 {
            summary.interrupted = left != Some(0) && options.stop.load(Ordering::Relaxed);
            return summary;
        }
        match receive.recv_timeout(Duration::from_millis(200)) {
            Ok((seed, outcome)) => {
                under_way -= 1;
                summary.add(seed, &outcome);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return summary,
        }
        progress(&summary);
    }
}

/// Runs a plan again with observers on.
pub fn replay(plan: &Arc<Plan>, observers: Vec<Box<dyn Observer>>) -> Outcome {
    run::run(plan, world::Options { observers, ..world::Options::default() })
}

/// The stories of a plan's violations, from a second run up to the last of them with the checks that found them: being
/// listened to makes a large world several times as slow.
pub fn stories(plan: &Arc<Plan>, violations: &[&Violation], checks: &world::Checks) -> Vec<Story> {
    let collectors: Vec<Collector> = violations.iter().map(|violation| Collector::of((*violation).clone())).collect();
    let observers = collectors.iter().map(|collector| Box::new(collector.clone()) as Box<dyn Observer>).collect();
    let until = violations.iter().map(|violation| TrueTime::from_us(violation.at_us)).max();
    run::run(plan, world::Options { observers, checks: checks.clone(), until, ..world::Options::default() });
    collectors.iter().map(Collector::story).collect()
}

/// The story of one violation.
pub fn story(plan: &Arc<Plan>, violation: &Violation, checks: &world::Checks) -> Story {
    stories(plan, &[violation], checks).pop().unwrap_or_default()
}
