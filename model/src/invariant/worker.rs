//! The workers' own promises: judged from what their processes did and said, not from what the server answered.

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen};
use super::look::Look;
use crate::intern::ExecutionNo;

/// What a worker's process did or said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerFact {
    /// A renewal was refused for good while the run went on; whether the lease counts as healthy after it.
    RenewalRefused {
        /// The execution that is run.
        execution: ExecutionNo,
        /// What the process says of the lease.
        is_healthy: bool,
    },
    /// A worker that runs less than it may asked for a permit.
    PermitAsked {
        /// Whether it got none.
        refused: bool,
    },
    /// The last task that a worker ran has ended, or was dropped.
    LastTaskEnded {
        /// How many tasks of its process go on all the same.
        left: u64,
    },
    /// A worker's polls found nothing for so long that they should have been everywhere.
    FoundNothing {
        /// How many polls.
        polls: u64,
        /// Partitions of lanes that they never looked at.
        missed: u64,
        /// Partitions of all lanes.
        all: u64,
    },
    /// Granting and claiming calls of a whole run.
    Claimed {
        /// All of them.
        calls: u64,
        /// Those that were made without a free permit.
        saturated: u64,
    },
}

impl WorkerFact {
    /// What the process did and what it was answered, as scripts and their results are named.
    pub const fn deed(&self) -> (&'static str, &'static str) {
        match self {
            Self::RenewalRefused { .. } => ("renew_lease", "refused"),
            Self::PermitAsked { .. } => ("permit", "refused"),
            Self::LastTaskEnded { .. } => ("drop", "remains"),
            Self::FoundNothing { .. } => ("claim_next", "nothing"),
            Self::Claimed { .. } => ("claim", "called"),
        }
    }

    /// The execution that it is about, where it is about one.
    pub const fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::RenewalRefused { execution, .. } => Some(*execution),
            Self::PermitAsked { .. }
            | Self::LastTaskEnded { .. }
            | Self::FoundNothing { .. }
            | Self::Claimed { .. } => None,
        }
    }
}

/// The checks of workers.
pub(super) struct OfWorkers;

impl Check for OfWorkers {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S14, Invariant::W01, Invariant::W02, Invariant::W03, Invariant::W04]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        let Seen::Worker(fact) = seen else { return };
        match **fact {
            WorkerFact::RenewalRefused { is_healthy, .. } => {
                notes.look(Invariant::W01, Look::at(!is_healthy, "healthy"), || {
                    "a renewal was refused for good, and the lease still counts as healthy".to_owned()
                });
            }
            WorkerFact::PermitAsked { refused } => {
                notes.look(Invariant::W02, Look::at(!refused, "refused"), || {
                    "a worker that runs less than it may was refused a permit".to_owned()
                });
            }
            WorkerFact::LastTaskEnded { left } => notes.look(Invariant::W03, Look::at(left == 0, "remains"), || {
                format!("{left} tasks go on in a process whose worker has nothing to do")
            }),
            WorkerFact::FoundNothing { polls, missed, all } => {
                notes.look(Invariant::W04, Look::at(missed == 0, "unseen"), || {
                    format!("{polls} polls found nothing and never looked at {missed} of {all} lanes' partitions")
                });
            }
            WorkerFact::Claimed { calls, saturated } => {
                notes.looks(Invariant::S14, Look::at(saturated == 0, "saturated"), calls, || {
                    format!("{saturated} granting or claiming calls without a free permit")
                });
            }
        }
    }
}
