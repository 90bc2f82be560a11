//! Whether a worker that polls and finds nothing comes by every partition of every lane.

use std::collections::{BTreeMap, BTreeSet};

/// A worker that finds nothing so many rounds over all windows long must have been everywhere.
const ROUNDS: u64 = 4;

/// Where one process has looked so far.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The partitions of each lane.
    seen: BTreeMap<String, BTreeSet<u16>>,
    /// All looks, whatever they found.
    looks: u64,
    polls: u64,
    judged: bool,
}

impl Rounds {
    /// Notes a look at a partition of a lane.
    pub(super) fn look(&mut self, lane: &str, partition: u16) {
        self.looks += 1;
        if self.judged {
            return;
        }
        match self.seen.get_mut(lane) {
            Some(partitions) => drop(partitions.insert(partition)),
            None => drop(self.seen.insert(lane.to_owned(), BTreeSet::from([partition]))),
        }
    }

    /// How often it has looked anywhere.
    #[cfg(feature = "sdk")]
    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    /// Notes a poll that found work, and so did not look at all that it would have.
    pub(super) fn found_work(&mut self) {
        self.seen.clear();
        self.polls = 0;
    }

    /// Notes a poll that found nothing; judges once, when the worker has had its rounds, and tells what
    /// it has never looked at.
    pub(super) fn found_nothing(&mut self, lanes: usize, partitions: u16, window: u16) -> Option<Judged> {
        self.polls += 1;
        let windows = u64::from(partitions.div_ceil(window.max(1)));
        let all = lanes * usize::from(partitions);
        if self.judged || self.polls < ROUNDS * windows * lanes as u64 {
            return None;
        }
        self.judged = true;
        let seen = std::mem::take(&mut self.seen).values().map(BTreeSet::len).sum();
        Some(Judged { missed: all.saturating_sub(seen), all, polls: self.polls })
    }
}

/// What a worker has not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) missed: usize,
    pub(super) all: usize,
    pub(super) polls: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lanes: usize, partitions: u16) -> Judged {
        let window = partitions.min(32);
        let mut rounds = Rounds::default();
        for poll in 0.. {
            let lane = format!("lane-{}", poll % lanes);
            let start = poll as u16 * window % partitions;
            (0..window).for_each(|step| rounds.look(&lane, (start + step) % partitions));
            if let Some(judged) = rounds.found_nothing(lanes, partitions, window) {
                return judged;
            }
        }
        unreachable!("a worker is judged after its rounds")
    }

    #[test]
    fn one_window_or_one_lane_is_covered() {
        assert_eq!(judged(2, 32).missed, 0);
        assert_eq!(judged(1, 256), Judged { missed: 0, all: 256, polls: 32 });
    }

    #[test]
    fn as_many_lanes_as_windows_leave_most_of_each_lane_unseen() {
        assert_eq!(judged(2, 64), Judged { missed: 64, all: 128, polls: 16 });
        assert_eq!(judged(3, 64).missed, 0);
    }
}
