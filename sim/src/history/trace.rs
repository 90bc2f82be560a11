//! The trace: one line for each state transition, in fixed columns, for a person's eyes or `grep`.

use std::io::Write;

use super::{Event, Kind, Observer};

/// Writes transitions, faults and violations.
pub struct Trace<W>(W);

impl<W: Write + Send> Trace<W> {
    /// A trace with its heading.
    pub fn new(mut out: W) -> Self {
        let _ = writeln!(
            out,
            "{:>12} {:>14} {:<14} {:>14} {:<30} {:<28} {:>5} {:>4} {:<44} EXECUTION",
            "TRUE_MS", "SERVER_MS", "PARTY", "PARTY_MS", "SCRIPT", "OUTCOME", "EPOCH", "ATT", "STATE"
        );
        Self(out)
    }
}

impl<W: Write + Send> Observer for Trace<W> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Some(line) = line(event) {
            let _ = writeln!(self.0, "{line}");
        }
    }
}

/// One line, or none for events that change nothing.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    let clocks = format!(
        "{:>8}.{:03} {:>14} {:<14} {:>14}",
        event.at.ms(),
        event.at.us() % 1_000,
        event.server.ms(),
        event.party,
        event.wall.ms()
    );
    match &event.kind {
        Kind::Perform { name, outcome, execution, change: Some(change), .. } => Some(format!(
            "{clocks} {name:<30} {outcome:<28} {:>5} {:>4} {:<44} {}",
            change.epoch[1],
            change.attempts[1],
            change.to,
            execution.unwrap_or_default()
        )),
        Kind::Fault { name, detail } => Some(format!("{clocks} FAULT {name} {detail}")),
        Kind::Started { life } if *life > 0 => Some(format!("{clocks} STARTED again, life {life}")),
        Kind::Healed => Some(format!("{clocks} HEALED faults stop, clocks agree")),
        Kind::Violation { invariant, execution, detail, .. } => {
            Some(format!("{clocks} VIOLATION {invariant} {detail} {execution}"))
        }
        _ => None,
    }
}
