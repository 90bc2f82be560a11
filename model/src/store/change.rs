//! What a script changed, as the store itself recorded it.
//!
//! Only the store's mutators can change an execution, and each of them notes what it did, so the
//! list is complete by construction. Invariants look at nothing else between full rechecks.

use ff_core::state::AttemptLifecycle;
use ff_core::types::{AttemptIndex, FlowId};

use crate::intern::ExecutionNo;
use crate::number::Score;
use crate::store::execution::{Core, Grant};
use crate::store::index::IndexKey;
use crate::store::retention::Deleted;

/// One recorded mutation of one execution.
#[derive(Clone, Debug)]
pub enum Change {
    /// The execution was created.
    Created,
    /// The core hash was written; the pair is at this position of [`Changes::cores`].
    Core(usize),
    /// An index gained, moved or lost the execution.
    Member {
        /// Which index.
        key: IndexKey,
        /// Its score before, if it was a member.
        before: Option<Score>,
        /// Its score after, if it is a member.
        after: Option<Score>,
    },
    /// An attempt record was written.
    Attempt {
        /// Which.
        index: AttemptIndex,
        /// Its state before, if it existed.
        before: Option<AttemptLifecycle>,
        /// Its state now.
        after: AttemptLifecycle,
    },
    /// `lease:current` was written or deleted.
    Lease,
    /// A grant was written.
    GrantIssued(Grant),
    /// A grant was consumed or deleted.
    GrantDeleted(Grant),
    /// A grant was found past its expiry and dropped, as the server drops expired keys.
    GrantLapsed(Grant),
    /// The suspension, a waitpoint or its condition was written.
    Suspension,
    /// The result was written.
    Result,
    /// Texts, stamps and dedup records.
    Note,
    /// A dependency key of the execution was written.
    Dependencies,
    /// The payload was replaced by another execution's result.
    Payload,
    /// Retention deleted keys of the execution, which stood like this.
    Deleted(Box<Deleted>),
    /// The execution's end was published to `ff:dag:completions`, with the fields beside its id.
    Published {
        /// `flow_id`.
        flow: FlowId,
        /// `outcome`.
        outcome: &'static str,
    },
}

/// All mutations of one script, in order.
#[derive(Debug, Default)]
pub struct Changes {
    /// Who was changed, and how.
    pub items: Vec<(ExecutionNo, Change)>,
    /// The core hashes before and after, for [`Change::Core`].
    pub cores: Vec<(Core, Core)>,
}

impl Changes {
    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.cores.clear();
    }

    /// The ends that were published: whose, in which flow, and how.
    pub fn published(&self) -> impl Iterator<Item = (ExecutionNo, FlowId, &'static str)> + '_ {
        self.items.iter().filter_map(|(number, change)| match change {
            Change::Published { flow, outcome } => Some((*number, flow.clone(), *outcome)),
            _ => None,
        })
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The core hash of an execution before the first and after the last write to it.
    pub fn core_of(&self, number: ExecutionNo) -> Option<(&Core, &Core)> {
        let mut written = self.items.iter().filter_map(|(who, change)| match change {
            Change::Core(position) if *who == number => Some(*position),
            _ => None,
        });
        let first = written.next()?;
        let last = written.next_back().unwrap_or(first);
        Some((&self.cores[first].0, &self.cores[last].1))
    }

    /// The executions that were changed, each once, in order of first change.
    pub fn executions(&self) -> impl Iterator<Item = ExecutionNo> + '_ {
        self.items.iter().enumerate().filter_map(|(position, (number, _))| {
            let seen = self.items[..position].iter().any(|(earlier, _)| earlier == number);
            (!seen).then_some(*number)
        })
    }
}
