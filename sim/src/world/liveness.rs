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
        if since_heal_ms >= RECLAIM_MS + PASS_MS {
            let lanes: Vec<_> = {
                let mut ids = self.hub.ids();
                self.plan.world.lanes.iter().map(|lane| ids.lane(&LaneId::new(lane.as_str()))).collect()
            };
            for invariant in [Invariant::L03, Invariant::L04, Invariant::L05] {
                self.checker.note_liveness(invariant, 1);
            }
            for violation in overdue(&self.store, self.plan.world.partitions, &lanes, now, &bounds) {
                if self.stuck.insert((violation.invariant, violation.execution)) {
                    self.report(0, violation);
                }
            }
        }
        let ended = self.unfinished == 0 && self.cast.all_submitted();
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
            self.over = true;
        } else {
            let next = self.now.plus_ms(LOOK_MS);
            self.schedule(next, 0, Event::Look);
        }
    }
}
