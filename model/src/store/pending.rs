//! `pending_waitpoint_expiry`: waitpoints that no suspension uses yet, by the time when they lapse.

use std::collections::{BTreeMap, BTreeSet};

use ff_core::types::WaitpointId;
use uuid::Uuid;

use crate::number::Score;

/// The index of every partition. Its members order by score, then by id.
#[derive(Debug, Default)]
pub(super) struct PendingExpiry {
    scores: BTreeMap<(u16, Uuid), Score>,
    order: BTreeSet<(u16, u64, Uuid)>,
}

impl PendingExpiry {
    pub(super) fn add(&mut self, partition: u16, id: &WaitpointId, score: Score) {
        self.remove(partition, id);
        self.scores.insert((partition, id.0), score);
        self.order.insert((partition, score.order_key(), id.0));
    }

    pub(super) fn remove(&mut self, partition: u16, id: &WaitpointId) {
        if let Some(score) = self.scores.remove(&(partition, id.0)) {
            self.order.remove(&(partition, score.order_key(), id.0));
        }
    }

    pub(super) fn range(&self, partition: u16) -> impl Iterator<Item = (Score, WaitpointId)> + '_ {
        let of_partition = self.order.range((partition, 0, Uuid::nil())..=(partition, u64::MAX, Uuid::max()));
        of_partition.map(|(partition, _, id)| (self.scores[&(*partition, *id)], WaitpointId(*id)))
    }
}
