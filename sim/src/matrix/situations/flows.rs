//! Situations of flows: members and edges are added, and the end of one member changes the next.

use ff_core::backend::{CancelFlowPolicy, CancelFlowWait, CompletionPayload};
use ff_core::contracts::{
    AddExecutionToFlowArgs, ApplyDependencyToChildArgs, CancelFlowArgs, CreateFlowArgs, EdgeDependencyPolicy,
    EdgeDirection, EvaluateFlowEligibilityArgs, OnSatisfied, ResolveDependencyArgs, StageDependencyEdgeArgs,
};
use ff_core::types::{AttemptIndex, EdgeId, ExecutionId, FlowId, Namespace};

use super::super::scene::{LONG_MS, Probe, Scene, Stop, complete, lane, partition, partition_key};
use super::{Family, at, of};
use crate::call::Call;

/// A flow with two members, of which the second waits for the first.
struct Pair {
    flow: FlowId,
    edge: EdgeId,
    up: ExecutionId,
    down: ExecutionId,
}

fn define(s: &mut Scene<'_>, flow: &FlowId) -> Probe {
    let args = CreateFlowArgs {
        flow_id: flow.clone(),
        flow_kind: "kind".into(),
        namespace: Namespace::new("ns"),
        now: s.now()?,
    };
    Ok(Call::CreateFlow { args })
}

fn flow(s: &mut Scene<'_>) -> Result<FlowId, Stop> {
    let flow = FlowId::from_uuid(s.uuid());
    let call = define(s, &flow)?;
    s.right(call)?;
    Ok(flow)
}

fn add(s: &mut Scene<'_>, flow: &FlowId, id: ExecutionId) -> Probe {
    let args = AddExecutionToFlowArgs { flow_id: flow.clone(), execution_id: id, now: s.now()? };
    Ok(Call::AddExecutionToFlow { args })
}

fn member(s: &mut Scene<'_>, flow: &FlowId) -> Result<ExecutionId, Stop> {
    let id = s.created()?;
    let call = add(s, flow, id.clone())?;
    s.right(call)?;
    Ok(id)
}

/// Two members without an edge; adding them made the graph's revision 2.
fn strangers(s: &mut Scene<'_>) -> Result<Pair, Stop> {
    let flow = flow(s)?;
    let (up, down) = (member(s, &flow)?, member(s, &flow)?);
    Ok(Pair { flow, edge: EdgeId::from_uuid(s.uuid()), up, down })
}

fn stage(s: &mut Scene<'_>, pair: &Pair, revision: u64) -> Probe {
    let args = StageDependencyEdgeArgs {
        flow_id: pair.flow.clone(),
        edge_id: pair.edge.clone(),
        upstream_execution_id: pair.up.clone(),
        downstream_execution_id: pair.down.clone(),
        dependency_kind: "success_only".into(),
        data_passing_ref: None,
        expected_graph_revision: revision,
        now: s.now()?,
    };
    Ok(Call::StageDependencyEdge { args })
}

fn staged(s: &mut Scene<'_>) -> Result<Pair, Stop> {
    let pair = strangers(s)?;
    let call = stage(s, &pair, 2)?;
    s.right(call)?;
    Ok(pair)
}

fn apply(s: &mut Scene<'_>, pair: &Pair) -> Probe {
    let args = ApplyDependencyToChildArgs {
        flow_id: pair.flow.clone(),
        edge_id: pair.edge.clone(),
        downstream_execution_id: pair.down.clone(),
        upstream_execution_id: pair.up.clone(),
        graph_revision: 3,
        dependency_kind: "success_only".into(),
        data_passing_ref: None,
        now: s.now()?,
    };
    Ok(Call::ApplyDependencyToChild { args })
}

fn linked(s: &mut Scene<'_>) -> Result<Pair, Stop> {
    let pair = staged(s)?;
    let call = apply(s, &pair)?;
    s.right(call)?;
    Ok(pair)
}

/// Linked, and the first member is completed.
fn half_done(s: &mut Scene<'_>) -> Result<Pair, Stop> {
    let pair = linked(s)?;
    let held = s.claim(&pair.up, LONG_MS)?;
    s.right(complete(&held))?;
    Ok(pair)
}

fn resolve(s: &mut Scene<'_>, pair: &Pair, outcome: &str) -> Probe {
    let now = s.now()?;
    let args = ResolveDependencyArgs::new(
        partition(),
        pair.flow.clone(),
        pair.down.clone(),
        pair.up.clone(),
        pair.edge.clone(),
        lane(),
        AttemptIndex::new(0),
        outcome.into(),
        now,
    );
    Ok(Call::ResolveDependency { args })
}

fn cascade(s: &mut Scene<'_>, pair: &Pair) -> Probe {
    let now = s.now()?;
    let payload = CompletionPayload::new(pair.up.clone(), "success", None, now).with_flow_id(pair.flow.clone());
    Ok(Call::CascadeCompletion { payload })
}

fn end(flow: FlowId, policy: CancelFlowPolicy) -> Call {
    Call::CancelFlow { flow, policy, wait: CancelFlowWait::NoWait }
}

fn end_header(s: &mut Scene<'_>, flow: FlowId) -> Probe {
    let args = CancelFlowArgs {
        flow_id: flow,
        reason: "reason".into(),
        cancellation_policy: "cancel_all".into(),
        now: s.now()?,
    };
    Ok(Call::CancelFlowHeader { args })
}

fn eligibility(execution_id: ExecutionId) -> Call {
    Call::EvaluateFlowEligibility { args: EvaluateFlowEligibilityArgs { execution_id } }
}

fn no_flow(s: &mut Scene<'_>) -> FlowId {
    FlowId::from_uuid(s.uuid())
}

pub(super) const FAMILIES: &[Family] = &[
    of(
        "create_flow",
        &[
            at("new", |s| {
                let flow = no_flow(s);
                define(s, &flow)
            }),
            at("repeated", |s| {
                let flow = flow(s)?;
                define(s, &flow)
            }),
        ],
    ),
    of(
        "add_execution_to_flow",
        &[
            at("new member", |s| {
                let (flow, id) = (flow(s)?, s.created()?);
                add(s, &flow, id)
            }),
            at("repeated", |s| {
                let flow = flow(s)?;
                let id = member(s, &flow)?;
                add(s, &flow, id)
            }),
            at("member of another flow", |s| {
                let (one, two) = (flow(s)?, flow(s)?);
                let id = member(s, &one)?;
                add(s, &two, id)
            }),
            at("cancelled flow", |s| {
                let (flow, id) = (flow(s)?, s.created()?);
                s.right(end(flow.clone(), CancelFlowPolicy::CancelAll))?;
                add(s, &flow, id)
            }),
            at("no such flow", |s| {
                let (flow, id) = (no_flow(s), s.created()?);
                add(s, &flow, id)
            }),
            at("no such execution", |s| {
                let (flow, id) = (flow(s)?, s.nobody());
                add(s, &flow, id)
            }),
        ],
    ),
    of(
        "stage_dependency_edge",
        &[
            at("current revision", |s| {
                let pair = strangers(s)?;
                stage(s, &pair, 2)
            }),
            at("older revision", |s| {
                let pair = strangers(s)?;
                stage(s, &pair, 1)
            }),
            at("repeated", |s| {
                let pair = staged(s)?;
                stage(s, &pair, 3)
            }),
            at("to itself", |s| {
                let pair = strangers(s)?;
                let pair = Pair { down: pair.up.clone(), ..pair };
                stage(s, &pair, 2)
            }),
            at("back again", |s| {
                let pair = staged(s)?;
                let back = Pair { up: pair.down, down: pair.up, edge: EdgeId::from_uuid(s.uuid()), ..pair };
                stage(s, &back, 3)
            }),
            at("from outside the flow", |s| {
                let pair = strangers(s)?;
                let pair = Pair { up: s.created()?, ..pair };
                stage(s, &pair, 2)
            }),
            at("no such flow", |s| {
                let pair = strangers(s)?;
                let pair = Pair { flow: no_flow(s), ..pair };
                stage(s, &pair, 0)
            }),
        ],
    ),
    of(
        "apply_dependency_to_child",
        &[
            at("staged", |s| {
                let pair = staged(s)?;
                apply(s, &pair)
            }),
            at("repeated", |s| {
                let pair = linked(s)?;
                apply(s, &pair)
            }),
            at("never staged", |s| {
                let pair = strangers(s)?;
                apply(s, &pair)
            }),
        ],
    ),
    of(
        "resolve_dependency",
        &[
            at("success", |s| {
                let pair = half_done(s)?;
                resolve(s, &pair, "success")
            }),
            at("failure", |s| {
                let pair = linked(s)?;
                resolve(s, &pair, "failed")
            }),
            at("repeated", |s| {
                let pair = half_done(s)?;
                let call = resolve(s, &pair, "success")?;
                s.right(call)?;
                resolve(s, &pair, "success")
            }),
            at("never applied", |s| {
                let pair = staged(s)?;
                resolve(s, &pair, "success")
            }),
        ],
    ),
    of(
        "evaluate_flow_eligibility",
        &[
            at("no dependencies", |s| s.created().map(eligibility)),
            at("dependency open", |s| Ok(eligibility(linked(s)?.down))),
            at("dependency resolved", |s| {
                let pair = half_done(s)?;
                let call = resolve(s, &pair, "success")?;
                s.right(call)?;
                Ok(eligibility(pair.down))
            }),
            at("claimed", |s| Ok(eligibility(s.claimed()?.id))),
            at("no such execution", |s| Ok(eligibility(s.nobody()))),
        ],
    ),
    of(
        "cascade_completion",
        &[
            at("one waits", |s| {
                let pair = half_done(s)?;
                cascade(s, &pair)
            }),
            at("none waits", |s| {
                let pair = strangers(s)?;
                cascade(s, &pair)
            }),
        ],
    ),
    of(
        "set_edge_group_policy",
        &[
            at("any of them", |s| {
                let pair = strangers(s)?;
                let policy = EdgeDependencyPolicy::AnyOf { on_satisfied: OnSatisfied::CancelRemaining };
                Ok(Call::SetEdgeGroupPolicy { flow: pair.flow, downstream: pair.down, policy })
            }),
            at("after an edge was staged", |s| {
                let pair = linked(s)?;
                let policy = EdgeDependencyPolicy::AnyOf { on_satisfied: OnSatisfied::CancelRemaining };
                Ok(Call::SetEdgeGroupPolicy { flow: pair.flow, downstream: pair.down, policy })
            }),
            at("a quorum of none", |s| {
                let pair = strangers(s)?;
                let policy = EdgeDependencyPolicy::Quorum { k: 0, on_satisfied: OnSatisfied::LetRun };
                Ok(Call::SetEdgeGroupPolicy { flow: pair.flow, downstream: pair.down, policy })
            }),
        ],
    ),
    of(
        "cancel_flow",
        &[
            at("all members", |s| Ok(end(linked(s)?.flow, CancelFlowPolicy::CancelAll))),
            at("the flow only", |s| Ok(end(linked(s)?.flow, CancelFlowPolicy::FlowOnly))),
            at("repeated", |s| {
                let flow = linked(s)?.flow;
                s.right(end(flow.clone(), CancelFlowPolicy::CancelAll))?;
                Ok(end(flow, CancelFlowPolicy::CancelAll))
            }),
            at("no such flow", |s| Ok(end(no_flow(s), CancelFlowPolicy::CancelAll))),
        ],
    ),
    of(
        "cancel_flow_header",
        &[
            at("two members", |s| {
                let flow = linked(s)?.flow;
                end_header(s, flow)
            }),
            at("repeated", |s| {
                let flow = linked(s)?.flow;
                let call = end_header(s, flow.clone())?;
                s.right(call)?;
                end_header(s, flow)
            }),
            at("no such flow", |s| {
                let flow = no_flow(s);
                end_header(s, flow)
            }),
        ],
    ),
    of(
        "ack_cancel_member",
        &[
            at("of a cancelled flow", |s| {
                let pair = linked(s)?;
                let call = end_header(s, pair.flow.clone())?;
                s.right(call)?;
                Ok(Call::AckCancelMember { flow: pair.flow, member: pair.down })
            }),
            at("of a flow that lives", |s| {
                let pair = linked(s)?;
                Ok(Call::AckCancelMember { flow: pair.flow, member: pair.down })
            }),
        ],
    ),
    of(
        "describe_flow",
        &[
            at("two members, one edge", |s| Ok(Call::DescribeFlow { flow: linked(s)?.flow })),
            at("cancelled", |s| {
                let flow = linked(s)?.flow;
                s.right(end(flow.clone(), CancelFlowPolicy::CancelAll))?;
                Ok(Call::DescribeFlow { flow })
            }),
            at("no such flow", |s| Ok(Call::DescribeFlow { flow: no_flow(s) })),
        ],
    ),
    of(
        "describe_edge",
        &[
            at("staged", |s| {
                let pair = staged(s)?;
                Ok(Call::DescribeEdge { flow: pair.flow, edge: pair.edge })
            }),
            at("no such edge", |s| {
                let pair = strangers(s)?;
                Ok(Call::DescribeEdge { flow: pair.flow, edge: pair.edge })
            }),
        ],
    ),
    of(
        "list_edges",
        &[
            at("of its upstream", |s| {
                let pair = staged(s)?;
                Ok(Call::ListEdges { flow: pair.flow, direction: EdgeDirection::Outgoing { from_node: pair.up } })
            }),
            at("of nobody", |s| {
                let pair = strangers(s)?;
                Ok(Call::ListEdges { flow: pair.flow, direction: EdgeDirection::Incoming { to_node: pair.down } })
            }),
        ],
    ),
    of(
        "list_flows",
        &[at("one is there", |s| {
            flow(s)?;
            Ok(Call::ListFlows { partition: partition_key(), cursor: None, limit: 10 })
        })],
    ),
    of(
        "resolve_execution_flow_id",
        &[
            at("member", |s| Ok(Call::ResolveExecutionFlowId { id: strangers(s)?.up })),
            at("alone", |s| Ok(Call::ResolveExecutionFlowId { id: s.created()? })),
            at("no such execution", |s| Ok(Call::ResolveExecutionFlowId { id: s.nobody() })),
        ],
    ),
    of(
        "set_flow_tag",
        &[
            at("known", |s| Ok(Call::SetFlowTag { flow: flow(s)?, key: "a.b".into(), value: "1".into() })),
            at("no such flow", |s| Ok(Call::SetFlowTag { flow: no_flow(s), key: "a.b".into(), value: "1".into() })),
        ],
    ),
    of(
        "get_flow_tag",
        &[at("set", |s| {
            let flow = flow(s)?;
            s.right(Call::SetFlowTag { flow: flow.clone(), key: "a.b".into(), value: "1".into() })?;
            Ok(Call::GetFlowTag { flow, key: "a.b".into() })
        })],
    ),
];
