//! Completions at the meeting place: who listens, and what has been heard.

use claimlab_model::completion::SubscriptionNo;
use claimlab_model::intern::ExecutionNo;
use ff_core::backend::CompletionPayload;

use super::{Hub, Inner, PartyNo, TaskNo, lock};
use crate::address::{About, Draw};
use crate::clock::TrueTime;
use crate::outcome::Completions;

impl Hub {
    /// Begins to listen to completions; the server knows of it after one latency.
    pub fn subscribe(&self, party: PartyNo) -> SubscriptionNo {
        let task = lock(&self.inner).task;
        let address = self.address(task, party, About::Nothing, "subscribe");
        let latency_us = self.latency_us(&address, Draw::LatencyOut);
        let mut inner = lock(&self.inner);
        let now = inner.now;
        inner.subscriptions.add(party, latency_us, now)
    }

    /// Stops listening.
    pub fn unsubscribe(&self, subscription: SubscriptionNo) {
        let mut inner = lock(&self.inner);
        if let Some(wait) = inner.subscriptions.remove(subscription) {
            inner.waits.forget(wait);
        }
    }

    /// The next completion that was heard; without one the current task is polled again when there is.
    pub fn heard(&self, subscription: SubscriptionNo) -> Option<CompletionPayload> {
        let Inner { task, waits, subscriptions, .. } = &mut *lock(&self.inner);
        subscriptions.next_or_wait(subscription, || waits.add(*task))
    }

    /// An execution's end is published: who will hear of it, and when.
    pub(in crate::world) fn published(
        &self,
        ended: ExecutionNo,
        now: TrueTime,
    ) -> Vec<(PartyNo, SubscriptionNo, TrueTime)> {
        let listeners = lock(&self.inner).subscriptions.listeners(now);
        let sent = listeners.into_iter().filter_map(|(subscription, party)| {
            let address = {
                let Inner { book, parties, .. } = &mut *lock(&self.inner);
                book.next(&mut parties[party].scope, About::Execution(ended), "completion", &lock(&self.ids))
            };
            let latency_us = self.latency_us(&address, Draw::LatencyBack);
            let arrives = lock(&self.inner).subscriptions.sent(subscription, now, latency_us)?;
            Some((party, subscription, arrives))
        });
        sent.collect()
    }

    /// The news of a completion has arrived; gives the task that waits for it.
    pub(in crate::world) fn hear(&self, subscription: SubscriptionNo, payload: CompletionPayload) -> Option<TaskNo> {
        let mut inner = lock(&self.inner);
        let wait = inner.subscriptions.hear(subscription, payload)?;
        let task = inner.waits.task(wait);
        inner.waits.forget(wait);
        task
    }

    /// Completions published while anybody listened, and how often one was heard.
    pub fn completions(&self) -> Completions {
        lock(&self.inner).subscriptions.counts()
    }
}
