//! What happened, as a stream of events with observers.
//!
//! A campaign runs without observers: its checks keep their own bounded state. A red seed is run again
//! with a recorder on, which changes nothing about the run.

mod record;
mod story;
mod trace;

pub use record::Recorder;
pub use story::Story;
pub use trace::Trace;

use std::sync::{Arc, Mutex, PoisonError};

use claimlab_model::invariant::Invariant;
use claimlab_model::time::ServerTime;
use serde::Serialize;

use crate::clock::{TrueTime, WorkerTime};
use crate::plan::PartyKey;

/// One event with every clock that matters.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// True time.
    pub at: TrueTime,
    /// The server's clock.
    pub server: ServerTime,
    /// Whose event it is.
    pub party: PartyKey,
    /// That party's clock.
    pub wall: WorkerTime,
    /// What happened.
    pub kind: Kind<'a>,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Kind<'a> {
    /// A process started; its lives count from 0.
    Started {
        /// Which life.
        life: u32,
    },
    /// A trait method began.
    Call {
        /// The party's number for it.
        call: u64,
        /// Its name.
        method: &'static str,
    },
    /// A trait method ended.
    Return {
        /// The party's number for it.
        call: u64,
        /// Its name.
        method: &'static str,
        /// One word for how.
        outcome: &'static str,
    },
    /// A message was sent.
    Send {
        /// The party's number for it.
        message: u64,
        /// Command or function.
        name: &'static str,
        /// The execution that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        execution: Option<&'a str>,
    },
    /// The server performed a message.
    Perform {
        /// The sender's number for it.
        message: u64,
        /// Command or function.
        name: &'static str,
        /// One word for the reply.
        outcome: &'static str,
        /// The execution that it was about.
        #[serde(skip_serializing_if = "Option::is_none")]
        execution: Option<&'a str>,
        /// State before and after, where the core was written.
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<Transition>,
    },
    /// A reply reached its sender.
    Reply {
        /// The sender's number for the message.
        message: u64,
        /// Command or function.
        name: &'static str,
    },
    /// A fault struck.
    Fault {
        /// Its kind.
        name: &'static str,
        /// Its parameters.
        detail: String,
    },
    /// An invariant was broken.
    Violation {
        /// Its id.
        invariant: &'static str,
        /// The execution.
        execution: &'a str,
        /// What was seen.
        detail: &'a str,
        /// What led there, abstracted.
        signature: &'a str,
    },
    /// The faults stop and clocks agree.
    Healed,
}

/// An execution's core before and after a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// Phase, ownership and eligibility before.
    pub from: String,
    /// And after.
    pub to: String,
    /// Epoch before and after.
    pub epoch: [u64; 2],
    /// Attempts before and after.
    pub attempts: [u32; 2],
}

/// The first error that a writing observer met, its last flush included; to be read after the run.
#[derive(Clone, Default)]
pub struct WriteFailure(Arc<Mutex<Option<std::io::Error>>>);

impl WriteFailure {
    fn note(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// The error, once.
    pub fn take(&self) -> Option<std::io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads a run's events as they happen.
pub trait Observer: Send {
    /// One event.
    fn observe(&mut self, event: &Event<'_>);
}

/// One broken promise, abstracted and placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which invariant.
    #[serde(serialize_with = "as_id")]
    pub invariant: Invariant,
    /// Invariant, then roles, scripts and outcomes of the execution's last mutations.
    pub signature: String,
    /// The execution.
    pub execution: String,
    /// What was seen.
    pub detail: String,
    /// When, in microseconds of true time.
    pub at_us: u64,
}

fn as_id<S: serde::Serializer>(invariant: &Invariant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(invariant.id())
}
