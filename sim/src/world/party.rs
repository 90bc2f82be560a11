//! What a party's code can do: send, wait, spawn, ask another party. Its way to the server is a
//! [`Server`] port, so that the model's backend runs over it unchanged.

use std::future::Future;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};

use claimlab_model::backend::{Method, ModelBackend};
use claimlab_model::completion::{Publishes, SubscriptionNo};
use claimlab_model::deviation::Deviations;
use claimlab_model::intern::Interner;
use claimlab_model::message::{Message, Reply};
use claimlab_model::port::{Server, Unanswered};
use ff_core::backend::CompletionPayload;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::TimestampMs;
use uuid::Uuid;

use super::hub::{Hub, PartyNo, TaskFuture};
use super::outgoing::{Latency, Load, Outgoing};
use super::wait::{Ended, WaitFuture};
use crate::clock::{TrueTime, WorkerTime};
#[cfg(feature = "live")]
use crate::live::unit::Unit;

/// One party's access to its world.
#[derive(Clone)]
pub struct Party {
    hub: Arc<Hub>,
    no: PartyNo,
    latency: Latency,
    /// The shipped client that goes through the same call.
    #[cfg(feature = "live")]
    shadow: Option<Box<super::shadow::Conversation>>,
}

impl Party {
    /// The access of the party at a position.
    pub fn new(hub: Arc<Hub>, no: PartyNo) -> Self {
        Self {
            hub,
            no,
            latency: Latency::OfTask,
            #[cfg(feature = "live")]
            shadow: None,
        }
    }

    /// The party's position.
    pub fn no(&self) -> PartyNo {
        self.no
    }

    /// The meeting place.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// A client of the server for this party.
    pub fn backend(&self, partitions: PartitionConfig) -> ModelBackend<Self> {
        ModelBackend::new(self.clone(), partitions)
    }

    /// The trait over this party's way to the server: each message on its own, or each call as a whole
    /// where the world's watch asks for that.
    pub fn trait_backend(&self, partitions: PartitionConfig) -> Arc<dyn EngineBackend> {
        #[cfg(feature = "live")]
        if let Some(backend) = self.compared_backend(partitions) {
            return self.overheard(backend);
        }
        self.overheard(Arc::new(self.backend(partitions)))
    }

    /// The same with the scheduler installed.
    pub fn scheduler_backend(&self, partitions: PartitionConfig) -> Arc<dyn EngineBackend> {
        #[cfg(feature = "live")]
        if let Some(backend) = self.compared_backend(partitions) {
            return self.overheard(backend);
        }
        self.overheard(Arc::new(self.backend(partitions).with_scheduler()))
    }

    /// The same way, its calls noted where the world's watch asks for that.
    #[cfg(any(feature = "live", feature = "sdk"))]
    fn overheard(&self, backend: Arc<dyn EngineBackend>) -> Arc<dyn EngineBackend> {
        use crate::call::{Caller, log::Overheard};
        match self.hub.calls() {
            Some(log) => {
                let overheard = Overheard::new(self.clone(), Arc::clone(log), backend);
                Arc::new(Caller(overheard))
            }
            None => backend,
        }
    }

    #[cfg(not(any(feature = "live", feature = "sdk")))]
    fn overheard(&self, backend: Arc<dyn EngineBackend>) -> Arc<dyn EngineBackend> {
        backend
    }

    #[cfg(feature = "live")]
    fn compared_backend(&self, partitions: PartitionConfig) -> Option<Arc<dyn EngineBackend>> {
        match self.hub.unit()? {
            Unit::Call(_) => Some(Arc::new(crate::call::Caller(self.clone()))),
            Unit::Message(shadow) => Some(super::shadow::backend(self, shadow, partitions)),
        }
    }

    /// This party within a call that a shipped client goes through too.
    #[cfg(feature = "live")]
    pub(super) fn shadowed(&self, conversation: super::shadow::Conversation) -> Self {
        Self { shadow: Some(Box::new(conversation)), ..self.clone() }
    }

    /// Sends a call as a whole; none when no answer came in time.
    #[cfg(feature = "live")]
    pub(crate) async fn whole(&self, call: crate::call::Call) -> Option<crate::call::Answer> {
        let (call, latency) = (Box::new(call), self.latency);
        let wait =
            WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::Send { wait, load: Load::Whole(call), latency });
        match wait.await {
            Ended::Value(value) => value.downcast().ok().map(|answer| *answer),
            _ => None,
        }
    }

    /// This party in code that a task of its own would run, though it is part of another.
    pub fn as_spawned(&self) -> Self {
        Self { latency: Latency::OfSpawned, ..self.clone() }
    }

    /// What the party's wall clock shows.
    pub fn now(&self) -> WorkerTime {
        self.hub.wall(self.no)
    }

    /// A fresh id from the party's own stream.
    pub fn uuid(&self) -> Uuid {
        self.hub.uuid(self.no)
    }

    /// Waits so many milliseconds of the party's own counting.
    pub async fn sleep_ms(&self, timer_ms: u64) {
        self.sleep_us(timer_ms.saturating_mul(1_000)).await;
    }

    /// Waits so many microseconds of the party's own counting.
    pub async fn sleep_us(&self, timer_us: u64) {
        let sleep = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::Sleep { wait, timer_us });
        sleep.await;
    }

    /// What the party's own timer has counted since the world began; steps of the wall clock leave it alone.
    pub fn timer_us(&self) -> u64 {
        self.hub.timer_us(self.no)
    }

    /// Waits until a true time; for parties that follow the plan.
    pub async fn sleep_until(&self, until: TrueTime) {
        let sleep = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::SleepUntil { wait, until });
        sleep.await;
    }

    /// Starts another task of this party.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.hub.put(Outgoing::Spawn { task: Box::pin(task), key: None });
    }

    /// Starts another task of this party that draws from a stream named by a key, so that one such task
    /// more or less changes nothing for the others.
    pub fn spawn_keyed(&self, key: u64, task: impl Future<Output = ()> + Send + 'static) {
        self.hub.put(Outgoing::Spawn { task: Box::pin(task), key: Some(key) });
    }

    /// Hands a task to another party; it starts there when the request arrives.
    pub fn request(&self, to: PartyNo, task: impl Future<Output = ()> + Send + 'static) {
        let task: TaskFuture = Box::pin(task);
        self.hub.put(Outgoing::Request { to, task, wait: None, latency: self.latency });
    }

    /// Asks another party and waits for its answer; none when request or answer is cut off for too long.
    pub async fn ask<T: Send + 'static>(
        &self,
        to: PartyNo,
        answer: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (hub, asker, latency) = (Arc::clone(&self.hub), self.no, self.latency);
        let answer = Box::pin(answer);
        let wait = WaitFuture::new(Arc::clone(&self.hub), move |wait| {
            let task: TaskFuture = Box::pin(async move {
                let value = answer.await;
                hub.put(Outgoing::Respond { wait, to: asker, value: Box::new(value) });
            });
            Outgoing::Request { to, task, wait: Some(wait), latency }
        });
        match wait.await {
            Ended::Value(value) => value.downcast().ok().map(|value| *value),
            _ => None,
        }
    }
}

impl Publishes for Party {
    fn subscribe(&self) -> SubscriptionNo {
        self.hub.subscribe(self.no)
    }

    fn poll_heard(&self, subscription: SubscriptionNo, _: &mut Context<'_>) -> Poll<CompletionPayload> {
        self.hub.heard(subscription).map_or(Poll::Pending, Poll::Ready)
    }

    fn unsubscribe(&self, subscription: SubscriptionNo) {
        self.hub.unsubscribe(subscription);
    }
}

impl Server for Party {
    async fn call(&self, message: Message) -> Result<Reply, Unanswered> {
        #[cfg(feature = "live")]
        let held = self.shadow.as_ref().and_then(|shadow| shadow.sent(&message));
        #[cfg(feature = "live")]
        let load = match &held {
            Some(held) => Load::Held(message, Arc::clone(held)),
            None => Load::Message(message),
        };
        #[cfg(not(feature = "live"))]
        let load = Load::Message(message);
        let latency = self.latency;
        let call = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::Send { wait, load, latency });
        let reply = match call.await {
            Ended::Answered(reply) => Ok(reply),
            _ => Err(Unanswered),
        };
        #[cfg(feature = "live")]
        if let Some(shadow) = &self.shadow {
            shadow.heard(reply.is_ok().then_some(held).flatten());
        }
        reply
    }

    fn ids(&self) -> MutexGuard<'_, Interner> {
        self.hub.ids()
    }

    fn deviations(&self) -> Deviations {
        self.hub.deviations()
    }

    fn mint(&self) -> Uuid {
        self.hub.mint(self.no)
    }

    fn wall_clock(&self) -> TimestampMs {
        self.now().to_wire()
    }

    fn method_started(&self, method: Method) -> u64 {
        self.hub.method_started(self.no, method)
    }

    fn method_ended(&self, call: u64, method: Method, outcome: &'static str) {
        self.hub.method_ended(call, method, outcome);
    }
}
