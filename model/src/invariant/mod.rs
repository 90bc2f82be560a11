//! What must never be seen, and the checks that look for it.
//!
//! A [`Checker`] shows every moment of a run to every [`Check`]: each message with its reply and the store's list of
//! changes, each changed execution, and whatever a world tells of its workers and of the phase without faults. What
//! earlier replies have promised about an execution ([`Promised`]) is kept here, from replies alone, so that a script
//! that lies about what it did is caught by what it said. States are looked at where they change;
//! [`Checker::recheck`] looks at all of them from scratch and must agree.

mod admission;
mod answer;
mod catalogue;
mod check;
mod early;
mod ending;
mod history;
mod legal;
mod liveness;
mod look;
mod parking;
mod promised;
mod retention;
mod state;
mod submission;
#[cfg(test)]
mod tests;
mod transition;
mod waiting;
mod worker;

pub use catalogue::{Invariant, Promise, Scope};
pub use check::{Check, Notes, Seen, State, Step};
pub use liveness::Passed;
pub use look::Look;
pub use promised::{Promised, PromisedGrant, PromisedLease};
pub use waiting::{DueStep, Overdue, Stuck, overdue, revoked, unfinished, untrue_summaries};
pub use worker::WorkerFact;

use std::collections::BTreeSet;

use crate::intern::ExecutionNo;
use crate::message::{Message, Reply, Script};
use crate::store::Store;
use crate::time::ServerTime;
use check::{Standing, Tally};

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// In which way: one of the invariant's cases.
    pub case: &'static str,
    /// On which execution, where it is about one.
    pub execution: Option<ExecutionNo>,
    /// What was seen, in one sentence.
    pub detail: String,
}

/// All checks over one run, incrementally.
pub struct Checker {
    checks: Vec<Box<dyn Check>>,
    tally: Tally,
    executions: Vec<Option<Box<Known>>>,
}

/// What is kept of one execution.
#[derive(Default)]
struct Known {
    promised: Promised,
    /// State violations that were reported and still stand.
    standing: Standing,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").field("checks", &self.checks.len()).finish_non_exhaustive()
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::with(Vec::new())
    }
}

impl Checker {
    /// The catalogue's checks, and these besides.
    ///
    /// # Panics
    /// When two checks promise an invariant of the same id, or all together more than fit.
    pub fn with(others: Vec<Box<dyn Check>>) -> Self {
        let mut tally = Tally { counts: Invariant::ALL.iter().map(|known| (*known, 0)).collect(), found: Vec::new() };
        for invariant in others.iter().flat_map(|check| check.invariants()) {
            let is_new = tally.counts.iter().all(|(known, _)| known.id() != invariant.id());
            assert!(is_new, "two checks promise {}", invariant.id());
            tally.counts.push((invariant, 0));
        }
        assert!(tally.counts.len() <= Standing::CAPACITY, "at most {} invariants", Standing::CAPACITY);
        let mut checks = catalogue_checks();
        checks.extend(others);
        Self { checks, tally, executions: Vec::new() }
    }

    /// Looks at one performed message; gives what it broke.
    pub fn observe(&mut self, store: &Store, now: ServerTime, message: &Message, reply: &Reply) -> &[Violation] {
        self.tally.found.clear();
        match message {
            Message::Script(script) => self.observe_script(store, now, script, reply),
            Message::Command(command) => {
                self.show(&Seen::Command { store, command }, Standing::default());
            }
            Message::Upkeep(command) => {
                self.show(&Seen::Upkeep { store, now, command }, Standing::default());
            }
            Message::Range { partition, key, .. } => {
                if let Reply::Members(members) = reply {
                    let seen = Seen::Listing { store, partition: *partition, key: *key, members };
                    self.show(&seen, Standing::default());
                }
            }
            _ => {}
        }
        // A read changes states too: it drops a grant that is past its expiry.
        for execution in store.changes().executions() {
            self.look_at_state(store, execution);
        }
        &self.tally.found
    }

    /// Looks at a moment that no message brought about; gives what it broke.
    pub fn see(&mut self, seen: &Seen<'_>) -> &[Violation] {
        self.tally.found.clear();
        self.show(seen, Standing::default());
        &self.tally.found
    }

    /// Shows a moment to every check; what was broken before is not told again. Gives what is broken now.
    fn show(&mut self, seen: &Seen<'_>, before: Standing) -> Standing {
        let (execution, after) = (seen.execution(), Standing::default());
        let mut notes = Notes { tally: &mut self.tally, execution, before, after };
        for check in &mut self.checks {
            check.look(seen, &mut notes);
        }
        notes.after
    }

    fn observe_script(&mut self, store: &Store, now: ServerTime, script: &Script, reply: &Reply) {
        if let Some(execution) = script.execution() {
            let mut known = self.take(execution);
            let found = store.execution(execution);
            let untouched = || found.map(|found| (&found.core, &found.core));
            let cores = store.changes().core_of(execution).or_else(untouched);
            let step = Step { store, now, script, reply, execution, found, cores };
            self.show(&Seen::Step(&step, &known.promised), Standing::default());
            known.promised.follow(&step);
            self.executions[execution.index()] = Some(known);
        } else {
            self.show(&Seen::Script { store, now, script, reply }, Standing::default());
        }
    }

    fn take(&mut self, execution: ExecutionNo) -> Box<Known> {
        if self.executions.len() <= execution.index() {
            self.executions.resize_with(execution.index() + 1, || None);
        }
        self.executions[execution.index()].take().unwrap_or_default()
    }

    fn look_at_state(&mut self, store: &Store, execution: ExecutionNo) {
        let Some(found) = store.execution(execution) else {
            // It was deleted, and with it all that was ever promised of it.
            if let Some(known) = self.executions.get_mut(execution.index()) {
                *known = None;
            }
            return;
        };
        let mut known = self.take(execution);
        let state = State { store, found, promised: &known.promised };
        known.standing = self.show(&Seen::State(&state), known.standing);
        self.executions[execution.index()] = Some(known);
    }

    /// How often each invariant was looked at where there was something to look at.
    pub fn checked(&self) -> impl Iterator<Item = (Invariant, u64)> + '_ {
        self.tally.counts.iter().copied()
    }

    /// Counts on from another's looks, with the same checks.
    pub fn count_on(&mut self, other: &Self) {
        self.tally.counts.clone_from(&other.tally.counts);
    }

    /// The catalogue's state violations that stand now, as the incremental checks know them.
    pub fn standing(&self) -> BTreeSet<(Invariant, usize)> {
        let known = self.executions.iter().enumerate();
        known
            .filter_map(|(position, known)| Some((position, known.as_ref()?)))
            .flat_map(|(position, known)| known.standing.iter().map(move |of| (of, position)))
            .filter_map(|(of, position)| Some((*Invariant::ALL.get(of)?, position)))
            .collect()
    }

    /// The catalogue's state violations that stand now, from scratch over every execution.
    pub fn recheck(&self, store: &Store) -> BTreeSet<(Invariant, usize)> {
        let blank = Known::default();
        store
            .executions()
            .flat_map(|found| {
                let position = found.number.index();
                let known = self.executions.get(position).and_then(Option::as_deref).unwrap_or(&blank);
                let state = State { store, found, promised: &known.promised };
                let is_broken = |row: &&'static state::Row| matches!((row.look)(&state), Look::Broken(_));
                let broken: Vec<_> = state::rows(found).filter(is_broken).map(|row| row.invariant).collect();
                broken.into_iter().map(move |invariant| (invariant, position))
            })
            .collect()
    }
}

/// The checks of everything in the catalogue.
fn catalogue_checks() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(transition::OfTransitions),
        Box::new(history::OfHistories::default()),
        Box::new(state::OfStates),
        Box::new(early::OfOrder::default()),
        Box::new(parking::OfSignals::default()),
        Box::new(ending::OfEnds),
        Box::new(admission::OfAdmission::default()),
        Box::new(answer::OfAnswers::default()),
        Box::new(submission::OfSubmissions::default()),
        Box::new(liveness::OfLiveness::default()),
        Box::new(worker::OfWorkers),
    ]
}
