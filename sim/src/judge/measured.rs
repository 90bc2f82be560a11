//! What is measured and not forbidden: each with its id, its unit and the bound that a scenario may set.

use serde::Serialize;

use crate::outcome::Runs;
use crate::scenario::Bounds;

/// One measure of a run or a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measure {
    /// `M01` and so on.
    pub id: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// Its value.
    pub value: u64,
    /// The value's unit.
    pub unit: &'static str,
    /// The highest value that the scenario allows; none where it says nothing.
    pub at_most: Option<u64>,
}

impl Measure {
    /// Whether it is over its bound.
    pub fn is_exceeded(&self) -> bool {
        self.at_most.is_some_and(|at_most| self.value > at_most)
    }
}

/// Everything that is measured, in order.
pub fn measures(runs: &Runs, lost_writes: u64, bounds: &Bounds) -> Vec<Measure> {
    let share = |part: u64, of: u64| part.saturating_mul(1_000_000) / of.max(1);
    let of = |id, what, value, unit, at_most| Measure { id, what, value, unit, at_most };
    vec![
        of(
            "M01",
            "runs that overlapped another run of the same execution",
            share(runs.overlapped, runs.started),
            "ppm of runs",
            bounds.overlap_ppm,
        ),
        of(
            "M02",
            "earliest run before what its submitter or holder meant",
            runs.early_ms.longest,
            "ms",
            bounds.early_ms,
        ),
        of("M03", "latest run after what its submitter or holder meant", runs.late_ms.longest, "ms", bounds.late_ms),
        of("M04", "longest time on a lost lease without a doubt", runs.ran_on_ms.longest, "ms", bounds.unaware_ms),
        of(
            "M05",
            "leases that ended without anybody having run under them",
            share(runs.unrun, runs.started + runs.unrun),
            "ppm of leases",
            bounds.unrun_ppm,
        ),
        of("M06", "acknowledged writes that a replica lacked", lost_writes, "writes", bounds.lost_writes),
        of(
            "M07",
            "executions that met the cap on their reclaims before anybody had run them",
            runs.ended_unrun,
            "executions",
            bounds.ended_unrun,
        ),
    ]
}
