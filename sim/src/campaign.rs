//! Many seeds of one scenario: each a run on a fresh thread, all together one summary.
//!
//! Results are merged by operations that do not care about their order, so the summary is the same for
//! any number of jobs, and memory does not grow with the number of seeds.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use claimlab_model::backend::Method;
use claimlab_model::invariant::Invariant;
use serde::Serialize;

use crate::check::{Verdict, judge};
use crate::history::{Finding, Observer, Story};
use crate::plan::{Plan, draw};
use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;
use crate::world::{self, Completions, RunResult, Runs, Watch};

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
}

/// One signature over all seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Violations.
    pub count: u64,
    /// Seeds that had at least one.
    pub seeds: u64,
    /// The smallest of them.
    pub smallest_seed: u64,
    /// That seed's first violation.
    pub first: Finding,
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
    /// Seeds without an answer, by reason.
    pub undecided: BTreeMap<String, u64>,
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
    /// Violations by signature.
    pub findings: BTreeMap<String, Group>,
}

impl Summary {
    /// An empty summary of a scenario.
    pub fn of(scenario: &str) -> Self {
        let checked = Invariant::ALL.iter().map(|invariant| (invariant.id().to_owned(), 0)).collect();
        Self { scenario: scenario.to_owned(), checked, ..Self::default() }
    }

    /// Adds one seed's result.
    pub fn add(&mut self, seed: u64, result: &RunResult) {
        self.seeds += 1;
        self.seeds_with_violations += u64::from(!result.tally.findings.is_empty());
        if let Some(why) = &result.undecided {
            *self.undecided.entry(why.clone()).or_default() += 1;
        }
        self.messages += result.tally.messages;
        self.scripts += result.tally.scripts;
        self.events += result.tally.events;
        self.simulated_ms += result.ended_at.ms();
        self.executions += result.executions.0 as u64;
        self.unfinished += result.executions.1 as u64;
        self.runs.merge(result.runs);
        self.completions.merge(result.completions);
        for (kind, count) in &result.tally.faults {
            *self.faults.entry((*kind).to_owned()).or_default() += count;
        }
        for (invariant, count) in &result.checked {
            *self.checked.entry(invariant.id().to_owned()).or_default() += count;
        }
        for ((script, outcome), count) in result.tally.script_counts() {
            *self.outcomes.entry(script.to_owned()).or_default().entry(outcome.to_owned()).or_default() += count;
        }
        for (method, counts) in Method::ALL.iter().zip(&result.methods) {
            for (outcome, count) in counts {
                let empty = *method == Method::ScanEligible && *outcome == "empty";
                *if empty { &mut self.empty_scans } else { &mut self.calls } += count;
                let outcomes = self.methods.entry(method.name().to_owned()).or_default();
                *outcomes.entry((*outcome).to_owned()).or_default() += count;
            }
        }
        for (signature, (count, first)) in &result.tally.findings {
            let fresh = || Group { count: 0, seeds: 0, smallest_seed: seed, first: first.clone() };
            let group = self.findings.entry(signature.clone()).or_insert_with(fresh);
            group.count += count;
            group.seeds += 1;
            if seed < group.smallest_seed {
                group.smallest_seed = seed;
                group.first = first.clone();
            }
        }
    }

    /// The verdict under a list of accepted signatures.
    pub fn verdict<'a>(&'a self, accepted: impl IntoIterator<Item = &'a str>) -> Verdict {
        let why = |(why, count): (&String, &u64)| format!("{why} ({count} seeds)");
        let undecided = self.undecided.iter().next().map(why);
        let none_ran = (self.seeds == 0).then(|| "no seed was run".to_owned());
        judge(self.findings.keys().map(String::as_str), accepted, undecided.or(none_ran))
    }
}

/// Runs a plan on a fresh thread, as every run is: the runtime seeds a thread only once.
pub fn run_plan(plan: &Arc<Plan>, watch: Watch) -> RunResult {
    let plan = Arc::clone(plan);
    let (send, receive) = mpsc::channel();
    spawn_run(move || {
        let _ = send.send(world::run(&plan, watch));
    });
    receive.recv().expect("a run that panics has said why on standard error")
}

/// The one place that starts threads: one for each run.
fn spawn_run(run: impl FnOnce() + Send + 'static) {
    #[allow(clippy::disallowed_methods)]
    let thread = std::thread::Builder::new().name("run".into()).stack_size(16 << 20).spawn(run);
    drop(thread.expect("the system gives another thread"));
}

/// Runs a campaign; `progress` hears of every seed that is done.
///
/// # Panics
/// When a run panics: that is a defect of claimlab, never an answer.
pub fn run(scenario: &Scenario, options: &Options, mut progress: impl FnMut(&Summary)) -> Summary {
    let mut summary = Summary::of(&scenario.name);
    let (send, receive) = mpsc::channel();
    let watch = Stopwatch::start();
    let mut next = options.seeds.first;
    let mut left = options.seeds.count;
    let mut under_way = 0;
    loop {
        let in_time = options.time.is_none_or(|time| watch.elapsed() < time);
        let wanted = in_time && left != Some(0) && !options.stop.load(Ordering::Relaxed);
        if wanted && under_way < options.jobs {
            let (send, stop) = (send.clone(), Arc::clone(&options.stop));
            let (scenario, seed) = (scenario.clone(), next);
            spawn_run(move || {
                let run = || {
                    let plan = Arc::new(draw(&scenario, seed));
                    world::run(&plan, Watch { stop, ..Watch::default() })
                };
                let _ = send.send((seed, catch_unwind(AssertUnwindSafe(run))));
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
            return summary;
        }
        match receive.recv_timeout(Duration::from_millis(200)) {
            Ok((seed, Ok(result))) => {
                under_way -= 1;
                summary.add(seed, &result);
            }
            Ok((_, Err(panic))) => resume_unwind(panic),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return summary,
        }
        progress(&summary);
    }
}

/// Runs a seed again with observers on.
pub fn replay(plan: &Arc<Plan>, observers: Vec<Box<dyn Observer>>) -> RunResult {
    run_plan(plan, Watch { observers, ..Watch::default() })
}

/// The events that led to a finding, from a second run of its seed.
pub fn story(plan: &Arc<Plan>, finding: &Finding) -> Vec<String> {
    let story = Story::of(finding.execution.clone(), finding.invariant.id());
    replay(plan, vec![Box::new(story.clone())]);
    story.lines()
}
