//! The small chart above the timeline: how probable the violation was, over time.
//!
//! The curve goes in; out comes a figure that stretches to any width, because its
//! words are HTML and only its lines are drawn.

use maud::{Markup, html};

use crate::model::{NoteKind, Timeline};
use crate::words;

/// The drawing's own width; the page stretches it.
const WIDTH: u64 = 1_000;
/// The drawing's own height.
const HEIGHT: u64 = 100;

/// The chart, or nothing if there is no curve.
pub fn chart(timeline: &Timeline) -> Markup {
    let curve = &timeline.curve;
    let (Some(&(from_us, first)), Some(&(until_us, last))) = (curve.first(), curve.last()) else {
        return html! {};
    };
    let most = curve.iter().map(|point| point.1).max().unwrap_or(0);
    let ceiling = ceiling(most);
    let x = |at_us: u64| {
        let share = u128::from(at_us.saturating_sub(from_us)) * u128::from(WIDTH);
        share / u128::from(until_us.saturating_sub(from_us).max(1))
    };
    let y = |parts: u32| HEIGHT - u64::from(parts) * HEIGHT / u64::from(ceiling);
    let points: Vec<String> = curve.iter().map(|&(at_us, parts)| format!("{},{}", x(at_us), y(parts))).collect();
    let line = points.join(" ");
    let broken: Vec<u64> = timeline
        .notes
        .iter()
        .filter(|note| note.kind == NoteKind::Violation && (from_us..=until_us).contains(&note.at_us))
        .map(|note| note.at_us)
        .collect();
    let summary = summary(curve, first, last);
    html! {
        figure.chart {
            figcaption { "How probable the violation was, over true time" }
            div.plot {
                div.high { (words::percent(ceiling)) }
                div.low { "0 %" }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(summary) {
                    line.grid x1="0" x2=(WIDTH) y1="0" y2="0" {}
                    line.grid x1="0" x2=(WIDTH) y1=(HEIGHT / 2) y2=(HEIGHT / 2) {}
                    line.grid x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
                    polygon.area points={ "0," (HEIGHT) " " (line) " " (WIDTH) "," (HEIGHT) } {}
                    polyline.curve points=(line) {}
                    @for at_us in broken { line.broken x1=(x(at_us)) x2=(x(at_us)) y1="0" y2=(HEIGHT) {} }
                }
                div.start { (words::seconds(from_us)) " s" }
                div.finish { (words::seconds(until_us)) " s" }
            }
            p { (summary) }
        }
    }
}

/// The least of a few round values that the whole curve stays below.
fn ceiling(most: u32) -> u32 {
    [10, 100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000]
        .into_iter()
        .find(|round| most <= *round)
        .unwrap_or(1_000_000)
        .max(most)
}

/// What a person should see in the curve, in words.
fn summary(curve: &[(u64, u32)], first: u32, last: u32) -> String {
    let ends = format!("It goes from {} to {}.", words::percent(first), words::percent(last));
    let steepest = curve
        .windows(2)
        .filter_map(|pair| match pair {
            [before, after] if after.1 > before.1 => Some((after.1 - before.1, after.0)),
            _ => None,
        })
        // Of equal rises the first counts, hence the comparison by time as well.
        .max_by_key(|&(rise, at_us)| (rise, std::cmp::Reverse(at_us)));
    match steepest {
        Some((rise, at_us)) => {
            format!("{ends} The largest rise, by {}, comes at {} s.", words::percent(rise), words::seconds(at_us))
        }
        None => ends,
    }
}

#[cfg(test)]
mod tests {
    use super::{ceiling, summary};

    #[test]
    fn the_largest_rise_is_told_in_words() {
        let text = summary(&[(0, 1_000), (1_000_000, 600_000), (2_000_000, 1_000_000)], 1_000, 1_000_000);
        assert!(text.contains("by 59.9 %, comes at 1.000 s"), "{text}");
    }

    #[test]
    fn the_chart_ends_at_a_round_value_above_the_curve() {
        assert_eq!(ceiling(37), 100);
        assert_eq!(ceiling(1_000_000), 1_000_000);
    }
}
