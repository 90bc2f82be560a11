//! When did it become inevitable?
//!
//! In go a plan and the violation that it shows; out comes how often the violation still comes if the plan is kept up to
//! a moment and the rest is drawn anew ([`Plan::redrawn`]), moment by moment up to the violation. A curve that is high from
//! the start tells of a rule that is wrong, one that jumps tells which step decided.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::TrueTime;
use crate::history::{Event, Happening, Observer};
use crate::outcome::{Violation, Wanted};
use crate::plan::{Future, Plan, Strikes};
use crate::run;
use crate::story::seconds;
use crate::world::Options;

/// So many moments, at even distances.
const MOMENTS: u64 = 20;
/// So many futures of each.
const FUTURES: u64 = 50;
/// Larger plans have no curve: a thousand runs of one would take minutes.
const MOST_EVENTS: u64 = 40_000;
/// A future may take so many events more than twice those of the plan itself.
const SPARE_EVENTS: u64 = 400;

/// What came of the futures of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The moment: true time in microseconds.
    pub at_us: u64,
    /// Futures in which the violation came.
    pub came: u64,
    /// All of them.
    pub of: u64,
}

impl Moment {
    /// The share of futures in which it came, in parts per million.
    pub fn ppm(self) -> u32 {
        u32::try_from(self.came * 1_000_000 / self.of.max(1)).unwrap_or(u32::MAX)
    }
}

/// When messages were sent that a plan's faults strike.
#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Sent>>);

#[derive(Default)]
struct Sent {
    at: BTreeMap<String, TrueTime>,
    struck: Vec<String>,
}

impl Observer for Watcher {
    fn observe(&mut self, event: &Event<'_>) {
        if let Happening::Sent { address, .. } = &event.kind {
            let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if sent.struck.iter().any(|struck| struck == address) {
                sent.at.insert((*address).to_owned(), event.at);
            }
        }
    }
}

/// How likely the violation was, from a true time on; empty where the plan is too large or has rates, whose faults have
/// no names.
pub fn curve(plan: &Arc<Plan>, violation: &Violation, from_us: u64) -> Vec<Moment> {
    if !plan.rates.is_empty() {
        return Vec::new();
    }
    let wanted = Wanted::of(&violation.cause());
    let struck = plan.faults.iter().filter_map(|fault| match &fault.strikes {
        Strikes::Message(address) => Some(address.clone()),
        _ => None,
    });
    let watcher = Watcher(Arc::new(Mutex::new(Sent { at: BTreeMap::new(), struck: struck.collect() })));
    let observers: Vec<Box<dyn Observer>> = vec![Box::new(watcher.clone())];
    let ends_with = Some(wanted.clone());
    let once = run::run(plan, Options { observers, ends_with, ..Options::default() });
    let sent = std::mem::take(&mut watcher.0.lock().unwrap_or_else(PoisonError::into_inner).at);
    if once.counts.events > MOST_EVENTS {
        return Vec::new();
    }
    let until = violation.at_us.max(from_us + 1);
    let most_events = Some(2 * once.counts.events + SPARE_EVENTS);
    let comes = |at_us: u64, number: u64| {
        let future = Future { from: TrueTime::from_us(at_us), until: TrueTime::from_us(until) };
        let seed = plan.seed.wrapping_add(number + 1);
        let redrawn = plan.redrawn(future, seed, |address| sent.get(address).copied());
        let options = Options { ends_with: Some(wanted.clone()), most_events, ..Options::default() };
        run::run(&Arc::new(redrawn), options).violations.iter().any(|violation| wanted.is(violation))
    };
    let moments = (0..=MOMENTS).map(|step| from_us + (until - from_us) * step / MOMENTS);
    let moment = |at_us: u64| {
        let came = (0..FUTURES).filter(|number| comes(at_us, *number)).count() as u64;
        Moment { at_us, came, of: FUTURES }
    };
    moments.map(moment).collect()
}

/// What a curve says, in a few sentences; nothing without one.
pub fn told(curve: &[Moment], zero_us: u64) -> Vec<String> {
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else { return Vec::new() };
    let at = |moment: &Moment| format!("+{}", seconds(moment.at_us.saturating_sub(zero_us)));
    let mut sentences = vec![format!(
        "If only its first event is kept and all that follows is left to chance, {} of {} runs come to this.",
        first.came, first.of
    )];
    let steepest = curve.windows(2).max_by_key(|pair| pair[1].came.saturating_sub(pair[0].came));
    if let Some([before, after]) = steepest.filter(|pair| pair[1].came > pair[0].came) {
        sentences.push(format!(
            "What happened between {} and {} decided most: with it, {} of {} runs come to this instead of {}.",
            at(before),
            at(after),
            after.came,
            after.of,
            before.came
        ));
    }
    // From when on it always came, whatever chance did.
    let open = curve.iter().rposition(|moment| moment.came < moment.of);
    match open.map_or(Some(first), |position| curve.get(position + 1)) {
        Some(sure) if sure.at_us < last.at_us => {
            sentences.push(format!("From {} on nothing that chance decides could avoid it.", at(sure)))
        }
        _ => sentences.push("Up to the last moment chance could still have avoided it.".to_owned()),
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve_of(came: &[u64]) -> Vec<Moment> {
        (0..).zip(came).map(|(step, came)| Moment { at_us: step * 1_000_000, came: *came, of: 50 }).collect()
    }

    #[test]
    fn a_curve_tells_which_stretch_decided_and_from_when_on_it_was_sure() {
        let told = told(&curve_of(&[2, 3, 40, 50, 50]), 0);
        assert!(told[0].ends_with("2 of 50 runs come to this."), "{told:?}");
        assert!(told[1].contains("between +1.000 s and +2.000 s"), "{told:?}");
        assert_eq!(told[2], "From +3.000 s on nothing that chance decides could avoid it.");
    }

    #[test]
    fn what_came_only_with_the_last_moment_could_have_been_avoided_until_then() {
        let told = told(&curve_of(&[0, 0, 10, 50]), 0);
        assert_eq!(told.last().unwrap(), "Up to the last moment chance could still have avoided it.");
    }

    #[test]
    fn no_curve_tells_nothing() {
        assert!(told(&[], 0).is_empty());
    }
}
