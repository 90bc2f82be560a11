//! A client of the server behind the real `EngineBackend` trait, over a [`Server`] port.
//!
//! Each method is the conversation that `ff-backend-valkey/src/lib.rs` holds: the reads of its
//! prelude, then one function call, each a message of its own. Which method is which conversation
//! stands in `engine`; the conversations are beside it, by part of the protocol. The backend presents
//! itself as Valkey.

mod budgets;
mod call;
mod claiming;
mod connecting;
mod engine;
mod error;
mod fields;
mod finishing;
mod flow_cancelling;
mod flow_reading;
mod flows;
mod handle;
mod hooks;
mod leases;
mod operating;
mod quotas;
mod reading;
mod scanning;
mod scheduling;
mod secrets;
mod signalling;
mod suspending;
mod sweeping;
mod upkeep;
mod waitpoints;
mod workers;

pub use crate::method::Method;
pub use call::error_label;
pub use connecting::{ConnectRefusal, Connecting};
pub use error::class;
pub use scanning::Due;
pub use sweeping::OwedGroup;

use ff_core::engine_error::EngineError;
use ff_core::partition::{Partition, PartitionConfig};
use ff_core::types::ExecutionId;

use crate::intern::ExecutionNo;
use crate::message::{Answered, Command, Done, Message, Place, Refusal, Reply, Script};
use crate::port::Server;
use scheduling::Rotation;

/// The model behind the trait, for one client.
#[derive(Debug)]
pub struct ModelBackend<S> {
    server: S,
    partitions: PartitionConfig,
    scheduler: Option<Rotation>,
}

impl<S: Server> ModelBackend<S> {
    /// A client of the server.
    pub fn new(server: S, partitions: PartitionConfig) -> Self {
        Self { server, partitions, scheduler: None }
    }

    /// The server that it talks to.
    pub(crate) const fn server(&self) -> &S {
        &self.server
    }

    /// Partition counts.
    pub(crate) const fn partitions(&self) -> &PartitionConfig {
        &self.partitions
    }

    /// The same client with the scheduler installed, so that `claim_for_worker` answers.
    #[must_use]
    pub fn with_scheduler(mut self) -> Self {
        self.scheduler = Some(Rotation::default());
        self
    }

    async fn ask(&self, message: Message) -> Result<Reply, EngineError> {
        self.server.call(message).await.map_err(error::unanswered)
    }

    /// Calls a function; its refusal is still the script's own.
    async fn run(&self, script: Script) -> Result<Result<Done, Refusal>, EngineError> {
        match self.ask(Message::Script(script)).await? {
            Reply::Done(done) => Ok(Ok(done)),
            Reply::Refused(refusal) => Ok(Err(refusal)),
            other => Err(error::unexpected(&other)),
        }
    }

    /// Calls a function in the typed style.
    async fn run_typed(&self, script: Script) -> Result<Done, EngineError> {
        self.run(script).await?.map_err(error::typed)
    }

    /// Calls a function in the opaque style.
    async fn run_opaque(&self, script: Script) -> Result<Done, EngineError> {
        self.run(script).await?.map_err(error::opaque)
    }

    /// Calls a function whose answers nobody reads; only a failure of the call itself surfaces.
    async fn run_discarding(&self, script: Script) -> Result<(), EngineError> {
        match self.run(script).await? {
            Err(refusal @ Refusal::RuntimeError(_)) => Err(error::typed(refusal)),
            _ => Ok(()),
        }
    }

    /// Sends a plain command.
    async fn command(&self, command: Command) -> Result<Answered, EngineError> {
        match self.ask(Message::Command(command)).await? {
            Reply::Answered(answered) => Ok(answered),
            other => Err(error::unexpected(&other)),
        }
    }

    fn number(&self, id: &ExecutionId) -> ExecutionNo {
        self.server.ids().execution(id)
    }

    fn place(&self, partition: Partition, id: &ExecutionId) -> Place {
        Place { execution: self.number(id), partition: partition.index }
    }
}
