//! The short texts beside the marks, and where each of them stands.
//!
//! The marks go in; out come their labels, broken into lines that fit a lane. The
//! scale is built from the room that they need, so every label stands beside its
//! own event and none overlaps another.

use crate::geometry::{LABEL, LINE, whole};
use crate::marks::{Mark, What};
use crate::model::{Lost, NoteKind, Timeline};
use crate::scale::{Room, Scale};
use crate::words;

/// The room above and below the text inside the flag of a violation, together.
pub const FLAG: i64 = 8;
/// The room below the flag.
const BELOW_FLAG: i64 = 5;
/// How far a label is lowered to stand below a line at its own time.
const BELOW: i64 = 11;

/// A short text beside a mark.
#[derive(Debug)]
pub struct Label {
    /// The number of the mark it belongs to.
    pub mark: usize,
    /// The lane it stands in.
    pub column: usize,
    /// The time beside which it stands.
    pub at_us: u64,
    /// Its lines.
    pub lines: Vec<String>,
    /// How far below its time it begins, so that a line there leaves it alone.
    pub drop: i64,
    /// Its class in the style sheet.
    pub class: &'static str,
    /// The baseline of its first line; known only once it is placed.
    pub baseline: i64,
}

impl Label {
    /// The height that it takes in its lane.
    pub fn height(&self) -> i64 {
        let frame = if self.class == "violation" { FLAG + BELOW_FLAG } else { 0 };
        self.drop + whole(self.lines.len()) * LINE + frame
    }
}

/// All labels of all marks, in order of time, not yet placed.
pub fn labels(timeline: &Timeline, marks: &[Mark]) -> Vec<Label> {
    let mut labels = Vec::new();
    let broken: Vec<u64> = marks.iter().filter(|mark| mark.is_violation()).map(|mark| mark.at_us).collect();
    for (number, mark) in marks.iter().enumerate() {
        let mut add = |at_us: u64, class: &'static str, most: usize, text: &str| {
            // Bold letters are wider by about an eighth.
            let bold = ["lease", "band", "both", "violation"].contains(&class);
            let lines = words::wrap(text, if bold { LABEL - LABEL / 8 } else { LABEL }, most);
            let drop = if class == "band" || broken.contains(&at_us) { BELOW } else { 0 };
            labels.push(Label { mark: number, column: mark.column, at_us, lines, drop, class, baseline: 0 });
        };
        match mark.what {
            What::Lease(lease) => {
                let epoch = lease.epoch;
                add(lease.from_us, "lease", 2, &format!("epoch\u{a0}{epoch}, attempt\u{a0}{}", lease.attempt));
                add(lease.until_us, "lease", 4, &format!("epoch\u{a0}{epoch} ends: {}", lease.ended));
                if lease.believed_until_us > lease.until_us {
                    let name = timeline.name(lease.column);
                    let text = format!("until here {name} believes in epoch\u{a0}{epoch}");
                    add(lease.believed_until_us, "lease", 3, &text);
                }
            }
            What::Band(band) => {
                add(band.from_us, "band", 4, &format!("{}: {}", mark.kind, band.text));
            }
            What::Message(message) => {
                let (class, outcome) = match message.lost {
                    Some(Lost::Request) => ("lost", "request lost"),
                    Some(Lost::Reply) => ("lost", "answer lost"),
                    None => ("message", message.outcome.as_str()),
                };
                let colon = if outcome.is_empty() { "" } else { ": " };
                add(message.sent_us, class, 3, &format!("{}{colon}{outcome}", message.name));
            }
            What::Note(note) => {
                let most = if note.kind == NoteKind::Violation { 8 } else { 4 };
                add(note.at_us, note.kind.word(), most, &mark.sentence);
            }
            What::Clock(difference_ms) => {
                add(mark.at_us, "clock", 2, &format!("clock now {}", words::difference(difference_ms)));
            }
            What::Both(both) => {
                let name = timeline.name(both.holder);
                let text = format!("two holders: {name} really holds epoch\u{a0}{}", both.epoch);
                add(both.from_us, "both", 3, &text);
            }
        }
    }
    // The flag of a violation comes first among the labels of its moment, because
    // it hangs from the line that crosses the page there.
    labels.sort_by_key(|label| (label.at_us, label.class != "violation"));
    labels
}

/// Builds the scale that gives every label its room, and places the labels on it.
pub fn place(labels: &mut [Label], times: &[u64], lanes: usize) -> Scale {
    let room = |label: &Label, lane, height| Room { at_us: label.at_us, lane, height };
    let mut rooms: Vec<Room> = labels.iter().map(|label| room(label, label.column, label.height())).collect();
    // The line of a violation crosses every lane, so it must wait until the
    // labels above it have ended in all of them.
    for label in labels.iter().filter(|label| label.class == "violation") {
        rooms.extend((0..lanes).map(|lane| room(label, lane, 0)));
    }
    let scale = Scale::new(times, &rooms, lanes);
    let mut free = vec![0; lanes];
    for label in labels {
        let mut top = scale.y(label.at_us) - LINE / 2;
        if let Some(free) = free.get_mut(label.column) {
            top = top.max(*free);
            *free = top + label.height();
        }
        let frame = if label.class == "violation" { FLAG / 2 } else { 0 };
        label.baseline = top + label.drop + frame + LINE - 4;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::{Label, place};

    #[test]
    fn labels_of_the_same_moment_are_stacked_in_their_lane() {
        let label = |at_us| Label {
            mark: 0,
            column: 0,
            at_us,
            lines: vec!["one".to_owned(), "two".to_owned()],
            drop: 0,
            class: "message",
            baseline: 0,
        };
        let mut labels = [label(5), label(5), label(6)];
        place(&mut labels, &[], 1);
        for pair in labels.windows(2) {
            assert!(pair[1].baseline - pair[0].baseline >= pair[0].height());
        }
    }
}
