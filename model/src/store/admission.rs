//! What the store keeps for admission and administration beside its executions: budgets, quotas, the
//! lane registry, the server's random numbers, and the two core fields that name budgets and quota.

use std::collections::BTreeSet;

use super::Store;
use super::budget::Budgets;
use super::change::Change;
use super::quota::Quotas;
use super::random::Random;
use super::registry::Registry;
use crate::intern::ExecutionNo;
use crate::time::ServerTime;

/// `budget_ids` and `quota_policy_id` of a core hash: nothing that 0.15.0 ships writes them, its
/// scheduler reads them all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// `budget_ids`, comma separated.
    pub budget_ids: Option<String>,
    /// `quota_policy_id`.
    pub quota_policy_id: Option<String>,
}

/// Everything beside the executions, in one field of the store.
#[derive(Debug, Default)]
pub(super) struct Admission {
    budgets: Budgets,
    quotas: Quotas,
    lanes: BTreeSet<String>,
    random: Random,
}

impl Admission {
    /// Drops what is past its expiry.
    pub(super) fn lapse(&mut self, now: ServerTime) {
        self.budgets.lapse(now);
        self.quotas.lapse(now);
    }
}

impl Store {
    /// The budgets.
    pub fn budgets(&self) -> &Budgets {
        &self.admission.budgets
    }

    pub(crate) fn budgets_mut(&mut self) -> &mut Budgets {
        &mut self.admission.budgets
    }

    /// The quota policies.
    pub fn quotas(&self) -> &Quotas {
        &self.admission.quotas
    }

    pub(crate) fn quotas_mut(&mut self) -> &mut Quotas {
        &mut self.admission.quotas
    }

    pub(crate) fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// `ff:idx:lanes`.
    pub fn lanes(&self) -> &BTreeSet<String> {
        &self.admission.lanes
    }

    /// `SADD` of the configured lanes, as a deployment's initialisation does
    /// (`ff-backend-valkey/src/boot.rs`, step 5). No function ever adds a lane.
    pub fn seed_lanes(&mut self, lanes: impl IntoIterator<Item = String>) {
        self.admission.lanes.extend(lanes);
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.admission.random
    }

    /// `HSET` of the admission fields; none leaves a field as it is.
    pub(crate) fn attach(&mut self, number: ExecutionNo, write: impl FnOnce(&mut Attached)) {
        write(&mut self.execution_mut(number).attached);
        self.note(number, Change::Note);
    }

    /// `HSET` on the tags.
    pub(crate) fn write_tags(&mut self, number: ExecutionNo, tags: &[(String, String)]) {
        self.execution_mut(number).submission.tags.extend(tags.iter().cloned());
        self.note(number, Change::Note);
    }
}
