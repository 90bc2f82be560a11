//! The server's clock as a type of its own.
//!
//! A script reads one clock: the server's `TIME`. Times that a caller sends travel as
//! [`ff_core::types::TimestampMs`]. The two cannot be mixed without naming the conversion, because
//! comparing a caller's time with the server's is exactly what the shipped scripts do in a few
//! places, and each of those places should be visible.

use ff_core::types::TimestampMs;
use serde::{Deserialize, Serialize};

/// Milliseconds on the server's wall clock, as `TIME` answers inside one function call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerTime(i64);

impl ServerTime {
    /// A server time from its milliseconds since the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This time plus `ttl_ms`; a sum that no clock can reach stays at the end of time.
    pub const fn plus_ms(self, ttl_ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ttl_ms))
    }

    /// A time that a caller decided, read as if it were the server's.
    ///
    /// The shipped scripts compare some caller times with `TIME` directly (a suspension's
    /// `timeout_at`, a delay's `delay_until`); this is where that happens.
    pub const fn trusting_caller(time: TimestampMs) -> Self {
        Self(time.0)
    }

    /// This time as the wire carries it.
    pub const fn to_wire(self) -> TimestampMs {
        TimestampMs(self.0)
    }
}

impl std::fmt::Display for ServerTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
