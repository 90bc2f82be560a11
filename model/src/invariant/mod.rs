//! What must never be seen, checked after every script.
//!
//! A [`Checker`] reads each message with its reply and the store's list of changes, and nothing else:
//! it keeps a bounded shadow of each execution (who was told that it holds the lease, which grant was
//! issued, how often it was retried) built from replies alone, so that a script that lies about what
//! it did is caught by what it said. State invariants are evaluated for changed executions only;
//! [`Checker::recheck`] evaluates all of them from scratch and must agree.

mod catalogue;
mod history;
mod liveness;
mod look;
mod shadow;
mod state;
#[cfg(test)]
mod tests;
mod transition;

pub use catalogue::{Invariant, Scope};
pub use liveness::{Overdue, Stuck, immovable, overdue, revoked, unfinished};
pub use look::Look;

use std::collections::BTreeSet;

use ff_core::types::LeaseId;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;

use crate::intern::ExecutionNo;
use crate::message::{Message, Reply, Script};
use crate::store::Store;
use crate::time::ServerTime;
use shadow::Shadow;

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// In which way: one of the invariant's cases.
    pub case: &'static str,
    /// On which execution.
    pub execution: ExecutionNo,
    /// What was seen, in one sentence.
    pub detail: String,
}

/// All safety invariants over one run, incrementally.
#[derive(Debug)]
pub struct Checker {
    shadows: Vec<Option<Box<Shadow>>>,
    lease_ids: HashSet<LeaseId, FxBuildHasher>,
    checked: [u64; Invariant::COUNT],
    found: Vec<Violation>,
}

impl Default for Checker {
    fn default() -> Self {
        Self { shadows: Vec::new(), lease_ids: HashSet::default(), checked: [0; Invariant::COUNT], found: Vec::new() }
    }
}

/// One performed script, as the checks see it.
struct Step<'a> {
    store: &'a Store,
    now: ServerTime,
    script: &'a Script,
    reply: &'a Reply,
    execution: ExecutionNo,
}

impl Checker {
    /// Looks at one performed message; gives what it broke.
    pub fn observe(&mut self, store: &Store, now: ServerTime, message: &Message, reply: &Reply) -> &[Violation] {
        self.found.clear();
        match message {
            Message::Script(script) => self.observe_script(store, now, script, reply),
            Message::Range { partition, key, .. } => {
                if let Reply::Members(members) = reply {
                    history::check_scan_order(self, store, *partition, *key, members);
                }
            }
            _ => {}
        }
        &self.found
    }

    fn observe_script(&mut self, store: &Store, now: ServerTime, script: &Script, reply: &Reply) {
        if let Some(execution) = script.execution() {
            let mut shadow = self.take_shadow(execution);
            let step = Step { store, now, script, reply, execution };
            transition::check(self, &step);
            history::check(self, &mut shadow, &step);
            history::follow(&mut shadow, &step);
            self.shadows[execution.index()] = Some(shadow);
        }
        for execution in store.changes().executions() {
            self.check_state(store, execution);
        }
    }

    fn take_shadow(&mut self, execution: ExecutionNo) -> Box<Shadow> {
        if self.shadows.len() <= execution.index() {
            self.shadows.resize_with(execution.index() + 1, || None);
        }
        self.shadows[execution.index()].take().unwrap_or_default()
    }

    fn check_state(&mut self, store: &Store, execution: ExecutionNo) {
        let Some(found) = store.execution(execution) else { return };
        let mut shadow = self.take_shadow(execution);
        let before = std::mem::take(&mut shadow.standing);
        for (invariant, predicate) in state::STATE {
            let look = predicate(found, &shadow);
            self.checked[invariant.position()] += u64::from(look != Look::Vacuous);
            let Look::Broken(case) = look else { continue };
            shadow.standing.put(invariant);
            if !before.has(invariant) {
                let detail = state::explain(invariant, found, &shadow);
                self.found.push(Violation { invariant, case, execution, detail });
            }
        }
        self.shadows[execution.index()] = Some(shadow);
    }

    /// Counts a look that was not vacuous, and notes a violation where the invariant is broken.
    fn note(&mut self, invariant: Invariant, execution: ExecutionNo, look: Look, detail: impl FnOnce() -> String) {
        self.checked[invariant.position()] += u64::from(look != Look::Vacuous);
        if let Look::Broken(case) = look {
            self.found.push(Violation { invariant, case, execution, detail: detail() });
        }
    }

    /// Notes that the liveness phase looked at an invariant so many times.
    pub fn note_liveness(&mut self, invariant: Invariant, times: u64) {
        self.checked[invariant.position()] += times;
    }

    /// How often each invariant was looked at where there was something to look at.
    pub fn checked(&self) -> impl Iterator<Item = (Invariant, u64)> + '_ {
        Invariant::ALL.iter().map(|invariant| (*invariant, self.checked[invariant.position()]))
    }

    /// The state violations that stand now, as the incremental checks know them.
    pub fn standing(&self) -> BTreeSet<(Invariant, usize)> {
        let shadows = self.shadows.iter().enumerate();
        shadows
            .filter_map(|(position, shadow)| Some((position, shadow.as_ref()?)))
            .flat_map(|(position, shadow)| shadow.standing.iter().map(move |invariant| (invariant, position)))
            .collect()
    }

    /// The state violations that stand now, from scratch over every execution.
    pub fn recheck(&self, store: &Store) -> BTreeSet<(Invariant, usize)> {
        let blank = Shadow::default();
        store
            .executions()
            .flat_map(|found| {
                let position = found.no.index();
                let shadow = self.shadows.get(position).and_then(Option::as_deref).unwrap_or(&blank);
                let broken =
                    state::STATE.into_iter().filter(move |(_, look)| matches!(look(found, shadow), Look::Broken(_)));
                broken.map(move |(invariant, _)| (invariant, position)).collect::<Vec<_>>()
            })
            .collect()
    }
}
