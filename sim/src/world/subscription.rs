//! Who listens to completions: `SUBSCRIBE` on a connection of its own, which hears each end at most once,
//! in the order in which they were published, and nothing while it is cut off.

use std::collections::{BTreeMap, VecDeque};

use claimlab_model::completion::SubscriptionNo;
use ff_core::backend::CompletionPayload;
use serde::Serialize;

use super::hub::PartyNo;
use super::wait::WaitNo;
use crate::clock::TrueTime;
use crate::stream::{Range, Stream};

/// How many completions there were for listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completions {
    /// Published, each once for everybody who listened then.
    pub published: u64,
    /// Of these, heard.
    pub heard: u64,
}

impl Completions {
    /// Adds those of another world.
    pub fn merge(&mut self, other: Self) {
        self.published += other.published;
        self.heard += other.heard;
    }
}

#[derive(Debug)]
struct Subscription {
    party: PartyNo,
    latency: Stream,
    latency_us: Range,
    /// When the server knows of it.
    stands_at: TrueTime,
    /// When its last news arrives; one connection overtakes nothing.
    last_at: TrueTime,
    heard: VecDeque<CompletionPayload>,
    wait: Option<WaitNo>,
}

/// The subscriptions of a world.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    standing: BTreeMap<SubscriptionNo, Subscription>,
    last: SubscriptionNo,
    counts: Completions,
}

impl Subscriptions {
    pub(super) const fn counts(&self) -> Completions {
        self.counts
    }

    pub(super) fn add(
        &mut self,
        party: PartyNo,
        mut latency: Stream,
        latency_us: Range,
        now: TrueTime,
    ) -> SubscriptionNo {
        self.last += 1;
        let stands_at = now.plus_us(latency.within_unsigned(latency_us));
        let heard = VecDeque::new();
        let of = Subscription { party, latency, latency_us, stands_at, last_at: now, heard, wait: None };
        self.standing.insert(self.last, of);
        self.last
    }

    /// Ends a subscription; gives the wait that goes with it.
    pub(super) fn remove(&mut self, no: SubscriptionNo) -> Option<WaitNo> {
        self.standing.remove(&no)?.wait
    }

    /// The next that was heard; without one, who asked waits from now on.
    pub(super) fn next_or_wait(
        &mut self,
        no: SubscriptionNo,
        wait: impl FnOnce() -> WaitNo,
    ) -> Option<CompletionPayload> {
        let of = self.standing.get_mut(&no)?;
        let heard = of.heard.pop_front();
        if heard.is_none() {
            of.wait.get_or_insert_with(wait);
        }
        heard
    }

    pub(super) fn published(&mut self, now: TrueTime) -> Vec<(PartyNo, SubscriptionNo, TrueTime)> {
        let counts = &mut self.counts;
        let standing = self.standing.iter_mut().filter(|(_, of)| of.stands_at <= now);
        standing
            .map(|(no, of)| {
                counts.published += 1;
                let latency_us = of.latency.within_unsigned(of.latency_us);
                of.last_at = now.plus_us(latency_us).max(of.last_at.plus_us(1));
                (of.party, *no, of.last_at)
            })
            .collect()
    }

    /// Keeps the news; gives the wait that it ends.
    pub(super) fn hear(&mut self, no: SubscriptionNo, payload: CompletionPayload) -> Option<WaitNo> {
        let of = self.standing.get_mut(&no)?;
        self.counts.heard += 1;
        of.heard.push_back(payload);
        of.wait.take()
    }
}
