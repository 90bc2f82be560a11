//! The way out of a shipped worker's own runtime: what happens inside waits for what happens in the
//! world.
//!
//! Inside, a task hands a future of the world out and waits for its value on a channel that the inner
//! runtime knows; outside, the host polls that future as any other of the party. The trait over this
//! way is what the shipped worker is built on.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ff_core::backend::HandleKind;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::types::LeaseId;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::clock;
use crate::call::{Answer, Answerer, Call};
use crate::world::Party;

/// A future of the world.
pub(super) type Outside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether the end of a wait is known when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// At this time of the party's own timer, in microseconds.
    At(u64),
    /// When somebody else acts.
    Unknown,
}

/// One wait that was handed out.
pub(super) struct Request {
    pub(super) ends: Ends,
    pub(super) future: Outside,
}

/// The way out.
#[derive(Clone, Default)]
pub(super) struct Bridge(Arc<Mutex<Vec<Request>>>);

impl Bridge {
    fn queue(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was handed out since last asked.
    pub(super) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.queue())
    }

    /// Has a future of the world run outside, and waits for its value.
    async fn out<T: Send + 'static>(&self, ends: Ends, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (gives, gets) = oneshot::channel();
        let future = Box::pin(async move {
            // A task that was dropped meanwhile wants no value.
            let _ = gives.send(future.await);
        });
        self.queue().push(Request { ends, future });
        // The host drops a future only together with the runtime in which this waits.
        gets.await.ok()
    }

    /// Has a future whose end nobody knows run outside.
    pub(super) async fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.out(Ends::Unknown, future).await
    }

    /// Waits so many milliseconds of the party's own counting.
    pub(super) async fn sleep_ms(&self, party: &Party, timer_ms: u64) {
        let until_us = party.timer_us().saturating_add(timer_ms.saturating_mul(1_000));
        let party = party.clone();
        let _ = self.out(Ends::At(until_us), async move { party.sleep_ms(timer_ms).await }).await;
    }
}

/// How the worker's leases were had: fresh, or of an attempt that goes on. An application knows what it
/// has parked; the shipped task does not say.
#[derive(Default)]
pub(super) struct Leases(Mutex<BTreeMap<Uuid, HandleKind>>);

impl Leases {
    /// How a lease was had, asked once.
    pub(super) fn kind_of(&self, lease: &LeaseId) -> HandleKind {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease.0);
        found.unwrap_or(HandleKind::Fresh)
    }

    fn note(&self, lease: LeaseId, kind: HandleKind) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.0, kind);
    }
}

/// The backend that the shipped worker is built on.
pub(super) struct Inside {
    party: Party,
    bridge: Bridge,
    backend: Arc<dyn EngineBackend>,
    leases: Arc<Leases>,
}

impl Inside {
    pub(super) fn new(party: Party, bridge: Bridge, backend: Arc<dyn EngineBackend>) -> Self {
        Self { party, bridge, backend, leases: Arc::default() }
    }

    pub(super) fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }
}

#[async_trait]
impl Answerer for Inside {
    async fn answer(&self, mut call: Call) -> Answer {
        clock::set_now(&mut call, &self.party);
        let resumed = match &call {
            Call::ClaimResumedExecution { args } => Some(args.lease_id.clone()),
            _ => None,
        };
        let backend = Arc::clone(&self.backend);
        let failed = call.failed(EngineError::Unavailable { op: "a runtime that has ended" });
        let answer = self.bridge.wait(async move { call.perform(&*backend).await }).await.unwrap_or(failed);
        if let (Some(lease), Answer::ClaimResumedExecution(Ok(_))) = (resumed, &answer) {
            self.leases.note(lease, HandleKind::Resumed);
        }
        answer
    }
}
