//! What the shipped worker does to the registry when it connects by itself.
//!
//! After `ff-sdk/src/valkey_preamble.rs` `run`, message by message, surprises included: the alive key is
//! set before the capabilities are looked at, so that a refused configuration keeps its instance id
//! occupied until the key expires; and the capability hash gets no time to live, so that it stays for ever.

use std::collections::BTreeSet;

use ff_core::engine_error::EngineError;
use ff_core::policy::{CAPS_MAX_BYTES, CAPS_MAX_TOKENS};
use ff_core::types::{LaneId, Namespace, TimestampMs, WorkerId, WorkerInstanceId};

use super::ModelBackend;
use crate::message::Command;
use crate::port::Server;
use crate::store::Registration;

/// The shortest life of an alive key.
const MIN_ALIVE_MS: u64 = 1_000;

/// What a connecting worker is configured with.
#[derive(Clone, Debug)]
pub struct Connecting {
    /// Where it registers.
    pub namespace: Namespace,
    /// The logical worker.
    pub worker: WorkerId,
    /// This process.
    pub instance: WorkerInstanceId,
    /// Its lanes.
    pub lanes: Vec<LaneId>,
    /// What it says that it can do.
    pub capabilities: Vec<String>,
    /// Its leases' length; the alive key lives for twice as long.
    pub lease_ttl_ms: u64,
    /// Its wall clock.
    pub now: TimestampMs,
}

/// Why a worker is not connected.
#[derive(Debug)]
pub enum ConnectRefusal {
    /// It has no lanes; nothing was sent.
    NoLanes,
    /// Another process holds the instance's alive key.
    Duplicate,
    /// A capability is empty, or holds a comma, whitespace or a control character. The alive key is set.
    Capability(String),
    /// There are too many of them, or they are too long together. The alive key is set.
    TooManyCapabilities,
    /// The server did not answer.
    Engine(EngineError),
}

impl From<EngineError> for ConnectRefusal {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl<S: Server> ModelBackend<S> {
    /// Takes the instance's alive key, then publishes its capabilities or withdraws them.
    ///
    /// # Errors
    /// [`ConnectRefusal`], each with what it leaves behind.
    pub async fn connect_worker(&self, connecting: &Connecting) -> Result<(), ConnectRefusal> {
        if connecting.lanes.is_empty() {
            return Err(ConnectRefusal::NoLanes);
        }
        let (namespace, worker, instance) = {
            let mut ids = self.server.ids();
            (ids.namespace(&connecting.namespace), ids.worker(&connecting.worker), ids.instance(&connecting.instance))
        };
        let ttl_ms = connecting.lease_ttl_ms.saturating_mul(2).max(MIN_ALIVE_MS);
        if self.count(Command::SetAlive { namespace, worker, instance, ttl_ms }).await? == 0 {
            return Err(ConnectRefusal::Duplicate);
        }
        let capabilities = checked(&connecting.capabilities)?;
        if capabilities.is_empty() {
            self.count(Command::DeleteCapabilities(namespace, instance)).await?;
            self.count(Command::ForgetWorker(namespace, instance)).await?;
            return Ok(());
        }
        let lanes: BTreeSet<&str> = connecting.lanes.iter().map(LaneId::as_str).collect();
        let shown = Box::new(Registration {
            lanes: lanes.into_iter().collect::<Vec<_>>().join(","),
            capabilities: capabilities.into_iter().map(str::to_owned).collect(),
            ttl_ms,
            registered_at: connecting.now,
            last_heartbeat: connecting.now,
            ..Registration::of(worker)
        });
        self.count(Command::Advertise { namespace, instance, shown }).await?;
        self.count(Command::IndexWorker(namespace, instance)).await?;
        Ok(())
    }
}

/// The capabilities in order, each once, where all may be published.
fn checked(capabilities: &[String]) -> Result<BTreeSet<&str>, ConnectRefusal> {
    let is_bad = |capability: &&String| {
        capability.is_empty()
            || capability.contains(',')
            || capability.chars().any(|letter| letter.is_control() || letter.is_whitespace())
    };
    if let Some(bad) = capabilities.iter().find(is_bad) {
        return Err(ConnectRefusal::Capability(bad.clone()));
    }
    let set: BTreeSet<&str> = capabilities.iter().map(String::as_str).collect();
    let length = set.iter().map(|capability| capability.len() + 1).sum::<usize>().saturating_sub(1);
    if set.len() > CAPS_MAX_TOKENS || length > CAPS_MAX_BYTES {
        return Err(ConnectRefusal::TooManyCapabilities);
    }
    Ok(set)
}
