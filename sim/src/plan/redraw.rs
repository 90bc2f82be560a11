//! The same plan up to a moment, with another future.
//!
//! In go a plan, a moment and a seed; out comes a plan whose run is the same up to that moment, byte for byte. What
//! the plan has in store after it is drawn anew: each deed and each fault happens in half of the futures, at some other
//! moment; each work item comes at some other moment; and latencies, habits and the fate of messages come from the seed.

use serde::{Deserialize, Serialize};

use super::{Plan, Strikes};
use crate::clock::TrueTime;
use crate::stream::{Purpose, Range, Stream};

/// From a moment on, another seed decides whatever chance decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaterSeed {
    /// The moment, by true time.
    pub from_us: TrueTime,
    /// The seed.
    pub seed: u64,
}

/// The part of a plan's run that may come otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Future {
    /// What happened up to here stays.
    pub from: TrueTime,
    /// Moments are drawn up to here.
    pub until: TrueTime,
}

impl Plan {
    /// The plan with another future. `sent_at` says when the message of an address was sent, where it was.
    #[must_use]
    pub fn redrawn(&self, future: Future, seed: u64, sent_at: impl Fn(&str) -> Option<TrueTime>) -> Self {
        let mut stream = Stream::new(seed, Purpose::Resampling, future.from.us());
        let mut plan = self.clone();
        let (from, until) = (future.from, future.until);
        let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let within = Range { low: signed(from.us() + 1), high: signed(until.us().max(from.us() + 1)) };
        // Every element draws, so that one that lies earlier or is not there moves no other.
        let mut drawn = || (stream.below(2) == 0, TrueTime::from_us(stream.within_unsigned(within)));
        for item in &mut plan.work {
            let (_, another) = drawn();
            if item.at > from {
                item.at = another;
            }
        }
        plan.operators.retain_mut(|action| {
            let (happens, another) = drawn();
            let is_past = action.at <= from;
            if !is_past {
                action.at = another;
            }
            is_past || happens
        });
        plan.faults.retain_mut(|fault| {
            let (happens, another) = drawn();
            let at = match &mut fault.strikes {
                Strikes::At { at_us, .. } => at_us,
                Strikes::Sending { from_us, .. } | Strikes::Holder { from_us, .. } => from_us,
                // A message that will be another one cannot be struck at another moment.
                Strikes::Message(address) => return happens || sent_at(address).is_some_and(|at| at <= from),
            };
            let is_past = *at <= from;
            if !is_past {
                *at = another;
            }
            is_past || happens
        });
        plan.later = Some(LaterSeed { from_us: from, seed });
        plan
    }
}
