//! The shipped engine's scanners, one pass at a time, over any server.

mod pass;
mod sweep;

pub use pass::{Counts, RETENTION_MS, Scanner};
