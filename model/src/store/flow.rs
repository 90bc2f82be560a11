//! Flows: what `ff:flow:…` keys and the flow indexes of a partition hold.
//!
//! A flow is found by id and by the partition that the caller's key names; under another partition it
//! is another flow. Sets keep the order of insertion, in which the server answers a set of up to 128
//! short members; beyond that the server's order is its hash table's, which nothing here follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use ff_core::contracts::{EdgeDependencyPolicy, EdgeGroupState};
use ff_core::types::{EdgeId, FlowId, Namespace, TimestampMs};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::Store;
use crate::intern::ExecutionNo;
use crate::number::Score;
use crate::time::ServerTime;

/// What a cancelled flow's core says beside its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowCancellation {
    /// `cancelled_at`.
    pub at: ServerTime,
    /// `cancel_reason`.
    pub reason: String,
    /// `cancellation_policy`.
    pub policy: String,
}

/// `ff:flow:…:core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowCore {
    /// `flow_id`.
    pub flow: FlowId,
    /// `flow_kind`.
    pub kind: String,
    /// `namespace`.
    pub namespace: Namespace,
    /// `graph_revision`: one more with each member and each edge.
    pub graph_revision: u64,
    /// `node_count`.
    pub node_count: u32,
    /// `edge_count`.
    pub edge_count: u32,
    /// `created_at`.
    pub created_at: ServerTime,
    /// `last_mutation_at`: the server's clock, or the caller's where an edge was staged.
    pub last_mutation_at: TimestampMs,
    /// Set once the flow is cancelled; no script gives a flow any other state than open.
    pub cancelled: Option<FlowCancellation>,
    /// `tags_migrated`, which the first tag leaves behind and every later description trips over.
    pub tags_migrated: bool,
}

impl FlowCore {
    /// `public_flow_state`.
    pub const fn public_flow_state(&self) -> &'static str {
        if self.cancelled.is_some() { "cancelled" } else { "open" }
    }

    /// The hash as `HGETALL` gives it.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("flow_id", self.flow.to_string()),
            ("flow_kind", self.kind.clone()),
            ("namespace", self.namespace.to_string()),
            ("graph_revision", self.graph_revision.to_string()),
            ("node_count", self.node_count.to_string()),
            ("edge_count", self.edge_count.to_string()),
            ("public_flow_state", self.public_flow_state().to_owned()),
            ("created_at", self.created_at.to_string()),
            ("last_mutation_at", self.last_mutation_at.to_string()),
        ];
        if let Some(cancelled) = &self.cancelled {
            fields.push(("cancelled_at", cancelled.at.to_string()));
            fields.push(("cancel_reason", cancelled.reason.clone()));
            fields.push(("cancellation_policy", cancelled.policy.clone()));
        }
        if self.tags_migrated {
            fields.push(("tags_migrated", "1".to_owned()));
        }
        fields
    }
}

/// `ff:flow:…:edge:<id>`, written once and never again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// `edge_id`.
    pub id: EdgeId,
    /// `flow_id`.
    pub flow: FlowId,
    /// `upstream_execution_id`.
    pub upstream: ExecutionNo,
    /// `downstream_execution_id`.
    pub downstream: ExecutionNo,
    /// `dependency_kind`; no script reads it.
    pub kind: String,
    /// `data_passing_ref`; empty for none.
    pub data_passing_ref: String,
    /// `created_at`, from the caller's clock.
    pub created_at: TimestampMs,
}

impl Edge {
    /// The hash as `HGETALL` gives it; `name` gives an execution's exact id.
    pub fn fields(&self, name: impl Fn(ExecutionNo) -> Arc<str>) -> Vec<(&'static str, String)> {
        vec![
            ("edge_id", self.id.to_string()),
            ("flow_id", self.flow.to_string()),
            ("upstream_execution_id", name(self.upstream).to_string()),
            ("downstream_execution_id", name(self.downstream).to_string()),
            ("dependency_kind", self.kind.clone()),
            ("satisfaction_condition", "all_required".to_owned()),
            ("data_passing_ref", self.data_passing_ref.clone()),
            ("edge_state", "pending".to_owned()),
            ("created_at", self.created_at.to_string()),
            ("created_by", "engine".to_owned()),
        ]
    }
}

/// `ff:flow:…:edgegroup:<downstream>`: how many inbound dependencies ended how, and what that means.
///
/// A replay of the downstream resets none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeGroup {
    /// `policy_variant`, `on_satisfied` and `k`.
    pub policy: EdgeDependencyPolicy,
    /// `created_at`, from the client's clock; none where no policy was declared and the first
    /// dependency wrote the shorter hash.
    pub declared_at: Option<TimestampMs>,
    /// `n`: dependencies applied.
    pub n: u32,
    /// `succeeded`.
    pub succeeded: u32,
    /// `failed`; none until somebody counts it.
    pub failed: Option<u32>,
    /// `skipped`; none until somebody counts it.
    pub skipped: Option<u32>,
    /// `group_state`.
    pub state: EdgeGroupState,
    /// `satisfied_at`; not written where all are required.
    pub satisfied_at: Option<TimestampMs>,
    /// `cancel_siblings_reason`.
    pub cancel_reason: Option<&'static str>,
    /// `cancel_siblings_pending_flag` and `cancel_siblings_pending_members`, which come and go together.
    pub cancel_pending: Option<Vec<ExecutionNo>>,
}

impl EdgeGroup {
    /// The group that a policy's declaration writes.
    pub fn declared(policy: EdgeDependencyPolicy, at: TimestampMs) -> Self {
        Self { policy, declared_at: Some(at), n: 0, failed: Some(0), skipped: Some(0), ..Self::implied() }
    }

    /// The group that the first dependency writes where no policy was declared.
    pub const fn implied() -> Self {
        Self {
            policy: EdgeDependencyPolicy::AllOf,
            declared_at: None,
            n: 1,
            succeeded: 0,
            failed: None,
            skipped: None,
            state: EdgeGroupState::Pending,
            satisfied_at: None,
            cancel_reason: None,
            cancel_pending: None,
        }
    }

    /// The hash as `HGETALL` gives it; `name` gives an execution's exact id.
    pub fn fields(&self, name: impl Fn(ExecutionNo) -> Arc<str>) -> Vec<(&'static str, String)> {
        let mut fields = vec![("policy_variant", self.policy.variant_str().to_owned())];
        if let Some(at) = self.declared_at {
            let (on_satisfied, k) = match &self.policy {
                EdgeDependencyPolicy::AnyOf { on_satisfied } => (on_satisfied.variant_str(), 0),
                EdgeDependencyPolicy::Quorum { k, on_satisfied } => (on_satisfied.variant_str(), *k),
                _ => ("", 0),
            };
            fields.push(("on_satisfied", on_satisfied.to_owned()));
            fields.push(("k", k.to_string()));
            fields.push(("created_at", at.to_string()));
        }
        fields.push(("n", self.n.to_string()));
        fields.push(("succeeded", self.succeeded.to_string()));
        fields.extend(self.failed.map(|failed| ("failed", failed.to_string())));
        fields.extend(self.skipped.map(|skipped| ("skipped", skipped.to_string())));
        fields.push(("group_state", self.state.as_str().to_owned()));
        fields.extend(self.satisfied_at.map(|at| ("satisfied_at", at.to_string())));
        fields.extend(self.cancel_reason.map(|reason| ("cancel_siblings_reason", reason.to_owned())));
        if let Some(members) = &self.cancel_pending {
            let members: Vec<_> = members.iter().map(|number| name(*number)).collect();
            fields.push(("cancel_siblings_pending_flag", "true".to_owned()));
            fields.push(("cancel_siblings_pending_members", members.join("|")));
        }
        fields
    }
}

/// So many members of a flow are looked at for its summary (`ff-backend-valkey/src/lib.rs`,
/// `project_flow_summary_impl`).
pub const SUMMARY_SAMPLE: usize = 50;
/// The states that a flow's summary counts members in. It counts those of any other state nowhere.
pub const COUNTED: [&str; 11] = [
    "completed",
    "failed",
    "cancelled",
    "expired",
    "skipped",
    "active",
    "suspended",
    "waiting",
    "delayed",
    "rate_limited",
    "waiting_children",
];

/// `ff:flow:…:summary`, which the projector writes and nothing decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSummary {
    /// `total_members`.
    pub total_members: u64,
    /// `sampled_members`.
    pub sampled_members: u32,
    /// `members_completed` and so on, in the order of [`COUNTED`].
    pub members: [u32; COUNTED.len()],
    /// `public_flow_state`: of the members, not of the flow.
    pub public_flow_state: &'static str,
    /// `last_summary_update_at`, from the projector's clock.
    pub updated_at: TimestampMs,
}

impl FlowSummary {
    /// The summary of a sample of a flow's members by their public states
    /// (`ff-backend-valkey/src/lib.rs`, `project_flow_summary_impl`).
    pub fn of<'a>(total_members: u64, states: impl Iterator<Item = &'a str>, now: TimestampMs) -> Self {
        let (mut members, mut sampled_members) = ([0; COUNTED.len()], 0);
        for state in states {
            sampled_members += 1;
            if let Some(position) = COUNTED.iter().position(|counted| *counted == state) {
                members[position] += 1;
            }
        }
        let [completed, failed, cancelled, expired, skipped, active, suspended, _, delayed, limited, children] =
            members;
        let all_ended = sampled_members > 0 && completed + failed + cancelled + expired + skipped == sampled_members;
        let public_flow_state = if all_ended && failed + cancelled + expired > 0 {
            "failed"
        } else if all_ended {
            "completed"
        } else if active > 0 {
            "running"
        } else if suspended + delayed + limited + children > 0 {
            "blocked"
        } else {
            "open"
        };
        Self { total_members, sampled_members, members, public_flow_state, updated_at: now }
    }

    /// Whether every member was looked at and had ended.
    pub fn all_have_ended(&self) -> bool {
        let ended: u32 = self.members[..5].iter().sum();
        ended > 0 && u64::from(ended) == self.total_members
    }

    /// The hash as `HGETALL` gives it.
    pub fn fields(&self) -> Vec<(String, String)> {
        let counts = COUNTED.iter().zip(self.members);
        let mut fields: Vec<_> = counts.map(|(state, count)| (format!("members_{state}"), count.to_string())).collect();
        fields.push(("total_members".to_owned(), self.total_members.to_string()));
        fields.push(("sampled_members".to_owned(), self.sampled_members.to_string()));
        fields.push(("public_flow_state".to_owned(), self.public_flow_state.to_owned()));
        fields.push(("last_summary_update_at".to_owned(), self.updated_at.to_string()));
        fields
    }
}

/// All keys of one flow in one partition.
#[derive(Debug)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// The partition of its keys.
    pub partition: u16,
    /// `:core`; none where only a dependency's group was written under this flow's name.
    pub core: Option<FlowCore>,
    /// `:tags`.
    pub tags: BTreeMap<String, String>,
    /// `:members`.
    pub members: Vec<ExecutionNo>,
    /// `:out:<upstream>`.
    pub outgoing: BTreeMap<ExecutionNo, Vec<EdgeId>>,
    /// `:in:<downstream>`.
    pub incoming: BTreeMap<ExecutionNo, Vec<EdgeId>>,
    /// `:edge:<id>`, in order of staging.
    pub edges: Vec<Edge>,
    /// `:edgegroup:<downstream>`.
    pub groups: BTreeMap<ExecutionNo, EdgeGroup>,
    /// `:pending_cancels`.
    pub pending_cancels: Vec<ExecutionNo>,
    /// `:summary`.
    pub summary: Option<FlowSummary>,
    staged: HashMap<EdgeId, usize, FxBuildHasher>,
}

impl Flow {
    fn new(partition: u16, id: FlowId) -> Self {
        Self {
            id,
            partition,
            core: None,
            tags: BTreeMap::new(),
            members: Vec::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            edges: Vec::new(),
            groups: BTreeMap::new(),
            pending_cancels: Vec::new(),
            summary: None,
            staged: HashMap::default(),
        }
    }

    /// An edge that was staged.
    pub fn edge(&self, id: &EdgeId) -> Option<&Edge> {
        self.staged.get(id).map(|position| &self.edges[*position])
    }

    /// The edges that leave an execution.
    pub fn outgoing(&self, upstream: ExecutionNo) -> &[EdgeId] {
        self.outgoing.get(&upstream).map_or(&[], Vec::as_slice)
    }

    /// The edges that reach an execution.
    pub fn incoming(&self, downstream: ExecutionNo) -> &[EdgeId] {
        self.incoming.get(&downstream).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn stage(&mut self, edge: Edge) {
        self.outgoing.entry(edge.upstream).or_default().push(edge.id.clone());
        self.incoming.entry(edge.downstream).or_default().push(edge.id.clone());
        self.staged.insert(edge.id.clone(), self.edges.len());
        self.edges.push(edge);
    }
}

/// The flow indexes of one partition.
#[derive(Debug, Default)]
pub struct FlowIndexes {
    /// `flow_index`.
    pub flow_index: Vec<FlowId>,
    /// `cancel_backlog`: flows that owe their members a cancel, by when others may take over.
    pub cancel_backlog: Vec<(FlowId, Score)>,
    /// `pending_cancel_groups`: groups whose remaining siblings somebody must cancel. The server keeps
    /// these long members in its own order from the first on.
    pub pending_cancel_groups: Vec<(FlowId, ExecutionNo)>,
}

/// All flows of all partitions, in order of first mention.
#[derive(Debug, Default)]
pub(super) struct Flows {
    records: Vec<Flow>,
    positions: HashMap<(u16, FlowId), usize, FxBuildHasher>,
    indexes: BTreeMap<u16, FlowIndexes>,
}

/// `SADD` on a set that keeps its order.
pub(crate) fn insert<T: PartialEq>(set: &mut Vec<T>, member: T) {
    if !set.contains(&member) {
        set.push(member);
    }
}

impl Store {
    /// A flow of a partition, if any of its keys was ever written.
    pub fn flow(&self, partition: u16, id: &FlowId) -> Option<&Flow> {
        let position = self.flows.positions.get(&(partition, id.clone()))?;
        self.flows.records.get(*position)
    }

    /// All flows, in order of first mention.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.records.iter()
    }

    /// The flow indexes of a partition, if any was ever written.
    pub fn flow_indexes(&self, partition: u16) -> Option<&FlowIndexes> {
        self.flows.indexes.get(&partition)
    }

    /// A flow to write to. What a script changes in a flow's own keys is no change of an execution and
    /// is not noted.
    pub(crate) fn flow_mut(&mut self, partition: u16, id: &FlowId) -> &mut Flow {
        let Flows { records, positions, .. } = &mut self.flows;
        let position = *positions.entry((partition, id.clone())).or_insert_with(|| {
            records.push(Flow::new(partition, id.clone()));
            records.len() - 1
        });
        &mut records[position]
    }

    pub(crate) fn flow_indexes_mut(&mut self, partition: u16) -> &mut FlowIndexes {
        self.flows.indexes.entry(partition).or_default()
    }
}
