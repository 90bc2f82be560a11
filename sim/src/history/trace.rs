//! The trace: one line for each state transition, in fixed columns, for a person's eyes or `grep`.

use std::io::Write;

use super::{Event, Happening, Observer, WriteFailure};

/// Writes transitions, faults and violations.
pub struct Trace<W: Write> {
    out: W,
    failure: WriteFailure,
}

impl<W: Write + Send> Trace<W> {
    /// A trace with its heading, and where its first write error will stand.
    pub fn new(out: W) -> (Self, WriteFailure) {
        let failure = WriteFailure::default();
        let mut trace = Self { out, failure: failure.clone() };
        trace.write(&format!(
            "{:>12} {:>14} {:<14} {:>14} {:<30} {:<28} {:>5} {:>4} {:<44} EXECUTION",
            "TRUE_MS", "SERVER_MS", "PARTY", "PARTY_MS", "SCRIPT", "OUTCOME", "EPOCH", "ATT", "STATE"
        ));
        (trace, failure)
    }

    fn write(&mut self, line: &str) {
        self.failure.note(writeln!(self.out, "{line}"));
    }
}

impl<W: Write + Send> Observer for Trace<W> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Some(line) = line(event) {
            self.write(&line);
        }
    }
}

impl<W: Write> Drop for Trace<W> {
    fn drop(&mut self) {
        self.failure.note(self.out.flush());
    }
}

/// True time, the server's clock, the party and its own clock, in columns.
fn clocks(event: &Event<'_>) -> String {
    format!(
        "{:>8}.{:03} {:>14} {:<14} {:>14}",
        event.at.ms(),
        event.at.us() % 1_000,
        event.server.ms(),
        event.party,
        event.wall.ms()
    )
}

/// One line, or none for events that change nothing.
fn line(event: &Event<'_>) -> Option<String> {
    let clocks = clocks(event);
    match &event.kind {
        Happening::Performed { name, outcome, execution, change: Some(change), .. } => Some(format!(
            "{clocks} {name:<30} {outcome:<28} {:>5} {:>4} {:<44} {}",
            change.epoch[1],
            change.attempts[1],
            change.to,
            execution.unwrap_or_default()
        )),
        Happening::Struck { key, what, .. } => {
            Some(format!("{clocks} FAULT {}: {} [{key}]", what.name(), what.describe()))
        }
        Happening::Resumed => Some(format!("{clocks} RESUMED the machine goes on")),
        Happening::Reconnected => Some(format!("{clocks} RECONNECTED the cut is over")),
        Happening::Started { life } if *life > 0 => Some(format!("{clocks} STARTED again, life {life}")),
        Happening::Healed => Some(format!("{clocks} HEALED faults stop, clocks agree")),
        Happening::Violated { violation } => Some(format!(
            "{clocks} VIOLATION {} {} {}",
            violation.invariant.id(),
            violation.detail,
            violation.execution
        )),
        _ => None,
    }
}
