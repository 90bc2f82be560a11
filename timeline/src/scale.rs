//! From time to height on the page.
//!
//! In go all times at which something happens, and the labels that need room
//! beside them. Out comes, for each time, how far down it stands. The scale is
//! not proportional: a pause takes little more room the longer it lasts, so that
//! events a millisecond apart stay apart and a pause of minutes does not push the
//! story off the page. Long pauses are reported as breaks, to be drawn as such.

use crate::geometry::LINE;

/// The room above the first event.
const MARGIN: i64 = 22;
/// The least distance between two different times.
const LEAST: i64 = 5;
/// The height of a break in the axis.
const BREAK: i64 = 66;
/// A pause at least this long is drawn as a break.
const LONG_PAUSE_US: u64 = 5_000_000;

/// Room that a label needs from its time downwards, in one lane.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The time that the label belongs to.
    pub at_us: u64,
    /// The lane in which it stands.
    pub lane: usize,
    /// How high it is.
    pub height: i64,
}

/// A long pause, shortened.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// How long the pause really was.
    pub length_us: u64,
    /// Where the mark of the break begins.
    pub top: i64,
    /// Where it ends.
    pub bottom: i64,
}

/// How far down each time stands.
#[derive(Clone, Debug)]
pub struct Scale {
    stops: Vec<(u64, i64)>,
    breaks: Vec<Break>,
    height: i64,
}

impl Scale {
    /// Finds the highest place for every time such that times keep their order,
    /// pauses get their height, and no two labels of a lane overlap.
    pub fn new(times: &[u64], rooms: &[Room], lanes: usize) -> Self {
        let mut times: Vec<u64> = times.iter().copied().chain(rooms.iter().map(|room| room.at_us)).collect();
        times.sort_unstable();
        times.dedup();
        let mut rooms = rooms.to_vec();
        rooms.sort_by_key(|room| room.at_us);
        let mut rooms = rooms.into_iter().peekable();

        let mut free = vec![0; lanes];
        let mut stops: Vec<(u64, i64)> = Vec::with_capacity(times.len());
        let mut breaks = Vec::new();
        for at_us in times {
            let mut here = Vec::new();
            while let Some(room) = rooms.next_if(|room| room.at_us == at_us) {
                here.push(room);
            }
            let before = stops.last().copied();
            let mut y = before.map_or(MARGIN, |(earlier, y)| y + pause(at_us - earlier));
            for room in &here {
                y = y.max(free.get(room.lane).copied().unwrap_or(0) + LINE / 2);
            }
            if let Some((earlier, _)) = before
                && at_us - earlier >= LONG_PAUSE_US
            {
                let top = free.iter().copied().fold(stops.last().map_or(0, |stop| stop.1 + LINE / 2), i64::max);
                y = y.max(top + BREAK);
                breaks.push(Break { length_us: at_us - earlier, top: y - BREAK + 4, bottom: y - LINE / 2 - 4 });
            }
            for room in here {
                if let Some(free) = free.get_mut(room.lane) {
                    // The first line of a label is centred on its time.
                    *free = (*free).max(y - LINE / 2) + room.height;
                }
            }
            stops.push((at_us, y));
        }
        let lowest = free.into_iter().chain(stops.last().map(|stop| stop.1)).max().unwrap_or(0);
        Self { stops, breaks, height: lowest + MARGIN }
    }

    /// How far down a time stands. Between two events it is interpolated.
    pub fn y(&self, at_us: u64) -> i64 {
        let after = self.stops.partition_point(|stop| stop.0 < at_us);
        match (after.checked_sub(1).and_then(|before| self.stops.get(before)), self.stops.get(after)) {
            (_, Some(&(time, y))) if time == at_us => y,
            (Some(&(earlier, top)), Some(&(later, bottom))) => {
                let share = i128::from(at_us - earlier) * i128::from(bottom - top) / i128::from(later - earlier);
                top + i64::try_from(share).unwrap_or(0)
            }
            (None, Some(&(_, y))) | (Some(&(_, y)), None) => y,
            (None, None) => MARGIN,
        }
    }

    /// Every time with its place, in order.
    pub fn stops(&self) -> &[(u64, i64)] {
        &self.stops
    }

    /// The long pauses that were shortened, in order.
    pub fn breaks(&self) -> &[Break] {
        &self.breaks
    }

    /// The height of the whole drawing.
    pub fn height(&self) -> i64 {
        self.height
    }
}

/// The height of a pause: it grows with the logarithm of its milliseconds, in
/// steps of an eighth so that whole numbers are enough.
fn pause(length_us: u64) -> i64 {
    let milliseconds = (1 + length_us / 1_000).min(1 << 50);
    let exponent = milliseconds.ilog2();
    let eighths = u64::from(exponent) * 8 + (((milliseconds << 3) >> exponent) - 8);
    LEAST + i64::try_from(eighths * 3 / 8).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{LEAST, Room, Scale};
    use crate::geometry::LINE;

    #[test]
    fn later_events_stand_lower_and_even_a_microsecond_keeps_two_apart() {
        let times = [0, 1, 2, 900, 1_000, 1_000_000, 90_000_000];
        let scale = Scale::new(&times, &[], 1);
        for pair in times.windows(2) {
            assert!(scale.y(pair[1]) >= scale.y(pair[0]) + LEAST);
        }
    }

    #[test]
    fn a_pause_of_minutes_takes_little_room_and_is_marked_as_a_break() {
        let scale = Scale::new(&[0, 600_000_000], &[], 1);
        assert!(scale.y(600_000_000) < 120);
        assert_eq!(scale.breaks().len(), 1);
        assert_eq!(scale.breaks()[0].length_us, 600_000_000);
    }

    #[test]
    fn labels_of_one_lane_never_overlap_but_other_lanes_do_not_wait() {
        let room = |at_us, lane| Room { at_us, lane, height: 3 * LINE };
        let crowded = Scale::new(&[], &[room(0, 0), room(10, 0)], 2);
        assert!(crowded.y(10) - crowded.y(0) >= 3 * LINE);
        let apart = Scale::new(&[], &[room(0, 0), room(10, 1)], 2);
        assert!(apart.y(10) - apart.y(0) < LINE);
    }

    #[test]
    fn two_labels_at_the_same_time_both_get_their_room() {
        let room = |at_us| Room { at_us, lane: 0, height: LINE };
        let scale = Scale::new(&[], &[room(0), room(0), room(5)], 1);
        assert!(scale.y(5) - scale.y(0) >= 2 * LINE);
    }

    #[test]
    fn a_time_between_two_events_stands_between_them() {
        let scale = Scale::new(&[0, 1_000_000], &[], 1);
        let between = scale.y(500_000);
        assert!(between > scale.y(0) && between < scale.y(1_000_000));
    }
}
