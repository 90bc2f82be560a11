//! What a comparison of worlds has counted, and how the present world ended.

use std::fmt;

use super::coverage::Coverage;
use super::keyspace::Difference;
use super::twin::{Disagreement, Error};

/// Why a world ended early.
#[derive(Debug)]
pub enum End {
    /// A call showed a difference.
    Call(Box<Disagreement>),
    /// The shipped client and the model did not send the same, or the state differs after a message.
    Message {
        /// Which.
        text: String,
        /// What differs in the state afterwards.
        state: Vec<Difference>,
    },
    /// All keys were compared at the end, and these differ.
    Keys(Vec<Difference>),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differences = match self {
            Self::Call(disagreement) => return disagreement.fmt(f),
            Self::Message { text, state } => {
                writeln!(f, "{text}")?;
                state
            }
            Self::Keys(differences) => {
                writeln!(f, "all keys compared at the end")?;
                differences
            }
        };
        differences.iter().try_for_each(|difference| writeln!(f, "    {difference}"))
    }
}

/// Counts of all worlds, and the end of the present one.
#[derive(Debug, Default)]
pub struct Record {
    limit: Option<u64>,
    calls: u64,
    /// Calls that ran a script; the others only read.
    scripted: u64,
    messages: u64,
    of_calls: Coverage,
    of_messages: Coverage,
    ended: Option<Result<End, Error>>,
}

impl Record {
    /// Each world ends after so many compared calls that ran a script, if a limit is given.
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Begins another world.
    pub(super) fn next_world(&mut self) {
        (self.calls, self.scripted, self.ended) = (0, 0, None);
    }

    /// Calls compared in this world.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Messages of all worlds.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// What ended this world, if it was a disagreement or a failure.
    pub fn take_end(&mut self) -> Option<Result<End, Error>> {
        self.ended.take()
    }

    /// How often each method ended how, and each message.
    pub fn coverage(&self) -> (&Coverage, &Coverage) {
        (&self.of_calls, &self.of_messages)
    }

    /// Counts a message.
    pub(super) fn message(&mut self, name: &str, outcome: &str) {
        self.messages += 1;
        self.of_messages.note(name, outcome);
    }

    /// Counts a compared call.
    pub(super) fn call(&mut self, method: &str, outcome: &str, ran_script: bool) {
        self.calls += 1;
        self.scripted += u64::from(ran_script);
        self.of_calls.note(method, outcome);
    }

    /// Ends the world; the first reason counts.
    pub(super) fn end(&mut self, why: Result<End, Error>) {
        self.ended.get_or_insert(why);
    }

    /// Whether the world ended with a difference or a failure.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether the world is over.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some() || self.limit.is_some_and(|limit| self.scripted >= limit)
    }

    /// Whether a message is a script: reads are named by their commands, in capitals.
    pub(super) fn is_script(name: &str) -> bool {
        name.starts_with(|letter: char| letter.is_ascii_lowercase())
    }
}
