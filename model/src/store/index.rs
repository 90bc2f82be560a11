//! The index sets, ordered as the server orders them: by score, then by the id's bytes.
//!
//! Membership is kept with each execution, where it answers "which indexes hold this one" without a
//! search; only the sets that somebody ranges over also keep an ordered tree.

use std::collections::BTreeMap;
use std::collections::btree_map::Values;
use std::sync::Arc;

use ff_core::state::EligibilityState;

use crate::deviation::Deviation;
use crate::intern::{ExecutionNo, InstanceNo, LaneNo};
use crate::number::Score;

/// One index of one partition, as its key names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexKey {
    /// `lane:<lane>:eligible`.
    Eligible(LaneNo),
    /// `lane:<lane>:delayed`.
    Delayed(LaneNo),
    /// `lane:<lane>:blocked:dependencies`.
    BlockedDependencies(LaneNo),
    /// `lane:<lane>:blocked:budget`.
    BlockedBudget(LaneNo),
    /// `lane:<lane>:blocked:quota`.
    BlockedQuota(LaneNo),
    /// `lane:<lane>:blocked:route`.
    BlockedRoute(LaneNo),
    /// `lane:<lane>:blocked:operator`.
    BlockedOperator(LaneNo),
    /// `lane:<lane>:active`.
    Active(LaneNo),
    /// `lane:<lane>:suspended`.
    Suspended(LaneNo),
    /// `lane:<lane>:terminal`.
    Terminal(LaneNo),
    /// `lease_expiry`.
    LeaseExpiry,
    /// `attempt_timeout`.
    AttemptTimeout,
    /// `execution_deadline`.
    ExecutionDeadline,
    /// `suspension_timeout`.
    SuspensionTimeout,
    /// `worker:<instance>:leases`.
    WorkerLeases(InstanceNo),
}

/// Ordered trees for each lane, and for each partition.
const LANE_TREES: usize = 8;
const PARTITION_TREES: usize = 4;

impl IndexKey {
    /// The lane that the index belongs to, if it belongs to one.
    pub const fn lane(self) -> Option<LaneNo> {
        match self {
            Self::Eligible(lane)
            | Self::Delayed(lane)
            | Self::BlockedDependencies(lane)
            | Self::BlockedBudget(lane)
            | Self::BlockedQuota(lane)
            | Self::BlockedRoute(lane)
            | Self::BlockedOperator(lane)
            | Self::Active(lane)
            | Self::Suspended(lane)
            | Self::Terminal(lane) => Some(lane),
            Self::LeaseExpiry
            | Self::AttemptTimeout
            | Self::ExecutionDeadline
            | Self::SuspensionTimeout
            | Self::WorkerLeases(_) => None,
        }
    }

    /// The planted defect under which this index is never left.
    pub(super) const fn is_kept_by(self) -> Option<Deviation> {
        match self {
            Self::Active(_) => Some(Deviation::BugKeepsActiveIndex),
            Self::LeaseExpiry => Some(Deviation::BugKeepsLeaseExpiry),
            Self::WorkerLeases(_) => Some(Deviation::BugKeepsWorkerLeases),
            Self::AttemptTimeout => Some(Deviation::BugKeepsAttemptTimeout),
            Self::Eligible(_) => Some(Deviation::BugKeepsEligibleIndex),
            Self::Suspended(_) => Some(Deviation::BugKeepsSuspendedIndex),
            Self::Terminal(_) => Some(Deviation::BugKeepsTerminalIndex),
            Self::ExecutionDeadline => Some(Deviation::BugKeepsDeadline),
            _ => None,
        }
    }

    /// The planted defect under which this index lists what is not due.
    pub(crate) const fn is_listed_early_by(self) -> Option<Deviation> {
        match self {
            Self::Delayed(_) => Some(Deviation::BugPromoteEarly),
            Self::SuspensionTimeout => Some(Deviation::BugSuspensionTimeoutEarly),
            _ => None,
        }
    }

    /// Whether this is one of the primary indexes, of which an execution belongs in exactly one.
    pub const fn is_primary(self) -> bool {
        matches!(
            self,
            Self::Eligible(_)
                | Self::Delayed(_)
                | Self::BlockedDependencies(_)
                | Self::BlockedBudget(_)
                | Self::BlockedQuota(_)
                | Self::BlockedRoute(_)
                | Self::BlockedOperator(_)
                | Self::Active(_)
                | Self::Suspended(_)
                | Self::Terminal(_)
        )
    }

    /// The blocked index of an eligibility, where it has one.
    pub const fn blocked_by(eligibility: EligibilityState, lane: LaneNo) -> Option<Self> {
        match eligibility {
            EligibilityState::BlockedByDependencies => Some(Self::BlockedDependencies(lane)),
            EligibilityState::BlockedByBudget => Some(Self::BlockedBudget(lane)),
            EligibilityState::BlockedByQuota => Some(Self::BlockedQuota(lane)),
            EligibilityState::BlockedByRoute => Some(Self::BlockedRoute(lane)),
            EligibilityState::BlockedByOperator => Some(Self::BlockedOperator(lane)),
            _ => None,
        }
    }

    /// The name of the index, without partition and lane.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eligible(_) => "eligible",
            Self::Delayed(_) => "delayed",
            Self::BlockedDependencies(_) => "blocked:dependencies",
            Self::BlockedBudget(_) => "blocked:budget",
            Self::BlockedQuota(_) => "blocked:quota",
            Self::BlockedRoute(_) => "blocked:route",
            Self::BlockedOperator(_) => "blocked:operator",
            Self::Active(_) => "active",
            Self::Suspended(_) => "suspended",
            Self::Terminal(_) => "terminal",
            Self::LeaseExpiry => "lease_expiry",
            Self::AttemptTimeout => "attempt_timeout",
            Self::ExecutionDeadline => "execution_deadline",
            Self::SuspensionTimeout => "suspension_timeout",
            Self::WorkerLeases(_) => "worker_leases",
        }
    }

    const fn tree(self) -> Option<Tree> {
        Some(match self {
            Self::Eligible(lane) => Tree::Lane(lane, 0),
            Self::Delayed(lane) => Tree::Lane(lane, 1),
            Self::BlockedDependencies(lane) => Tree::Lane(lane, 2),
            Self::BlockedBudget(lane) => Tree::Lane(lane, 3),
            Self::BlockedQuota(lane) => Tree::Lane(lane, 4),
            Self::BlockedRoute(lane) => Tree::Lane(lane, 5),
            Self::BlockedOperator(lane) => Tree::Lane(lane, 6),
            Self::Terminal(lane) => Tree::Lane(lane, 7),
            Self::LeaseExpiry => Tree::Partition(0),
            Self::AttemptTimeout => Tree::Partition(1),
            Self::ExecutionDeadline => Tree::Partition(2),
            Self::SuspensionTimeout => Tree::Partition(3),
            Self::Active(_) | Self::Suspended(_) | Self::WorkerLeases(_) => return None,
        })
    }
}

enum Tree {
    Lane(LaneNo, usize),
    Partition(usize),
}

/// A member's place: its score's order, then its id's bytes.
type Place = (u64, Arc<str>);

/// A sorted set's members in order.
#[derive(Debug, Default)]
pub(crate) struct SortedSet(BTreeMap<Place, (Score, ExecutionNo)>);

impl SortedSet {
    fn insert(&mut self, score: Score, name: &Arc<str>, member: ExecutionNo) {
        self.0.insert((score.order_key(), Arc::clone(name)), (score, member));
    }

    fn remove(&mut self, score: Score, name: &Arc<str>) {
        self.0.remove(&(score.order_key(), Arc::clone(name)));
    }
}

#[derive(Debug, Default)]
struct PartitionIndexes {
    lanes: Vec<[SortedSet; LANE_TREES]>,
    own: [SortedSet; PARTITION_TREES],
}

/// All ordered index sets of all partitions.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    partitions: Vec<PartitionIndexes>,
}

impl Indexes {
    fn set_mut(&mut self, partition: u16, key: IndexKey) -> Option<&mut SortedSet> {
        let tree = key.tree()?;
        let wanted = usize::from(partition) + 1;
        if self.partitions.len() < wanted {
            self.partitions.resize_with(wanted, PartitionIndexes::default);
        }
        let partition = &mut self.partitions[wanted - 1];
        Some(match tree {
            Tree::Partition(position) => &mut partition.own[position],
            Tree::Lane(lane, position) => {
                if partition.lanes.len() <= lane.index() {
                    partition.lanes.resize_with(lane.index() + 1, Default::default);
                }
                &mut partition.lanes[lane.index()][position]
            }
        })
    }

    fn set(&self, partition: u16, key: IndexKey) -> Option<&SortedSet> {
        let partition = self.partitions.get(usize::from(partition))?;
        match key.tree()? {
            Tree::Partition(position) => partition.own.get(position),
            Tree::Lane(lane, position) => Some(&partition.lanes.get(lane.index())?[position]),
        }
    }

    pub(crate) fn insert(&mut self, partition: u16, key: IndexKey, score: Score, name: &Arc<str>, member: ExecutionNo) {
        if let Some(set) = self.set_mut(partition, key) {
            set.insert(score, name, member);
        }
    }

    pub(crate) fn remove(&mut self, partition: u16, key: IndexKey, score: Score, name: &Arc<str>) {
        if let Some(set) = self.set_mut(partition, key) {
            set.remove(score, name);
        }
    }

    /// Members of an index by ascending score, then id.
    pub(crate) fn range(&self, partition: u16, key: IndexKey) -> Members<'_> {
        Members(self.set(partition, key).map(|set| set.0.values()))
    }
}

/// Members of one index in order, with their scores.
pub struct Members<'a>(Option<Values<'a, Place, (Score, ExecutionNo)>>);

impl Iterator for Members<'_> {
    type Item = (Score, ExecutionNo);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next().copied()
    }
}
