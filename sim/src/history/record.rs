//! The recorder: one JSON object a line, in the order of events, nothing that differs between machines.
//!
//! Idle polling is most of what happens and says nothing, so the range reads of scans are left out, and
//! the scans that found nothing with them; the summary counts them.

use std::io::Write;

use serde::Serialize;

use super::{Event, Happening, Observer, WriteFailure};

const RANGE: &str = "ZRANGEBYSCORE";
const SCAN: &str = "scan_eligible_executions";

/// Writes events as lines of JSON.
pub struct Recorder<W: Write> {
    out: W,
    failure: WriteFailure,
}

#[derive(Serialize)]
struct Line<'a> {
    at_us: u64,
    server_ms: i64,
    party: String,
    wall_ms: i64,
    #[serde(flatten)]
    kind: &'a Happening<'a>,
}

impl<W: Write + Send> Recorder<W> {
    /// A recorder, and where its first write error will stand.
    pub fn new(out: W) -> (Self, WriteFailure) {
        let failure = WriteFailure::default();
        (Self { out, failure: failure.clone() }, failure)
    }
}

impl<W: Write + Send> Observer for Recorder<W> {
    fn observe(&mut self, event: &Event<'_>) {
        if is_idle(&event.kind) {
            return;
        }
        let line = Line {
            at_us: event.at.us(),
            server_ms: event.server.ms(),
            party: event.party.to_string(),
            wall_ms: event.wall.ms(),
            kind: &event.kind,
        };
        let written = serde_json::to_writer(&mut self.out, &line).map_err(std::io::Error::from);
        let ended = written.and_then(|()| self.out.write_all(b"\n"));
        self.failure.note(ended);
    }
}

impl<W: Write> Drop for Recorder<W> {
    fn drop(&mut self) {
        self.failure.note(self.out.flush());
    }
}

/// Whether an event is part of polling that found nothing, or of a poll whose outcome is told later.
fn is_idle(kind: &Happening<'_>) -> bool {
    match kind {
        Happening::Sent { name, .. } | Happening::Answered { name, .. } => *name == RANGE,
        Happening::Performed { name, outcome, .. } => *name == RANGE && *outcome == "empty",
        Happening::Called { method, .. } | Happening::Returned { method, .. } => *method == SCAN,
        _ => false,
    }
}
