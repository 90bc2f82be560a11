//! Who runs which execution, and whether those whose lease is taken away come to know it.
//!
//! In go the beginnings and ends of runs, what the server's state says of the leases under them, and
//! what the holders think of their leases; out come counts.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use claimlab_model::intern::ExecutionNo;
use ff_core::types::LeaseEpoch;

use crate::clock::TrueTime;
use crate::outcome::Runs;

/// One run of an execution by a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunNo {
    execution: ExecutionNo,
    number: u64,
}

impl RunNo {
    /// The execution that is run.
    pub const fn execution(self) -> ExecutionNo {
        self.execution
    }
}

/// A lease that was lost under a run, when the run is over or its holder doubts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The execution.
    pub execution: ExecutionNo,
    /// When the server took the lease away.
    pub lost_at: TrueTime,
    /// How long the holder took it for its own.
    pub for_ms: u64,
}

#[derive(Debug)]
struct Run {
    epoch: LeaseEpoch,
    /// The holder has asked for an end by itself.
    ending: bool,
    lost_at: Option<TrueTime>,
    doubted_at: Option<TrueTime>,
}

/// The runs of a world.
#[derive(Debug, Default)]
pub(super) struct RunBook {
    under_way: BTreeMap<RunNo, Run>,
    /// When delayed work is meant to run, by true time.
    meant: BTreeMap<ExecutionNo, TrueTime>,
    /// Executions that somebody has run, with when a run began or ended last.
    run: BTreeMap<ExecutionNo, TrueTime>,
    /// Live leases that nobody has run under so far.
    unrun: BTreeMap<ExecutionNo, LeaseEpoch>,
    counts: Runs,
}

/// Every number that a run of an execution can have.
fn numbers(execution: ExecutionNo) -> RangeInclusive<RunNo> {
    RunNo { execution, number: 0 }..=RunNo { execution, number: u64::MAX }
}

impl RunBook {
    pub(super) const fn counts(&self) -> Runs {
        self.counts
    }

    /// Runs that go on, those of zombies included.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way.len() as u64
    }

    fn of(&mut self, execution: ExecutionNo) -> impl Iterator<Item = &mut Run> {
        self.under_way.range_mut(numbers(execution)).map(|(_, run)| run)
    }

    /// Somebody means an execution to run again from a time on.
    pub(super) fn means(&mut self, execution: ExecutionNo, at: TrueTime) {
        self.meant.insert(execution, at);
    }

    pub(super) fn start(&mut self, execution: ExecutionNo, epoch: LeaseEpoch, now: TrueTime) -> RunNo {
        if let Some(meant) = self.meant.remove(&execution) {
            self.counts.early_ms.add(meant.ms().saturating_sub(now.ms()));
            self.counts.late_ms.add(now.ms().saturating_sub(meant.ms()));
        }
        self.run.insert(execution, now);
        let overlaps = self.of(execution).next().is_some();
        if self.unrun.get(&execution) == Some(&epoch) {
            self.unrun.remove(&execution);
        }
        self.counts.started += 1;
        self.counts.overlapped += u64::from(overlaps);
        let number = RunNo { execution, number: self.counts.started };
        self.under_way.insert(number, Run { epoch, ending: false, lost_at: None, doubted_at: None });
        number
    }

    /// The holder gives the lease up by itself from now on, or holds on to it after all.
    pub(super) fn ending(&mut self, number: RunNo, ending: bool) {
        if let Some(run) = self.under_way.get_mut(&number) {
            run.ending = ending;
        }
    }

    pub(super) fn is_ending(&self, number: RunNo) -> bool {
        self.under_way.get(&number).is_some_and(|run| run.ending)
    }

    /// The server's state names this lease as the live one of an execution, or none.
    pub(super) fn live_lease(&mut self, execution: ExecutionNo, epoch: Option<LeaseEpoch>, now: TrueTime) {
        let mut is_run = false;
        for run in self.of(execution) {
            is_run |= epoch == Some(run.epoch);
            if !run.ending && epoch != Some(run.epoch) {
                run.lost_at.get_or_insert(now);
            }
        }
        let before = match epoch.filter(|_| !is_run) {
            Some(epoch) => self.unrun.insert(execution, epoch).filter(|before| *before != epoch),
            None => self.unrun.remove(&execution),
        };
        self.counts.unrun += u64::from(before.is_some());
    }

    /// The holder no longer calls its lease healthy, or does so again.
    pub(super) fn doubts(&mut self, number: RunNo, doubts: bool, now: TrueTime) {
        if let Some(run) = self.under_way.get_mut(&number) {
            run.doubted_at = if doubts { run.doubted_at.or(Some(now)) } else { None };
        }
    }

    /// An execution has met the cap on its reclaims.
    pub(super) fn met_cap(&mut self, execution: ExecutionNo) {
        self.counts.ended_unrun += u64::from(!self.run.contains_key(&execution));
    }

    /// Whether anybody has run an execution since a time.
    pub(super) fn is_run_since(&self, execution: ExecutionNo, since: TrueTime) -> bool {
        let is_under_way = self.under_way.range(numbers(execution)).next().is_some();
        is_under_way || self.run.get(&execution).is_some_and(|last| *last >= since)
    }

    /// A run is over; gives the lease that was lost under it, if one was.
    pub(super) fn end(&mut self, number: RunNo, now: TrueTime) -> Option<Loss> {
        let run = self.under_way.remove(&number)?;
        self.run.insert(number.execution, now);
        let lost_at = run.lost_at?;
        let until = run.doubted_at.unwrap_or(now);
        let for_ms = until.ms().saturating_sub(lost_at.ms());
        self.counts.lost += 1;
        self.counts.ran_on_ms.add(now.ms().saturating_sub(lost_at.ms()));
        if let Some(doubted_at) = run.doubted_at {
            self.counts.doubted += 1;
            self.counts.doubted_after_ms.add(doubted_at.ms().saturating_sub(lost_at.ms()));
        }
        Some(Loss { execution: number.execution, lost_at, for_ms })
    }
}

#[cfg(test)]
mod tests {
    use claimlab_model::intern::Interner;
    use ff_core::types::ExecutionId;

    use super::*;
    use crate::outcome::Span;

    fn execution() -> ExecutionNo {
        let id = ExecutionId::parse("{fp:0}:00000000-0000-0000-0000-00000000000a").unwrap();
        Interner::default().execution(&id)
    }

    fn at(ms: u64) -> TrueTime {
        TrueTime::from_ms(ms)
    }

    #[test]
    fn a_run_that_ends_itself_has_lost_nothing() {
        let mut book = RunBook::default();
        let run = book.start(execution(), LeaseEpoch(1), at(0));
        book.ending(run, true);
        book.live_lease(execution(), None, at(5));
        book.end(run, at(6));
        assert_eq!(book.counts(), Runs { started: 1, ..Runs::default() });
    }

    #[test]
    fn a_run_goes_on_after_another_has_its_lease() {
        let mut book = RunBook::default();
        let old = book.start(execution(), LeaseEpoch(1), at(0));
        book.live_lease(execution(), None, at(10));
        let new = book.start(execution(), LeaseEpoch(2), at(10));
        book.live_lease(execution(), Some(LeaseEpoch(2)), at(20));
        book.doubts(old, true, at(45));
        book.end(old, at(60));
        book.end(new, at(70));
        let lost = Runs {
            started: 2,
            overlapped: 1,
            lost: 1,
            doubted: 1,
            doubted_after_ms: Span { sum: 35, longest: 35 },
            ran_on_ms: Span { sum: 50, longest: 50 },
            ..Runs::default()
        };
        assert_eq!(book.counts(), lost);
    }
}
