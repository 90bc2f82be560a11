//! A world's half of the comparison: every call that a world delivers as a whole is performed by the
//! real server at the same virtual time.

use std::collections::BTreeSet;

use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::types::{ExecutionId, TimestampMs};
use uuid::Uuid;

use super::client::Deployment;
use super::record::{End, Record};
use super::twin::{Error, Twin};
use crate::call::{Answer, Call};

/// The real server of one world after the other.
#[derive(Debug)]
pub struct Whole {
    twin: Twin,
    record: Record,
    runs_script: bool,
}

impl Whole {
    /// Writes the admission fields of an execution, as [`Twin::attach`] does.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn attach(&mut self, id: &ExecutionId, budgets: Option<&str>, quota: Option<&str>) -> Result<(), Error> {
        self.twin.attach(id, budgets, quota)
    }

    /// Over a real server; each world ends after so many compared calls that ran a script, if a limit is
    /// given.
    pub fn new(twin: Twin, limit: Option<u64>) -> Self {
        Self { twin, record: Record::new(limit), runs_script: false }
    }

    /// What was counted.
    pub fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// An empty server for the next world.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn next_world(&mut self, deployment: &Deployment, now: ServerTime) -> Result<(), Error> {
        self.record.next_world();
        self.twin.reset(deployment, now)
    }

    /// The real server's part of a call: its answer, and the ids that its client minted.
    pub(crate) fn begin(
        &mut self,
        now: ServerTime,
        client_now: TimestampMs,
        call: &Call,
    ) -> Option<(Answer, Vec<Uuid>)> {
        match self.twin.perform(now, client_now, call) {
            Ok(answered) => Some(answered),
            Err(error) => {
                self.record.end(Err(error));
                None
            }
        }
    }

    /// Counts a message of the model's conversation.
    pub(crate) fn message(&mut self, name: &str, outcome: &str) {
        self.runs_script |= Record::is_script(name);
        self.record.message(name, outcome);
    }

    /// Compares; tells whether the world goes on.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn end(
        &mut self,
        now: ServerTime,
        call: &Call,
        model: &Answer,
        server: &Answer,
        store: &Store,
        ids: &Interner,
        touched: &BTreeSet<ExecutionNo>,
    ) -> bool {
        self.record.call(call.method(), &model.label(), std::mem::take(&mut self.runs_script));
        match self.twin.compare(now, call, model, server, store, ids, touched) {
            Ok(None) => {}
            Ok(Some(disagreement)) => self.record.end(Ok(End::Call(disagreement))),
            Err(error) => self.record.end(Err(error)),
        }
        !self.record.is_over()
    }

    /// Lays every key of both sides beside each other, unless the world ended early.
    pub(crate) fn finish(&mut self, now: ServerTime, store: &Store, ids: &Interner) {
        if self.record.has_ended() {
            return;
        }
        match self.twin.compare_all(now, store, ids) {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => self.record.end(Ok(End::Keys(differences))),
            Err(error) => self.record.end(Err(error)),
        }
    }
}
