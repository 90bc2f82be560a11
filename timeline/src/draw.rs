//! The drawing itself: column heads, time axis and lanes.
//!
//! The timeline goes in; out come three pictures, which the page lays out so that
//! the heads stay at the top and the axis at the left while the lanes move.

use maud::{Markup, html};

use crate::geometry::{AXIS, HEAD, LANE, LINE, label, left, life, whole};
use crate::labels::{self, FLAG, Label};
use crate::marks::{self, Mark, What};
use crate::model::{Column, Timeline};
use crate::scale::{Break, Scale};
use crate::words;
use crate::{leases, messages, shapes};

/// The least distance between two times written at the axis.
const TICK: i64 = 14;
/// The width that a line of a head may take.
const LABEL_OF_HEAD: u32 = 168;

/// The parts of the drawing.
pub struct Drawing {
    /// The heads of the columns.
    pub heads: Markup,
    /// The time axis.
    pub axis: Markup,
    /// The lanes with everything in them.
    pub lanes: Markup,
    /// The width of the lanes in pixels.
    pub width: i64,
}

/// Draws a whole timeline.
pub fn draw(timeline: &Timeline) -> Drawing {
    let marks = marks::marks(timeline);
    let count = timeline.columns.len().max(1);
    let mut labels = labels::labels(timeline, &marks);
    let times: Vec<u64> = marks.iter().flat_map(|mark| mark.moments.iter().map(|moment| moment.1)).collect();
    let scale = labels::place(&mut labels, &times, count);
    let width = left(count);
    Drawing {
        heads: heads(&timeline.columns, width),
        axis: axis(&marks, &scale),
        lanes: lanes(timeline, &marks, &labels, &scale, width),
        width,
    }
}

fn heads(columns: &[Column], width: i64) -> Markup {
    html! {
        svg.heads width=(width) height=(HEAD) viewBox={ "0 0 " (width) " " (HEAD) } role="list" aria-label="The parties and their clocks" {
            @for (number, column) in columns.iter().enumerate() {
                @let x = left(number) + 12;
                g role="listitem" {
                    text.name x=(x) y="20" { (short(&column.name)) }
                    text.role x=(x) y="36" { (short(&column.role)) }
                    @for (row, (off, words)) in clock(column).iter().enumerate() {
                        text.role.off[*off] x=(x) y=(52 + whole(row) * 15) { (short(words)) }
                    }
                }
                line.edge x1=(left(number)) x2=(left(number)) y1="0" y2=(HEAD) {}
            }
            line.edge x1="0" x2=(width) y1=(HEAD) y2=(HEAD) {}
        }
    }
}

/// A text cut to the width of a head.
fn short(text: &str) -> String {
    words::wrap(text, LABEL_OF_HEAD, 1).concat()
}

/// What a head says about its clock, in one or two lines, each with whether the
/// clock is off there.
fn clock(column: &Column) -> Vec<(bool, String)> {
    let first = column.clock_at(0);
    let mut lines = vec![(first != 0, format!("clock {}", words::difference(first)))];
    let changes = column.clock.iter().filter(|change| change.0 > 0).count();
    if let Some(&(at_us, last)) = column.clock.last()
        && at_us > 0
    {
        let last = words::difference(last);
        lines.push((
            true,
            if changes == 1 { format!("later {last}") } else { format!("{changes} changes, last {last}") },
        ));
    }
    lines
}

fn axis(marks: &[Mark], scale: &Scale) -> Markup {
    let height = scale.height();
    let broken: Vec<i64> = marks.iter().filter(|mark| mark.is_violation()).map(|mark| scale.y(mark.at_us)).collect();
    html! {
        svg.axis width=(AXIS) height=(height) viewBox={ "0 0 " (AXIS) " " (height) } role="img" aria-label="True time in seconds" {
            line.edge x1=(AXIS) x2=(AXIS) y1="0" y2=(height) {}
            @for (at_us, y) in ticks(scale, &broken) {
                line.tick x1=(AXIS - 6) x2=(AXIS) y1=(y) y2=(y) {}
                text.time x=(AXIS - 10) y=(y + 4) { (words::seconds(at_us)) }
            }
            @for pause in scale.breaks() {
                @let middle = i64::midpoint(pause.top, pause.bottom);
                text.pause x=(AXIS - 6) y=(middle - 8) { "… " (words::duration(pause.length_us)) }
                text.pause x=(AXIS - 6) y=(middle + 5) { "without" }
                text.pause x=(AXIS - 6) y=(middle + 18) { "an event …" }
            }
            @for y in broken {
                line.broken x1="0" x2=(AXIS) y1=(y) y2=(y) {}
                path.banner d={ "M2 " (y - 9) "h" (AXIS - 12) "l8 9l-8 9h-" (AXIS - 12) "z" } {}
                text.banner x="8" y=(y + 4) { "✖ broken" }
            }
        }
    }
}

/// The times to be written at the axis: as many as fit, none under the banner of
/// a violation.
fn ticks(scale: &Scale, broken: &[i64]) -> Vec<(u64, i64)> {
    let mut ticks: Vec<(u64, i64)> = Vec::new();
    for &(at_us, y) in scale.stops() {
        let fits = ticks.last().is_none_or(|last| y - last.1 >= TICK);
        if fits && broken.iter().all(|flag| (y - flag).abs() >= LINE + 2) {
            ticks.push((at_us, y));
        }
    }
    ticks
}

fn lanes(timeline: &Timeline, marks: &[Mark], labels: &[Label], scale: &Scale, width: i64) -> Markup {
    let height = scale.height();
    let slots = leases::slots(marks);
    let picture = shapes::Picture { timeline, marks, scale, width };
    html! {
        svg.lanes width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="group" aria-label="What happened, in order of time. Step with j and k." {
            defs { (leases::patterns()) (messages::arrow_head()) }
            @for number in 0..timeline.columns.len() {
                rect.lane.odd[number % 2 == 1] x=(left(number)) y="0" width=(LANE) height=(height) {}
                line.life x1=(life(number)) x2=(life(number)) y1="0" y2=(height) {}
            }
            // What is drawn later lies on top, so the wide things come first.
            @for layer in 0..5 {
                @for (number, mark) in marks.iter().enumerate() {
                    @if layer_of(mark) == layer {
                        (shapes::shape(&picture, number, mark, slots.get(number).copied().unwrap_or(0)))
                    }
                }
            }
            @for pause in scale.breaks() { (zigzag(pause, width)) }
            @for text in labels { (written(text)) }
        }
    }
}

fn layer_of(mark: &Mark) -> usize {
    match mark.what {
        What::Band(_) => 0,
        What::Both(_) => 1,
        // The messages cross the line of a violation visibly, because one of them
        // is what broke the promise.
        What::Note(_) if mark.is_violation() => 2,
        What::Lease(_) => 2,
        What::Message(_) => 3,
        What::Note(_) | What::Clock(_) => 4,
    }
}

/// The mark of a shortened pause, across all lanes.
fn zigzag(pause: &Break, width: i64) -> Markup {
    let middle = i64::midpoint(pause.top, pause.bottom);
    let line = |y: i64| format!("M0 {y}{}", "l6 -5l12 10l6 -5".repeat(usize::try_from(width / 24).unwrap_or(0)));
    html! {
        path.gap d=(line(middle - 4)) {}
        path.gap d=(line(middle + 4)) {}
    }
}

/// One label. The flag of a violation is a filled box below its line.
fn written(text: &Label) -> Markup {
    let x = label(text.column);
    html! {
        @if text.class == "violation" {
            rect.flag data-n=(text.mark) x=(x - 6) y=(text.baseline - LINE) width=(left(text.column) + LANE - x + 2) height=(whole(text.lines.len()) * LINE + FLAG) rx="3" {}
        }
        text.label.(text.class) data-n=(text.mark) {
            @for (number, line) in text.lines.iter().enumerate() {
                tspan x=(x) y=(text.baseline + whole(number) * LINE) { (line) }
            }
        }
    }
}
