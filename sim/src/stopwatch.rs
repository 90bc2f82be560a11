//! Real time, for people only: progress and speed. Nothing that a run computes depends on it.

#![allow(clippy::disallowed_types)]

use std::time::{Duration, Instant};

/// Counts real time from its start.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts counting.
    #[allow(clippy::new_without_default)]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Real time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
