//! The phase after the faults: everything must end, and nothing may be passed over meanwhile.
//!
//! Here is counted how often whoever has to move work has gone by it; what that means the checks say. Work that they
//! do not call broken and that has not ended is merely slow, which leaves the run undecided.

use std::collections::{BTreeMap, BTreeSet};

use claimlab_model::intern::{ExecutionNo, LaneNo};
use claimlab_model::invariant::{self, DueStep, Passed, Seen};
use claimlab_model::store::IndexKey;
use ff_core::state::EligibilityState;
use ff_core::types::LaneId;

use super::heap::Event;
use super::{Pass, World};
use crate::clock::TrueTime;
use crate::scanner::ScannerKind;

/// How often the phase looks around, in milliseconds.
pub(super) const LOOK_MS: u64 = 2_000;

/// Work that is due, with how many passes had gone by when it was first seen so.
#[derive(Default)]
pub(super) struct Overdue {
    since: BTreeMap<invariant::Overdue, u64>,
    blocks: BTreeMap<ExecutionNo, u32>,
    /// What was called passed over: that it has not ended at last is no news.
    told: BTreeSet<ExecutionNo>,
    /// Flows, by their first members, whose summaries were called untrue.
    untrue: BTreeSet<ExecutionNo>,
    /// How many idle polls of each lane and reclaimer passes there had been at each look, by the server's time.
    passes: Vec<(i64, Vec<u64>, u64)>,
}

impl Overdue {
    /// An execution was blocked that had been eligible.
    pub(super) fn blocked_again(&mut self, execution: ExecutionNo) {
        *self.blocks.entry(execution).or_default() += 1;
    }

    /// Idle polls and reclaimer passes up to the first look after a server's time.
    fn passes_at(&self, at_ms: i64) -> (&[u64], u64) {
        let position = self.passes.partition_point(|(look_ms, _, _)| *look_ms < at_ms);
        let found = self.passes.get(position).or(self.passes.last());
        found.map_or((&[], 0), |(_, idle, reclaims)| (idle, *reclaims))
    }
}

/// Whose passes make the step that due work waits for.
const fn mover(due: DueStep) -> Pass {
    match due {
        DueStep::Marking => Pass::Scanner(ScannerKind::LeaseExpiry),
        DueStep::Promotion => Pass::Scanner(ScannerKind::DelayedPromoter),
        DueStep::SuspensionTimeout => Pass::Scanner(ScannerKind::SuspensionTimeout),
        DueStep::AttemptTimeout => Pass::Scanner(ScannerKind::AttemptTimeout),
        DueStep::Deadline => Pass::Scanner(ScannerKind::ExecutionDeadline),
        DueStep::Resolution => Pass::Scanner(ScannerKind::DependencyReconciler),
        DueStep::UnblockOfRoute | DueStep::UnblockOfBudget | DueStep::UnblockOfQuota => {
            Pass::Scanner(ScannerKind::Unblock)
        }
        DueStep::Projection => Pass::Scanner(ScannerKind::FlowProjector),
        DueStep::ReclaimOfExpired | DueStep::ReclaimOfRevoked => Pass::Reclaimer,
    }
}

impl World {
    /// Looks for work that was passed over; ends the run when all has ended or the time is up.
    pub(super) fn look(&mut self) {
        self.look_for_passed_over();
        let is_late = self.now >= self.deadline();
        // Zombies are waited for: what they still write, late, is looked at like anything else.
        let submitted = self.cast.has_submitted_all();
        if self.unfinished == 0 && submitted && self.hub.runs_under_way() == 0 && !self.awaits_projection() {
            self.see(&Seen::Ended(self.store.execution_count() as u64));
            self.over = true;
        } else if is_late {
            self.judge_unfinished();
            if !submitted {
                self.undecided.push("not all work was submitted in time".to_owned());
            }
            self.over = true;
        } else {
            let next = self.now.plus_ms(LOOK_MS);
            self.schedule(next, 0, Event::Look);
        }
    }

    /// Whether an engine sums flows up.
    fn projects(&self) -> bool {
        let mut scanners = self.plan.world.engine.iter().flat_map(|engine| &engine.scanners);
        scanners.any(|name| name == ScannerKind::FlowProjector.name())
    }

    /// Whether a projector still has a summary before it that is not true yet.
    fn awaits_projection(&self) -> bool {
        let mut untrue = self.overdue.since.keys().filter(|overdue| overdue.due == DueStep::Projection);
        untrue.any(|overdue| !self.overdue.untrue.contains(&overdue.execution))
    }

    fn look_for_passed_over(&mut self) {
        let now = self.server_clock.at(self.now);
        let lanes = self.lanes();
        let mut gone = std::mem::take(&mut self.overdue.since);
        let mut listed = invariant::overdue(&self.store, self.plan.world.partitions, &lanes, now);
        if self.projects() {
            listed.extend(invariant::untrue_summaries(&self.store));
        }
        for overdue in listed {
            let passes = self.hub.passes(mover(overdue.due));
            let since = gone.remove(&overdue).unwrap_or(passes);
            self.overdue.since.insert(overdue.clone(), since);
            self.see_passed(&Passed { overdue, passes: passes - since, moved: false });
        }
        // A member that has moved again leaves the summary of its flow as untrue as it was.
        let untrue: BTreeSet<_> = self
            .overdue
            .since
            .keys()
            .filter(|held| held.due == DueStep::Projection)
            .map(|held| held.execution)
            .collect();
        for (overdue, since) in gone {
            if overdue.due == DueStep::Projection && untrue.contains(&overdue.execution) {
                continue;
            }
            let passes = self.hub.passes(mover(overdue.due)) - since;
            self.see_passed(&Passed { overdue, passes, moved: true });
        }
        let (idle, reclaims) = (self.idle_polls(), self.hub.passes(Pass::Reclaimer));
        self.overdue.passes.push((now.ms(), idle, reclaims));
    }

    fn lanes(&self) -> Vec<LaneNo> {
        let mut ids = self.hub.ids();
        self.plan.world.lanes.iter().map(|lane| ids.lane(&LaneId::new(lane.as_str()))).collect()
    }

    /// For each lane, how many polls of one worker that polls it found nothing.
    fn idle_polls(&self) -> Vec<u64> {
        let of_lane = |lane: &String| {
            let workers = self.plan.workers.iter().filter(|worker| worker.lanes.contains(lane));
            let seats = workers.filter_map(|worker| self.positions.get(&worker.key));
            seats.map(|party| self.hub.passes_of(Pass::IdlePoll, *party)).max().unwrap_or_default()
        };
        self.plan.world.lanes.iter().map(of_lane).collect()
    }

    fn see_passed(&mut self, passed: &Passed) {
        let now = self.server_clock.at(self.now);
        let found = self.checker.see(&Seen::Passed { passed, store: &self.store, now }).to_vec();
        if !found.is_empty() {
            let told = match passed.overdue.due {
                DueStep::Projection => &mut self.overdue.untrue,
                _ => &mut self.overdue.told,
            };
            told.insert(passed.overdue.execution);
        }
        match passed.overdue.due {
            // Whoever was given the lease has done nothing wrong: the scanner went by it.
            DueStep::Marking => self.report_of(0, ("engine", "mark_lease_expired_if_due", "passed_over"), found),
            // It is no member's doing either.
            DueStep::Projection => self.report_of(0, ("engine", "project_flow_summary", "passed_over"), found),
            _ => self.report(found),
        }
    }

    /// Leaves out what is explained already, and what waits for something that is.
    fn explain(&self, explained: &mut BTreeSet<ExecutionNo>, slow: &mut Vec<(ExecutionNo, String)>) {
        loop {
            let before = slow.len();
            slow.retain(|(number, _)| {
                let waits = self.store.execution(*number).is_some_and(|found| {
                    let mut upstreams = found.dependencies.applied.iter().map(|dependency| dependency.upstream);
                    upstreams.any(|upstream| explained.contains(&upstream))
                });
                let is_explained = waits || explained.contains(number);
                if is_explained {
                    explained.insert(*number);
                }
                !is_explained
            });
            if slow.len() == before {
                return;
            }
        }
    }

    /// The end of the phase: what has not ended is lost, was passed over again and again, or is slow.
    fn judge_unfinished(&mut self) {
        let now = self.server_clock.at(self.now);
        let (polls, reclaims, lanes) = (self.idle_polls(), self.hub.passes(Pass::Reclaimer), self.lanes());
        for overdue in invariant::revoked(&self.store) {
            let passes = reclaims.saturating_sub(self.overdue.passes_at(overdue.since_ms).1);
            self.see_passed(&Passed { overdue, passes, moved: false });
        }
        let mut slow = Vec::new();
        let mut broken = Vec::new();
        let mut explained = self.overdue.told.clone();
        for (execution, stuck) in invariant::unfinished(&self.store, now) {
            let is_listed = execution.core.vector.eligibility_state == EligibilityState::EligibleNow
                && execution.score_in(IndexKey::Eligible(execution.submission.lane)).is_some();
            let since = self.overdue.passes_at(execution.core.last_mutation_at.0).0;
            let polls = lanes
                .iter()
                .position(|lane| *lane == execution.submission.lane)
                .map_or(0, |lane| polls[lane].saturating_sub(since.get(lane).copied().unwrap_or_default()));
            // A renewal that was under way when a run ended makes its lease last once more.
            let lease_ago = TrueTime::from_us(self.now.us().saturating_sub(self.plan.world.lease_ttl_ms * 1_000));
            let is_run = self.hub.is_run_since(execution.number, lease_ago);
            let idle_polls = if is_listed { polls } else { 0 };
            let blocks = self.overdue.blocks.get(&execution.number).copied().unwrap_or_default();
            let found =
                self.checker.see(&Seen::Unfinished { execution, stuck: &stuck, is_run, now, idle_polls, blocks });
            broken.extend_from_slice(found);
            if found.is_empty() {
                // What differs from one execution to the next is left out, so that reasons can be counted.
                let waits_for = stuck.waits_for.split([',', ';']).next().unwrap_or_default();
                let plain: String = waits_for.chars().filter(|letter| !letter.is_ascii_digit()).collect();
                slow.push((execution.number, plain.trim().to_owned()));
            } else {
                explained.insert(execution.number);
            }
        }
        self.explain(&mut explained, &mut slow);
        let slow: BTreeSet<String> = slow.into_iter().map(|(_, waits_for)| waits_for).collect();
        self.report(broken);
        self.see(&Seen::Ended(self.store.execution_count() as u64 - self.unfinished));
        // The reason is the same for one execution and for many, so that seeds can be counted under it.
        for waits_for in slow {
            self.undecided.push(format!("some work was still moving when the time was up, waiting for {waits_for}"));
        }
    }
}
