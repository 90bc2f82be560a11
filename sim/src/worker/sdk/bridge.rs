//! The way out of a shipped worker's own runtime: what happens inside waits for what happens in the
//! world.
//!
//! Inside, a task hands a future of the world out and waits for its value on a channel that the inner
//! runtime knows; outside, the host polls that future as any other of the party. The trait over this
//! way is what the shipped worker is built on.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use claimlab_model::port::Unanswered;
use ff_core::backend::HandleKind;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::handle_codec;
use ff_core::partition::PartitionConfig;
use ff_core::types::LeaseId;
use ff_script::engine_error_ext::transport_script;
use ff_script::error::ScriptError;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::ward::Wards;
use super::{clock, ids};
use crate::call::{Answer, Answerer, Call};
use crate::worker::rounds::Rounds;
use crate::worker::task::is_final;
use crate::world::Party;

/// A future of the world.
pub(super) type Outside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether the end of a wait is known when it begins; times are microseconds of the party's own timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Then, for a sleep that began when it did.
    At { us: u64, began_us: u64 },
    /// When somebody else acts; whether the answer makes the worker set a timer.
    Unknown { arms: bool },
    /// Never; it brings news, which those inside look at when they are run for another reason: the clock
    /// inside may be ahead by then.
    News,
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
        let (mut gives, gets) = oneshot::channel();
        let mut future = Box::pin(future);
        let future = Box::pin(async move {
            let wanted = poll_fn(|context| match gives.poll_closed(context) {
                // The task that waited was dropped, and what it waited for goes with it.
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => future.as_mut().poll(context).map(Some),
            });
            if let Some(value) = wanted.await {
                // Nobody can have dropped it since.
                let _ = gives.send(value);
            }
        });
        self.queue().push(Request { ends, future });
        // The host drops a future only together with the runtime in which this waits.
        gets.await.ok()
    }

    /// Has a future whose end nobody knows run outside.
    pub(super) async fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.out(Ends::Unknown { arms: false }, future).await
    }

    /// Has a future that brings news from time to time run outside.
    pub(super) fn begin(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.queue().push(Request { ends: Ends::News, future: Box::pin(future) });
    }

    /// Waits so many milliseconds of the party's own counting.
    pub(super) async fn sleep_ms(&self, party: &Party, timer_ms: u64) {
        let began_us = party.timer_us();
        let us = began_us.saturating_add(timer_ms.saturating_mul(1_000));
        let party = party.clone();
        let _ = self.out(Ends::At { us, began_us }, async move { party.sleep_ms(timer_ms).await }).await;
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
    bridge: Bridge,
    party: Party,
    backend: Arc<dyn EngineBackend>,
    leases: Arc<Leases>,
    wards: Wards,
    rounds: Arc<Mutex<Rounds>>,
}

impl Inside {
    pub(super) fn new(party: &Party, bridge: Bridge, wards: Wards, partitions: PartitionConfig) -> Self {
        let (leases, rounds) = (Arc::default(), Arc::default());
        Self { bridge, backend: party.trait_backend(partitions), party: party.clone(), leases, wards, rounds }
    }

    /// Where it has scanned for work.
    pub(super) fn rounds(&self) -> &Arc<Mutex<Rounds>> {
        &self.rounds
    }

    pub(super) fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }
}

#[async_trait]
impl Answerer for Inside {
    async fn answer(&self, mut call: Call) -> Answer {
        clock::set_now(&mut call);
        ids::set(&self.party, &mut call);
        let lease = match &call {
            Call::ClaimResumedExecution { args } => Some(args.lease_id.clone()),
            Call::Renew { handle } => handle_codec::decode(&handle.opaque).ok().map(|decoded| decoded.payload.lease_id),
            Call::ScanEligibleExecutions { args } => {
                let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
                rounds.look(args.lane_id.as_str(), args.partition.index);
                None
            }
            _ => None,
        };
        let backend = Arc::clone(&self.backend);
        let failed = call.failed(EngineError::Unavailable { op: "a runtime that has ended" });
        // The interval of renewals begins with the context, and goes on with each renewal.
        let arms = matches!(call, Call::ReadExecutionContext { .. } | Call::Renew { .. });
        // Calls and answers are large, and handed on several times.
        let call = Box::new(call);
        let performed = self.bridge.out(Ends::Unknown { arms }, async move { Box::new(call.perform(&*backend).await) });
        let answer = performed.await.map_or(failed, |answer| *answer);
        match (lease, &answer) {
            (Some(lease), Answer::ClaimResumedExecution(Ok(_))) => self.leases.note(lease, HandleKind::Resumed),
            (Some(lease), Answer::Renew(renewed)) => {
                self.wards.renewed(&lease, renewed.as_ref().is_err_and(is_final));
            }
            _ => {}
        }
        answer.map_error(timed_out)
    }
}

/// A call without an answer as the shipped client reports it: an I/O error of its own kind, by which the
/// shipped worker's loop knows that it may go on.
pub(super) fn timed_out(error: EngineError) -> EngineError {
    match error {
        EngineError::Contextual { source, context } => {
            EngineError::Contextual { source: Box::new(timed_out(*source)), context }
        }
        EngineError::Transport { source, .. } if source.is::<Unanswered>() => {
            let timed_out = std::io::Error::from(std::io::ErrorKind::TimedOut);
            transport_script(ScriptError::Valkey(timed_out.into()))
        }
        other => other,
    }
}
