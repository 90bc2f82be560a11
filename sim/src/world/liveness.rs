//! The phase after the faults: everything must end, and nothing may be overdue meanwhile.

use claimlab_model::invariant::{Bounds, Invariant, diagnose, overdue};
use ff_core::types::LaneId;

use super::World;
use super::heap::Event;

/// How often the phase looks around.
pub(super) const LOOK_MS: u64 = 2_000;
/// A scanner's pass may take so long on top of its interval.
const PASS_MS: u64 = 3_000;
/// The shipped intervals of the scanners concerned.
const LEASE_EXPIRY_INTERVAL_MS: u64 = 1_500;
const DELAYED_PROMOTER_INTERVAL_MS: u64 = 750;
/// A reclaimer looks once a second; a grant that it lost in a crash stands for its time to live.
const RECLAIM_MS: u64 = 30_000;

impl World {
    /// Looks for overdue work; ends the run when all has ended or the time is up.
    pub(super) fn look(&mut self) {
        let bounds = Bounds {
            mark_ms: LEASE_EXPIRY_INTERVAL_MS + PASS_MS,
            reclaim_ms: RECLAIM_MS,
            promote_ms: DELAYED_PROMOTER_INTERVAL_MS + PASS_MS,
        };
        let now = self.server_clock.at(self.now);
        // Work that became due while something was wrong has its time from the healing on.
        let since_heal_ms = self.now.ms().saturating_sub(self.plan.world.for_ms);
        let lanes: Vec<_> = {
            let mut ids = self.hub.ids();
            self.plan.world.lanes.iter().map(|lane| ids.lane(&LaneId::new(lane.as_str()))).collect()
        };
        let due = [
            (Invariant::L03, bounds.mark_ms),
            (Invariant::L04, bounds.reclaim_ms + PASS_MS),
            (Invariant::L05, bounds.promote_ms),
        ];
        let due = due.map(|(invariant, bound_ms)| (invariant, since_heal_ms >= bound_ms));
        for (invariant, _) in due.iter().filter(|(_, due)| *due) {
            self.checker.note_liveness(*invariant, 1);
        }
        for violation in overdue(&self.store, self.plan.world.partitions, &lanes, now, &bounds) {
            let is_due = due.iter().any(|(invariant, due)| *invariant == violation.invariant && *due);
            if is_due && self.stuck.insert((violation.invariant, violation.execution)) {
                self.report(0, violation);
            }
        }
        // Zombies are waited for: what they still write, late, is looked at like anything else.
        let submitted = self.cast.all_submitted();
        let ended = self.unfinished == 0 && submitted && self.hub.runs_under_way() == 0;
        if ended || self.now >= self.deadline() {
            for invariant in [Invariant::L09, Invariant::L10] {
                self.checker.note_liveness(invariant, self.store.execution_count() as u64);
            }
        }
        if ended {
            self.over = true;
        } else if self.now >= self.deadline() {
            for violation in diagnose(&self.store, now, &bounds) {
                self.report(0, violation);
            }
            if !submitted {
                self.undecided = Some("not all work was submitted in time".into());
            }
            self.over = true;
        } else {
            let next = self.now.plus_ms(LOOK_MS);
            self.schedule(next, 0, Event::Look);
        }
    }
}
