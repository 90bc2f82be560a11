//! What a party wants of its world: put into the hub while its task is polled, turned into events after.

use std::any::Any;
use std::sync::Arc;

use claimlab_model::backend::Method;
use claimlab_model::intern::ExecutionNo;
use claimlab_model::invariant::WorkerFact;
use claimlab_model::message::Message;

use super::beside::{Tag, WholeCall};
use super::hub::{PartyNo, TaskFuture};
use super::network::Flight;
use super::run::Loss;
use super::wait::WaitNo;
use crate::address::About;
use crate::clock::TrueTime;

/// What one message carries.
pub enum Load {
    /// One command or function call.
    Message(Message),
    /// One command or function call that has a counterpart on a server laid beside the model.
    Tagged(Message, Arc<Tag>),
    /// A call of the trait with all that it asks of the server, delivered in one piece.
    Whole(Box<dyn WholeCall>),
}

impl Load {
    /// A short name: the command, the function, or the method.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Message(message) | Self::Tagged(message, _) => message.name(),
            Self::Whole(call) => call.name(),
        }
    }

    /// What it is about.
    pub fn about(&self) -> About {
        match self {
            Self::Message(message) | Self::Tagged(message, _) => About::of(message),
            Self::Whole(_) => About::Nothing,
        }
    }

    /// The execution that it is about; a whole call's messages tell that themselves.
    pub fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Message(message) | Self::Tagged(message, _) => message.execution(),
            Self::Whole(_) => None,
        }
    }

    /// Whether it renews a lease.
    pub fn is_renewal(&self) -> bool {
        self.name() == "renew_lease" || self.name() == "renew"
    }

    /// Whether it only looks whether there is something to do.
    pub fn is_look(&self) -> bool {
        matches!(self, Self::Message(Message::Range { .. }) | Self::Tagged(Message::Range { .. }, _))
    }
}

/// What a party wants of its world.
pub enum Outgoing {
    /// A message to the server.
    Send { wait: WaitNo, flight: Box<Flight> },
    /// A timer, in microseconds of the party's own counting.
    Sleep { wait: WaitNo, timer_us: u64 },
    /// A timer until a true time, for parties that follow the plan.
    SleepUntil { wait: WaitNo, until: TrueTime },
    /// A new task of the same party; with a name its messages are addressed and counted under that name.
    Spawn { task: TaskFuture, scope: Option<String> },
    /// A task for another party, started when the request arrives there; a wait where an answer is expected.
    Request { to: PartyNo, task: TaskFuture, wait: Option<WaitNo>, about: About, name: &'static str },
    /// An answer to another party's wait.
    Respond { wait: WaitNo, to: PartyNo, value: Box<dyn Any + Send> },
    /// A trait method began; only sent while recording.
    MethodStarted { call: u64, method: Method, arguments: String },
    /// A trait method ended; only sent while recording.
    MethodEnded { call: u64, method: Method, outcome: &'static str, answer: String },
    /// What follows belongs to this call, or to none; only sent while recording.
    Within(Option<u64>),
    /// A party began to run an execution; only sent while recording.
    RunStarted { execution: ExecutionNo, epoch: u64, running: u32 },
    /// A party no longer runs an execution; only sent while recording.
    RunEnded { execution: ExecutionNo, running: u32 },
    /// A run is over under which the lease was lost.
    Lost(Loss),
    /// What a worker's process did or said, for the checks of its own promises.
    Told(WorkerFact),
}
