//! Budgets: definition, limits, usage, and who spent what.
//!
//! Kept as the texts that the hashes hold, because the scripts print numbers of their own into them
//! and create a definition piece by piece: a report on a budget that nobody created leaves one behind.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::intern::ExecutionNo;
use crate::number::Score;
use crate::time::ServerTime;

/// A hash as the server holds it; an empty one does not exist.
pub type Hash = BTreeMap<String, String>;

/// Where a budget's keys are: the partition that the client computed and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetPlace {
    /// The partition in the key's tag `{b:…}`.
    pub partition: u16,
    /// `budget_id`.
    pub budget: Uuid,
}

/// The keys of one budget.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// `ff:budget:{b:…}:<id>`.
    pub definition: Hash,
    /// `…:limits`: `hard:<dimension>` and `soft:<dimension>`.
    pub limits: Hash,
    /// `…:usage`.
    pub usage: Hash,
    /// `…:by_exec:<execution>`.
    pub by_execution: BTreeMap<ExecutionNo, Hash>,
    /// `…:by_exec:index`.
    pub spenders: BTreeSet<ExecutionNo>,
}

impl Budget {
    /// Whether the usage of a dimension has reached its hard limit, as a scheduler reads it
    /// (`ff-core/src/contracts/mod.rs`, `BudgetUsageAndLimits::hard_limits_with_usage`).
    pub fn is_spent(&self) -> bool {
        let number = |text: &String| text.parse::<u64>().ok();
        let used = |dimension: &str| self.usage.get(dimension).and_then(number).unwrap_or(0);
        self.limits.iter().any(|(field, limit)| {
            let limit = number(limit).filter(|limit| *limit > 0);
            field.strip_prefix("hard:").zip(limit).is_some_and(|(dimension, limit)| used(dimension) >= limit)
        })
    }
}

/// All budgets with their partitions' indexes.
#[derive(Debug, Default)]
pub struct Budgets {
    records: BTreeMap<BudgetPlace, Budget>,
    policies: BTreeSet<BudgetPlace>,
    resets: BTreeMap<BudgetPlace, Score>,
    applied: BTreeMap<(u16, String), ServerTime>,
}

impl Budgets {
    /// A budget's keys, if any of them was ever written.
    pub fn get(&self, place: BudgetPlace) -> Option<&Budget> {
        self.records.get(&place)
    }

    /// All budgets, by partition and id.
    pub fn iter(&self) -> impl Iterator<Item = (&BudgetPlace, &Budget)> {
        self.records.iter()
    }

    /// `ff:idx:{b:…}:budget_policies`.
    pub fn policies(&self, partition: u16) -> impl Iterator<Item = Uuid> + '_ {
        self.policies.iter().filter(move |place| place.partition == partition).map(|place| place.budget)
    }

    /// `ff:idx:{b:…}:budget_resets` of every partition.
    pub fn resets(&self) -> &BTreeMap<BudgetPlace, Score> {
        &self.resets
    }

    /// `ff:usagededup:{b:…}:<id>` of every partition, with their expiry.
    pub fn applied(&self) -> &BTreeMap<(u16, String), ServerTime> {
        &self.applied
    }

    pub(super) fn lapse(&mut self, now: ServerTime) {
        self.applied.retain(|_, until| *until >= now);
    }

    pub(crate) fn entry(&mut self, place: BudgetPlace) -> &mut Budget {
        self.records.entry(place).or_default()
    }

    pub(crate) fn enlist(&mut self, place: BudgetPlace) {
        self.policies.insert(place);
    }

    /// `SREM`; tells whether it was a member.
    pub(crate) fn delist(&mut self, place: BudgetPlace) -> bool {
        self.policies.remove(&place)
    }

    pub(crate) fn schedule(&mut self, place: BudgetPlace, next: Option<Score>) {
        match next {
            Some(next) => drop(self.resets.insert(place, next)),
            None => drop(self.resets.remove(&place)),
        }
    }

    pub(crate) fn is_applied(&self, partition: u16, dedup: &str, now: ServerTime) -> bool {
        self.applied.get(&(partition, dedup.to_owned())).is_some_and(|until| *until >= now)
    }

    pub(crate) fn remember(&mut self, partition: u16, dedup: &str, until: ServerTime) {
        self.applied.insert((partition, dedup.to_owned()), until);
    }
}
