//! The recorder: one JSON object a line, in the order of events, nothing that differs between machines.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::{Event, Kind, Observer};

/// Writes every event as a line of JSON.
pub struct Recorder<W> {
    out: W,
    failure: Arc<Mutex<Option<std::io::Error>>>,
}

#[derive(Serialize)]
struct Line<'a> {
    at_us: u64,
    server_ms: i64,
    party: String,
    wall_ms: i64,
    #[serde(flatten)]
    kind: &'a Kind<'a>,
}

impl<W: Write + Send> Recorder<W> {
    /// A recorder, and where its first write error will stand.
    pub fn new(out: W) -> (Self, Arc<Mutex<Option<std::io::Error>>>) {
        let failure = Arc::default();
        (Self { out, failure: Arc::clone(&failure) }, failure)
    }

    fn note(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}

impl<W: Write + Send> Observer for Recorder<W> {
    fn observe(&mut self, event: &Event<'_>) {
        let line = Line {
            at_us: event.at.us(),
            server_ms: event.server.ms(),
            party: event.party.to_string(),
            wall_ms: event.wall.ms(),
            kind: &event.kind,
        };
        let written = serde_json::to_writer(&mut self.out, &line).map_err(std::io::Error::from);
        let ended = written.and_then(|()| self.out.write_all(b"\n"));
        self.note(ended);
    }
}
