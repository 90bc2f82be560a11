//! What the engine sends to keep house: the plain commands that project a flow's summary, and those that delete what
//! ended long ago (`ff-backend-valkey/src/lib.rs`, `project_flow_summary_impl` and `purge_retention_execution`).

use ff_core::types::{SignalId, WaitpointId};

use super::{FlowPlace, Place};
use crate::intern::{ExecutionNo, LaneNo};
use crate::store::FlowSummary;

/// The keys beside an execution's core that are deleted, as far as their names were read before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Attempts from the first on: so many as the core has counted.
    pub attempts: u32,
    /// Waitpoints that a suspension used.
    pub waitpoints: Vec<WaitpointId>,
    /// Signals that were accepted.
    pub signals: Vec<SignalId>,
}

/// A plain command of the projector or of the trimmer.
#[derive(Clone, Debug)]
pub enum Upkeep {
    /// `EXISTS` of a flow's core.
    FlowExists(FlowPlace),
    /// `SCARD` of a flow's members.
    MemberCount(FlowPlace),
    /// `SRANDMEMBER` of a flow's members. Of more than are asked for, here the first are given.
    SampleMembers(FlowPlace, usize),
    /// `HGET public_state`.
    PublicState(Place),
    /// `HSET` of a flow's summary.
    WriteSummary(FlowPlace, Box<FlowSummary>),
    /// `SREM` of a flow from its partition's index.
    DelistFlow(FlowPlace),
    /// `HMGET completed_at total_attempt_count`.
    Ended(Place),
    /// `GET` of the policy, for how long an execution is kept.
    Retention(Place),
    /// `SMEMBERS` of the edges that an execution ever waited for.
    Edges(Place),
    /// `SMEMBERS` of the waitpoints.
    Waitpoints(Place),
    /// `ZRANGE` of the signals.
    Signals(Place),
    /// `DEL` of all keys but core and policy. The shipped client sends one for each five hundred keys, the model one.
    DeleteRecords {
        /// Whose.
        place: Place,
        /// Which.
        records: Records,
        /// How long the caller keeps what has no time of its own, in milliseconds. No server is told: it is for who
        /// judges.
        kept_ms: u64,
    },
    /// `DEL` of core and policy.
    DeleteCore {
        /// Whose.
        place: Place,
        /// As in [`Self::DeleteRecords`].
        kept_ms: u64,
    },
    /// `ZREM` from the terminal index of a lane.
    DelistEnded(Place, LaneNo),
    /// `SREM` from a partition's executions.
    Forget(Place),
}

impl Upkeep {
    /// A short name: the command and its key.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FlowExists(_) => "EXISTS flow",
            Self::MemberCount(_) => "SCARD members",
            Self::SampleMembers(..) => "SRANDMEMBER members",
            Self::PublicState(_) => "HGET public_state",
            Self::WriteSummary(..) => "HSET flow summary",
            Self::DelistFlow(_) => "SREM flow_index",
            Self::Ended(_) => "HMGET completed_at",
            Self::Retention(_) => "GET retention",
            Self::Edges(_) => "SMEMBERS deps:all_edges",
            Self::Waitpoints(_) => "SMEMBERS waitpoints",
            Self::Signals(_) => "ZRANGE signals",
            Self::DeleteRecords { .. } => "DEL records",
            Self::DeleteCore { .. } => "DEL core",
            Self::DelistEnded(..) => "ZREM terminal",
            Self::Forget(_) => "SREM all_executions",
        }
    }

    /// Whether it changes anything.
    pub const fn writes(&self) -> bool {
        matches!(
            self,
            Self::WriteSummary(..)
                | Self::DelistFlow(_)
                | Self::DeleteRecords { .. }
                | Self::DeleteCore { .. }
                | Self::DelistEnded(..)
                | Self::Forget(_)
        )
    }

    /// The execution that the command is about.
    pub const fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::FlowExists(_)
            | Self::MemberCount(_)
            | Self::SampleMembers(..)
            | Self::WriteSummary(..)
            | Self::DelistFlow(_) => None,
            Self::PublicState(place)
            | Self::Ended(place)
            | Self::Retention(place)
            | Self::Edges(place)
            | Self::Waitpoints(place)
            | Self::Signals(place)
            | Self::DeleteRecords { place, .. }
            | Self::DeleteCore { place, .. }
            | Self::DelistEnded(place, _)
            | Self::Forget(place) => Some(place.execution),
        }
    }
}

/// What such a command answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// How many were found.
    Count(u64),
    /// What a write came to, in a word.
    Done(&'static str),
    /// Members of a flow.
    Members(Vec<ExecutionNo>),
    /// A field or a key, if there is one.
    Text(Option<String>),
    /// When an execution ended, 0 while it has not, and how many attempts it has counted.
    Ended(u64, u32),
    /// Waitpoints.
    Waitpoints(Vec<WaitpointId>),
    /// Signals.
    Signals(Vec<SignalId>),
}

impl Kept {
    /// One word for coverage tables, stories and causes.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Done(word) => word,
            // What retention decides by is worth a line in a story.
            Self::Ended(0, _) => "not_ended",
            Self::Ended(..) => "ended",
            Self::Count(_) | Self::Members(_) | Self::Text(_) | Self::Waitpoints(_) | Self::Signals(_) => "read",
        }
    }
}
