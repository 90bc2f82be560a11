//! What a party's code can do: send, wait, spawn, ask another party. Its way to the server is a
//! [`Server`] port, so that the model's backend runs over it unchanged.

use std::future::Future;
use std::sync::{Arc, MutexGuard};

use claimlab_model::backend::{Method, ModelBackend};
use claimlab_model::intern::Interner;
use claimlab_model::message::{Message, Reply};
use claimlab_model::port::{Server, Unanswered};
use ff_core::partition::PartitionConfig;
use ff_core::types::TimestampMs;
use uuid::Uuid;

use super::hub::{Ended, Hub, Outgoing, PartyNo, TaskFuture, WaitFuture};
use crate::clock::{TrueTime, WorkerTime};

/// One party's access to its world.
#[derive(Clone)]
pub struct Party {
    hub: Arc<Hub>,
    no: PartyNo,
}

impl Party {
    /// The access of the party at a position.
    pub fn new(hub: Arc<Hub>, no: PartyNo) -> Self {
        Self { hub, no }
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
        self.hub.put(Outgoing::Request { to, task, wait: None });
    }

    /// Asks another party and waits for its answer; none when request or answer is cut off for too long.
    pub async fn ask<T: Send + 'static>(
        &self,
        to: PartyNo,
        answer: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (hub, asker) = (Arc::clone(&self.hub), self.no);
        let answer = Box::pin(answer);
        let wait = WaitFuture::new(Arc::clone(&self.hub), move |wait| {
            let task: TaskFuture = Box::pin(async move {
                let value = answer.await;
                hub.put(Outgoing::Respond { wait, to: asker, value: Box::new(value) });
            });
            Outgoing::Request { to, task, wait: Some(wait) }
        });
        match wait.await {
            Ended::Value(value) => value.downcast().ok().map(|value| *value),
            _ => None,
        }
    }
}

impl Server for Party {
    async fn call(&self, message: Message) -> Result<Reply, Unanswered> {
        let call = WaitFuture::new(Arc::clone(&self.hub), |wait| Outgoing::Send { wait, message });
        match call.await {
            Ended::Answered(reply) => Ok(reply),
            _ => Err(Unanswered),
        }
    }

    fn ids(&self) -> MutexGuard<'_, Interner> {
        self.hub.ids()
    }

    fn mint(&self) -> Uuid {
        self.uuid()
    }

    fn caller_now(&self) -> TimestampMs {
        self.now().to_wire()
    }

    fn method_started(&self, method: Method) -> u64 {
        self.hub.method_started(self.no, method)
    }

    fn method_ended(&self, call: u64, method: Method, outcome: &'static str) {
        self.hub.method_ended(call, method, outcome);
    }
}
