//! Who listens to completions: `SUBSCRIBE` on a connection of its own, which hears each end at most once,
//! in the order in which they were published, and nothing while it is cut off.

use std::collections::{BTreeMap, VecDeque};

use claimlab_model::completion::SubscriptionNo;
use ff_core::backend::CompletionPayload;

use super::hub::PartyNo;
use super::wait::WaitNo;
use crate::clock::TrueTime;
use crate::outcome::Completions;

#[derive(Debug)]
struct Subscription {
    party: PartyNo,
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

    pub(super) fn add(&mut self, party: PartyNo, latency_us: u64, now: TrueTime) -> SubscriptionNo {
        self.last += 1;
        let heard = VecDeque::new();
        let of = Subscription { party, stands_at: now.plus_us(latency_us), last_at: now, heard, wait: None };
        self.standing.insert(self.last, of);
        self.last
    }

    /// Ends a subscription; gives the wait that goes with it.
    pub(super) fn remove(&mut self, number: SubscriptionNo) -> Option<WaitNo> {
        self.standing.remove(&number)?.wait
    }

    /// The next that was heard; without one, who asked waits from now on.
    pub(super) fn next_or_wait(
        &mut self,
        number: SubscriptionNo,
        wait: impl FnOnce() -> WaitNo,
    ) -> Option<CompletionPayload> {
        let of = self.standing.get_mut(&number)?;
        let heard = of.heard.pop_front();
        if heard.is_none() {
            of.wait.get_or_insert_with(wait);
        }
        heard
    }

    /// Everybody whom the server knows to listen, when something is published.
    pub(super) fn listeners(&self, now: TrueTime) -> Vec<(SubscriptionNo, PartyNo)> {
        let standing = self.standing.iter().filter(|(_, of)| of.stands_at <= now);
        standing.map(|(number, of)| (*number, of.party)).collect()
    }

    /// When news that takes so long reaches a subscriber: never before what was sent earlier.
    pub(super) fn sent(&mut self, number: SubscriptionNo, now: TrueTime, latency_us: u64) -> Option<TrueTime> {
        let of = self.standing.get_mut(&number)?;
        self.counts.published += 1;
        of.last_at = now.plus_us(latency_us).max(of.last_at.plus_us(1));
        Some(of.last_at)
    }

    /// Keeps the news; gives the wait that it ends.
    pub(super) fn hear(&mut self, number: SubscriptionNo, payload: CompletionPayload) -> Option<WaitNo> {
        let of = self.standing.get_mut(&number)?;
        self.counts.heard += 1;
        of.heard.push_back(payload);
        of.wait.take()
    }
}
