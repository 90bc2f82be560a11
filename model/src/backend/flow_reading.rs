//! Reads of flows. The keys are decoded by the decoders of `ff-core` itself, so that what those find
//! wrong with a key is found wrong here, in their words.

use ff_core::contracts::decode::{build_edge_snapshot, build_flow_snapshot};
use ff_core::contracts::{
    EdgeDependencyPolicy, EdgeDirection, EdgeGroupSnapshot, EdgeGroupState, EdgeSnapshot, FlowSnapshot, FlowStatus,
    FlowSummary, ListFlowsPage,
};
use ff_core::engine_backend::validate_tag_key;
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::partition::{PartitionFamily, PartitionKey};
use ff_core::types::{EdgeId, ExecutionId, FlowId};

use super::ModelBackend;
use super::error::during;
use crate::intern::ExecutionNo;
use crate::message::{FlowFound, FlowPlace, FlowRead, Place};
use crate::port::Server;
use crate::store::{DependencyMeta, Edge, EdgeGroup, FlowCore};

impl<S: Server> ModelBackend<S> {
    async fn flow_cores(&self, partition: u16, flows: Vec<FlowId>) -> Result<Vec<Option<FlowCore>>, EngineError> {
        match self.read_flow(FlowRead::Cores(partition, flows)).await? {
            FlowFound::Cores(cores) => Ok(cores),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) async fn flow_core(&self, place: &FlowPlace) -> Result<Option<FlowCore>, EngineError> {
        Ok(self.flow_cores(place.partition, vec![place.flow.clone()]).await?.pop().flatten())
    }

    pub(super) async fn flow_members(&self, place: &FlowPlace) -> Result<Vec<ExecutionNo>, EngineError> {
        match self.read_flow(FlowRead::Members(place.clone())).await? {
            FlowFound::Executions(members) => Ok(members),
            _ => Ok(Vec::new()),
        }
    }

    /// The core, the members, and for each member its inbound edges, then its group. A flow that was ever
    /// tagged is reported corrupt.
    pub(super) async fn flow_snapshot(&self, id: &FlowId) -> Result<Option<FlowSnapshot>, EngineError> {
        let context = during("describe_flow: HGETALL flow_core");
        let place = self.flow_place(id);
        let Some(core) = self.flow_core(&place).await.map_err(&context)? else { return Ok(None) };
        let mut groups = Vec::new();
        for member in self.flow_members(&place).await.map_err(&context)? {
            groups.extend(self.group_snapshot(&place, member).await.map_err(&context)?);
        }
        decode_flow(&core, groups).map(Some)
    }

    /// A member without inbound edges has no group; where no dependency was applied yet, the counters of
    /// the member itself stand in, and with nothing counted all is called satisfied.
    async fn group_snapshot(
        &self,
        place: &FlowPlace,
        member: ExecutionNo,
    ) -> Result<Option<EdgeGroupSnapshot>, EngineError> {
        let edges = self.edge_ids(FlowRead::Incoming(place.clone(), member)).await?.len();
        if edges == 0 {
            return Ok(None);
        }
        let id = self.server.ids().execution_id(member).clone();
        if let FlowFound::Group(Some(group)) = self.read_flow(FlowRead::Group(place.clone(), member)).await? {
            return Ok(Some(counted(id, &group)));
        }
        let own = Place { execution: member, partition: place.partition };
        let meta = match self.read_flow(FlowRead::Dependencies(own)).await? {
            FlowFound::Dependencies(meta) => meta,
            _ => None,
        };
        Ok(Some(derived(id, u32::try_from(edges).unwrap_or(u32::MAX), meta.as_ref())))
    }

    pub(super) async fn edges(
        &self,
        flow: &FlowId,
        direction: EdgeDirection,
    ) -> Result<Vec<EdgeSnapshot>, EngineError> {
        let context = during("list_edges: pipeline SMEMBERS adj + HGETALL edge");
        let place = self.flow_place(flow);
        let subject = self.number(direction.subject());
        let adjacent = match direction {
            EdgeDirection::Outgoing { .. } => FlowRead::Outgoing(place.clone(), subject),
            EdgeDirection::Incoming { .. } => FlowRead::Incoming(place.clone(), subject),
        };
        let ids = self.edge_ids(adjacent).await.map_err(&context)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.edge_snapshots(&place, &ids).await.map_err(context)
    }

    pub(super) async fn edge_snapshot(
        &self,
        flow: &FlowId,
        edge: &EdgeId,
    ) -> Result<Option<EdgeSnapshot>, EngineError> {
        let found = self.edge_snapshots(&self.flow_place(flow), std::slice::from_ref(edge)).await;
        Ok(found.map_err(during("describe_edge: HGETALL edge"))?.pop())
    }

    /// No script deletes an edge, so an id that leads to none only comes from a caller.
    async fn edge_snapshots(&self, place: &FlowPlace, ids: &[EdgeId]) -> Result<Vec<EdgeSnapshot>, EngineError> {
        match self.read_flow(FlowRead::Edges(place.clone(), ids.to_vec())).await? {
            FlowFound::Edges(edges) => edges.iter().flatten().map(|edge| self.decode_edge(&place.flow, edge)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn decode_edge(&self, flow: &FlowId, edge: &Edge) -> Result<EdgeSnapshot, EngineError> {
        let fields = edge.fields(|number| self.server.ids().execution_name(number).clone());
        let raw = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        build_edge_snapshot(flow, &edge.id, &raw)
    }

    /// The whole index, ordered by the ids' bytes and cut here, then the cores of the page.
    pub(super) async fn flow_page(
        &self,
        partition: &PartitionKey,
        cursor: Option<&FlowId>,
        limit: usize,
    ) -> Result<ListFlowsPage, EngineError> {
        if limit == 0 {
            return Ok(ListFlowsPage::new(Vec::new(), None));
        }
        let context = during("list_flows: SMEMBERS flow_index + pipeline HGETALL flow_core");
        let partition = partition.parse().map_err(|error| EngineError::Validation {
            kind: ValidationKind::InvalidInput,
            detail: format!("list_flows: partition: {error}"),
        })?;
        if !matches!(partition.family, PartitionFamily::Flow | PartitionFamily::Execution) {
            return Ok(ListFlowsPage::new(Vec::new(), None));
        }
        let mut indexed = match self.read_flow(FlowRead::Index(partition.index)).await.map_err(&context)? {
            FlowFound::Flows(flows) => flows,
            _ => Vec::new(),
        };
        indexed.retain(|flow| cursor.is_none_or(|cursor| flow.as_bytes() > cursor.as_bytes()));
        indexed.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        let has_more = indexed.len() > limit;
        indexed.truncate(limit);
        if indexed.is_empty() {
            return Ok(ListFlowsPage::new(Vec::new(), None));
        }
        let cores = self.flow_cores(partition.index, indexed).await.map_err(&context)?;
        let mut flows = Vec::with_capacity(cores.len());
        for core in cores.iter().flatten() {
            let found = decode_flow(core, Vec::new())?;
            let status = FlowStatus::from_public_flow_state(&found.public_flow_state);
            flows.push(FlowSummary::new(found.flow_id, found.created_at, status));
        }
        let next = flows.last().filter(|_| has_more).map(|flow| flow.flow_id.clone());
        Ok(ListFlowsPage::new(flows, next))
    }

    pub(super) async fn flow_of(&self, id: &ExecutionId) -> Result<Option<FlowId>, EngineError> {
        let context = during("resolve_execution_flow_id: HGET exec_core.flow_id");
        Ok(self.core(id).await.map_err(context)?.and_then(|view| view.flow))
    }

    pub(super) async fn flow_tag(&self, flow: &FlowId, key: &str) -> Result<Option<String>, EngineError> {
        validate_tag_key(key)?;
        let read = FlowRead::Tag(self.flow_place(flow), key.to_owned());
        match self.read_flow(read).await.map_err(during("get_flow_tag: HGET :tags"))? {
            FlowFound::Tag(value) => Ok(value),
            _ => Ok(None),
        }
    }
}

fn decode_flow(core: &FlowCore, groups: Vec<EdgeGroupSnapshot>) -> Result<FlowSnapshot, EngineError> {
    let raw = core.fields().into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    build_flow_snapshot(core.flow.clone(), &raw, groups)
}

/// A group as its own hash counts it.
fn counted(id: ExecutionId, group: &EdgeGroup) -> EdgeGroupSnapshot {
    let (failed, skipped) = (group.failed.unwrap_or(0), group.skipped.unwrap_or(0));
    let running = group.n.saturating_sub(group.succeeded + failed + skipped);
    EdgeGroupSnapshot::new(id, group.policy.clone(), group.n, group.succeeded, failed, skipped, running, group.state)
}

/// A group without a hash, from what the waiting execution counts.
fn derived(id: ExecutionId, n: u32, meta: Option<&DependencyMeta>) -> EdgeGroupSnapshot {
    let count = |count: Option<i64>| u32::try_from(count.unwrap_or(0)).unwrap_or(0);
    let unsatisfied = count(meta.map(|meta| meta.unsatisfied));
    let impossible = count(meta.and_then(|meta| meta.impossible));
    let state = match (impossible, unsatisfied) {
        (0, 0) => EdgeGroupState::Satisfied,
        (0, _) => EdgeGroupState::Pending,
        _ => EdgeGroupState::Impossible,
    };
    let succeeded = n.saturating_sub(unsatisfied + impossible);
    EdgeGroupSnapshot::new(id, EdgeDependencyPolicy::AllOf, n, succeeded, impossible, 0, unsatisfied, state)
}
