//! The story of one violation: what led to it, so that a person understands it in a minute.
//!
//! [`Collector`] listens to a second run of the plan and keeps what touches the execution; [`slice`](self) leaves what
//! caused the violation; [`sentences`](self) tell it; [`text`](self) folds what repeats and writes lines of at most 110 columns.

mod collect;
mod sentences;
mod slice;
mod text;

pub use collect::Collector;
pub use text::{plain, seconds};

use crate::clock::TrueTime;
use crate::plan::PartyKey;

/// A story, told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Its lines, the heading first.
    pub lines: Vec<String>,
    /// When its first event was, in microseconds of true time: all of its times count from then.
    pub zero_us: u64,
    /// The same as sentences.
    pub sentences: Vec<String>,
    /// How many events are behind them.
    pub events: usize,
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// One event that a story may tell.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    at: TrueTime,
    /// The server's clock less true time, in milliseconds.
    server_ms: i64,
    party: PartyKey,
    /// The party's clock less true time, in milliseconds.
    party_ms: i64,
    what: Told,
}

/// What happened, as far as a story tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// A function was called for the execution: its name, what it answered, whether it changed anything.
    Performed {
        message: u64,
        name: &'static str,
        outcome: &'static str,
        /// What became of the execution, in words; empty where nothing did.
        became: String,
        epoch: Option<u64>,
        until_ms: Option<i64>,
        is_write: bool,
    },
    /// The request was under way for so long, in microseconds; whether it is the second copy that arrives.
    Late { message: u64, name: &'static str, us: u64, again: bool },
    /// Something befell a party, a clock or a message.
    Befell { of_message: Option<u64>, text: String },
    /// A party began or stopped to run the execution.
    Ran { starts: bool },
    /// A party's process or machine goes on.
    GoesOn { text: String },
    /// A message was lost, for this reason; without one its sender stops waiting for the answer.
    Unheard { message: u64, name: &'static str, lost: Option<&'static str> },
    /// The promise was broken.
    Broken { text: String },
}
