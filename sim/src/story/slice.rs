//! Slicing: of all that was collected, what led to the violation.
//!
//! What stays: every write to the execution; what befell a party between its first touch of the execution and its
//! last; steps of the server's clock while anybody held it; messages about it that were lost or late. What goes: other
//! parties' faults, and refused tries of those who never held it, unless the violation is about a refusal.

use std::collections::BTreeMap;

use super::{Moment, Told};
use crate::plan::PartyKey;

/// The moments that led to the last one.
pub(super) fn causes(moments: &[Moment]) -> Vec<Moment> {
    let Some(end) = moments.last() else { return Vec::new() };
    // When each party first and last touched the execution.
    let mut touched: BTreeMap<PartyKey, (u64, u64)> = BTreeMap::new();
    let mut holders: BTreeMap<PartyKey, u64> = BTreeMap::new();
    for moment in moments {
        let at_us = moment.at.us();
        match &moment.what {
            Told::Performed { is_write, .. } => {
                let known = touched.entry(moment.party).or_insert((at_us, at_us));
                known.1 = at_us;
                if *is_write {
                    holders.entry(moment.party).or_insert(at_us);
                }
            }
            Told::Ran { .. } => {
                touched.entry(moment.party).or_insert((at_us, at_us)).1 = at_us;
            }
            _ => {}
        }
    }
    let first_us =
        moments.iter().find(|moment| matches!(moment.what, Told::Performed { .. })).map_or(0, |of| of.at.us());
    let matters = |moment: &&Moment| {
        let at_us = moment.at.us();
        let in_touch = touched.get(&moment.party).is_some_and(|(first, last)| {
            // A stall or a cut that begins before the touch can reach into it.
            at_us + 120_000_000 >= *first && at_us <= (*last).max(end.at.us())
        });
        match &moment.what {
            Told::Broken { .. } => true,
            Told::Performed { is_write, .. } => *is_write || holders.contains_key(&moment.party),
            Told::Late { .. } | Told::Unheard { .. } | Told::Befell { of_message: Some(_), .. } => {
                holders.contains_key(&moment.party)
            }
            Told::Befell { of_message: None, .. } if moment.party == PartyKey::SERVER => at_us >= first_us,
            Told::Befell { of_message: None, .. } | Told::GoesOn { .. } => {
                let is_everybodys = moment.party == PartyKey::SERVER && at_us >= first_us;
                is_everybodys || (in_touch && at_us + 1 >= holders.get(&moment.party).copied().unwrap_or(u64::MAX))
            }
            Told::Ran { .. } => holders.contains_key(&moment.party),
        }
    };
    moments.iter().filter(matters).cloned().collect()
}
