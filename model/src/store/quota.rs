//! Quota policies: definition, sliding windows, the concurrency counter and who was admitted.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::types::TimestampMs;
use uuid::Uuid;

use crate::intern::ExecutionNo;
use crate::number::Score;
use crate::time::ServerTime;

/// Where a quota policy's keys are: the partition that the client computed and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaPlace {
    /// The partition in the key's tag `{q:…}`.
    pub partition: u16,
    /// `quota_policy_id`.
    pub policy: Uuid,
}

/// `ff:quota:{q:…}:<id>`; `jitter_ms`, which its readers ask for, is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaDefinition {
    /// `requests_per_window_seconds`: the window's length.
    pub window_seconds: u64,
    /// `max_requests_per_window`.
    pub max_requests_per_window: u64,
    /// `active_concurrency_cap`.
    pub max_concurrent: u64,
    /// `created_at`, by the creator's clock.
    pub created_at: TimestampMs,
}

/// The keys of one quota policy.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    /// The definition, which admission never reads. It lists the policy in its partition's index.
    pub definition: Option<QuotaDefinition>,
    /// `…:window:<dimension>`.
    pub windows: BTreeMap<String, BTreeMap<ExecutionNo, Score>>,
    /// `…:concurrency`.
    pub concurrency: Option<i64>,
    /// `…:admitted:<execution>` with the key's expiry.
    pub guards: BTreeMap<ExecutionNo, ServerTime>,
    /// `…:admitted_set`.
    pub admitted: BTreeSet<ExecutionNo>,
}

impl Quota {
    /// Whether an admission's guard still exists.
    pub fn is_guarded(&self, execution: ExecutionNo, now: ServerTime) -> bool {
        self.guards.get(&execution).is_some_and(|until| *until >= now)
    }

    /// Whether it would admit somebody at a time, by its own definition.
    pub fn has_room(&self, now: ServerTime) -> bool {
        let Some(definition) = self.definition else { return true };
        let window_ms = i64::try_from(definition.window_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let since = Score::at_ms(now.ms().saturating_sub(window_ms)).order_key();
        let inside = |window: &BTreeMap<ExecutionNo, Score>| {
            window.values().filter(|score| score.order_key() > since).count() as u64
        };
        let most = self.windows.values().map(inside).max().unwrap_or(0);
        let running = self.concurrency.unwrap_or(0).max(0).unsigned_abs();
        let fits = |limit: u64, taken: u64| limit == 0 || taken < limit;
        fits(definition.max_requests_per_window, most) && fits(definition.max_concurrent, running)
    }

    /// `ZREMRANGEBYSCORE -inf …`; tells how many went.
    pub(crate) fn trim(&mut self, dimension: &str, up_to: Score) -> usize {
        let Some(window) = self.windows.get_mut(dimension) else { return 0 };
        let before = window.len();
        window.retain(|_, score| score.order_key() > up_to.order_key());
        let removed = before - window.len();
        if window.is_empty() {
            self.windows.remove(dimension);
        }
        removed
    }
}

/// All quota policies.
#[derive(Debug, Default)]
pub struct Quotas(BTreeMap<QuotaPlace, Quota>);

impl Quotas {
    /// A policy's keys, if any of them was ever written.
    pub fn get(&self, place: QuotaPlace) -> Option<&Quota> {
        self.0.get(&place)
    }

    /// All policies, by partition and id.
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaPlace, &Quota)> {
        self.0.iter()
    }

    /// `ff:idx:{q:…}:quota_policies`.
    pub fn policies(&self, partition: u16) -> impl Iterator<Item = Uuid> + '_ {
        let listed =
            self.0.iter().filter(move |(place, quota)| place.partition == partition && quota.definition.is_some());
        listed.map(|(place, _)| place.policy)
    }

    pub(super) fn lapse(&mut self, now: ServerTime) {
        for quota in self.0.values_mut() {
            quota.guards.retain(|_, until| *until >= now);
        }
    }

    pub(crate) fn entry(&mut self, place: QuotaPlace) -> &mut Quota {
        self.0.entry(place).or_default()
    }
}
