//! Everything that can be pointed at, in the order in which it happened.
//!
//! The timeline goes in; out comes one mark for each lease, stretch, message,
//! note, clock change and stretch with two holders, numbered in order of time,
//! with the words that its details show.

use crate::model::{Arrow, Band, BandKind, Column, Lease, Lost, Note, NoteKind, Timeline};
use crate::words;

/// One thing that can be pointed at.
#[derive(Debug)]
pub struct Mark<'a> {
    /// The column it belongs to.
    pub column: usize,
    /// When it happened, or began.
    pub at_us: u64,
    /// What it is.
    pub what: What<'a>,
    /// What kind of thing it is, for the head of the details.
    pub kind: String,
    /// What happened, as a sentence.
    pub sentence: String,
    /// The moments of it that have a time, each with a word for it.
    pub moments: Vec<(&'static str, u64)>,
}

impl Mark<'_> {
    /// Whether the promise broke here.
    pub fn is_violation(&self) -> bool {
        matches!(self.what, What::Note(note) if note.kind == NoteKind::Violation)
    }
}

/// The thing that a mark stands for.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// A lease, real and believed.
    Lease(&'a Lease),
    /// A stretch in which a party could not work.
    Band(&'a Band),
    /// A message and its answer.
    Message(&'a Arrow),
    /// A single moment.
    Note(&'a Note),
    /// A clock that differs from true time by this many milliseconds from now on.
    Clock(i64),
    /// A stretch in which two parties took the execution for their own.
    Both(Both),
}

/// A stretch in which one party held a lease and another still believed in its own.
#[derive(Clone, Copy, Debug)]
pub struct Both {
    /// The column that really held the lease.
    pub holder: usize,
    /// The epoch of the real lease.
    pub epoch: u64,
    /// When the stretch begins.
    pub from_us: u64,
    /// When it ends.
    pub until_us: u64,
}

/// All marks of a timeline, in order of time.
pub fn marks(timeline: &Timeline) -> Vec<Mark<'_>> {
    let mut marks: Vec<Mark> = Vec::new();
    marks.extend(timeline.bands.iter().map(of_band));
    marks.extend(timeline.leases.iter().map(|lease| of_lease(timeline, lease)));
    marks.extend(timeline.messages.iter().map(of_message));
    marks.extend(timeline.notes.iter().map(|note| of_note(timeline, note)));
    for (number, column) in timeline.columns.iter().enumerate() {
        marks.extend(of_clock(timeline, number, column));
    }
    marks.extend(two_holders(timeline));
    // A mark of an unknown column is shown in the last lane rather than dropped.
    let last = timeline.columns.len().saturating_sub(1);
    for mark in &mut marks {
        mark.column = mark.column.min(last);
    }
    // The sort is stable, so marks of the same moment keep the order from above.
    marks.sort_by_key(|mark| (mark.at_us, mark.column));
    marks
}

fn of_lease<'a>(timeline: &Timeline, lease: &'a Lease) -> Mark<'a> {
    let name = timeline.name(lease.column);
    let mut sentence = format!(
        "{name} held epoch {}, attempt {}, for {}. It ended: {}.",
        lease.epoch,
        lease.attempt,
        words::duration(lease.until_us.saturating_sub(lease.from_us)),
        lease.ended,
    );
    let mut moments = vec![("given", lease.from_us), ("really ended", lease.until_us)];
    if lease.believed_until_us > lease.until_us {
        let longer = words::duration(lease.believed_until_us - lease.until_us);
        sentence = format!("{sentence} {name} went on taking it for its own for {longer}.");
        moments.push(("believed until", lease.believed_until_us));
    } else if lease.believed_until_us < lease.until_us {
        let earlier = words::duration(lease.until_us - lease.believed_until_us);
        sentence = format!("{sentence} {name} had given it up {earlier} before that.");
        moments.insert(1, ("believed until", lease.believed_until_us));
    }
    Mark {
        column: lease.column,
        at_us: lease.from_us,
        what: What::Lease(lease),
        kind: format!("lease, epoch {}", lease.epoch),
        sentence,
        moments,
    }
}

fn of_band(band: &Band) -> Mark<'_> {
    let length = words::duration(band.until_us.saturating_sub(band.from_us));
    Mark {
        column: band.column,
        at_us: band.from_us,
        what: What::Band(band),
        kind: format!("{} for {length}", band.kind.word()),
        sentence: band.text.clone(),
        moments: vec![("from", band.from_us), ("until", band.until_us)],
    }
}

fn of_message(message: &Arrow) -> Mark<'_> {
    let mut moments = vec![("sent", message.sent_us)];
    moments.extend(message.arrived_us.map(|at_us| ("reached the server", at_us)));
    moments.extend(message.answered_us.map(|at_us| ("answer came back", at_us)));
    let lost = match message.lost {
        Some(Lost::Request) => ", request lost",
        Some(Lost::Reply) => ", answer lost",
        None => "",
    };
    Mark {
        column: message.column,
        at_us: message.sent_us,
        what: What::Message(message),
        kind: format!("{}{lost}", message.name),
        sentence: message.text.clone(),
        moments,
    }
}

fn of_note<'a>(timeline: &Timeline, note: &'a Note) -> Mark<'a> {
    let mut sentence = note.text.clone();
    if note.kind == NoteKind::Clock
        && let Some(column) = timeline.columns.get(note.column)
    {
        let now = words::difference(column.clock_at(note.at_us));
        sentence = format!("{sentence} (clock from here on: {now})");
    }
    Mark {
        column: note.column,
        at_us: note.at_us,
        what: What::Note(note),
        kind: note.kind.word().to_owned(),
        sentence,
        moments: vec![("at", note.at_us)],
    }
}

/// The changes of a clock, except the one it starts with, which its head shows,
/// and those that a note already tells about.
fn of_clock<'a>(timeline: &'a Timeline, number: usize, column: &'a Column) -> impl Iterator<Item = Mark<'a>> {
    let told = move |at_us: u64| {
        timeline.notes.iter().any(|note| note.kind == NoteKind::Clock && note.column == number && note.at_us == at_us)
    };
    column.clock.iter().filter(move |(at_us, _)| *at_us > 0 && !told(*at_us)).map(move |&(at_us, difference_ms)| Mark {
        column: number,
        at_us,
        what: What::Clock(difference_ms),
        kind: "clock".to_owned(),
        sentence: format!(
            "From here on the clock of {} differs from true time by: {}.",
            column.name,
            words::difference(difference_ms),
        ),
        moments: vec![("at", at_us)],
    })
}

/// The stretches in which a lease was real while another party still believed in
/// an older one of its own.
fn two_holders(timeline: &Timeline) -> Vec<Mark<'_>> {
    let mut found = Vec::new();
    for believed in &timeline.leases {
        for real in &timeline.leases {
            let from_us = believed.until_us.max(real.from_us);
            let until_us = believed.believed_until_us.min(real.until_us);
            if believed.column == real.column || from_us >= until_us {
                continue;
            }
            found.push(Mark {
                column: believed.column,
                at_us: from_us,
                what: What::Both(Both { holder: real.column, epoch: real.epoch, from_us, until_us }),
                kind: "two holders".to_owned(),
                sentence: format!(
                    "For {} {} took epoch {} for its own while {} really held epoch {}.",
                    words::duration(until_us - from_us),
                    timeline.name(believed.column),
                    believed.epoch,
                    timeline.name(real.column),
                    real.epoch,
                ),
                moments: vec![("from", from_us), ("until", until_us)],
            });
        }
    }
    found
}

impl BandKind {
    /// The kind as a word, which is also its class in the style sheet.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::Down => "down",
        }
    }
}

impl NoteKind {
    /// The kind as a word, which is also its class in the style sheet.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Clock => "clock",
            Self::Life => "life",
            Self::Run => "run",
            Self::Violation => "violation",
        }
    }
}
