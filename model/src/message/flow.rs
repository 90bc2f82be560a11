//! What travels about flows: reads of their keys, the functions that build, resolve and cancel them,
//! and what the reads answer.

use ff_core::contracts::EdgeDependencyPolicy;
use ff_core::types::{AttemptIndex, EdgeId, FlowId, Namespace, TimestampMs};

use super::Place;
use crate::intern::{ExecutionNo, LaneNo};
use crate::store::{DependencyMeta, Edge, EdgeGroup, FlowCore};

/// Where a flow is looked for: the keys carry the partition that the caller named or computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowPlace {
    /// The flow.
    pub flow: FlowId,
    /// The partition in the key.
    pub partition: u16,
}

/// A read of flow or dependency keys.
#[derive(Clone, Debug)]
pub enum FlowRead {
    /// `HGETALL` of flow cores, one or a pipeline.
    Cores(u16, Vec<FlowId>),
    /// `SMEMBERS` of the members.
    Members(FlowPlace),
    /// `SMEMBERS` of the edges that leave an execution.
    Outgoing(FlowPlace, ExecutionNo),
    /// `SMEMBERS` or `SCARD` of the edges that reach an execution.
    Incoming(FlowPlace, ExecutionNo),
    /// `HGETALL` or `HGET` of edges, one or a pipeline.
    Edges(FlowPlace, Vec<EdgeId>),
    /// `HGETALL` of an execution's edge group.
    Group(FlowPlace, ExecutionNo),
    /// `HGET` of a tag.
    Tag(FlowPlace, String),
    /// `SMEMBERS` of a partition's flow index.
    Index(u16),
    /// `HGETALL` of an execution's `deps:meta`.
    Dependencies(Place),
    /// `SMEMBERS` of an execution's `deps:unresolved`.
    Unresolved(Place),
    /// `HGET upstream_execution_id` of an execution's dependency.
    Upstream(Place, EdgeId),
    /// `ZRANGEBYSCORE -inf …` of the flows that owe their members a cancel.
    CancelBacklog {
        /// Partition of the index.
        partition: u16,
        /// Highest score.
        up_to_ms: i64,
        /// At most so many.
        limit: u32,
    },
    /// `SRANDMEMBER` of a flow's owed cancels.
    PendingCancels(FlowPlace),
    /// `SRANDMEMBER` of a partition's groups whose siblings somebody must cancel.
    PendingGroups(u16),
}

impl FlowRead {
    /// A short name: the command and its key.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cores(..) => "HGETALL flow",
            Self::Members(_) => "SMEMBERS members",
            Self::Outgoing(..) => "SMEMBERS out",
            Self::Incoming(..) => "SMEMBERS in",
            Self::Edges(..) => "HGETALL edge",
            Self::Group(..) => "HGETALL edgegroup",
            Self::Tag(..) => "HGET flow tags",
            Self::Index(_) => "SMEMBERS flow_index",
            Self::Dependencies(_) => "HGETALL deps:meta",
            Self::Unresolved(_) => "SMEMBERS deps:unresolved",
            Self::Upstream(..) => "HGET dep",
            Self::CancelBacklog { .. } => "ZRANGEBYSCORE cancel_backlog",
            Self::PendingCancels(_) => "SRANDMEMBER pending_cancels",
            Self::PendingGroups(_) => "SRANDMEMBER pending_cancel_groups",
        }
    }

    /// The execution that the read is about.
    pub const fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::Outgoing(_, number) | Self::Incoming(_, number) | Self::Group(_, number) => Some(*number),
            Self::Dependencies(place) | Self::Unresolved(place) | Self::Upstream(place, _) => Some(place.execution),
            Self::Cores(..)
            | Self::Members(_)
            | Self::Edges(..)
            | Self::Tag(..)
            | Self::Index(_)
            | Self::CancelBacklog { .. }
            | Self::PendingCancels(_)
            | Self::PendingGroups(_) => None,
        }
    }
}

/// What a read of flow or dependency keys gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowFound {
    /// Cores, in the order asked for; none for a missing key.
    Cores(Vec<Option<FlowCore>>),
    /// Members of a set of executions.
    Executions(Vec<ExecutionNo>),
    /// Members of a set of edges.
    EdgeIds(Vec<EdgeId>),
    /// Edges, in the order asked for; none for a missing key.
    Edges(Vec<Option<Edge>>),
    /// An edge group.
    Group(Option<Box<EdgeGroup>>),
    /// A tag's value.
    Tag(Option<String>),
    /// Members of a flow index.
    Flows(Vec<FlowId>),
    /// `deps:meta`.
    Dependencies(Option<DependencyMeta>),
    /// Groups: flow and downstream.
    Groups(Vec<(FlowId, ExecutionNo)>),
}

/// `ff_stage_dependency_edge`.
#[derive(Clone, Debug)]
pub struct StageEdge {
    /// The flow.
    pub place: FlowPlace,
    /// New edge id, minted by the caller.
    pub edge: EdgeId,
    /// Who must end first.
    pub upstream: ExecutionNo,
    /// Who waits.
    pub downstream: ExecutionNo,
    /// `dependency_kind`; no script reads it.
    pub kind: String,
    /// `data_passing_ref`; empty for none.
    pub data_passing_ref: String,
    /// The graph's revision as the caller knows it.
    pub expected_revision: u64,
    /// The caller's time, which is trusted.
    pub now: TimestampMs,
}

/// `ff_apply_dependency_to_child`.
#[derive(Clone, Debug)]
pub struct ApplyDependency {
    /// Who waits.
    pub downstream: ExecutionNo,
    /// The flow, whether or not it exists.
    pub flow: FlowPlace,
    /// The edge, whether or not it was staged.
    pub edge: EdgeId,
    /// Who must end first, as the caller names it.
    pub upstream: ExecutionNo,
    /// The graph's revision as the caller knows it.
    pub graph_revision: u64,
    /// `dependency_kind`; no script reads it.
    pub kind: String,
    /// `data_passing_ref`; empty for none.
    pub data_passing_ref: String,
    /// Lane from the pre-read.
    pub lane: LaneNo,
    /// The caller's time, which is trusted.
    pub now: TimestampMs,
}

/// `ff_resolve_dependency`.
#[derive(Clone, Debug)]
pub struct ResolveDependency {
    /// Who waits, where the caller looks for it.
    pub child: Place,
    /// The flow, where the caller looks for it.
    pub flow: FlowPlace,
    /// The edge.
    pub edge: EdgeId,
    /// Whose result is passed on, as the caller names it; its key is formed with the child's partition.
    pub upstream: ExecutionNo,
    /// How the upstream ended, as the caller says; anything but `success` is no success.
    pub outcome: String,
    /// Lane that keys are formed with.
    pub lane: LaneNo,
    /// Attempt that keys are formed with.
    pub attempt_index: AttemptIndex,
    /// The caller's time, which is trusted.
    pub now: TimestampMs,
}

/// One atomic function about flows.
#[derive(Clone, Debug)]
pub enum FlowScript {
    /// `ff_create_flow`.
    Create {
        /// The flow.
        place: FlowPlace,
        /// `flow_kind`.
        kind: String,
        /// `namespace`.
        namespace: Namespace,
    },
    /// `ff_add_execution_to_flow`.
    AddExecution {
        /// The flow.
        place: FlowPlace,
        /// The new member.
        execution: ExecutionNo,
    },
    /// `ff_stage_dependency_edge`.
    Stage(StageEdge),
    /// `ff_set_edge_group_policy`.
    SetGroupPolicy {
        /// The flow.
        place: FlowPlace,
        /// Whose inbound edges.
        downstream: ExecutionNo,
        /// The policy.
        policy: EdgeDependencyPolicy,
        /// The client's time, which is trusted.
        now: TimestampMs,
    },
    /// `ff_apply_dependency_to_child`.
    Apply(ApplyDependency),
    /// `ff_resolve_dependency`.
    Resolve(ResolveDependency),
    /// `ff_evaluate_flow_eligibility`.
    Evaluate(ExecutionNo),
    /// `ff_set_flow_tags` with one pair.
    SetTag {
        /// The flow.
        place: FlowPlace,
        /// The tag.
        key: String,
        /// Its value.
        value: String,
    },
    /// `ff_cancel_flow`.
    Cancel {
        /// The flow.
        place: FlowPlace,
        /// Why.
        reason: String,
        /// `cancellation_policy`; only `cancel_all` leaves a backlog.
        policy: String,
    },
    /// `ff_ack_cancel_member`.
    AckCancel {
        /// The flow.
        place: FlowPlace,
        /// The member that was cancelled.
        execution: ExecutionNo,
    },
    /// `ff_drain_sibling_cancel_group`.
    DrainSiblings {
        /// The flow.
        place: FlowPlace,
        /// Whose inbound edges.
        downstream: ExecutionNo,
    },
    /// `ff_reconcile_sibling_cancel_group`.
    ReconcileSiblings {
        /// The flow.
        place: FlowPlace,
        /// Whose inbound edges.
        downstream: ExecutionNo,
    },
}

impl FlowScript {
    /// The function's name in the shipped library, without its `ff_` prefix.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create_flow",
            Self::AddExecution { .. } => "add_execution_to_flow",
            Self::Stage(_) => "stage_dependency_edge",
            Self::SetGroupPolicy { .. } => "set_edge_group_policy",
            Self::Apply(_) => "apply_dependency_to_child",
            Self::Resolve(_) => "resolve_dependency",
            Self::Evaluate(_) => "evaluate_flow_eligibility",
            Self::SetTag { .. } => "set_flow_tags",
            Self::Cancel { .. } => "cancel_flow",
            Self::AckCancel { .. } => "ack_cancel_member",
            Self::DrainSiblings { .. } => "drain_sibling_cancel_group",
            Self::ReconcileSiblings { .. } => "reconcile_sibling_cancel_group",
        }
    }

    /// The execution whose own keys the function reads or writes.
    pub const fn execution(&self) -> Option<ExecutionNo> {
        match self {
            Self::AddExecution { execution, .. } | Self::Evaluate(execution) => Some(*execution),
            Self::Apply(args) => Some(args.downstream),
            Self::Resolve(args) => Some(args.child.execution),
            Self::Create { .. }
            | Self::Stage(_)
            | Self::SetGroupPolicy { .. }
            | Self::SetTag { .. }
            | Self::Cancel { .. }
            | Self::AckCancel { .. }
            | Self::DrainSiblings { .. }
            | Self::ReconcileSiblings { .. } => None,
        }
    }
}
