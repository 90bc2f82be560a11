//! The bars of the leases.
//!
//! A lease and the scale go in; out comes its bar on the life line of its holder:
//! solid while the server had the lease, hatched while only the holder believed in
//! it, empty while only the server still counted on it.

use maud::{Markup, html};

use crate::geometry::{HALF_BAR, life};
use crate::marks::{Mark, What};
use crate::model::Lease;
use crate::shapes::Picture;

/// How many colours the epochs take turns in.
const COLOURS: u64 = 4;
/// The hatching of a lease that its holder only believes in, in every colour.
pub fn patterns() -> Markup {
    html! {
        @for colour in 0..COLOURS {
            pattern.{ "e" (colour) } id={ "hatch" (colour) } width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect.back width="7" height="7" {}
                rect.stripe width="3" height="7" {}
            }
        }
    }
}

/// For each mark, how many bars to the left its lease stands: leases of one lane
/// that overlap in time must not cover each other.
pub fn slots(marks: &[Mark]) -> Vec<i64> {
    let mut slots: Vec<i64> = Vec::with_capacity(marks.len());
    let mut standing: Vec<(usize, u64, i64)> = Vec::new();
    for mark in marks {
        let What::Lease(lease) = mark.what else {
            slots.push(0);
            continue;
        };
        standing.retain(|bar| bar.0 != mark.column || bar.1 > lease.from_us);
        // More than two do not fit beside the life line; they share the last place.
        let slot = (0..2).find(|slot| standing.iter().all(|bar| bar.0 != mark.column || bar.2 != *slot)).unwrap_or(1);
        standing.push((mark.column, lease.until_us.max(lease.believed_until_us), slot));
        slots.push(slot);
    }
    slots
}

/// Draws the bar of one lease, moved to the left by its slot.
pub fn bar(picture: &Picture, lease: &Lease, column: usize, slot: i64) -> Markup {
    let scale = picture.scale;
    let x = life(column) - slot * (2 * HALF_BAR + 1);
    let (top, end) = (scale.y(lease.from_us), scale.y(lease.until_us));
    let believed = scale.y(lease.believed_until_us);
    let colour = lease.epoch % COLOURS;
    let (bar, edge) = (2 * HALF_BAR, x - HALF_BAR);
    let solid = end.min(believed).max(top);
    let quiet = quiet(picture, column, top, solid);
    let longest = quiet.iter().copied().max_by_key(|part| part.1 - part.0).unwrap_or((top, top));
    let names: Vec<i64> = quiet.iter().flat_map(|&(from, until)| names(from, until)).collect();
    html! {
        g.{ "e" (colour) } {
            rect.real x=(edge) y=(top) width=(bar) height=((solid - top).max(2)) {}
            @if believed > end {
                rect.believed x=(edge) y=(end) width=(bar) height=(believed - end) style={ "fill:url(#hatch" (colour) ")" } {}
                line.end x1=(edge - 5) x2=(edge + bar + 5) y1=(end) y2=(end) {}
            } @else if believed < end {
                rect.given-up x=(edge) y=(solid) width=(bar) height=((end - solid).max(0)) {}
            }
            @for y in &names {
                text.epoch transform={ "translate(" (x + 4) " " (y) ") rotate(-90)" } { "epoch " (lease.epoch) }
            }
            @if names.is_empty() && longest.1 - longest.0 >= 14 {
                text.epoch x=(x) y=(i64::midpoint(longest.0, longest.1) + 4) { (lease.epoch) }
            }
        }
    }
}

/// The parts of a bar that no sign covers, where its epoch can be read.
fn quiet(picture: &Picture, column: usize, top: i64, end: i64) -> Vec<(i64, i64)> {
    let sign = 9;
    let signs = picture
        .marks
        .iter()
        .filter(|mark| mark.column == column && matches!(mark.what, What::Note(_) | What::Clock(_)))
        .map(|mark| picture.scale.y(mark.at_us))
        .filter(|y| (top - sign..end + sign).contains(y));
    let mut parts = Vec::new();
    let mut from = top;
    for (until, next) in signs.map(|y| (y - sign, y + sign)).chain([(end, end)]) {
        if until > from {
            parts.push((from, until));
        }
        from = next;
    }
    parts
}

/// Where a part of a bar says its epoch: often enough that a long bar always
/// shows it somewhere on the screen, and not at all if it does not fit.
fn names(from: i64, until: i64) -> Vec<i64> {
    let (fits, often) = (56, 360);
    let length = until - from;
    let count = if length < fits { 0 } else { 1 + length / often };
    (0..count).map(|number| from + length * (2 * number + 1) / (2 * count)).collect()
}

/// Whether a lease, real or believed, stands on a lane's life line at a time.
pub fn stands(picture: &Picture, column: usize, at_us: u64) -> bool {
    picture.marks.iter().any(|mark| match mark.what {
        What::Lease(lease) => {
            let until_us = lease.until_us.max(lease.believed_until_us);
            mark.column == column && (lease.from_us..=until_us).contains(&at_us)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::{names, slots};
    use crate::marks::{Mark, What};
    use crate::model::Lease;

    fn lease(column: usize, from_us: u64, until_us: u64) -> Lease {
        Lease { column, epoch: 1, attempt: 1, from_us, until_us, ended: String::new(), believed_until_us: until_us }
    }

    #[test]
    fn leases_of_one_lane_stand_beside_each_other_while_they_overlap() {
        let leases = [lease(1, 0, 10), lease(1, 5, 20), lease(2, 6, 20), lease(1, 12, 30)];
        let marks: Vec<Mark> = leases
            .iter()
            .map(|lease| Mark {
                column: lease.column,
                at_us: lease.from_us,
                what: What::Lease(lease),
                kind: String::new(),
                sentence: String::new(),
                moments: Vec::new(),
            })
            .collect();
        assert_eq!(slots(&marks), [0, 1, 0, 0]);
    }

    #[test]
    fn a_long_bar_says_its_epoch_more_than_once_and_a_short_one_not_at_all() {
        assert_eq!(names(0, 40), []);
        assert_eq!(names(0, 100), [50]);
        assert_eq!(names(0, 800).len(), 3);
    }
}
