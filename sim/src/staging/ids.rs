//! The ids that staged calls are about: a small number goes in, an id comes out, and always the same one.
//!
//! Sequences and scenes may be played in one store, so each makes ids of its own: the first byte of an id says who made
//! it and of what it is.

use ff_core::partition::{PartitionConfig, flow_partition};
use ff_core::types::{BudgetId, EdgeId, ExecutionId, FlowId, QuotaPolicyId};
use uuid::Uuid;

use super::sequence::Pick;

/// The first byte of each kind of id that one maker makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    execution: u8,
    flow: u8,
    edge: u8,
    quota: u8,
    budget: u8,
}

/// What sequences are about.
pub(super) const OF_SEQUENCES: Ids = Ids { execution: 0xe0, flow: 0xf1, edge: 0xed, quota: 0xa0, budget: 0xb0 };
/// What scenes are about.
pub(super) const OF_SCENES: Ids = Ids { execution: 0xd5, flow: 0xf5, edge: 0xe5, quota: 0xa5, budget: 0xb5 };

fn numbered(first_byte: u8, number: u128) -> Uuid {
    Uuid::from_u128((u128::from(first_byte) << 120) | number)
}

impl Ids {
    /// The execution of a number on a partition.
    pub(super) fn execution(self, partition: u16, number: u128) -> ExecutionId {
        let id = numbered(self.execution, number);
        ExecutionId::parse(&format!("{{fp:{partition}}}:{id}")).expect("a partition and a UUID")
    }

    /// One of the flows that live on a partition: the first, the second and so on.
    pub(super) fn flow(self, partition: u16, nth: usize, partitions: &PartitionConfig) -> FlowId {
        let ids = (0..).map(|number| FlowId::from_uuid(numbered(self.flow, number)));
        let mut ids = ids.filter(|id| flow_partition(id, partitions).index == partition);
        ids.nth(nth).expect("ids spread over the partitions")
    }

    /// The edge of a number.
    pub(super) fn edge(self, number: u128) -> EdgeId {
        EdgeId::from_uuid(numbered(self.edge, number))
    }

    /// One of two quota policies.
    pub(super) fn quota(self, pick: Pick) -> QuotaPolicyId {
        QuotaPolicyId::from_uuid(numbered(self.quota, u128::from(pick % 2)))
    }

    /// One of two budgets.
    pub(super) fn budget(self, pick: Pick) -> BudgetId {
        BudgetId::from_uuid(numbered(self.budget, u128::from(pick % 2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_on_the_partition_that_was_asked_for_and_no_two_are_the_same() {
        let partitions = PartitionConfig { num_flow_partitions: 3, ..PartitionConfig::default() };
        let mut made = std::collections::BTreeSet::new();
        for ids in [OF_SEQUENCES, OF_SCENES] {
            for (partition, nth) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let flow = ids.flow(partition, nth, &partitions);
                assert_eq!(flow_partition(&flow, &partitions).index, partition);
                assert!(made.insert(flow.to_string()));
            }
        }
    }

    /// Stored sequences and the tests that a search printed name these.
    #[test]
    fn ids_stay_what_they_are() {
        assert_eq!(OF_SEQUENCES.execution(1, 3).to_string(), "{fp:1}:e0000000-0000-0000-0000-000000000003");
        assert_eq!(OF_SCENES.execution(0, 0x102).to_string(), "{fp:0}:d5000000-0000-0000-0000-000000000102");
        assert_eq!(OF_SEQUENCES.edge(21).to_string(), "ed000000-0000-0000-0000-000000000015");
        assert_eq!(OF_SEQUENCES.budget(3).to_string(), "b0000000-0000-0000-0000-000000000001");
        assert_eq!(OF_SCENES.quota(2).to_string(), "a5000000-0000-0000-0000-000000000000");
    }
}
