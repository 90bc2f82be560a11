//! The shipped backend on a real server, answering whole calls.
//!
//! It lives on a thread of its own with a runtime of its own, started before any simulated run: a run
//! may neither start threads nor have its simulated clock and entropy reach the client.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use claimlab_valkey::Address;
use ff_backend_valkey::{ValkeyBackend, build_client};
use ff_core::backend::BackendConfig;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::partition::PartitionConfig;
use ff_core::types::LaneId;

use crate::call::{Answer, Call};

/// Far beyond any call here; the client's own default of 250 ms is too short for a busy machine.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What the shipped backend is set up with.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The waitpoint secret.
    pub secret: [u8; 32],
    /// Lanes that are known from the start.
    pub lanes: Vec<LaneId>,
    /// Partition counts.
    pub partitions: PartitionConfig,
}

/// Why the shipped backend could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It refused the server, or the server refused it.
    #[error("{address}: the shipped backend cannot be set up: {why}")]
    SetUp {
        /// Where.
        address: Address,
        /// What it said.
        why: String,
    },
    /// Its thread ended.
    #[error("{address}: the shipped backend's client has ended")]
    Gone {
        /// Where.
        address: Address,
    },
}

enum Request {
    Perform(Box<Call>, mpsc::SyncSender<Answer>),
    /// Initialises the server again, after it was emptied.
    Initialise(Deployment, mpsc::SyncSender<Result<(), String>>),
}

/// A client on a thread of its own.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    address: Address,
}

impl Client {
    /// Connects and initialises the server as a deployment does: library, partitions, secret, lanes.
    ///
    /// # Errors
    /// [`Error::SetUp`] with what the shipped backend said.
    pub fn start(address: &Address, deployment: &Deployment) -> Result<Self, Error> {
        let (requests, inbox) = mpsc::channel();
        let (started, outcome) = mpsc::sync_channel(1);
        let (at, deployment) = (address.clone(), deployment.clone());
        // This thread is no part of any run.
        #[allow(clippy::disallowed_methods)]
        thread::spawn(move || serve(&at, &deployment, &inbox, &started));
        let client = Self { requests, address: address.clone() };
        client.wait(&outcome)?;
        Ok(client)
    }

    /// Performs one call and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn perform(&self, call: Call) -> Result<Answer, Error> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.requests.send(Request::Perform(Box::new(call), reply)).map_err(|_| self.gone())?;
        answer.recv().map_err(|_| self.gone())
    }

    /// Initialises the server again.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn initialise(&self, deployment: &Deployment) -> Result<(), Error> {
        let (reply, outcome) = mpsc::sync_channel(1);
        self.requests.send(Request::Initialise(deployment.clone(), reply)).map_err(|_| self.gone())?;
        self.wait(&outcome)
    }

    fn wait(&self, outcome: &mpsc::Receiver<Result<(), String>>) -> Result<(), Error> {
        let outcome = outcome.recv().map_err(|_| self.gone())?;
        outcome.map_err(|why| Error::SetUp { address: self.address.clone(), why })
    }

    fn gone(&self) -> Error {
        Error::Gone { address: self.address.clone() }
    }
}

/// The thread: sets up, then answers until the last sender is gone.
fn serve(
    address: &Address,
    deployment: &Deployment,
    inbox: &mpsc::Receiver<Request>,
    started: &mpsc::SyncSender<Result<(), String>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error.to_string()));
            return;
        }
    };
    let set_up = async {
        let client = connect(address, REQUEST_TIMEOUT).await?;
        let backend = set_up(&client, deployment).await?;
        Ok::<_, EngineError>((client, backend))
    };
    let (client, mut backend) = match runtime.block_on(set_up) {
        Ok(ready) => ready,
        Err(error) => {
            let _ = started.send(Err(said(&error)));
            return;
        }
    };
    // Who started this thread may have given up meanwhile; then the inbox is closed too.
    let _ = started.send(Ok(()));
    for request in inbox {
        match request {
            Request::Perform(call, reply) => {
                let backend: &dyn EngineBackend = &*backend;
                let _ = reply.send(runtime.block_on(call.perform(backend)));
            }
            Request::Initialise(deployment, reply) => {
                let outcome = runtime.block_on(set_up_again(&client, &deployment, &mut backend));
                let _ = reply.send(outcome.map_err(|error| said(&error)));
            }
        }
    }
}

async fn set_up_again(
    client: &ferriskey::Client,
    deployment: &Deployment,
    backend: &mut Arc<ValkeyBackend>,
) -> Result<(), EngineError> {
    *backend = set_up(client, deployment).await?;
    Ok(())
}

/// The shipped client.
pub(super) async fn connect(address: &Address, request_timeout: Duration) -> Result<ferriskey::Client, EngineError> {
    let mut config = BackendConfig::valkey(address.host.clone(), address.port);
    config.timeouts.request = Some(request_timeout);
    build_client(&config).await
}

/// A backend on a server that is initialised here as a deployment does: library, partitions, secret, lanes.
///
/// # Errors
/// What the shipped backend says.
pub async fn set_up(client: &ferriskey::Client, deployment: &Deployment) -> Result<Arc<ValkeyBackend>, EngineError> {
    let backend = ValkeyBackend::from_client_and_partitions(client.clone(), deployment.partitions);
    let secret: String = deployment.secret.iter().map(|byte| format!("{byte:02x}")).collect();
    backend.initialize_deployment(&secret, &deployment.lanes, false).await?;
    self::backend(client, deployment.partitions)
}

/// A backend with the shipped scheduler in it, whose rotation starts anew, on an initialised server.
pub(super) fn backend(
    client: &ferriskey::Client,
    partitions: PartitionConfig,
) -> Result<Arc<ValkeyBackend>, EngineError> {
    let backend = ValkeyBackend::from_client_and_partitions(client.clone(), partitions);
    let client = client.clone();
    let scheduler = |backend| {
        let metrics = Arc::new(ff_observability::Metrics::new());
        Arc::new(ff_scheduler::Scheduler::with_metrics(Some(client), backend, partitions, metrics))
    };
    let installed = ValkeyBackend::install_scheduler_cyclic(backend, scheduler);
    installed.map_err(|detail| EngineError::Validation {
        kind: ff_core::engine_error::ValidationKind::Corruption,
        detail: detail.into(),
    })
}

/// An error with its causes on one line.
pub(super) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
