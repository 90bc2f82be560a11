//! Whether a plan shows what is looked for: each candidate is run once, until it does or its end.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use rustc_hash::{FxBuildHasher, FxHasher};

use crate::outcome::{Outcome, Violation, Wanted};
use crate::plan::Plan;
use crate::run;
use crate::stopwatch::Stopwatch;
use crate::world::Options;

/// So many events more than twice those of the smallest plan so far a candidate may take.
const SPARE_EVENTS: u64 = 2_000;

/// Why no more candidates are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The time is up.
    Time,
    /// Somebody has had enough.
    Stopped,
}

/// Runs candidates and remembers what they showed.
pub struct Oracle {
    wanted: Wanted,
    stopwatch: Stopwatch,
    time: Duration,
    stop: Arc<AtomicBool>,
    known: HashMap<u64, bool, FxBuildHasher>,
    runs: u64,
    shown: u64,
    /// Events until the smallest plan so far showed it.
    events: Option<u64>,
    met: BTreeMap<Wanted, Arc<Plan>>,
}

impl Oracle {
    /// An oracle for such violations, with so much real time.
    pub fn new(wanted: Wanted, time: Duration, stop: Arc<AtomicBool>) -> Self {
        let (stopwatch, known, met) = (Stopwatch::start(), HashMap::default(), BTreeMap::new());
        Self { wanted, stopwatch, time, stop, known, runs: 0, shown: 0, events: None, met }
    }

    /// Candidates that were run, and those of them that showed it.
    pub const fn runs(&self) -> (u64, u64) {
        (self.runs, self.shown)
    }

    /// Other broken promises that were met on the way, each with the smallest plan that showed it.
    pub fn take_met(&mut self) -> BTreeMap<Wanted, Arc<Plan>> {
        std::mem::take(&mut self.met)
    }

    /// Runs a plan up to the violation that is looked for; gives it where it comes.
    ///
    /// # Errors
    /// When there is no more time: the plan was not run.
    pub fn violation(&mut self, plan: &Arc<Plan>, options: Options) -> Result<(Option<Violation>, Outcome), Over> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Over::Stopped);
        }
        if self.stopwatch.elapsed() >= self.time {
            return Err(Over::Time);
        }
        // What takes much longer to show it is no simpler.
        let most_events = self.events.map(|events| 2 * events + SPARE_EVENTS);
        let options =
            Options { ends_with: Some(self.wanted.clone()), stop: Arc::clone(&self.stop), most_events, ..options };
        let outcome = run::run(plan, options);
        self.runs += 1;
        let found = outcome.violations.iter().find(|violation| self.wanted.is(violation)).cloned();
        if found.is_some() {
            self.shown += 1;
            self.events = Some(outcome.counts.events);
        }
        for violation in outcome.violations.iter().filter(|violation| !self.wanted.is(violation)) {
            let other = Wanted::of(&violation.cause());
            let is_smaller = |known: &Arc<Plan>| plan.elements().len() < known.elements().len();
            if self.met.get(&other).is_none_or(is_smaller) {
                self.met.insert(other, Arc::clone(plan));
            }
        }
        Ok((found, outcome))
    }

    /// Whether a plan shows it.
    ///
    /// # Errors
    /// When there is no more time.
    pub fn shows(&mut self, plan: &Plan) -> Result<bool, Over> {
        let mut hasher = FxHasher::default();
        plan.text().hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(known) = self.known.get(&hash) {
            return Ok(*known);
        }
        let shows = self.violation(&Arc::new(plan.clone()), Options::default())?.0.is_some();
        self.known.insert(hash, shows);
        Ok(shows)
    }
}
