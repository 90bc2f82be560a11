//! What happened, as a stream of events with observers.
//!
//! A campaign runs without observers: its checks keep their own bounded state. A red seed is run again with a recorder
//! on, which changes nothing about the run.

mod record;
mod trace;

pub use record::Recorder;
pub use trace::Trace;

use std::sync::{Arc, Mutex, PoisonError};

use claimlab_model::time::ServerTime;
use serde::Serialize;

use crate::clock::{TrueTime, WorkerTime};
use crate::outcome::Violation;
use crate::plan::{PartyKey, What};

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
    pub kind: Happening<'a>,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening<'a> {
    /// A process started; its lives count from 0.
    Started {
        /// Which life.
        life: u32,
    },
    /// A trait method began.
    Called {
        /// The party's number for it.
        call: u64,
        /// Its name.
        method: &'static str,
        /// Its arguments, each by name, with handles open.
        arguments: &'a str,
    },
    /// A trait method ended.
    Returned {
        /// The party's number for it.
        call: u64,
        /// Its name.
        method: &'static str,
        /// One word for how.
        outcome: &'static str,
        /// The answer, with handles open.
        answer: &'a str,
    },
    /// A message was sent.
    Sent {
        /// The party's number for it.
        message: u64,
        /// The call of the trait that it belongs to, if it belongs to one.
        #[serde(skip_serializing_if = "Option::is_none")]
        call: Option<u64>,
        /// Command or function.
        name: &'static str,
        /// Its address, as a plan names it.
        address: &'a str,
        /// The execution that it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        execution: Option<&'a str>,
        /// How long it takes to the server.
        out_us: u64,
        /// How long the reply takes back.
        back_us: u64,
    },
    /// The server performed a message.
    Performed {
        /// The sender's number for it.
        message: u64,
        /// Command or function.
        name: &'static str,
        /// One word for the reply.
        outcome: &'static str,
        /// The execution that it was about.
        #[serde(skip_serializing_if = "Option::is_none")]
        execution: Option<&'a str>,
        /// The lease that was given, renewed or written under.
        #[serde(skip_serializing_if = "Option::is_none")]
        lease: Option<LeaseSeen>,
        /// Until when a grant that was issued may be used, by the server's clock.
        #[serde(skip_serializing_if = "Option::is_none")]
        grant_until_ms: Option<i64>,
        /// State before and after, where the core was written.
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<Transition>,
    },
    /// A reply reached its sender.
    Answered {
        /// The sender's number for the message.
        message: u64,
        /// Command or function.
        name: &'static str,
    },
    /// A client stopped waiting for a reply, or a party for another's answer.
    GaveUp {
        /// The message, where it waited for the server.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<u64>,
    },
    /// A request or a reply was lost.
    Dropped {
        /// The sender's number for the message.
        message: u64,
        /// Why.
        why: &'static str,
    },
    /// Another party's request has arrived and is being worked on.
    Asked {
        /// The request, as addresses name it.
        request: &'a str,
    },
    /// Another party's answer has arrived.
    Responded,
    /// A party began to run an execution.
    RunStarted {
        /// Which.
        execution: &'a str,
        /// Under the lease of this epoch.
        epoch: u64,
        /// Executions that it runs now.
        running: u32,
    },
    /// A party no longer runs an execution.
    RunEnded {
        /// Which.
        execution: &'a str,
        /// Executions that it runs now.
        running: u32,
    },
    /// A fault struck.
    Struck {
        /// Its key in the plan; of a rate's fault, the one that an explicit plan would give it.
        key: &'a str,
        /// How.
        what: What,
        /// The message that it struck, if it struck one: its number and name.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<(u64, &'static str)>,
    },
    /// A stalled machine goes on.
    Resumed,
    /// A party that was cut off can be heard again.
    Reconnected,
    /// A promise was broken.
    Violated {
        /// Which, by what, and what was seen.
        #[serde(flatten)]
        violation: &'a Violation,
    },
    /// The faults stop and clocks agree.
    Healed,
}

impl Happening<'_> {
    /// The execution that the event is about, if it is about one.
    pub fn execution(&self) -> Option<&str> {
        match self {
            Self::Sent { execution, .. } | Self::Performed { execution, .. } => *execution,
            Self::RunStarted { execution, .. } | Self::RunEnded { execution, .. } => Some(execution),
            Self::Violated { violation } => Some(&violation.execution),
            _ => None,
        }
    }
}

/// A lease as a message names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseSeen {
    /// Its id; empty where the message names none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its epoch.
    pub epoch: u64,
    /// The attempt that it drives.
    pub attempt: u32,
    /// Until when it holds, by the server's clock, where that was just decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
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
