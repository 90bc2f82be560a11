//! Steps on flows, their edges and what resolves them.

use claimlab_model::time::ServerTime;
use ff_core::backend::{CancelFlowPolicy, CancelFlowWait, CompletionPayload};
use ff_core::contracts::*;
use ff_core::partition::{Partition, PartitionConfig, PartitionFamily, PartitionKey};
use ff_core::types::*;

use super::memory::Memory;
use super::step::Pick;
use super::value::{PARTITIONS, caller_now, execution, lane, one, text};
use crate::call::Call;
use crate::staging::ids::OF_SEQUENCES;

/// One step.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FlowStep {
    Create { flow: Pick, text: Pick },
    Add { flow: Pick, execution: Pick },
    Stage { flow: Pick, edge: Pick, up: Pick, down: Pick, revision: Pick, data: Pick, now: Pick },
    SetPolicy { flow: Pick, down: Pick, policy: Pick },
    Apply { flow: Pick, edge: Pick, up: Pick, down: Pick, revision: Pick, data: Pick, now: Pick },
    Resolve { flow: Pick, edge: Pick, up: Pick, down: Pick, outcome: Pick, lane: Pick, attempt: Pick, now: Pick },
    Evaluate { execution: Pick },
    Cascade { flow: Pick, execution: Pick, outcome: Pick },
    WaitChildren { handle: Pick },
    Cancel { flow: Pick, policy: Pick, header: bool, now: Pick },
    Acknowledge { flow: Pick, execution: Pick },
    Siblings { flow: Pick, down: Pick, reconcile: bool },
    Tag { flow: Pick, text: Pick },
    Read { flow: Pick, edge: Pick, execution: Pick, what: Pick },
}

const OUTCOMES: [&str; 6] = ["success", "failed", "cancelled", "skipped", "expired", "none"];

/// The flow of a pick: each on the partition where the executions of the same pick live.
pub(super) fn flow(pick: Pick) -> FlowId {
    let config = PartitionConfig { num_flow_partitions: PARTITIONS, ..PartitionConfig::default() };
    OF_SEQUENCES.flow(u16::from(pick % 2), usize::from(pick % 4 / 2), &config)
}

/// The edge of a pick: 0 is the one that joins these two.
pub(super) fn edge(pick: Pick, up: Pick, down: Pick) -> EdgeId {
    OF_SEQUENCES.edge(match pick {
        0 => 16 + u128::from(up % 4) * 4 + u128::from(down % 4),
        pick => u128::from(pick % 6),
    })
}

fn data(pick: Pick) -> Option<String> {
    [None, None, Some("payload"), Some("")][usize::from(pick % 4)].map(str::to_owned)
}

fn partition(index: u16) -> Partition {
    Partition { family: PartitionFamily::Flow, index }
}

impl Memory {
    /// The call of a step.
    pub(super) fn flow_call(&mut self, step: &FlowStep, now: ServerTime) -> Call {
        match *step {
            FlowStep::Create { flow: of, text: with } => Call::CreateFlow {
                args: CreateFlowArgs {
                    flow_id: flow(of),
                    flow_kind: text(with),
                    namespace: Namespace::new("ns"),
                    now: now.to_wire(),
                },
            },
            FlowStep::Add { flow: to, execution: of } => Call::AddExecutionToFlow {
                args: AddExecutionToFlowArgs { flow_id: flow(to), execution_id: execution(of), now: now.to_wire() },
            },
            FlowStep::Stage { flow: of, edge: by, up, down, revision, data: with, now: at } => {
                Call::StageDependencyEdge {
                    args: StageDependencyEdgeArgs {
                        flow_id: flow(of),
                        edge_id: edge(by, up, down),
                        upstream_execution_id: execution(up),
                        downstream_execution_id: execution(down),
                        dependency_kind: "success_only".into(),
                        data_passing_ref: data(with),
                        expected_graph_revision: u64::from(revision),
                        now: caller_now(now, at),
                    },
                }
            }
            FlowStep::SetPolicy { flow: of, down, policy } => {
                let on_satisfied = if policy % 2 == 0 { OnSatisfied::CancelRemaining } else { OnSatisfied::LetRun };
                let policy = match policy % 6 {
                    0 | 1 => EdgeDependencyPolicy::AnyOf { on_satisfied },
                    2 | 3 => EdgeDependencyPolicy::Quorum { k: u32::from(policy % 4), on_satisfied },
                    4 => EdgeDependencyPolicy::AllOf,
                    _ => EdgeDependencyPolicy::Quorum { k: 0, on_satisfied },
                };
                Call::SetEdgeGroupPolicy { flow: flow(of), downstream: execution(down), policy }
            }
            FlowStep::Apply { flow: of, edge: by, up, down, revision, data: with, now: at } => {
                Call::ApplyDependencyToChild {
                    args: ApplyDependencyToChildArgs {
                        flow_id: flow(of),
                        edge_id: edge(by, up, down),
                        downstream_execution_id: execution(down),
                        upstream_execution_id: execution(up),
                        graph_revision: u64::from(revision),
                        dependency_kind: "success_only".into(),
                        data_passing_ref: data(with),
                        now: caller_now(now, at),
                    },
                }
            }
            FlowStep::Resolve { flow: of, edge: by, up, down, outcome, lane: on, attempt, now: at } => {
                let child = execution(down);
                Call::ResolveDependency {
                    args: ResolveDependencyArgs::new(
                        partition(child.partition()),
                        flow(of),
                        child,
                        execution(up),
                        edge(by, up, down),
                        lane(on),
                        AttemptIndex::new(u32::from(attempt % 3)),
                        one(&OUTCOMES, outcome).into(),
                        caller_now(now, at),
                    ),
                }
            }
            FlowStep::Evaluate { execution: of } => {
                Call::EvaluateFlowEligibility { args: EvaluateFlowEligibilityArgs { execution_id: execution(of) } }
            }
            FlowStep::Cascade { flow: of, execution: up, outcome } => {
                let mut payload = CompletionPayload::new(execution(up), one(&OUTCOMES, outcome), None, now.to_wire());
                payload.flow_id = (of % 8 < 7).then(|| flow(of));
                Call::CascadeCompletion { payload }
            }
            FlowStep::WaitChildren { handle } => Call::WaitChildren { handle: self.handle(handle) },
            FlowStep::Cancel { flow: of, policy, header, now: at } => match header {
                true => Call::CancelFlowHeader {
                    args: CancelFlowArgs {
                        flow_id: flow(of),
                        reason: text(policy),
                        cancellation_policy: one(&["cancel_all", "flow_only", "cancel_pending", "unknown"], policy)
                            .into(),
                        now: caller_now(now, at),
                    },
                },
                false => Call::CancelFlow {
                    flow: flow(of),
                    policy: match policy % 3 {
                        0 => CancelFlowPolicy::CancelAll,
                        1 => CancelFlowPolicy::FlowOnly,
                        _ => CancelFlowPolicy::CancelPending,
                    },
                    wait: CancelFlowWait::NoWait,
                },
            },
            FlowStep::Acknowledge { flow: of, execution: member } => {
                Call::AckCancelMember { flow: flow(of), member: execution(member) }
            }
            FlowStep::Siblings { flow: of, down, reconcile } => {
                let (of, downstream) = (flow(of), execution(down));
                let partition = partition(downstream.partition());
                match reconcile {
                    true => Call::ReconcileSiblingCancelGroup { partition, flow: of, downstream },
                    false => Call::DrainSiblingCancelGroup { partition, flow: of, downstream },
                }
            }
            FlowStep::Tag { flow: of, text: with } => {
                Call::SetFlowTag { flow: flow(of), key: one(&["a.b", "no", "A.b"], with).into(), value: text(with) }
            }
            FlowStep::Read { flow: of, edge: by, execution: node, what } => {
                let id = execution(node);
                match what % 9 {
                    0 => Call::DescribeFlow { flow: flow(of) },
                    1 => Call::ListEdges { flow: flow(of), direction: EdgeDirection::Outgoing { from_node: id } },
                    2 => Call::ListEdges { flow: flow(of), direction: EdgeDirection::Incoming { to_node: id } },
                    3 => Call::DescribeEdge { flow: flow(of), edge: edge(by, 0, node) },
                    4 => Call::ResolveExecutionFlowId { id },
                    5 => Call::GetFlowTag { flow: flow(of), key: "a.b".into() },
                    6 => Call::ProjectFlowSummary {
                        partition: partition(u16::from(of % 2) + u16::from(by % 8 == 7)),
                        flow: flow(of),
                        now: caller_now(now, by),
                    },
                    _ => Call::ListFlows {
                        partition: PartitionKey::from(&partition(u16::from(of) % PARTITIONS)),
                        cursor: (by % 3 == 2).then(|| flow(by)),
                        limit: usize::from(by % 3),
                    },
                }
            }
        }
    }
}
