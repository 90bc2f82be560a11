//! What a check is: somebody who is shown what happens, says of each look what it came to, and can remember.
//!
//! In go the moments of a run ([`Seen`]); out come looks ([`Notes::look`]). All invariants of the catalogue are kept by
//! checks of this kind, and a check of one's own stands beside them as their equal.

use super::Violation;
use super::catalogue::Invariant;
use super::liveness::Passed;
use super::look::Look;
use super::promised::Promised;
use super::waiting::Stuck;
use super::worker::WorkerFact;
use crate::intern::ExecutionNo;
use crate::message::{Command, Reply, Script, Upkeep};
use crate::number::Score;
use crate::store::{Change, Core, Execution, IndexKey, Store};
use crate::time::ServerTime;

/// One performed script that is about an execution.
#[derive(Debug)]
pub struct Step<'a> {
    /// The store after it, with its list of changes.
    pub store: &'a Store,
    /// The server's time at which it was performed.
    pub now: ServerTime,
    /// The script with its arguments.
    pub script: &'a Script,
    /// What it answered.
    pub reply: &'a Reply,
    /// The execution that it is about.
    pub execution: ExecutionNo,
    /// The execution as it stands after the script; none where there is none of that number.
    pub found: Option<&'a Execution>,
    /// The core hash before and after the script. A script that wrote no core left it as it is.
    pub cores: Option<(&'a Core, &'a Core)>,
}

impl Step<'_> {
    /// What the script changed of the execution that it is about, in order.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        let all = self.store.changes().items.iter();
        all.filter(|(number, _)| *number == self.execution).map(|(_, change)| change)
    }
}

/// An execution as it stands.
#[derive(Debug)]
pub struct State<'a> {
    /// The store that holds it.
    pub store: &'a Store,
    /// The execution.
    pub found: &'a Execution,
    /// What all replies so far have promised about it.
    pub promised: &'a Promised,
}

/// One moment that a check is shown.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A script was performed; with what earlier replies promised about its execution.
    Step(&'a Step<'a>, &'a Promised),
    /// A script was performed that is about no execution.
    Script {
        /// The store after it.
        store: &'a Store,
        /// The server's time at which it was performed.
        now: ServerTime,
        /// The script with its arguments.
        script: &'a Script,
        /// What it answered.
        reply: &'a Reply,
    },
    /// A plain command of admission or administration was performed.
    Command {
        /// The store after it.
        store: &'a Store,
        /// The command.
        command: &'a Command,
    },
    /// A plain command of the engine's housekeeping was performed.
    Upkeep {
        /// The store after it, with its list of changes.
        store: &'a Store,
        /// The server's time at which it was performed.
        now: ServerTime,
        /// The command.
        command: &'a Upkeep,
    },
    /// An execution was changed by the script and stands like this now.
    State(&'a State<'a>),
    /// An index was listed.
    Listing {
        /// The store that it was read from.
        store: &'a Store,
        /// The index's partition.
        partition: u16,
        /// The index.
        key: IndexKey,
        /// What was listed, in order.
        members: &'a [(Score, ExecutionNo)],
    },
    /// After the faults have stopped: work was due, and others have gone by it or have moved it.
    Passed {
        /// The work, and who went by.
        passed: &'a Passed,
        /// The store as it stands.
        store: &'a Store,
        /// The server's time.
        now: ServerTime,
    },
    /// At the end of the phase without faults: an execution has not ended.
    Unfinished {
        /// The execution.
        execution: &'a Execution,
        /// What it waits for.
        stuck: &'a Stuck,
        /// Whether anybody runs it, or has within the time of a lease.
        is_run: bool,
        /// The server's time.
        now: ServerTime,
        /// Polls of one worker that found nothing since the execution was changed last, while it was eligible.
        idle_polls: u64,
        /// How often it was blocked, since the faults have stopped, after it had been eligible.
        blocks: u32,
    },
    /// At the end of the phase without faults: so many executions have ended.
    Ended(u64),
    /// A worker's process did or said something.
    Worker {
        /// What.
        fact: &'a WorkerFact,
        /// The store as it stands.
        store: &'a Store,
    },
}

impl Seen<'_> {
    /// The execution that the moment is about, where it is about one; of a listing, the first that is listed.
    pub fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Step(step, _) => Some(step.execution),
            Self::State(state) => Some(state.found.number),
            Self::Unfinished { execution, .. } => Some(execution.number),
            Self::Listing { members, .. } => members.first().map(|(_, execution)| *execution),
            Self::Passed { passed, .. } => Some(passed.overdue.execution),
            Self::Upkeep { command, .. } => command.execution(),
            Self::Ended(_) | Self::Script { .. } | Self::Command { .. } => None,
            Self::Worker { fact, .. } => fact.execution(),
        }
    }
}

/// A check of one or more invariants.
pub trait Check: Send {
    /// The invariants that it looks at.
    fn invariants(&self) -> Vec<Invariant>;

    /// Looks at one moment. Which invariants it speaks of, and how each look came out, goes into the notes; a moment
    /// that says nothing to this check needs no note.
    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>);
}

/// Where a check puts down what its looks came to.
#[derive(Debug)]
pub struct Notes<'a> {
    pub(super) tally: &'a mut Tally,
    /// The execution that the moment is about.
    pub(super) execution: Option<ExecutionNo>,
    /// Invariants that were broken when this execution's state was looked at before; none for other moments.
    pub(super) before: Standing,
    /// Invariants that are broken now.
    pub(super) after: Standing,
}

impl Notes<'_> {
    /// Puts down one look. It counts unless it was vacuous; a broken invariant becomes a violation with the detail,
    /// which says in one sentence what was seen. A broken state is told when it begins, not while it stands.
    ///
    /// # Panics
    /// When the check has not named the invariant among [`Check::invariants`].
    pub fn look(&mut self, invariant: Invariant, look: Look, detail: impl FnOnce() -> String) {
        self.looks(invariant, look, 1, detail);
    }

    /// Puts down so many looks that came to the same; a broken invariant becomes one violation.
    ///
    /// # Panics
    /// When the check has not named the invariant among [`Check::invariants`].
    #[inline]
    pub fn looks(&mut self, invariant: Invariant, look: Look, times: u64, detail: impl FnOnce() -> String) {
        let position = self.tally.position(invariant);
        let Look::Broken(case) = look else {
            self.tally.counts[position].1 += if look == Look::Vacuous { 0 } else { times };
            return;
        };
        self.tally.counts[position].1 += times;
        self.after.put(position);
        if !self.before.has(position) {
            let execution = self.execution;
            self.tally.found.push(Violation { invariant, case, execution, detail: detail() });
        }
    }
}

/// Counts of looks, and what was found broken.
#[derive(Debug)]
pub(super) struct Tally {
    /// The catalogue first, in order, then the invariants of others.
    pub counts: Vec<(Invariant, u64)>,
    pub found: Vec<Violation>,
}

impl Tally {
    #[inline]
    pub(super) fn position(&self, invariant: Invariant) -> usize {
        let of_others = || self.counts.iter().position(|(known, _)| *known == invariant);
        invariant.place().or_else(of_others).unwrap_or_else(|| panic!("no check has named {invariant:?} as its own"))
    }
}

/// A small set of invariants, by their position in the tally.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing(u128);

impl Standing {
    /// How many invariants fit.
    pub(super) const CAPACITY: usize = u128::BITS as usize;

    const fn put(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    const fn has(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::CAPACITY).filter(move |position| self.has(*position))
    }
}
