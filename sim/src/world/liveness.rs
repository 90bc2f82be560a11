//! The phase after the faults: everything must end, and nothing may be passed over meanwhile.
//!
//! How long anything takes depends on the plan's latencies and amounts, so no bound here is a time. Work is overdue
//! when whoever has to move it has gone by all its work so many times and has left it where it was. What is merely
//! slow stays undecided.

use std::collections::BTreeMap;

use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::{self, Invariant};
use claimlab_model::store::IndexKey;
use ff_core::state::EligibilityState;
use ff_core::types::LaneId;

use super::heap::Event;
use super::{Pass, World};

/// How often the phase looks around, in milliseconds.
pub(super) const LOOK_MS: u64 = 2_000;
/// So many scanner passes may go by due work: one that began before, one that meets it, and one more.
const SCANNER_PASSES: u64 = 3;
/// A reclaimer has all that it remembers before it once in ten passes, and another's grant can be in its way.
const RECLAIMER_PASSES: u64 = 30;
/// So many polls of one worker that found nothing have been everywhere, whatever its lanes and windows.
const IDLE_POLLS: u64 = 64;
/// Work that was blocked so often after it had been unblocked is blocked for good.
const BLOCKS: u32 = 8;

/// Work that is due, with how many passes had gone by when it was first seen so.
#[derive(Default)]
pub(super) struct Overdue {
    since: BTreeMap<(Invariant, ExecutionNo, i64), u64>,
    blocks: BTreeMap<ExecutionNo, u32>,
    /// How many idle polls and reclaimer passes there had been at each look, by the server's time.
    passes: Vec<(i64, u64, u64)>,
}

impl Overdue {
    /// An execution was blocked that had been eligible.
    pub(super) fn blocked_again(&mut self, execution: ExecutionNo) {
        *self.blocks.entry(execution).or_default() += 1;
    }

    /// Idle polls and reclaimer passes up to the first look after a server's time.
    fn passes_at(&self, at_ms: i64) -> (u64, u64) {
        let position = self.passes.partition_point(|(look_ms, _, _)| *look_ms < at_ms);
        let found = self.passes.get(position).or(self.passes.last());
        found.map_or((0, 0), |(_, idle, reclaims)| (*idle, *reclaims))
    }
}

/// Whose passes move the work that an invariant speaks of, and how many may go by it.
const fn mover(invariant: Invariant) -> (Pass, u64) {
    match invariant {
        Invariant::L03 => (Pass::LeaseExpiry, SCANNER_PASSES),
        Invariant::L05 => (Pass::DelayedPromoter, SCANNER_PASSES),
        _ => (Pass::Reclaimer, RECLAIMER_PASSES),
    }
}

impl World {
    /// Looks for work that was passed over; ends the run when all has ended or the time is up.
    pub(super) fn look(&mut self) {
        self.look_for_passed_over();
        let is_late = self.now >= self.deadline();
        // Zombies are waited for: what they still write, late, is looked at like anything else.
        let submitted = self.cast.has_submitted_all();
        if self.unfinished == 0 && submitted && self.hub.runs_under_way() == 0 {
            let created = self.store.execution_count() as u64;
            self.checker.note_liveness(Invariant::L09, created);
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

    fn look_for_passed_over(&mut self) {
        let now = self.server_clock.at(self.now);
        let lanes: Vec<_> = {
            let mut ids = self.hub.ids();
            self.plan.world.lanes.iter().map(|lane| ids.lane(&LaneId::new(lane.as_str()))).collect()
        };
        let found = invariant::overdue(&self.store, self.plan.world.partitions, &lanes, now);
        let before = std::mem::take(&mut self.overdue.since);
        for overdue in found {
            let violation = overdue.violation;
            let (pass, allowed) = mover(violation.invariant);
            let passes = self.hub.passes(pass);
            let key = (violation.invariant, violation.execution, overdue.due_ms);
            let since = before.get(&key).copied().unwrap_or(passes);
            self.overdue.since.insert(key, since);
            if passes < since + allowed {
                continue;
            }
            self.checker.note_liveness(violation.invariant, 1);
            if self.told_overdue.insert((violation.invariant, violation.execution)) {
                let detail = format!("{}; {} passes have gone by it", violation.detail, passes - since);
                let deed = self.last_write(violation.execution);
                self.found(0, violation.invariant, violation.case, deed, Some(violation.execution), detail);
            }
        }
        // What was due and is not any more was moved in time.
        for (invariant, execution, due_ms) in before.into_keys() {
            if !self.overdue.since.contains_key(&(invariant, execution, due_ms)) {
                self.checker.note_liveness(invariant, 1);
            }
        }
        let (idle, reclaims) = (self.hub.passes(Pass::IdlePoll), self.hub.passes(Pass::Reclaimer));
        self.overdue.passes.push((now.ms(), idle, reclaims));
    }

    /// The end of the phase: what has not ended is lost, was passed over again and again, or is slow.
    fn judge_unfinished(&mut self) {
        let now = self.server_clock.at(self.now);
        let (polls, reclaims) = (self.hub.passes(Pass::IdlePoll), self.hub.passes(Pass::Reclaimer));
        let mut broken = Vec::new();
        for overdue in invariant::revoked(&self.store) {
            let passed = reclaims.saturating_sub(self.overdue.passes_at(overdue.due_ms).1);
            if passed >= RECLAIMER_PASSES {
                let violation = overdue.violation;
                let detail = format!("{}; {passed} passes have gone by it", violation.detail);
                broken.push((violation.invariant, violation.case, violation.execution, detail));
            }
        }
        let mut slow: BTreeMap<String, u64> = BTreeMap::new();
        for (execution, stuck) in invariant::unfinished(&self.store, now) {
            let no = execution.no;
            let is_listed = execution.core.vector.eligibility_state == EligibilityState::EligibleNow
                && execution.score_in(IndexKey::Eligible(execution.submission.lane)).is_some();
            let since = self.overdue.passes_at(execution.core.last_mutation_at.0).0;
            let idle = if is_listed { polls.saturating_sub(since) } else { 0 };
            let blocks = self.overdue.blocks.get(&no).copied().unwrap_or_default();
            let lost = invariant::immovable(execution, &stuck);
            if !lost.is_empty() {
                broken.extend(lost.into_iter().map(|of| (of.invariant, of.case, no, of.detail)));
            } else if idle >= IDLE_POLLS {
                let detail = format!("{idle} polls of one worker found nothing while it was eligible");
                broken.push((Invariant::L09, "unclaimed", no, detail));
            } else if blocks >= BLOCKS {
                let detail = format!("it was blocked {blocks} times after the faults had stopped");
                broken.push((Invariant::L09, "blocked", no, detail));
            } else {
                // What differs from one execution to the next is left out, so that reasons can be counted.
                let waits_for = stuck.waits_for.split([',', ';']).next().unwrap_or_default();
                let plain: String = waits_for.chars().filter(|letter| !letter.is_ascii_digit()).collect();
                *slow.entry(plain.trim().to_owned()).or_default() += 1;
            }
        }
        let created = self.store.execution_count() as u64;
        self.checker.note_liveness(Invariant::L09, created - slow.values().sum::<u64>());
        self.checker.note_liveness(Invariant::L10, self.unfinished);
        for (invariant, case, execution, detail) in broken {
            let deed = self.last_write(execution);
            self.found(0, invariant, case, deed, Some(execution), detail);
        }
        // The reason is the same for one execution and for many, so that seeds can be counted under it.
        for waits_for in slow.into_keys() {
            self.undecided.push(format!("some work was still moving when the time was up, waiting for {waits_for}"));
        }
    }
}
