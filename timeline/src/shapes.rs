//! The shape of each kind of mark.
//!
//! One mark and the scale go in; out comes the group of SVG elements that stands
//! for it, with the words that the details panel and a screen reader show.

use maud::{Markup, html};

use crate::geometry::{LANE, left, life};
use crate::marks::{Both, Mark, What};
use crate::model::{Band, NoteKind, Timeline};
use crate::scale::Scale;
use crate::{leases, messages, words};

/// What the shape of a mark may depend on beside the mark itself.
pub struct Picture<'a> {
    /// The timeline, for names and clocks.
    pub timeline: &'a Timeline,
    /// All marks, in order of time.
    pub marks: &'a [Mark<'a>],
    /// How far down each time stands.
    pub scale: &'a Scale,
    /// The width of all lanes together.
    pub width: i64,
}

/// Draws one mark. A lease is moved to the left by its slot.
pub fn shape(picture: &Picture, number: usize, mark: &Mark, slot: i64) -> Markup {
    let &Picture { timeline, scale, width, .. } = picture;
    let column = mark.column;
    let y = scale.y(mark.at_us);
    let (class, inside) = match mark.what {
        What::Lease(lease) => ("lease", leases::bar(picture, lease, column, slot)),
        What::Band(band) => (band.kind.word(), of_band(band, column, scale)),
        What::Message(message) if message.lost.is_some() => ("message lost", messages::legs(picture, message, column)),
        What::Message(message) => ("message", messages::legs(picture, message, column)),
        What::Note(note) => (note.kind.word(), of_note(note.kind, life(column), y, width)),
        What::Clock(_) => ("clock", of_note(NoteKind::Clock, life(column), y, width)),
        What::Both(both) => ("both", of_both(both, column, timeline, scale)),
    };
    let name = timeline.name(column);
    html! {
        g class={ "mark " (class) } data-n=(number) tabindex=(if number == 0 { "0" } else { "-1" }) role="button"
            data-kind={ (name) ": " (mark.kind) } data-when=(readings(timeline, mark))
            aria-label={ (words::seconds(mark.at_us)) " s, " (name) ": " (mark.kind) ". " (mark.sentence) } {
            (inside)
        }
    }
}

/// The moments of a mark as true time, the party's clock and the server's clock,
/// in the form that the script takes apart again.
fn readings(timeline: &Timeline, mark: &Mark) -> String {
    let shown = |column: usize, at_us: u64| {
        words::reading(at_us, timeline.columns.get(column).map_or(0, |column| column.clock_at(at_us)))
    };
    let rows: Vec<String> = mark
        .moments
        .iter()
        .map(|&(word, at_us)| {
            let own = shown(mark.column, at_us);
            format!("{word}|{}|{own}|{}", words::reading(at_us, 0), shown(0, at_us))
        })
        .collect();
    rows.join(";")
}

fn of_band(band: &Band, column: usize, scale: &Scale) -> Markup {
    let (top, end) = (scale.y(band.from_us), scale.y(band.until_us));
    html! {
        rect.stretch x=(left(column) + 3) y=(top) width=(LANE - 6) height=((end - top).max(3)) rx="3" {}
    }
}

fn of_both(both: Both, column: usize, timeline: &Timeline, scale: &Scale) -> Markup {
    let holder = both.holder.min(timeline.columns.len().saturating_sub(1));
    let (top, end) = (scale.y(both.from_us), scale.y(both.until_us));
    let (from, to) = (life(column.min(holder)), life(column.max(holder)));
    html! {
        rect.strip x=(from) y=(top) width=(to - from) height=(end - top) {}
    }
}

/// Each kind of note has a shape of its own, so that colour is never needed to
/// tell them apart.
fn of_note(kind: NoteKind, x: i64, y: i64, width: i64) -> Markup {
    html! {
        @match kind {
            NoteKind::Fault => { path.sign d={ "M" (x) " " (y - 8) "l8 14h-16z" } {} }
            NoteKind::Clock => {
                circle.sign cx=(x) cy=(y) r="7" {}
                path.hands d={ "M" (x) " " (y - 5) "v5h4" } {}
            }
            NoteKind::Life => { rect.sign x=(x - 6) y=(y - 6) width="12" height="12" {} }
            NoteKind::Run => { path.sign d={ "M" (x) " " (y - 7) "l7 7l-7 7l-7 -7z" } {} }
            NoteKind::Violation => {
                line.broken x1="0" x2=(width) y1=(y) y2=(y) {}
                // A spike between all lanes keeps the line from being taken for a message.
                @for x in (1..).map(|lane| lane * LANE).take_while(|x| *x < width) {
                    path.spike d={ "M" (x - 8) " " (y) "l8 -8l8 8l-8 8z" } {}
                }
            }
        }
    }
}
