//! What a party's code can do: send, wait, spawn, ask another party. Its way to the server is a
//! [`Server`] port, so that the model's backend runs over it unchanged.

use std::future::Future;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};

use claimlab_model::backend::{Method, ModelBackend};
use claimlab_model::completion::{Publishes, SubscriptionNo};
use claimlab_model::deviation::Deviations;
use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::message::{Message, Reply};
use claimlab_model::port::{Server, Unanswered};
use ff_core::backend::CompletionPayload;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, TimestampMs};
use uuid::Uuid;

use super::WholeCall;
use super::beside::Conversation;
use super::hub::{Hub, PartyNo, TaskFuture};
use super::network::Flight;
use super::outgoing::{Load, Outgoing};
use super::wait::{Ended, WaitFuture};
use crate::address::About;
use crate::clock::{TrueTime, WorkerTime};

/// One party's access to its world.
#[derive(Clone)]
pub struct Party {
    hub: Arc<Hub>,
    number: PartyNo,
    /// The call that a client of another server goes through as well.
    conversation: Option<Arc<dyn Conversation>>,
}

impl Party {
    /// The access of the party at a position.
    pub fn new(hub: Arc<Hub>, number: PartyNo) -> Self {
        Self { hub, number, conversation: None }
    }

    /// The party's position.
    pub fn number(&self) -> PartyNo {
        self.number
    }

    /// The meeting place.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// A client of the server for this party.
    pub fn backend(&self, partitions: PartitionConfig) -> ModelBackend<Self> {
        ModelBackend::new(self.clone(), partitions)
    }

    /// The trait over this party's way to the server; where another server is laid beside the model, over the way to
    /// both.
    pub fn trait_backend(&self, partitions: PartitionConfig) -> Arc<dyn EngineBackend> {
        self.watched(partitions, |backend| backend)
    }

    /// The same with the scheduler installed.
    pub fn scheduler_backend(&self, partitions: PartitionConfig) -> Arc<dyn EngineBackend> {
        self.watched(partitions, ModelBackend::with_scheduler)
    }

    fn watched(
        &self,
        partitions: PartitionConfig,
        install: impl FnOnce(ModelBackend<Self>) -> ModelBackend<Self>,
    ) -> Arc<dyn EngineBackend> {
        let backend = match self.hub.beside() {
            Some(beside) => beside.backend(self, partitions),
            None => Arc::new(install(self.backend(partitions))),
        };
        match self.hub.overhears() {
            Some(overhears) => overhears.backend(self, backend),
            None => backend,
        }
    }

    /// This party within a call that a client of another server goes through as well.
    #[must_use]
    pub fn within(&self, conversation: Arc<dyn Conversation>) -> Self {
        Self { conversation: Some(conversation), ..self.clone() }
    }

    /// Sends a call as a whole; none when no answer came in time.
    pub async fn whole<T: 'static>(&self, call: Box<dyn WholeCall>) -> Option<T> {
        let flight = Flight::of(Load::Whole(call));
        let wait = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::Send { wait, flight });
        match wait.await {
            Ended::Value(value) => value.downcast().ok().map(|answer| *answer),
            _ => None,
        }
    }

    /// An execution as something that ids and requests can be about.
    pub fn about(&self, execution: &ExecutionId) -> About {
        About::Execution(self.hub.ids().execution(execution))
    }

    /// What the party's wall clock shows.
    pub fn now(&self) -> WorkerTime {
        self.hub.wall(self.number)
    }

    /// A fresh id of a kind, for something that the party does about an execution.
    pub fn id(&self, execution: &ExecutionId, kind: &'static str) -> Uuid {
        self.hub.id(self.number, self.about(execution), kind)
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
        self.hub.timer_us(self.number)
    }

    /// Waits until a true time; for parties that follow the plan.
    pub async fn sleep_until(&self, until: TrueTime) {
        let sleep = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::SleepUntil { wait, until });
        sleep.await;
    }

    /// Starts another task of this party.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.hub.put(Outgoing::Spawn { task: Box::pin(task), scope: None });
    }

    /// Starts another task of this party whose messages are addressed and counted under a name of their own, so that
    /// one such task more or less changes nothing for the others.
    pub fn spawn_named(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let scope = Some(format!("{} {name}", self.hub.process(self.number)));
        self.hub.put(Outgoing::Spawn { task: Box::pin(task), scope });
    }

    /// Hands a task to another party; it starts there when the request arrives. The request is addressed by what it is
    /// about and by its name, and what the task sends there by the request.
    pub fn request(
        &self,
        to: PartyNo,
        about: About,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task: TaskFuture = Box::pin(task);
        self.hub.put(Outgoing::Request { to, task, wait: None, about, name });
    }

    /// Asks another party and waits for its answer; none when request or answer is cut off for too long.
    pub async fn ask<T: Send + 'static>(
        &self,
        to: PartyNo,
        about: About,
        name: &'static str,
        answer: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (hub, asker) = (Arc::clone(&self.hub), self.number);
        let answer = Box::pin(answer);
        let wait = WaitFuture::new(Arc::clone(&self.hub), move |wait| {
            let task: TaskFuture = Box::pin(async move {
                let value = answer.await;
                hub.put(Outgoing::Respond { wait, to: asker, value: Box::new(value) });
            });
            Outgoing::Request { to, task, wait: Some(wait), about, name }
        });
        match wait.await {
            Ended::Value(value) => value.downcast().ok().map(|value| *value),
            _ => None,
        }
    }
}

impl Publishes for Party {
    fn subscribe(&self) -> SubscriptionNo {
        self.hub.subscribe(self.number)
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
        let tag = self.conversation.as_ref().and_then(|conversation| conversation.sent(self, &message));
        let flight = Flight::of(match &tag {
            Some(tag) => Load::Tagged(message, Arc::clone(tag)),
            None => Load::Message(message),
        });
        let call = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::Send { wait, flight });
        let reply = match call.await {
            Ended::Answered(reply) => Ok(reply),
            _ => Err(Unanswered),
        };
        if let Some(conversation) = &self.conversation {
            conversation.heard(self, tag.as_deref().filter(|_| reply.is_ok()));
        }
        reply
    }

    fn ids(&self) -> MutexGuard<'_, Interner> {
        self.hub.ids()
    }

    fn deviations(&self) -> Deviations {
        self.hub.deviations()
    }

    fn mint(&self, kind: &'static str, execution: ExecutionNo) -> Uuid {
        self.hub.mint(self.number, About::Execution(execution), kind)
    }

    fn wall_clock(&self) -> TimestampMs {
        self.now().to_wire()
    }

    fn method_started(&self, method: Method, arguments: &dyn Fn() -> String) -> u64 {
        self.hub.method_started(self.number, method, arguments)
    }

    fn method_ended(&self, call: u64, method: Method, outcome: &'static str, answer: &dyn Fn() -> String) {
        self.hub.method_ended(call, method, outcome, answer);
    }

    fn marks_calls(&self) -> bool {
        self.hub.is_recording()
    }

    fn within_call(&self, call: Option<u64>) -> Option<u64> {
        self.hub.within_call(call)
    }
}
