//! What retention deletes of an execution, and what it leaves behind: the keys that its list does not name.

use std::collections::BTreeMap;

use ff_core::state::LifecyclePhase;
use ff_core::types::{SignalId, WaitpointId};

use super::{Change, Execution, Store};
use crate::intern::ExecutionNo;
use crate::time::ServerTime;

/// An execution as it stood when keys of it were deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Whether it had ended.
    pub is_terminal: bool,
    /// `completed_at`.
    pub completed_at: Option<ServerTime>,
    /// `stream_policy.retention_ttl_ms` of its own policy.
    pub own_kept_ms: Option<u64>,
    /// Whether the core went; otherwise everything beside it did.
    pub with_core: bool,
}

impl Execution {
    /// How long its own policy keeps it once it has ended.
    pub fn own_kept_ms(&self) -> Option<u64> {
        self.submission.policy.as_ref()?.stream_policy.as_ref()?.retention_ttl_ms
    }

    fn as_deleted(&self, with_core: bool) -> Deleted {
        Deleted {
            is_terminal: self.core.vector.lifecycle_phase == LifecyclePhase::Terminal,
            completed_at: self.core.completed_at,
            own_kept_ms: self.own_kept_ms(),
            with_core,
        }
    }

    /// Whether no key is left of an execution whose core is gone.
    fn is_nothing(&self) -> bool {
        !self.listed
            && self.members.is_empty()
            && self.attempts.is_empty()
            && self.suspend_done.is_empty()
            && self.own_waitpoints.is_empty()
            && self.composite.is_none()
    }
}

/// An execution, or what is left of it.
pub(super) fn held_mut<'a>(
    executions: &'a mut [Option<Box<Execution>>],
    remains: &'a mut BTreeMap<ExecutionNo, Box<Execution>>,
    number: ExecutionNo,
) -> Option<&'a mut Execution> {
    let found = executions.get_mut(number.index()).and_then(Option::as_deref_mut);
    found.or_else(|| remains.get_mut(&number).map(Box::as_mut))
}

impl Store {
    /// What is left of executions whose core was deleted, in order of their numbers.
    pub fn remains(&self) -> impl Iterator<Item = &Execution> {
        self.remains.values().map(Box::as_ref)
    }

    /// What is left of an execution whose core was deleted.
    pub fn left_of(&self, number: ExecutionNo) -> Option<&Execution> {
        self.remains.get(&number).map(Box::as_ref)
    }

    /// `DEL` of the keys beside an execution's core, of attempts, waitpoints and signals those that are named.
    pub(crate) fn delete_records(
        &mut self,
        number: ExecutionNo,
        attempts: u32,
        waitpoints: &[WaitpointId],
        signals: &[SignalId],
    ) {
        let Some(found) = held_mut(&mut self.executions, &mut self.remains, number) else { return };
        let deleted = found.as_deleted(false);
        found.purged = true;
        found.submission.payload.clear();
        found.submission.tags.clear();
        found.result = None;
        found.lease = None;
        found.grant = None;
        found.attempts.retain(|attempt| attempt.index.0 >= attempts);
        found.suspension = None;
        found.dependencies = super::Dependencies::default();
        found.waitpoints.clear();
        found.own_waitpoints.retain(|own| !waitpoints.contains(own));
        found.signals.clear();
        let partition = found.partition;
        for waitpoint in waitpoints {
            self.waitpoints.remove(&(partition, waitpoint.clone()));
        }
        for signal in signals {
            self.signals.remove(&(partition, signal.clone()));
        }
        self.bury(number);
        if self.execution(number).is_some() {
            self.note(number, Change::Deleted(Box::new(deleted)));
        }
    }

    /// `DEL` of an execution's core and policy.
    pub(crate) fn delete_core(&mut self, number: ExecutionNo) {
        let Some(found) = self.executions.get_mut(number.index()).and_then(Option::take) else { return };
        let deleted = found.as_deleted(true);
        self.remains.insert(number, found);
        self.bury(number);
        self.note(number, Change::Deleted(Box::new(deleted)));
    }

    /// `SREM` of an execution from its partition's executions.
    pub(crate) fn unlist(&mut self, number: ExecutionNo) -> bool {
        let found = held_mut(&mut self.executions, &mut self.remains, number);
        let was_listed = found.is_some_and(|found| std::mem::replace(&mut found.listed, false));
        self.bury(number);
        if was_listed {
            self.note(number, Change::Note);
        }
        was_listed
    }

    /// Drops what is left of an execution once nothing is.
    pub(super) fn bury(&mut self, number: ExecutionNo) {
        if self.remains.get(&number).is_some_and(|left| left.is_nothing()) {
            self.remains.remove(&number);
        }
    }

    /// A new execution takes over the keys that an earlier one of its id has left.
    pub(super) fn take_over(&mut self, execution: &mut Execution) {
        let Some(left) = self.remains.remove(&execution.number) else { return };
        execution.members = left.members;
        execution.attempts = left.attempts;
        execution.suspend_done = left.suspend_done;
        execution.own_waitpoints = left.own_waitpoints;
        execution.composite = left.composite;
    }
}
