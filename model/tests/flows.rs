//! Flows through the trait: how they are built, what the end of one member does to the next, and what
//! can be read of them.

mod common;

use common::model as open;
use common::{Lab, partition};
use ff_core::backend::{CancelFlowPolicy, CancelFlowWait, CompletionPayload, Handle};
use ff_core::contracts::*;
use ff_core::engine_backend::SiblingCancelReconcileAction;
use ff_core::engine_error::{ContentionKind, EngineError, StateKind, ValidationKind};
use ff_core::partition::{PartitionConfig, PartitionKey, flow_partition};
use ff_core::state::{AttemptState, EligibilityState, PublicState, TerminalOutcome};
use ff_core::types::*;
use ff_script::ScriptError;
use ff_script::engine_error_ext::transport_script_ref;
use pollster::FutureExt as _;

/// One flow with its members, in a lab of four partitions.
struct Graph {
    lab: Lab,
    flow: FlowId,
}

impl Graph {
    fn new() -> Self {
        let lab = Lab::new();
        let flow = FlowId::from_uuid(lab.uuid());
        let graph = Self { lab, flow };
        graph.create();
        graph
    }

    fn create(&self) -> CreateFlowResult {
        let args = CreateFlowArgs {
            flow_id: self.flow.clone(),
            flow_kind: "kind".into(),
            namespace: Namespace::new("ns"),
            now: self.lab.now(),
        };
        self.lab.backend.create_flow(args).block_on().unwrap()
    }

    fn partition(&self) -> u16 {
        let config = PartitionConfig { num_flow_partitions: 4, ..PartitionConfig::default() };
        flow_partition(&self.flow, &config).index
    }

    fn execution(&self) -> ExecutionId {
        let id = ExecutionId::parse(&format!("{{fp:{}}}:{}", self.partition(), self.lab.uuid())).unwrap();
        self.lab.create_with(CreateExecutionArgs { execution_id: id, ..self.lab.create_args() })
    }

    fn member(&self) -> ExecutionId {
        let id = self.execution();
        self.add(&id).unwrap();
        id
    }

    fn add(&self, id: &ExecutionId) -> Result<AddExecutionToFlowResult, EngineError> {
        let args = AddExecutionToFlowArgs { flow_id: self.flow.clone(), execution_id: id.clone(), now: self.lab.now() };
        self.lab.backend.add_execution_to_flow(args).block_on()
    }

    fn revision(&self) -> u64 {
        self.describe().unwrap().unwrap().graph_revision
    }

    fn describe(&self) -> Result<Option<FlowSnapshot>, EngineError> {
        self.lab.backend.describe_flow(&self.flow).block_on()
    }

    fn try_stage(
        &self,
        edge: &EdgeId,
        up: &ExecutionId,
        down: &ExecutionId,
        revision: u64,
    ) -> Result<u64, EngineError> {
        let args = StageDependencyEdgeArgs {
            flow_id: self.flow.clone(),
            edge_id: edge.clone(),
            upstream_execution_id: up.clone(),
            downstream_execution_id: down.clone(),
            dependency_kind: "success_only".into(),
            data_passing_ref: Some("ref".into()),
            expected_graph_revision: revision,
            now: self.lab.now(),
        };
        let StageDependencyEdgeResult::Staged { new_graph_revision, .. } =
            self.lab.backend.stage_dependency_edge(args).block_on()?;
        Ok(new_graph_revision)
    }

    fn stage(&self, up: &ExecutionId, down: &ExecutionId) -> EdgeId {
        let edge = EdgeId::from_uuid(self.lab.uuid());
        self.try_stage(&edge, up, down, self.revision()).unwrap();
        edge
    }

    fn apply(&self, edge: &EdgeId, up: &ExecutionId, down: &ExecutionId) -> ApplyDependencyToChildResult {
        let args = ApplyDependencyToChildArgs {
            flow_id: self.flow.clone(),
            edge_id: edge.clone(),
            downstream_execution_id: down.clone(),
            upstream_execution_id: up.clone(),
            graph_revision: 1,
            dependency_kind: "success_only".into(),
            data_passing_ref: Some("ref".into()),
            now: self.lab.now(),
        };
        self.lab.backend.apply_dependency_to_child(args).block_on().unwrap()
    }

    /// Stages and applies.
    fn link(&self, up: &ExecutionId, down: &ExecutionId) -> EdgeId {
        let edge = self.stage(up, down);
        self.apply(&edge, up, down);
        edge
    }

    fn resolve(
        &self,
        edge: &EdgeId,
        up: &ExecutionId,
        down: &ExecutionId,
        outcome: &str,
    ) -> Result<ResolveDependencyOutcome, EngineError> {
        let args = ResolveDependencyArgs::new(
            partition(down),
            self.flow.clone(),
            down.clone(),
            up.clone(),
            edge.clone(),
            LaneId::new("default"),
            AttemptIndex::new(0),
            outcome.into(),
            self.lab.now(),
        );
        self.lab.backend.resolve_dependency(args).block_on()
    }

    fn policy(
        &self,
        down: &ExecutionId,
        policy: EdgeDependencyPolicy,
    ) -> Result<SetEdgeGroupPolicyResult, EngineError> {
        self.lab.backend.set_edge_group_policy(&self.flow, down, policy).block_on()
    }

    fn cascade(&self, from: &ExecutionId) -> CascadeOutcome {
        let payload =
            CompletionPayload::new(from.clone(), "success", None, self.lab.now()).with_flow_id(self.flow.clone());
        self.lab.backend.cascade_completion(&payload).block_on().unwrap()
    }

    fn complete(&self, id: &ExecutionId, payload: &[u8]) {
        let handle = self.lab.claim(id, 30_000);
        self.lab.backend.complete(&handle, Some(payload.to_vec())).block_on().unwrap();
    }

    fn wait_children(&self, handle: &Handle) {
        self.lab.backend.wait_children(handle).block_on().unwrap();
    }

    fn eligibility(&self, id: &ExecutionId) -> String {
        let args = EvaluateFlowEligibilityArgs { execution_id: id.clone() };
        let EvaluateFlowEligibilityResult::Status { status } =
            self.lab.backend.evaluate_flow_eligibility(args).block_on().unwrap();
        status
    }

    fn detail(&self, id: &ExecutionId) -> Option<String> {
        self.lab.backend.describe_execution(id).block_on().unwrap().unwrap().blocking_detail
    }

    fn state(&self, id: &ExecutionId) -> PublicState {
        self.lab.core(id).vector.public_state
    }
}

#[track_caller]
fn assert_script_error<T: std::fmt::Debug>(result: Result<T, EngineError>, text: &str) {
    let error = result.unwrap_err();
    let script = transport_script_ref(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(script.to_string(), text);
}

#[test]
fn creating_a_flow_twice_is_satisfied() {
    let graph = Graph::new();
    assert_eq!(graph.create(), CreateFlowResult::AlreadySatisfied { flow_id: graph.flow.clone() });
    let found = graph.describe().unwrap().unwrap();
    assert_eq!((found.public_flow_state.as_str(), found.graph_revision, found.node_count), ("open", 0, 0));
}

#[test]
fn a_member_is_added_once_and_knows_its_flow() {
    let graph = Graph::new();
    let id = graph.execution();
    let added = AddExecutionToFlowResult::Added { execution_id: id.clone(), new_node_count: 1 };
    assert_eq!(graph.add(&id).unwrap(), added);
    let again = AddExecutionToFlowResult::AlreadyMember { execution_id: id.clone(), node_count: 1 };
    assert_eq!(graph.add(&id).unwrap(), again);
    assert_eq!(graph.lab.backend.resolve_execution_flow_id(&id).block_on().unwrap(), Some(graph.flow.clone()));
    let found = graph.lab.backend.describe_execution(&id).block_on().unwrap().unwrap();
    assert_eq!(found.flow_id, Some(graph.flow.clone()));
    assert_eq!(graph.revision(), 1, "the second call changed nothing");
}

#[test]
fn a_member_of_another_flow_is_refused_with_a_code_that_the_client_does_not_know() {
    let graph = Graph::new();
    let id = graph.member();
    let config = PartitionConfig { num_flow_partitions: 4, ..PartitionConfig::default() };
    let other = loop {
        let candidate = FlowId::from_uuid(graph.lab.uuid());
        if flow_partition(&candidate, &config).index == graph.partition() {
            break candidate;
        }
    };
    let theirs = Graph { flow: other, ..graph };
    theirs.create();
    let first = theirs.lab.backend.resolve_execution_flow_id(&id).block_on().unwrap().unwrap();
    assert_script_error(
        theirs.add(&id),
        &ScriptError::Parse {
            fcall: "FcallResult::into_success".into(),
            execution_id: None,
            message: format!("unknown error code: already_member_of_different_flow:{first}"),
        }
        .to_string(),
    );
}

#[test]
fn an_execution_of_another_partition_is_refused_before_anything_is_sent() {
    let graph = Graph::new();
    let elsewhere = ExecutionId::parse(&format!("{{fp:{}}}:{}", (graph.partition() + 1) % 4, graph.lab.uuid()));
    let sent = graph.lab.server.messages().len();
    let refused = graph.add(&elsewhere.unwrap()).unwrap_err();
    assert!(matches!(refused, EngineError::Validation { kind: ValidationKind::InvalidInput, .. }));
    assert_eq!(graph.lab.server.messages().len(), sent);
}

#[test]
fn an_edge_needs_the_current_revision_and_two_members_and_closes_no_cycle() {
    let graph = Graph::new();
    let (one, two, stranger) = (graph.member(), graph.member(), graph.execution());
    let edge = EdgeId::from_uuid(graph.lab.uuid());
    let refusals = [
        (graph.try_stage(&edge, &one, &one, 2), ScriptError::SelfReferencingEdge),
        (graph.try_stage(&edge, &one, &two, 1), ScriptError::StaleGraphRevision),
        (graph.try_stage(&edge, &one, &stranger, 2), ScriptError::ExecutionNotInFlow),
    ];
    for (result, expected) in refusals {
        assert_script_error(result, &expected.to_string());
    }
    assert_eq!(graph.try_stage(&edge, &one, &two, 2).unwrap(), 3);
    let other = EdgeId::from_uuid(graph.lab.uuid());
    assert_script_error(graph.try_stage(&other, &two, &one, 3), &ScriptError::CycleDetected.to_string());
    let again = graph.try_stage(&edge, &one, &two, 3);
    assert_script_error(again, &ScriptError::DependencyAlreadyExists.to_string());
}

#[test]
fn edges_are_read_by_direction_and_by_id() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    let edge = graph.stage(&one, &two);
    let found = graph.lab.backend.describe_edge(&graph.flow, &edge).block_on().unwrap().unwrap();
    assert_eq!((&found.upstream_execution_id, &found.downstream_execution_id), (&one, &two));
    assert_eq!((found.edge_state.as_str(), found.data_passing_ref.as_deref()), ("pending", Some("ref")));
    let outgoing = EdgeDirection::Outgoing { from_node: one.clone() };
    let incoming = EdgeDirection::Incoming { to_node: one };
    assert_eq!(graph.lab.backend.list_edges(&graph.flow, outgoing).block_on().unwrap(), [found]);
    assert!(graph.lab.backend.list_edges(&graph.flow, incoming).block_on().unwrap().is_empty());
    let unknown = EdgeId::from_uuid(graph.lab.uuid());
    assert_eq!(graph.lab.backend.describe_edge(&graph.flow, &unknown).block_on().unwrap(), None);
}

#[test]
fn an_applied_dependency_blocks_and_its_success_unblocks_with_the_result_as_payload() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    let edge = graph.link(&one, &two);
    assert_eq!(graph.lab.indexes(&two), ["blocked:dependencies"]);
    assert_eq!(graph.state(&two), PublicState::WaitingChildren);
    assert_eq!(graph.detail(&two), Some(format!("1 dep(s) unresolved incl {edge}")));
    assert_eq!(graph.eligibility(&two), "blocked_by_dependencies");
    assert_eq!(graph.apply(&edge, &one, &two), ApplyDependencyToChildResult::AlreadyApplied);
    graph.complete(&one, b"result");
    assert_eq!(graph.resolve(&edge, &one, &two, "success").unwrap(), ResolveDependencyOutcome::Satisfied);
    assert_eq!(graph.lab.indexes(&two), ["eligible"]);
    assert_eq!(graph.lab.look(&two, |found| found.submission.payload.clone()), b"result");
    let again = graph.resolve(&edge, &one, &two, "failed").unwrap();
    assert_eq!(again, ResolveDependencyOutcome::AlreadyResolved);
}

#[test]
fn one_upstream_that_did_not_succeed_skips_where_all_are_required() {
    let graph = Graph::new();
    graph.lab.breaks("S45 dependency-met resolve_dependency=impossible");
    let (one, two, three) = (graph.member(), graph.member(), graph.member());
    let edge = graph.link(&one, &three);
    graph.link(&two, &three);
    assert_eq!(graph.resolve(&edge, &one, &three, "failed").unwrap(), ResolveDependencyOutcome::Impossible);
    let core = graph.lab.core(&three);
    assert_eq!(
        (core.vector.terminal_outcome, core.vector.attempt_state),
        (TerminalOutcome::Skipped, AttemptState::None)
    );
    assert_eq!(graph.lab.indexes(&three), ["terminal"]);
    let groups = graph.describe().unwrap().unwrap().edge_groups;
    assert_eq!((groups[0].group_state, groups[0].failed_count), (EdgeGroupState::Impossible, 1));
}

#[test]
fn skipping_a_running_execution_leaves_its_lease_standing() {
    let graph = Graph::new();
    graph.lab.breaks("S27 several resolve_dependency=impossible");
    graph.lab.breaks("S28 left-over resolve_dependency=impossible");
    graph.lab.breaks("S29 left-over resolve_dependency=impossible");
    graph.lab.breaks("S39 lease-record resolve_dependency=impossible");
    graph.lab.breaks("S45 dependency-met resolve_dependency=impossible");
    let (one, two) = (graph.member(), graph.member());
    let handle = graph.lab.claim(&two, 30_000);
    let edge = graph.link(&one, &two);
    assert_eq!(graph.state(&two), PublicState::Active, "a running execution is not blocked");
    graph.resolve(&edge, &one, &two, "cancelled").unwrap();
    assert_eq!(graph.state(&two), PublicState::Skipped);
    assert_eq!(graph.lab.indexes(&two), ["active", "lease_expiry", "terminal", "worker_leases"]);
    assert!(graph.lab.core(&two).current_lease_id.is_some());
    let late = graph.lab.backend.complete(&handle, None).block_on().unwrap_err();
    assert!(matches!(late, EngineError::Contention(ContentionKind::ExecutionNotActive { .. })));
}

#[test]
fn a_quorum_that_is_not_decided_is_reported_as_an_unparsable_answer() {
    let graph = Graph::new();
    graph.lab.breaks("S33 unmet resolve_dependency=satisfied");
    let (one, two, three) = (graph.member(), graph.member(), graph.member());
    let policy = EdgeDependencyPolicy::quorum(2, OnSatisfied::LetRun);
    assert_eq!(graph.policy(&three, policy).unwrap(), SetEdgeGroupPolicyResult::Set);
    let (first, second) = (graph.link(&one, &three), graph.link(&two, &three));
    let pending = graph.resolve(&first, &one, &three, "success");
    assert_script_error(
        pending,
        &ScriptError::Parse {
            fcall: "ff_resolve_dependency".into(),
            execution_id: None,
            message: "unknown resolve status: pending".into(),
        }
        .to_string(),
    );
    assert_eq!(graph.resolve(&second, &two, &three, "success").unwrap(), ResolveDependencyOutcome::Satisfied);
    assert_eq!(graph.lab.indexes(&three), ["eligible"]);
    assert_eq!(graph.eligibility(&three), "blocked_by_dependencies", "a quorum never counts deps:meta down");
}

#[test]
fn any_of_several_flags_the_siblings_that_still_run_until_they_are_drained() {
    let graph = Graph::new();
    let (one, two, three) = (graph.member(), graph.member(), graph.member());
    graph.policy(&three, EdgeDependencyPolicy::any_of(OnSatisfied::CancelRemaining)).unwrap();
    let first = graph.link(&one, &three);
    graph.link(&two, &three);
    graph.complete(&one, b"result");
    assert_eq!(graph.resolve(&first, &one, &three, "success").unwrap(), ResolveDependencyOutcome::Satisfied);
    let backend = &graph.lab.backend;
    let reconcile =
        || backend.reconcile_sibling_cancel_group(partition(&three), &graph.flow, &three).block_on().unwrap();
    assert_eq!(reconcile(), SiblingCancelReconcileAction::NoOp, "a sibling runs");
    graph.lab.cancel_by_operator(&two).unwrap();
    assert_eq!(reconcile(), SiblingCancelReconcileAction::CompletedDrain);
    assert_eq!(reconcile(), SiblingCancelReconcileAction::NoOp, "nothing is listed any more");
}

#[test]
fn a_policy_is_fixed_by_the_first_applied_dependency_and_not_by_a_staged_edge() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    let edge = graph.stage(&one, &two);
    let quorum = |k| EdgeDependencyPolicy::quorum(k, OnSatisfied::LetRun);
    assert_eq!(graph.policy(&two, quorum(1)).unwrap(), SetEdgeGroupPolicyResult::Set);
    assert_eq!(graph.policy(&two, quorum(2)).unwrap(), SetEdgeGroupPolicyResult::AlreadySet);
    assert_eq!(graph.describe().unwrap().unwrap().edge_groups[0].policy, quorum(1), "another quorum is ignored");
    graph.apply(&edge, &one, &two);
    let refused = graph.policy(&two, EdgeDependencyPolicy::AllOf).unwrap_err();
    assert!(matches!(refused, EngineError::Validation { kind: ValidationKind::InvalidInput, .. }));
}

#[test]
fn a_replayed_skipped_member_waits_again_and_its_group_counts_on() {
    let graph = Graph::new();
    graph.lab.breaks("S45 dependency-met resolve_dependency=impossible");
    graph.lab.breaks("S48 refused resolve_dependency=invariant_violation");
    let (one, two) = (graph.member(), graph.member());
    graph.policy(&two, EdgeDependencyPolicy::any_of(OnSatisfied::LetRun)).unwrap();
    let edge = graph.link(&one, &two);
    graph.resolve(&edge, &one, &two, "failed").unwrap();
    let replayed = graph.lab.replay(&two).unwrap();
    assert_eq!(replayed, ReplayExecutionResult::Replayed { public_state: PublicState::WaitingChildren });
    assert_eq!(graph.lab.indexes(&two), ["blocked:dependencies"]);
    assert_eq!(graph.detail(&two).as_deref(), Some("1 dep(s) unsatisfied after replay"));
    let stuck = graph.resolve(&edge, &one, &two, "success");
    assert_script_error(
        stuck,
        &ScriptError::Parse {
            fcall: "FcallResult::into_success".into(),
            execution_id: None,
            message: "unknown error code: invariant_violation".into(),
        }
        .to_string(),
    );
    assert_eq!(graph.lab.indexes(&two), ["blocked:dependencies"], "though its dependency is satisfied now");
    assert_eq!(graph.resolve(&edge, &one, &two, "success").unwrap(), ResolveDependencyOutcome::AlreadyResolved);
}

#[test]
fn a_cascade_skips_all_that_hangs_on_a_failure() {
    let graph = Graph::new();
    let (one, two, three) = (graph.member(), graph.member(), graph.member());
    graph.link(&one, &two);
    graph.link(&two, &three);
    graph.lab.cancel_by_operator(&one).unwrap();
    assert_eq!(graph.cascade(&one), CascadeOutcome::synchronous(2, 2));
    assert_eq!((graph.state(&two), graph.state(&three)), (PublicState::Skipped, PublicState::Skipped));
}

#[test]
fn a_cascade_reads_edge_lane_and_attempt_of_each_child_on_their_own() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    graph.link(&one, &two);
    graph.complete(&one, b"");
    let sent = graph.lab.server.messages().len();
    graph.cascade(&one);
    let expected = ["HMGET core", "SMEMBERS out", "HGETALL edge", "HMGET core", "HMGET core", "resolve_dependency"];
    let messages: Vec<&str> = graph.lab.server.messages()[sent..].iter().map(|(name, _)| *name).collect();
    assert_eq!(messages, expected);
}

#[test]
fn a_cascade_from_an_execution_that_has_not_ended_skips_its_children() {
    let graph = Graph::new();
    graph.lab.breaks("S45 dependency-met resolve_dependency=impossible");
    let (one, two) = (graph.member(), graph.member());
    graph.link(&one, &two);
    assert_eq!(graph.cascade(&one), CascadeOutcome::synchronous(1, 1));
    assert_eq!(graph.state(&two), PublicState::Skipped);
}

#[test]
fn a_cascade_counts_what_the_script_refused() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    graph.stage(&one, &two);
    graph.complete(&one, b"");
    assert_eq!(graph.cascade(&one), CascadeOutcome::synchronous(1, 0), "staged, but never applied");
}

#[test]
fn waiting_for_children_without_any_is_eligible_by_its_dependencies_and_blocked_all_the_same() {
    let graph = Graph::new();
    let id = graph.member();
    let handle = graph.lab.claim(&id, 30_000);
    graph.wait_children(&handle);
    let core = graph.lab.core(&id);
    assert_eq!(core.vector.eligibility_state, EligibilityState::BlockedByDependencies);
    assert_eq!(core.vector.attempt_state, AttemptState::AttemptInterrupted);
    assert_eq!(graph.lab.indexes(&id), ["blocked:dependencies"]);
    assert_eq!(graph.detail(&id).as_deref(), Some("waiting for child executions to complete"));
    assert_eq!(graph.eligibility(&id), "eligible");
}

#[test]
fn ends_of_members_are_published_and_those_of_others_are_not() {
    let graph = Graph::new();
    let published = |graph: &Graph| {
        graph.lab.server.look(|store| {
            let mut found = store.changes().items.iter().filter_map(|(_, change)| match change {
                claimlab_model::store::Change::Published { flow, outcome } => Some((flow.clone(), *outcome)),
                _ => None,
            });
            found.next()
        })
    };
    let member = graph.member();
    graph.complete(&member, b"result");
    assert_eq!(published(&graph), Some((graph.flow.clone(), "success")));
    graph.complete(&graph.execution(), b"result");
    assert_eq!(published(&graph), None);
    graph.lab.cancel_by_operator(&graph.member()).unwrap();
    assert_eq!(published(&graph), Some((graph.flow.clone(), "cancelled")));
}

#[test]
fn a_staged_edge_that_was_never_applied_counts_as_satisfied_in_a_description() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    graph.stage(&one, &two);
    let group = graph.describe().unwrap().unwrap().edge_groups.pop().unwrap();
    assert_eq!((group.group_state, group.total_deps, group.satisfied_count), (EdgeGroupState::Satisfied, 1, 1));
}

#[test]
fn a_tagged_flow_can_be_read_but_no_longer_described_or_listed() {
    let graph = Graph::new();
    let backend = &graph.lab.backend;
    let key = PartitionKey::from(&partition(&graph.member()));
    let listed = backend.list_flows(key.clone(), None, 10).block_on().unwrap();
    assert_eq!((listed.flows.len(), listed.flows[0].status, listed.next_cursor), (1, FlowStatus::Active, None));
    backend.set_flow_tag(&graph.flow, "app.key", "value").block_on().unwrap();
    assert_eq!(backend.get_flow_tag(&graph.flow, "app.key").block_on().unwrap().as_deref(), Some("value"));
    let corrupt = [graph.describe().map(|_| ()), backend.list_flows(key, None, 10).block_on().map(|_| ())];
    for result in corrupt {
        let EngineError::Validation { kind: ValidationKind::Corruption, detail } = result.unwrap_err() else {
            panic!("another error");
        };
        assert!(detail.contains("unexpected field 'tags_migrated'"), "{detail}");
    }
}

#[test]
fn a_cancelled_flow_takes_no_changes_and_its_members_run_on() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    let backend = &graph.lab.backend;
    let cancel = || backend.cancel_flow(&graph.flow, CancelFlowPolicy::CancelAll, CancelFlowWait::WaitIndefinite);
    let expected = CancelFlowResult::Cancelled {
        cancellation_policy: "cancel_all".into(),
        member_execution_ids: vec![one.to_string(), two.to_string()],
    };
    assert_eq!(cancel().block_on().unwrap(), expected);
    assert!(matches!(cancel().block_on().unwrap_err(), EngineError::State(StateKind::FlowAlreadyTerminal)));
    assert_eq!(graph.state(&one), PublicState::Waiting);
    assert_script_error(graph.add(&graph.execution()), &ScriptError::FlowAlreadyTerminal.to_string());
}

#[test]
fn a_flow_leaves_the_cancel_backlog_with_its_last_acknowledged_member() {
    let graph = Graph::new();
    let (one, two) = (graph.member(), graph.member());
    let args = || CancelFlowArgs {
        flow_id: graph.flow.clone(),
        reason: "why".into(),
        cancellation_policy: "cancel_all".into(),
        now: graph.lab.now(),
    };
    let backend = &graph.lab.backend;
    let first = backend.cancel_flow_header(args()).block_on().unwrap();
    assert!(matches!(first, CancelFlowHeader::Cancelled { .. }));
    let again = backend.cancel_flow_header(args()).block_on().unwrap();
    let expected = CancelFlowHeader::AlreadyTerminal {
        stored_cancellation_policy: Some("cancel_all".into()),
        stored_cancel_reason: Some("why".into()),
        member_execution_ids: vec![one.to_string(), two.to_string()],
    };
    assert_eq!(again, expected);
    let backlog = || {
        let partition = graph.partition();
        graph.lab.server.look(|store| store.flow_indexes(partition).unwrap().cancel_backlog.len())
    };
    backend.ack_cancel_member(&graph.flow, &one).block_on().unwrap();
    assert_eq!(backlog(), 1);
    backend.ack_cancel_member(&graph.flow, &two).block_on().unwrap();
    assert_eq!(backlog(), 0);
}
