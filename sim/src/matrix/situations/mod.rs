//! The situations: for each operation a list of names, each with the right calls that lead there and
//! the call that is probed.

mod admission;
mod claiming;
mod creating;
mod finishing;
mod flows;
mod leases;
mod mending;
mod operating;
mod reading;
mod reclaiming;
mod suspending;
mod workers;

use super::scene::{Probe, Scene};

/// The situations of one operation.
pub struct Family {
    /// The probed method of the trait.
    pub operation: &'static str,
    /// What it is probed in.
    pub situations: &'static [Situation],
}

/// One situation.
pub struct Situation {
    /// Its name, unique within the operation.
    pub name: &'static str,
    /// Leads there and gives the probed call.
    pub lead: fn(&mut Scene<'_>) -> Probe,
}

const fn of(operation: &'static str, situations: &'static [Situation]) -> Family {
    Family { operation, situations }
}

const fn at(name: &'static str, lead: fn(&mut Scene<'_>) -> Probe) -> Situation {
    Situation { name, lead }
}

/// Every family, by part of the protocol.
pub fn families() -> impl Iterator<Item = &'static Family> {
    const PARTS: &[&[Family]] = &[
        creating::FAMILIES,
        claiming::FAMILIES,
        leases::FAMILIES,
        reclaiming::FAMILIES,
        finishing::FAMILIES,
        suspending::FAMILIES,
        operating::FAMILIES,
        admission::FAMILIES,
        flows::FAMILIES,
        workers::FAMILIES,
        reading::FAMILIES,
        mending::FAMILIES,
    ];
    PARTS.iter().copied().flatten()
}
