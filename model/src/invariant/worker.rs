//! The workers' own promises: judged from what their processes did and said, not from what the server answered.

use ff_core::state::{OwnershipState, TerminalOutcome};
use ff_core::types::LeaseEpoch;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen};
use super::look::Look;
use crate::intern::ExecutionNo;
use crate::store::Execution;
use crate::time::ServerTime;

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
    /// A holder that neither stalled nor was cut off ran on for so long after its lease was lost, or until it doubted it.
    LeaseLost {
        /// The execution that is run.
        execution: ExecutionNo,
        /// How long it took the lease for its own.
        for_ms: u64,
        /// How long it may: a third of the lease until the next renewal, and one more.
        bound_ms: u64,
    },
    /// A client sent a call again after an answer that never came, and this is what it was answered at last.
    Repeated {
        /// The execution that the call ends.
        execution: ExecutionNo,
        /// The epoch of the client's lease.
        epoch: LeaseEpoch,
        /// How the call ends the execution.
        outcome: TerminalOutcome,
        /// The method.
        method: &'static str,
        /// Whether the answer was that it is done.
        is_done: bool,
    },
    /// So many leases that no process ever ran under have ended.
    OrphansEnded(u64),
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
            Self::LeaseLost { .. } => ("renew_lease", "unnoticed"),
            Self::Repeated { method, .. } => (method, "refused"),
            Self::OrphansEnded(_) => ("claim", "orphaned"),
        }
    }

    /// The execution that it is about, where it is about one.
    pub const fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::RenewalRefused { execution, .. }
            | Self::LeaseLost { execution, .. }
            | Self::Repeated { execution, .. } => Some(*execution),
            Self::OrphansEnded(_)
            | Self::PermitAsked { .. }
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
        vec![
            Invariant::S14,
            Invariant::L11,
            Invariant::L12,
            Invariant::L14,
            Invariant::W01,
            Invariant::W02,
            Invariant::W03,
            Invariant::W04,
        ]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        if let Seen::Unfinished { execution, is_run, now, .. } = seen {
            check_orphan(execution, *is_run, *now, notes);
        }
        let Seen::Worker { fact, store } = seen else { return };
        match **fact {
            WorkerFact::LeaseLost { for_ms, bound_ms, .. } => {
                notes.look(Invariant::L11, Look::at(for_ms <= bound_ms, "unnoticed"), || {
                    format!("the holder took its lease for its own for {for_ms} ms after it was lost, of {bound_ms} ms")
                });
            }
            WorkerFact::Repeated { execution, epoch, outcome, method, is_done } => {
                let found = store.execution(execution).map(|found| &found.core);
                let by_itself = found
                    .is_some_and(|core| core.vector.terminal_outcome == outcome && core.current_lease_epoch == epoch);
                let look = if by_itself { Look::at(is_done, "refused") } else { Look::Vacuous };
                notes.look(Invariant::L12, look, || {
                    format!("{method} was repeated after an answer that never came, and is refused though it was done")
                });
            }
            WorkerFact::OrphansEnded(count) => notes.looks(Invariant::L14, Look::Holds, count, String::new),
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

/// A lease that nobody runs under and that is live all the same, when everything had time to end.
///
/// A run that has just begun or just ended leaves a lease that ends by itself. One that does not is live beyond the time
/// for which it was given or renewed last, or it is old and was renewed within half of that time.
fn check_orphan(execution: &Execution, is_run: bool, now: ServerTime, notes: &mut Notes<'_>) {
    let core = &execution.core;
    let is_leased = core.vector.ownership_state == OwnershipState::Leased && !is_run;
    let is_live = core.lease_expires_at.is_some_and(|expires| expires > now);
    let stays = |acquired: ServerTime, deadline: ServerTime| {
        let renewed = core.lease_last_renewed_at.unwrap_or(acquired);
        // A lease is to be renewed within two thirds of its time.
        let ttl_ms = (deadline.ms() - renewed.ms()) * 3 / 2 + 3;
        let since_ms = now.ms() - renewed.ms();
        since_ms > ttl_ms || now.ms() - acquired.ms() > 3 * ttl_ms && since_ms <= ttl_ms / 2
    };
    let times = core.lease_acquired_at.zip(core.lease_renewal_deadline);
    let is_kept = is_live && times.is_some_and(|(acquired, deadline)| stays(acquired, deadline));
    let look = if is_leased { Look::at(!is_kept, "kept") } else { Look::Vacuous };
    notes.look(Invariant::L14, look, || {
        let renewed = core.lease_last_renewed_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        format!(
            "nobody runs it, and its lease of epoch {} is live, renewed last at {renewed}",
            core.current_lease_epoch
        )
    });
}
