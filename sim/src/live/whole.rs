//! A world's half of the comparison: every call that a world delivers as a whole is performed by the
//! real server at the same virtual time.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::port::Unanswered;
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::engine_error::EngineError;
use ff_core::types::TimestampMs;
use uuid::Uuid;

use super::call::{Answer, Answerer, Call};
use super::client::Deployment;
use super::coverage::Coverage;
use super::keyspace::Difference;
use super::twin::{Disagreement, Error, Twin};
use crate::world::Party;

/// Why a world ended early.
#[derive(Debug)]
pub enum End {
    /// A call showed a difference.
    Call(Box<Disagreement>),
    /// All keys were compared at the end, and these differ.
    Keys(Vec<Difference>),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(disagreement) => disagreement.fmt(f),
            Self::Keys(differences) => {
                writeln!(f, "all keys compared at the end")?;
                differences.iter().try_for_each(|difference| writeln!(f, "    {difference}"))
            }
        }
    }
}

/// The real server of one world after the other.
#[derive(Debug)]
pub struct Whole {
    twin: Twin,
    limit: Option<u64>,
    calls: u64,
    /// Calls that ran a script; the others only read.
    scripted: u64,
    runs_script: bool,
    of_calls: Coverage,
    of_messages: Coverage,
    ended: Option<Result<End, Error>>,
}

impl Whole {
    /// Over a real server; each world ends after so many compared calls that ran a script, if a limit is
    /// given.
    pub fn new(twin: Twin, limit: Option<u64>) -> Self {
        Self {
            twin,
            limit,
            calls: 0,
            scripted: 0,
            runs_script: false,
            of_calls: Coverage::default(),
            of_messages: Coverage::default(),
            ended: None,
        }
    }

    /// An empty server for the next world.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn next_world(&mut self, deployment: &Deployment, now: ServerTime) -> Result<(), Error> {
        self.calls = 0;
        self.scripted = 0;
        self.ended = None;
        self.twin.reset(deployment, now)
    }

    /// Calls compared in this world.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// What ended this world, if it was a disagreement or a failure.
    pub fn take_end(&mut self) -> Option<Result<End, Error>> {
        self.ended.take()
    }

    /// How often each method ended how, and each message.
    pub fn coverage(&self) -> (&Coverage, &Coverage) {
        (&self.of_calls, &self.of_messages)
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
                self.ended = Some(Err(error));
                None
            }
        }
    }

    /// Counts a message of the model's conversation.
    pub(crate) fn message(&mut self, name: &str, outcome: &str) {
        self.runs_script |= name.starts_with(|letter: char| letter.is_ascii_lowercase());
        self.of_messages.note(name, outcome);
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
        self.calls += 1;
        self.scripted += u64::from(std::mem::take(&mut self.runs_script));
        self.of_calls.note(call.method(), &model.label());
        match self.twin.compare(now, call, model, server, store, ids, touched) {
            Ok(None) => self.limit.is_none_or(|limit| self.scripted < limit),
            Ok(Some(disagreement)) => {
                self.ended = Some(Ok(End::Call(disagreement)));
                false
            }
            Err(error) => {
                self.ended = Some(Err(error));
                false
            }
        }
    }

    /// Lays every key of both sides beside each other, unless the world ended early.
    pub(crate) fn finish(&mut self, now: ServerTime, store: &Store, ids: &Interner) {
        if self.ended.is_some() {
            return;
        }
        match self.twin.compare_all(now, store, ids) {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => self.ended = Some(Ok(End::Keys(differences))),
            Err(error) => self.ended = Some(Err(error)),
        }
    }
}

#[async_trait]
impl Answerer for Party {
    async fn answer(&self, call: Call) -> Answer {
        let lost = || EngineError::Transport { backend: "valkey", source: Box::new(Unanswered) };
        match self.whole(call.clone()).await {
            Some(answer) => answer,
            None => call.failed(ff_core::engine_error::backend_context(lost(), call.method())),
        }
    }
}
