//! Building flows and moving their members along.

use std::future::Future;
use std::pin::Pin;

use ff_core::backend::{CompletionPayload, Handle};
use ff_core::contracts::{
    AddExecutionToFlowArgs, AddExecutionToFlowResult, ApplyDependencyToChildArgs, ApplyDependencyToChildResult,
    CascadeOutcome, CreateFlowArgs, CreateFlowResult, EdgeDependencyPolicy, EvaluateFlowEligibilityArgs,
    EvaluateFlowEligibilityResult, ResolveDependencyArgs, ResolveDependencyOutcome, SetEdgeGroupPolicyResult,
    StageDependencyEdgeArgs, StageDependencyEdgeResult,
};
use ff_core::engine_backend::validate_tag_key;
use ff_core::engine_error::{EngineError, ValidationKind};
use ff_core::partition::flow_partition;
use ff_core::types::{AttemptIndex, EdgeId, ExecutionId, FlowId, TimestampMs};
use ff_script::engine_error_ext::transport_script;

use super::ModelBackend;
use super::error::{self, during};
use crate::intern::ExecutionNo;
use crate::message::{
    ApplyDependency, Done, FlowFound, FlowPlace, FlowRead, FlowScript, Message, Place, Refusal, Reply,
    ResolveDependency, Script, StageEdge,
};
use crate::port::Server;
use crate::spelling::word;

/// How deep a cascade follows skipped executions.
const MAX_CASCADE_DEPTH: u32 = 50;
/// The largest quorum that the client sends.
const MAX_QUORUM: u32 = u32::MAX / 2;

/// What a cascade has done so far.
#[derive(Default)]
struct Cascaded {
    resolved: usize,
    children: usize,
}

impl<S: Server> ModelBackend<S> {
    /// The flow under the partition that the client computes for it.
    pub(super) fn flow_place(&self, flow: &FlowId) -> FlowPlace {
        FlowPlace { flow: flow.clone(), partition: flow_partition(flow, &self.partitions).index }
    }

    pub(super) async fn read_flow(&self, read: FlowRead) -> Result<FlowFound, EngineError> {
        match self.ask(Message::Flow(read)).await? {
            Reply::Flow(found) => Ok(found),
            other => Err(error::unexpected(&other)),
        }
    }

    pub(super) async fn edge_ids(&self, read: FlowRead) -> Result<Vec<EdgeId>, EngineError> {
        match self.read_flow(read).await? {
            FlowFound::EdgeIds(edges) => Ok(edges),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) async fn new_flow(&self, args: CreateFlowArgs) -> Result<CreateFlowResult, EngineError> {
        let place = self.flow_place(&args.flow_id);
        let script = FlowScript::Create { place, kind: args.flow_kind, namespace: args.namespace };
        let context = during("create_flow: FCALL ff_create_flow");
        match self.run_opaque(flow_script(script)).await.map_err(context)? {
            Done::AlreadySatisfied(_) => Ok(CreateFlowResult::AlreadySatisfied { flow_id: args.flow_id }),
            _ => Ok(CreateFlowResult::Created { flow_id: args.flow_id }),
        }
    }

    /// An execution whose id names another partition than the flow's is refused before anything is sent.
    pub(super) async fn add_member(
        &self,
        args: AddExecutionToFlowArgs,
    ) -> Result<AddExecutionToFlowResult, EngineError> {
        let place = self.flow_place(&args.flow_id);
        let (own, flows) = (args.execution_id.partition(), place.partition);
        if own != flows {
            return Err(EngineError::Validation {
                kind: ValidationKind::InvalidInput,
                detail: format!(
                    "add_execution_to_flow: execution_id's partition {own} != flow_id's partition {flows}. \
                     Post-RFC-011 §7.3 co-location requires mint via \
                     `ExecutionId::for_flow(&flow_id, config)` so the exec's hash-tag \
                     matches the flow's `{{fp:N}}`."
                ),
            });
        }
        let script = FlowScript::AddExecution { place, execution: self.number(&args.execution_id) };
        let context = during("add_execution_to_flow: FCALL ff_add_execution_to_flow");
        let execution_id = args.execution_id;
        match self.run_opaque(flow_script(script)).await.map_err(context)? {
            Done::Count("already_member", nodes) => {
                Ok(AddExecutionToFlowResult::AlreadyMember { execution_id, node_count: small(nodes) })
            }
            Done::Count(_, nodes) => Ok(AddExecutionToFlowResult::Added { execution_id, new_node_count: small(nodes) }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn stage_edge(
        &self,
        args: StageDependencyEdgeArgs,
    ) -> Result<StageDependencyEdgeResult, EngineError> {
        let script = FlowScript::Stage(StageEdge {
            place: self.flow_place(&args.flow_id),
            edge: args.edge_id.clone(),
            upstream: self.number(&args.upstream_execution_id),
            downstream: self.number(&args.downstream_execution_id),
            kind: args.dependency_kind,
            data_passing_ref: args.data_passing_ref.unwrap_or_default(),
            expected_revision: args.expected_graph_revision,
            now: args.now,
        });
        let context = during("stage_dependency_edge: FCALL ff_stage_dependency_edge");
        match self.run_opaque(flow_script(script)).await.map_err(context)? {
            Done::Count(_, revision) => Ok(StageDependencyEdgeResult::Staged {
                edge_id: args.edge_id,
                new_graph_revision: revision.cast_unsigned(),
            }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    /// The lane is read first.
    pub(super) async fn apply_dependency(
        &self,
        args: ApplyDependencyToChildArgs,
    ) -> Result<ApplyDependencyToChildResult, EngineError> {
        let lane = self.lane_of(&args.downstream_execution_id).await;
        let lane = lane.map_err(during("apply_dependency_to_child: HGET lane_id"))?;
        let script = FlowScript::Apply(ApplyDependency {
            downstream: self.number(&args.downstream_execution_id),
            flow: self.flow_place(&args.flow_id),
            edge: args.edge_id,
            upstream: self.number(&args.upstream_execution_id),
            graph_revision: args.graph_revision,
            kind: args.dependency_kind,
            data_passing_ref: args.data_passing_ref.unwrap_or_default(),
            lane,
            now: args.now,
        });
        let context = during("apply_dependency_to_child: FCALL ff_apply_dependency_to_child");
        match self.run_opaque(flow_script(script)).await.map_err(context)? {
            Done::Count(_, unsatisfied) => {
                Ok(ApplyDependencyToChildResult::Applied { unsatisfied_count: small(unsatisfied) })
            }
            _ => Ok(ApplyDependencyToChildResult::AlreadyApplied),
        }
    }

    /// The group's creation time is the client's own clock.
    pub(super) async fn declare_group(
        &self,
        flow: &FlowId,
        downstream: &ExecutionId,
        policy: EdgeDependencyPolicy,
    ) -> Result<SetEdgeGroupPolicyResult, EngineError> {
        let refused =
            |detail: &str| EngineError::Validation { kind: ValidationKind::InvalidInput, detail: detail.into() };
        match &policy {
            EdgeDependencyPolicy::AllOf | EdgeDependencyPolicy::AnyOf { .. } => {}
            EdgeDependencyPolicy::Quorum { k: 0, .. } => return Err(refused("quorum k must be >= 1")),
            EdgeDependencyPolicy::Quorum { k, .. } if *k > MAX_QUORUM => {
                return Err(refused("quorum k exceeds supported maximum"));
            }
            EdgeDependencyPolicy::Quorum { .. } => {}
            _ => return Err(refused("unknown EdgeDependencyPolicy variant")),
        }
        let script = FlowScript::SetGroupPolicy {
            place: self.flow_place(flow),
            downstream: self.number(downstream),
            policy,
            now: self.server.wall_clock(),
        };
        let context = during("set_edge_group_policy: FCALL ff_set_edge_group_policy");
        match self.run_typed(flow_script(script)).await.map_err(context)? {
            Done::Ok("already_set") => Ok(SetEdgeGroupPolicyResult::AlreadySet),
            _ => Ok(SetEdgeGroupPolicyResult::Set),
        }
    }

    /// Every key is formed with the partition that the caller names. A quorum that is not decided yet, or
    /// was before, is an answer that the client's parser does not know.
    pub(super) async fn resolve(&self, args: ResolveDependencyArgs) -> Result<ResolveDependencyOutcome, EngineError> {
        let partition = args.partition.index;
        let lane = self.server.ids().lane(&args.lane_id);
        let script = FlowScript::Resolve(ResolveDependency {
            child: self.place(args.partition, &args.downstream_execution_id),
            flow: FlowPlace { flow: args.flow_id, partition },
            edge: args.edge_id,
            upstream: self.number(&args.upstream_execution_id),
            outcome: args.upstream_outcome,
            lane,
            attempt_index: args.current_attempt_index,
            now: args.now,
        });
        let context = during("resolve_dependency: FCALL ff_resolve_dependency");
        match self.run_opaque(flow_script(script)).await.map_err(&context)? {
            Done::Resolved("satisfied", _) => Ok(ResolveDependencyOutcome::Satisfied),
            Done::Resolved("impossible", _) => Ok(ResolveDependencyOutcome::Impossible),
            Done::Resolved("already_resolved", _) => Ok(ResolveDependencyOutcome::AlreadyResolved),
            other => {
                let message = format!("unknown resolve status: {}", other.label());
                Err(context(transport_script(error::parse_error("ff_resolve_dependency", message))))
            }
        }
    }

    pub(super) async fn eligibility(
        &self,
        args: EvaluateFlowEligibilityArgs,
    ) -> Result<EvaluateFlowEligibilityResult, EngineError> {
        let script = FlowScript::Evaluate(self.number(&args.execution_id));
        let context = during("evaluate_flow_eligibility: FCALL ff_evaluate_flow_eligibility");
        match self.run_opaque(flow_script(script)).await.map_err(context)? {
            Done::Ok(status) => Ok(EvaluateFlowEligibilityResult::Status { status: status.to_owned() }),
            other => Err(error::unexpected_done(&other)),
        }
    }

    pub(super) async fn wait_children_handle(&self, handle: &Handle) -> Result<(), EngineError> {
        let held = self.open(handle)?.held;
        let context = during("wait_children: FCALL ff_move_to_waiting_children");
        self.run_typed(Script::WaitChildren(held)).await.map_err(context).map(|_| ())
    }

    pub(super) async fn tag_flow(&self, flow: &FlowId, key: &str, value: &str) -> Result<(), EngineError> {
        validate_tag_key(key)?;
        let script = FlowScript::SetTag { place: self.flow_place(flow), key: key.to_owned(), value: value.to_owned() };
        let context = during("set_flow_tag: FCALL ff_set_flow_tags");
        self.run_typed(flow_script(script)).await.map_err(context).map(|_| ())
    }

    /// Resolves every edge that leaves an execution with what its core says now, and so on with each
    /// child that this skips (`ff-backend-valkey/src/cascade.rs`).
    ///
    /// Nothing here fails: what cannot be read or called is left out. What the script refuses counts as
    /// resolved all the same, and an execution that has not ended makes its children impossible.
    pub(super) async fn cascade(&self, payload: &CompletionPayload) -> Result<CascadeOutcome, EngineError> {
        let mut cascaded = Cascaded::default();
        if let Some(flow) = &payload.flow_id {
            let place = self.flow_place(flow);
            self.cascade_from(self.number(&payload.execution_id), &place, 0, &mut cascaded).await;
        }
        Ok(CascadeOutcome::synchronous(cascaded.resolved, cascaded.children))
    }

    fn cascade_from<'a>(
        &'a self,
        upstream: ExecutionNo,
        flow: &'a FlowPlace,
        depth: u32,
        cascaded: &'a mut Cascaded,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let Ok(view) = self.core_of(upstream).await else { return };
            let outcome = view.map_or("", |view| word(view.terminal_outcome));
            let Ok(edges) = self.edge_ids(FlowRead::Outgoing(flow.clone(), upstream)).await else { return };
            if edges.is_empty() {
                return;
            }
            let now = self.server.wall_clock();
            let mut skipped = Vec::new();
            for edge in edges {
                let Some(args) = self.cascade_target(upstream, flow, edge, outcome, now).await else { continue };
                let child = args.child.execution;
                match self.run(flow_script(FlowScript::Resolve(args))).await {
                    Err(_) | Ok(Err(Refusal::RuntimeError(_))) => continue,
                    Ok(Ok(Done::Resolved(_, "child_skipped"))) => skipped.push(child),
                    Ok(_) => {}
                }
                cascaded.resolved += 1;
            }
            for child in skipped {
                if depth < MAX_CASCADE_DEPTH {
                    cascaded.children += 1;
                    self.cascade_from(child, flow, depth + 1, cascaded).await;
                }
            }
        })
    }

    /// The edge's downstream, its lane and its attempt: three reads, each a message of its own.
    async fn cascade_target(
        &self,
        upstream: ExecutionNo,
        flow: &FlowPlace,
        edge: EdgeId,
        outcome: &str,
        now: TimestampMs,
    ) -> Option<ResolveDependency> {
        let found = self.read_flow(FlowRead::Edges(flow.clone(), vec![edge.clone()])).await.ok()?;
        let FlowFound::Edges(mut found) = found else { return None };
        let downstream = found.pop()??.downstream;
        let partition = self.server.ids().partition(downstream);
        let lane = self.core_of(downstream).await.ok()?.map(|view| view.lane);
        let view = self.core_of(downstream).await.ok()?;
        Some(ResolveDependency {
            child: Place { execution: downstream, partition },
            flow: flow.clone(),
            edge,
            upstream,
            outcome: outcome.to_owned(),
            lane: lane.unwrap_or_else(|| self.default_lane()),
            attempt_index: view.and_then(|view| view.attempt_index).unwrap_or(AttemptIndex::new(0)),
            now,
        })
    }

    async fn core_of(&self, number: ExecutionNo) -> Result<Option<Box<crate::message::CoreView>>, EngineError> {
        match self.ask(Message::Core(number)).await? {
            Reply::Core(view) => Ok(view),
            other => Err(error::unexpected(&other)),
        }
    }
}

pub(super) fn flow_script(script: FlowScript) -> Script {
    Script::Flow(Box::new(script))
}

/// A count as the client parses it: 0 for what does not fit.
fn small(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}
