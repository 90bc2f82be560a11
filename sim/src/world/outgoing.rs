//! What a party wants of its world: put into the hub while its task is polled, turned into events after.

use std::any::Any;
#[cfg(feature = "live")]
use std::sync::Arc;

use claimlab_model::backend::Method;
use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::Invariant;
use claimlab_model::message::Message;

use super::hub::{PartyNo, TaskFuture};
use super::wait::WaitNo;
use crate::clock::TrueTime;

/// What one message carries.
pub enum Load {
    /// One command or function call.
    Message(Message),
    /// One command or function call which a shipped client sends too.
    #[cfg(feature = "live")]
    Held(Message, Arc<crate::live::shadow::Held>),
    /// A call of the trait with all that it asks of the server.
    #[cfg(feature = "live")]
    Whole(Box<crate::call::Call>),
}

impl Load {
    /// A short name: the command, the function, or the method.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Message(message) => message.name(),
            #[cfg(feature = "live")]
            Self::Held(message, _) => message.name(),
            #[cfg(feature = "live")]
            Self::Whole(call) => call.method(),
        }
    }

    /// The execution that a message is about; a whole call's messages tell that themselves.
    pub fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Message(message) => message.execution(),
            #[cfg(feature = "live")]
            Self::Held(message, _) => message.execution(),
            #[cfg(feature = "live")]
            Self::Whole(_) => None,
        }
    }
}

/// Whose latencies a message draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// Those of the task that sends it, where it has its own.
    #[default]
    OfTask,
    /// Those that all tasks share which their party has spawned.
    OfSpawned,
}

/// What a party wants of its world.
pub enum Outgoing {
    /// A message to the server.
    Send { wait: WaitNo, load: Load, latency: Latency },
    /// A timer, in microseconds of the party's own counting.
    Sleep { wait: WaitNo, timer_us: u64 },
    /// A timer until a true time, for parties that follow the plan.
    SleepUntil { wait: WaitNo, until: TrueTime },
    /// A new task of the same party; with a key it draws from a stream of its own.
    Spawn { task: TaskFuture, key: Option<u64> },
    /// A task for another party, started when the request arrives there; a wait where an answer is expected.
    Request { to: PartyNo, task: TaskFuture, wait: Option<WaitNo>, latency: Latency },
    /// An answer to another party's wait.
    Respond { wait: WaitNo, to: PartyNo, value: Box<dyn Any + Send> },
    /// A trait method began; only sent while recording.
    MethodStarted { call: u64, method: Method },
    /// A trait method ended; only sent while recording.
    MethodEnded { call: u64, method: Method, outcome: &'static str },
    /// The party has broken a promise of its own.
    Found { invariant: Invariant, broken: Broken },
}

/// A promise that a party itself has to keep, and has not.
#[derive(Clone, Debug)]
pub struct Broken {
    /// On which execution, where it is about one.
    pub execution: Option<ExecutionNo>,
    /// What shows it, as a signature ends: `renew=refused`.
    pub cause: &'static str,
    /// What was seen, in one sentence.
    pub detail: String,
}
