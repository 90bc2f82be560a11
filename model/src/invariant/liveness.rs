//! The liveness invariants: work that others went by again and again, and work that nothing can move any more.
//!
//! How long anything takes depends on latencies and amounts, so no bound here is a time. Work was passed over when
//! whoever has to move it has gone by all its work so many times and has left it where it was. What is merely slow
//! breaks nothing.

use std::collections::BTreeSet;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen};
use super::look::Look;
use super::waiting::{DueStep, Overdue, waits_for};
use crate::intern::ExecutionNo;
use crate::store::Store;
use crate::time::ServerTime;

/// So many scanner passes may go by due work: one that began before, one that meets it, and one more.
const SCANNER_PASSES: u64 = 3;
/// A reclaimer has all that it remembers before it once in ten passes, and another's grant can be in its way.
const RECLAIMER_PASSES: u64 = 30;
/// So many polls of one worker that found nothing have been everywhere, whatever its lanes and windows.
const IDLE_POLLS: u64 = 64;
/// Work that was blocked so often after it had been unblocked is blocked for good.
const BLOCKS: u32 = 8;

/// Due work that others have gone by.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The work.
    pub overdue: Overdue,
    /// Completed passes of those who have to move it, since it was first seen.
    pub passes: u64,
    /// Whether it was moved at last.
    pub moved: bool,
}

impl DueStep {
    /// The invariant that is broken, and how, when the step is not made.
    const fn promise(self) -> (Invariant, &'static str) {
        match self {
            Self::Marking => (Invariant::L03, "unmarked"),
            Self::ReclaimOfExpired => (Invariant::L04, "expired"),
            Self::ReclaimOfRevoked => (Invariant::L04, "revoked"),
            Self::Promotion => (Invariant::L05, "delayed"),
            Self::UnblockOfRoute => (Invariant::L06, "route"),
            Self::UnblockOfBudget => (Invariant::L06, "budget"),
            Self::UnblockOfQuota => (Invariant::L06, "quota"),
            Self::Projection => (Invariant::L15, "stale"),
            Self::Resolution => (Invariant::L07, "waiting"),
            Self::SuspensionTimeout => (Invariant::L08, "suspension"),
            Self::AttemptTimeout => (Invariant::L08, "attempt"),
            Self::Deadline => (Invariant::L08, "deadline"),
        }
    }

    /// So many passes may go by it.
    const fn patience(self) -> u64 {
        match self {
            Self::ReclaimOfExpired | Self::ReclaimOfRevoked => RECLAIMER_PASSES,
            _ => SCANNER_PASSES,
        }
    }

    const fn neglect(self) -> &'static str {
        match self {
            Self::Marking => "the lease has expired and nobody has marked it",
            Self::ReclaimOfExpired => "the lease was marked expired and nobody has reclaimed the execution",
            Self::ReclaimOfRevoked => "the lease was revoked and nobody has reclaimed the execution",
            Self::Promotion => "the delay has passed and nobody has promoted the execution",
            Self::UnblockOfRoute => "a capable worker is registered and nobody has unblocked the execution",
            Self::UnblockOfBudget => "the budget has room and nobody has unblocked the execution",
            Self::UnblockOfQuota => "the quota has room and nobody has unblocked the execution",
            Self::Resolution => "all that it waits for has ended and nobody has released or skipped it",
            Self::SuspensionTimeout => "the suspension has timed out and nobody has ended it",
            Self::AttemptTimeout => "the attempt has timed out and nobody has ended it",
            Self::Projection => "the flow's summary says something else than its members do",
            Self::Deadline => "the deadline has passed and nobody has ended the execution",
        }
    }
}

/// The checks of liveness.
#[derive(Default)]
pub(super) struct OfLiveness {
    /// What was told already: work stays overdue.
    told: BTreeSet<(DueStep, ExecutionNo)>,
}

impl Check for OfLiveness {
    fn invariants(&self) -> Vec<Invariant> {
        vec![
            Invariant::L01,
            Invariant::L03,
            Invariant::L04,
            Invariant::L05,
            Invariant::L06,
            Invariant::L07,
            Invariant::L08,
            Invariant::L09,
            Invariant::L10,
            Invariant::L15,
        ]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        match seen {
            Seen::Passed { passed, store, now } => self.look_at_passed(passed, store, *now, notes),
            Seen::Ended(executions) => notes.looks(Invariant::L09, Look::Holds, *executions, String::new),
            Seen::Unfinished { execution, stuck, idle_polls, blocks, .. } => {
                if *idle_polls > 0 {
                    notes.look(Invariant::L01, Look::at(*idle_polls < IDLE_POLLS, "unclaimed"), || {
                        let since = execution.core.last_transition_at;
                        format!(
                            "it has been eligible since {since}, and {idle_polls} polls of one worker found nothing"
                        )
                    });
                }
                let immovable = || format!("nothing can move it: it waits for {}", stuck.waits_for);
                notes.look(Invariant::L10, stuck.lost.map_or(Look::Holds, Look::Broken), immovable);
                let (look, detail) = if stuck.lost.is_some() {
                    (Look::Broken("immovable"), immovable())
                } else if *blocks >= BLOCKS {
                    (Look::Broken("blocked"), format!("it was blocked {blocks} times after the faults had stopped"))
                } else {
                    (Look::Vacuous, String::new())
                };
                notes.look(Invariant::L09, look, || detail);
            }
            _ => {}
        }
    }
}

impl OfLiveness {
    fn look_at_passed(&mut self, passed: &Passed, store: &Store, now: ServerTime, notes: &mut Notes<'_>) {
        let Passed { overdue: Overdue { execution, due, .. }, passes, moved } = *passed;
        let (invariant, case) = due.promise();
        let look = match moved {
            true => Look::Holds,
            false if passes < due.patience() => Look::Vacuous,
            // It is told once, however long it stays.
            false if !self.told.insert((due, execution)) => Look::Vacuous,
            false => Look::Broken(case),
        };
        notes.look(invariant, look, || {
            if due == DueStep::Projection {
                return format!("{}; {passes} passes have gone by it", due.neglect());
            }
            let stuck = store.execution(execution).map(|found| waits_for(store, found, now));
            let waits_for = stuck.map_or_else(String::new, |stuck| stuck.waits_for);
            format!("{}: it waits for {waits_for}; {passes} passes have gone by it", due.neglect())
        });
    }
}
