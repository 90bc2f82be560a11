//! From a plan that breaks a promise to the smallest that breaks the same promise in the same way.
//!
//! In goes a plan and what it breaks; out comes a plan of which no element can be left out and no value made plainer.
//! First comes the causal cut, which leaves of a large world what touched the violation (`cone`); then whole stretches
//! of elements go, single ones and pairs (`fewest`); then gaps close (`gaps`) and values become plain (`values`); and so
//! again until nothing changes. Each candidate is run (`oracle`): only what shows is kept.

mod cone;
mod fewest;
mod gaps;
mod oracle;
mod values;

pub use fewest::{fewest, fewest_in};
pub use oracle::Over;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::clock::TrueTime;
use crate::history::{Observer, Recorder};
use crate::outcome::{Violation, Wanted};
use crate::plan::{Element, Plan, What};
use crate::run;
use crate::stream::{Purpose, Stream};
use crate::world::Options as WorldOptions;
use oracle::Oracle;

/// How a shrink is done.
pub struct Options {
    /// No candidate is started after so much real time.
    pub time: Duration,
    /// Set to end early.
    pub stop: Arc<AtomicBool>,
}

/// How large a plan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Workers and reclaimers.
    pub workers: usize,
    /// Work items.
    pub work: usize,
    /// Faults, planned ones and those of messages that struck.
    pub faults: usize,
    /// Deeds of operators.
    pub actions: usize,
}

impl Size {
    /// The size of a plan.
    pub fn of(plan: &Plan) -> Self {
        let Plan { workers, work, faults, operators, .. } = plan;
        Self { workers: workers.len(), work: work.len(), faults: faults.len(), actions: operators.len() }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { workers, work, faults, actions } = self;
        let counted = |count: &usize, one: &str| format!("{count} {one}{}", if *count == 1 { "" } else { "s" });
        write!(
            f,
            "{}, {}, {}, {}",
            counted(workers, "worker"),
            counted(work, "item"),
            counted(faults, "fault"),
            counted(actions, "action")
        )
    }
}

/// What came out of a shrink.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest plan that shows it.
    pub plan: Plan,
    /// What it shows.
    pub violation: Violation,
    /// The size before.
    pub before: Size,
    /// The size after.
    pub after: Size,
    /// Candidates that were run.
    pub runs: u64,
    /// Of these, the ones that showed it.
    pub shown: u64,
    /// Why it is not known to be the smallest, if it is not: otherwise no element can go and no value be plainer.
    pub over: Option<Over>,
    /// Whether two runs of it gave the same history, byte for byte.
    pub replays: bool,
    /// Other broken promises that were met on the way.
    pub met: BTreeMap<Wanted, Arc<Plan>>,
}

/// Why nothing was shrunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotShrunk {
    /// The plan does not show it; what it shows instead.
    NotShown(BTreeSet<Wanted>),
    /// There was no time to run it once.
    Over(Over),
}

/// A shrink under way.
struct Shrinking<'p> {
    plan: Plan,
    /// A lease's length before anything was made plainer.
    ttl_ms: u64,
    oracle: Oracle,
    improved: &'p mut dyn FnMut(&Plan),
}

/// Shrinks a plan that shows such a violation; `improved` hears of each smaller plan.
///
/// # Errors
/// When the plan does not show it, or there was no time to see that.
pub fn shrink(
    plan: &Plan,
    wanted: &Wanted,
    options: &Options,
    improved: &mut dyn FnMut(&Plan),
) -> Result<Shrunk, NotShrunk> {
    let mut oracle = Oracle::new(wanted.clone(), options.time, Arc::clone(&options.stop));
    let whole = Arc::new(plan.clone());
    let keep_struck = WorldOptions { keep_struck: true, ..WorldOptions::default() };
    let (found, outcome) = oracle.violation(&whole, keep_struck).map_err(NotShrunk::Over)?;
    let Some(violation) = found else {
        return Err(NotShrunk::NotShown(
            outcome.violations.iter().map(|violation| Wanted::of(&violation.cause())).collect(),
        ));
    };
    let explicit = plan.concretise(&outcome.struck);
    let before = Size::of(&explicit);
    let mut shrinking = Shrinking { ttl_ms: explicit.world.lease_ttl_ms, plan: explicit, oracle, improved };
    let over = shrinking.all(&violation).err();
    let Shrinking { plan, mut oracle, .. } = shrinking;
    let (runs, shown) = oracle.runs();
    let (violation, replays) = seen_twice(&plan, wanted).unwrap_or((violation, false));
    let after = Size::of(&plan);
    Ok(Shrunk { after, plan, violation, before, runs, shown, over, replays, met: oracle.take_met() })
}

impl Shrinking<'_> {
    /// Takes a candidate where it shows.
    fn consider(&mut self, candidate: Plan) -> Result<bool, Over> {
        let shows = candidate != self.plan && self.oracle.shows(&candidate)?;
        if shows {
            self.plan = candidate;
            (self.improved)(&self.plan);
        }
        Ok(shows)
    }

    fn all(&mut self, violation: &Violation) -> Result<(), Over> {
        self.stop_early(violation)?;
        self.cut(&violation.execution, true)?;
        let mut passes =
            [Pass::Elements, Pass::Gaps, Pass::Pairs, Pass::Circumstances, Pass::Values].map(|pass| (0_u64, pass));
        for round in 0.. {
            let before = self.plan.clone();
            // What has helped most lately comes first; pairs cost most and are tried of few elements only.
            passes.sort_by_key(|(rate, _)| std::cmp::Reverse(*rate));
            // Closing gaps makes times less round, which values undo: it has its say in the first rounds.
            for (rate, pass) in passes.iter_mut().filter(|(_, pass)| round < GAP_ROUNDS || *pass != Pass::Gaps) {
                let (runs_before, shown_before) = self.oracle.runs();
                self.pass(*pass)?;
                let (runs, shown) = self.oracle.runs();
                *rate = (shown - shown_before) * 1_000 / (runs - runs_before).max(1);
            }
            if self.plan == before && round >= GAP_ROUNDS {
                break;
            }
        }
        Ok(())
    }

    fn pass(&mut self, pass: Pass) -> Result<(), Over> {
        match pass {
            Pass::Elements => self.elements(),
            Pass::Gaps => gaps::close(self),
            Pass::Pairs => self.pairs(),
            Pass::Circumstances => self.circumstances(),
            Pass::Values => values::simplify(self),
        }
    }

    /// What comes after the violation has no part in it, nor has the phase in which everything must end.
    fn stop_early(&mut self, violation: &Violation) -> Result<(), Over> {
        let until = TrueTime::from_us(violation.at_us);
        let mut early = self.plan.clone();
        early.work.retain(|item| item.at <= until);
        let kept: BTreeSet<Element> = early.elements().into_iter().collect();
        let mut early = self.plan.only(&kept);
        early.operators.retain(|action| action.at <= until);
        early.world.liveness_ms = 0;
        self.consider(early).map(drop)
    }

    /// The causal cut; where too little is left for it to show, with some of the others, more and more of them.
    fn cut(&mut self, execution: &str, may_grow: bool) -> Result<(), Over> {
        /// Seeds that the cut is tried with: latencies and ids are drawn anew.
        const SEEDS: u64 = 24;
        let watcher = cone::Watcher::of(execution);
        let observers: Vec<Box<dyn Observer>> = vec![Box::new(watcher.clone())];
        let watched = Arc::new(self.plan.clone());
        self.oracle.violation(&watched, WorldOptions { observers, ..WorldOptions::default() })?;
        let cuts = cone::cuts(&self.plan, execution, &watcher.seen());
        let size = self.plan.elements().len();
        for seed in 0..SEEDS {
            for cut in cuts.iter().filter(|cut| cut.elements().len() < size) {
                if self.consider(Plan { seed: self.plan.seed.wrapping_add(seed), ..cut.clone() })? {
                    return Ok(());
                }
            }
        }
        if !may_grow {
            return Ok(());
        }
        let core: BTreeSet<Element> = cuts.first().map(Plan::elements).unwrap_or_default().into_iter().collect();
        let all = self.plan.elements();
        let mut others: Vec<Element> = all.into_iter().filter(|element| !core.contains(element)).collect();
        shuffle(&mut others, self.plan.seed);
        let mut count = 8;
        while count < others.len() {
            let kept: BTreeSet<Element> = core.iter().chain(&others[..count]).cloned().collect();
            if self.consider(self.plan.only(&kept))? {
                return Ok(());
            }
            count *= 4;
        }
        Ok(())
    }

    fn elements(&mut self) -> Result<(), Over> {
        let from = self.plan.clone();
        fewest(from.elements(), |elements| {
            let candidate = from.only(&elements.iter().cloned().collect());
            let is_smaller = candidate.elements().len() < self.plan.elements().len();
            Ok((is_smaller && self.consider(candidate)?).then_some(elements.len()))
        })
        .map(drop)
    }

    /// One element less under other circumstances: what is left has to meet by chance, and other latencies, longer
    /// stalls or longer runs let it. What became longer becomes plain again afterwards.
    fn circumstances(&mut self) -> Result<(), Over> {
        const MOST: usize = 16;
        const SEEDS: u64 = 6;
        if self.plan.elements().len() > MOST {
            return Ok(());
        }
        let plan = Arc::new(self.plan.clone());
        if let Some(violation) = self.oracle.violation(&plan, WorldOptions::default())?.0 {
            self.cut(&violation.execution, false)?;
        }
        'elements: for element in self.plan.elements() {
            let without = self.plan.without(&element);
            if without.elements().len() >= self.plan.elements().len() {
                continue;
            }
            for (stalls, runs) in [(1, 1), (2, 1), (4, 1), (1, 4), (2, 4), (8, 4)] {
                let longer = lengthened(&without, stalls, runs);
                for seed in 0..SEEDS {
                    if self.consider(Plan { seed: self.plan.seed.wrapping_add(seed), ..longer.clone() })? {
                        continue 'elements;
                    }
                }
            }
        }
        Ok(())
    }

    /// Two at once: a step with its counter-step, a worker with whoever makes up for it.
    fn pairs(&mut self) -> Result<(), Over> {
        const MOST: usize = 24;
        let elements = self.plan.elements();
        if elements.len() > MOST {
            return Ok(());
        }
        for (position, one) in elements.iter().enumerate() {
            for other in &elements[position + 1..] {
                let candidate = self.plan.without(one).without(other);
                if candidate.elements().len() + 2 <= self.plan.elements().len() {
                    self.consider(candidate)?;
                }
            }
        }
        Ok(())
    }
}

/// Rounds in which gaps are closed.
const GAP_ROUNDS: u32 = 2;

/// The kinds of passes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Elements,
    Gaps,
    Pairs,
    Circumstances,
    Values,
}

/// An order that a seed draws.
fn shuffle(elements: &mut [Element], seed: u64) {
    let mut stream = Stream::new(seed, Purpose::Resampling, 0);
    for last in (1..elements.len()).rev() {
        elements.swap(last, stream.below(last as u64 + 1) as usize);
    }
}

/// The plan with stalls and runs so many times as long.
fn lengthened(plan: &Plan, stalls: u64, runs: u64) -> Plan {
    let mut plan = plan.clone();
    for fault in &mut plan.faults {
        match &mut fault.what {
            What::Pause { for_ms } | What::Cut { for_ms, .. } => *for_ms = for_ms.saturating_mul(stalls),
            _ => {}
        }
    }
    plan.work.iter_mut().for_each(|item| item.task.run_ms = item.task.run_ms.saturating_mul(runs));
    plan
}

/// What a plan shows, and whether two runs of it give the same history.
fn seen_twice(plan: &Plan, wanted: &Wanted) -> Option<(Violation, bool)> {
    let plan = Arc::new(plan.clone());
    let once = || {
        let bytes = Bytes::default();
        let (recorder, _) = Recorder::new(bytes.clone());
        let observers: Vec<Box<dyn Observer>> = vec![Box::new(recorder)];
        let outcome =
            run::run(&plan, WorldOptions { observers, ends_with: Some(wanted.clone()), ..WorldOptions::default() });
        let found = outcome.violations.into_iter().find(|violation| wanted.is(violation));
        (found, bytes.taken())
    };
    let ((first, bytes), (second, again)) = (once(), once());
    let replays = first == second && bytes == again;
    first.map(|violation| (violation, replays))
}

/// Bytes that a recorder writes and somebody else reads.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::io::Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
