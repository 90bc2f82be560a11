//! An execution's own dependency keys: `deps:meta`, `deps:unresolved`, `deps:all_edges`, `dep:<edge>`.
//!
//! They are written beside the flow's edges and counted on their own; nothing keeps the two in step.

use std::sync::Arc;

use ff_core::types::{EdgeId, FlowId, TimestampMs};

use super::{Change, Store};
use crate::intern::ExecutionNo;

/// `state` of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyState {
    /// The upstream has not ended.
    Unsatisfied,
    /// The upstream succeeded.
    Satisfied,
    /// The upstream ended otherwise.
    Impossible,
}

impl DependencyState {
    /// The state as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsatisfied => "unsatisfied",
            Self::Satisfied => "satisfied",
            Self::Impossible => "impossible",
        }
    }
}

/// `dep:<edge>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// `edge_id`.
    pub edge: EdgeId,
    /// `flow_id`.
    pub flow: FlowId,
    /// `upstream_execution_id`, as the applying caller named it.
    pub upstream: ExecutionNo,
    /// `dependency_kind`; no script reads it.
    pub kind: String,
    /// `state`.
    pub state: DependencyState,
    /// `data_passing_ref`; empty for none.
    pub data_passing_ref: String,
    /// `last_resolved_at`, from the resolving caller's clock.
    pub last_resolved_at: Option<TimestampMs>,
}

impl Dependency {
    /// The hash as `HGETALL` gives it; `name` gives an execution's exact id.
    pub fn fields(
        &self,
        downstream: ExecutionNo,
        name: impl Fn(ExecutionNo) -> Arc<str>,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("edge_id", self.edge.to_string()),
            ("flow_id", self.flow.to_string()),
            ("upstream_execution_id", name(self.upstream).to_string()),
            ("downstream_execution_id", name(downstream).to_string()),
            ("dependency_kind", self.kind.clone()),
            ("state", self.state.as_str().to_owned()),
            ("data_passing_ref", self.data_passing_ref.clone()),
            ("last_resolved_at", self.last_resolved_at.map_or_else(String::new, |at| at.to_string())),
        ]
    }
}

/// `deps:meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyMeta {
    /// `flow_id`.
    pub flow: FlowId,
    /// `unsatisfied_required_count`. Only the path on which all are required counts it down, and a
    /// replay counts it anew from the flow's edges, so that it can differ from the unresolved set.
    pub unsatisfied: i64,
    /// `impossible_required_count`; none until one was impossible.
    pub impossible: Option<i64>,
    /// `last_flow_graph_revision`, as the last applying caller named it.
    pub graph_revision: u64,
    /// `last_dependency_update_at`: the caller's clock, or the server's after a replay.
    pub updated_at: TimestampMs,
}

impl DependencyMeta {
    /// The hash as `HGETALL` gives it.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("unsatisfied_required_count", self.unsatisfied.to_string()),
            ("flow_id", self.flow.to_string()),
            ("last_flow_graph_revision", self.graph_revision.to_string()),
            ("last_dependency_update_at", self.updated_at.to_string()),
        ];
        fields.extend(self.impossible.map(|count| ("impossible_required_count", count.to_string())));
        fields
    }
}

/// All dependency keys of one execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// `deps:meta`.
    pub meta: Option<DependencyMeta>,
    /// `deps:unresolved`.
    pub unresolved: Vec<EdgeId>,
    /// `dep:<edge>` of every member of `deps:all_edges`, in order of application.
    pub applied: Vec<Dependency>,
}

impl Dependencies {
    /// The dependency of an edge.
    pub fn of(&self, edge: &EdgeId) -> Option<&Dependency> {
        self.applied.iter().find(|dependency| dependency.edge == *edge)
    }

    /// Ends a dependency: its record and the unresolved set, but no count.
    pub(crate) fn resolve(&mut self, edge: &EdgeId, state: DependencyState, at: TimestampMs) {
        if let Some(dependency) = self.applied.iter_mut().find(|dependency| dependency.edge == *edge) {
            dependency.state = state;
            dependency.last_resolved_at = Some(at);
        }
        self.unresolved.retain(|unresolved| unresolved != edge);
    }
}

impl Store {
    pub(crate) fn write_dependencies<T>(
        &mut self,
        number: ExecutionNo,
        write: impl FnOnce(&mut Dependencies) -> T,
    ) -> T {
        let written = write(&mut self.execution_mut(number).dependencies);
        self.note(number, Change::Dependencies);
        written
    }

    /// `COPY … REPLACE` of an execution's result over another's payload; tells whether there was one.
    pub(crate) fn inject_payload(&mut self, from: ExecutionNo, partition: u16, to: ExecutionNo) -> bool {
        let source = self.execution(from).filter(|found| found.partition == partition);
        let Some(result) = source.and_then(|found| found.result.clone()) else { return false };
        self.execution_mut(to).submission.payload = result;
        self.note(to, Change::Payload);
        true
    }

    /// `PUBLISH` of an execution's end to its flow's listeners; nothing for an execution without a flow.
    pub(crate) fn publish(&mut self, number: ExecutionNo, outcome: &'static str) {
        if let Some(flow) = self.execution(number).and_then(|found| found.core.flow.clone()) {
            self.note(number, Change::Published { flow, outcome });
        }
    }
}
