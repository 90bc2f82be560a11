//! Where things stand from left to right.
//!
//! The number of a column goes in; pixel positions come out. How far down a
//! thing stands is the business of the scale.

/// The width of one lane.
pub const LANE: i64 = 192;
/// The width of the time axis, left of the lanes.
pub const AXIS: i64 = 80;
/// The height of the column heads.
pub const HEAD: i64 = 76;
/// The height of one line of text.
pub const LINE: i64 = 15;
/// Half the width of a lease bar.
pub const HALF_BAR: i64 = 9;
/// The width that a label may take, in pixels.
pub const LABEL: u32 = 140;
/// How far left of its lane's life line a lost message ends.
pub const CROSS: i64 = 20;
/// How far from the left edge of a lane its life line stands.
const LIFE: i64 = 32;

/// The left edge of a lane.
pub fn left(column: usize) -> i64 {
    whole(column) * LANE
}

/// The life line of a lane: leases stand on it, messages begin at it.
pub fn life(column: usize) -> i64 {
    left(column) + LIFE
}

/// Where the labels of a lane begin.
pub fn label(column: usize) -> i64 {
    life(column) + HALF_BAR + 6
}

/// A count as a coordinate. No drawing is wide or long enough to overflow it.
pub fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX / LANE)
}
