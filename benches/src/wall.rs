//! The machine's wall clock, which the shipped calls want as an argument and results carry as a date.

#![allow(clippy::disallowed_types)]

use std::time::SystemTime;

use ff_core::types::TimestampMs;

/// Now, in milliseconds since the epoch.
pub fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Now, as a date in UTC.
pub fn date() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
