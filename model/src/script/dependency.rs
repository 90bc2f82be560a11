//! `ff_apply_dependency_to_child`, `ff_resolve_dependency`, `ff_evaluate_flow_eligibility`: what an
//! execution waits for, and what the end of one upstream makes of it.

use ff_core::contracts::{EdgeDependencyPolicy, EdgeGroupState, OnSatisfied};
use ff_core::state::{
    AttemptLifecycle, AttemptState, EligibilityState, LifecyclePhase, OwnershipState, TerminalOutcome,
};

use super::{Answer, Refusal, find, vector};
use crate::deviation::Deviation;
use crate::intern::ExecutionNo;
use crate::message::{ApplyDependency, Done, ResolveDependency};
use crate::number::Score;
use crate::store::flow::insert;
use crate::store::{Core, Dependency, DependencyMeta, DependencyState, Detail, EdgeGroup, Flow, IndexKey, Store};
use crate::time::ServerTime;

/// The last field of an answer that has nothing to add.
const NOTHING: &str = "";

/// Records a dependency with the waiting execution and blocks it where it is runnable.
///
/// Neither flow nor edge need exist. Whatever parked a runnable execution before is forgotten, but only
/// the eligible index is left.
pub(super) fn apply_dependency_to_child(store: &mut Store, now: ServerTime, args: &ApplyDependency) -> Answer {
    let number = args.downstream;
    let found = store.visit(number, now).ok_or(Refusal::ExecutionNotFound)?;
    if found.core.flow.as_ref().is_some_and(|flow| *flow != args.flow.flow) {
        return Err(Refusal::ExecutionAlreadyInFlow);
    }
    if found.dependencies.of(&args.edge).is_some() {
        return Ok(Done::Ok("already_applied"));
    }
    let is_runnable = found.core.vector.lifecycle_phase == LifecyclePhase::Runnable
        && found.core.vector.terminal_outcome == TerminalOutcome::None;
    let created_at = found.core.created_at;
    let unresolved = store.write_dependencies(number, |dependencies| {
        dependencies.applied.push(Dependency {
            edge: args.edge.clone(),
            flow: args.flow.flow.clone(),
            upstream: args.upstream,
            kind: args.kind.clone(),
            state: DependencyState::Unsatisfied,
            data_passing_ref: args.data_passing_ref.clone(),
            last_resolved_at: None,
        });
        insert(&mut dependencies.unresolved, args.edge.clone());
        let earlier = dependencies.meta.take();
        let unsatisfied = earlier.as_ref().map_or(0, |meta| meta.unsatisfied) + 1;
        dependencies.meta = Some(DependencyMeta {
            flow: args.flow.flow.clone(),
            unsatisfied,
            impossible: earlier.and_then(|meta| meta.impossible),
            graph_revision: args.graph_revision,
            updated_at: args.now,
        });
        unsatisfied
    });
    let groups = &mut store.flow_mut(args.flow.partition, &args.flow.flow).groups;
    groups.entry(number).and_modify(|group| group.n += 1).or_insert_with(EdgeGroup::implied);
    if is_runnable {
        store.edit(number, |core| {
            core.vector = vector::waiting_children(core.vector.attempt_state);
            core.detail = Detail::Dependencies { unresolved, edge: args.edge.0 };
            core.last_transition_at = args.now;
            core.last_mutation_at = args.now;
        });
        store.remove(number, IndexKey::Eligible(args.lane));
        store.add(number, IndexKey::BlockedDependencies(args.lane), Score::at_ms(created_at.ms()));
    }
    Ok(Done::Count("applied", unresolved))
}

/// Ends one dependency with what its upstream came to; unblocks or skips the waiting execution where
/// its group's policy says so.
///
/// Where all are required, the last success unblocks and the first other end skips.
pub(super) fn resolve_dependency(store: &mut Store, now: ServerTime, args: &ResolveDependency) -> Answer {
    let number = args.child.execution;
    let found = find(store, now, args.child).and_then(|found| found.dependencies.of(&args.edge));
    let dependency = found.ok_or(Refusal::InvalidDependency)?;
    if dependency.state != DependencyState::Unsatisfied {
        return Ok(Done::Resolved("already_resolved", NOTHING));
    }
    let passes_data = !dependency.data_passing_ref.is_empty();
    let group = store.flow(args.flow.partition, &args.flow.flow).and_then(|flow| flow.groups.get(&number));
    if let Some(group) = group
        && !matches!(group.policy, EdgeDependencyPolicy::AllOf)
    {
        return resolve_dependency_quorum(store, args, passes_data);
    }
    let deviations = store.deviations();
    let success = args.outcome == "success" && !deviations.has(Deviation::BugResolveSkipsOnSuccess);
    let state = if success { DependencyState::Satisfied } else { DependencyState::Impossible };
    let remaining = store.write_dependencies(number, |dependencies| {
        dependencies.resolve(&args.edge, state, args.now);
        dependencies.meta.as_mut().map_or(0, |meta| {
            meta.unsatisfied -= 1;
            if !success {
                meta.impossible = Some(meta.impossible.unwrap_or(0) + 1);
            }
            meta.updated_at = args.now;
            meta.unsatisfied
        })
    });
    if let Some(group) = group_mut(store, args) {
        if success {
            group.succeeded += 1;
            if remaining == 0 {
                group.state = EdgeGroupState::Satisfied;
            }
        } else {
            count(&mut group.failed);
            group.state = EdgeGroupState::Impossible;
        }
    }
    if !success {
        return Ok(Done::Resolved("impossible", skip(store, args)));
    }
    let injected = if passes_data { inject(store, args) } else { NOTHING };
    let releases = remaining == 0 && !deviations.has(Deviation::BugResolveForgetsRelease);
    if releases || deviations.has(Deviation::BugResolveAny) {
        unblock(store, args);
    }
    Ok(Done::Resolved("satisfied", injected))
}

/// `resolve_dependency_quorum`: the group counts, and its first verdict is its last.
///
/// Neither `deps:meta` nor a replay counts with it: the dependencies of a replayed execution can
/// exceed the group's size, which is refused after they were written, or find the verdict given.
fn resolve_dependency_quorum(store: &mut Store, args: &ResolveDependency, passes_data: bool) -> Answer {
    let number = args.child.execution;
    let success = args.outcome == "success";
    let state = if success { DependencyState::Satisfied } else { DependencyState::Impossible };
    store.write_dependencies(number, |dependencies| dependencies.resolve(&args.edge, state, args.now));
    let Some(group) = group_mut(store, args) else { return Err(Refusal::InvalidDependency) };
    match args.outcome.as_str() {
        "success" => group.succeeded += 1,
        "skipped" => count(&mut group.skipped),
        _ => count(&mut group.failed),
    }
    let lost = group.failed.unwrap_or(0) + group.skipped.unwrap_or(0);
    let ended = group.succeeded + lost;
    if ended > group.n {
        return Err(Refusal::InvariantViolation(format!("edgegroup counters exceed n: {ended}/{}", group.n)));
    }
    if group.state != EdgeGroupState::Pending {
        return Ok(Done::Resolved("already_fired", NOTHING));
    }
    let (needed, on_satisfied) = match &group.policy {
        EdgeDependencyPolicy::Quorum { k, on_satisfied } => ((*k).max(1), Some(on_satisfied)),
        EdgeDependencyPolicy::AnyOf { on_satisfied } => (1, Some(on_satisfied)),
        _ => (1, None),
    };
    let cancels = on_satisfied.is_some_and(|on_satisfied| *on_satisfied == OnSatisfied::CancelRemaining);
    let satisfied = group.succeeded >= needed;
    if !satisfied && i64::from(lost) <= i64::from(group.n) - i64::from(needed) {
        return Ok(Done::Resolved("pending", NOTHING));
    }
    if satisfied {
        group.state = EdgeGroupState::Satisfied;
        group.satisfied_at = Some(args.now);
    } else {
        group.state = EdgeGroupState::Impossible;
    }
    if cancels {
        flag_siblings(store, args, satisfied);
    }
    if !satisfied {
        return Ok(Done::Resolved("impossible", skip(store, args)));
    }
    let injected = if passes_data && success { inject(store, args) } else { NOTHING };
    unblock(store, args);
    Ok(Done::Resolved("satisfied", injected))
}

/// Lists the upstreams that have not ended, once for each edge, and leaves the group to be drained.
fn flag_siblings(store: &mut Store, args: &ResolveDependency, satisfied: bool) {
    let (partition, number) = (args.flow.partition, args.child.execution);
    let runs = |store: &Store, upstream: ExecutionNo| {
        let found = store.execution(upstream).filter(|found| found.partition == partition);
        found.is_some_and(|found| found.core.vector.lifecycle_phase != LifecyclePhase::Terminal)
    };
    let upstreams = |flow: &Flow| -> Vec<ExecutionNo> {
        flow.incoming(number).iter().filter_map(|id| flow.edge(id)).map(|edge| edge.upstream).collect()
    };
    let siblings = store.flow(partition, &args.flow.flow).map_or_else(Vec::new, upstreams);
    let running = siblings.into_iter().filter(|upstream| runs(store, *upstream)).collect();
    if let Some(group) = group_mut(store, args) {
        group.cancel_reason = Some(if satisfied { "sibling_quorum_satisfied" } else { "sibling_quorum_impossible" });
        group.cancel_pending = Some(running);
    }
    insert(&mut store.flow_indexes_mut(partition).pending_cancel_groups, (args.flow.flow.clone(), number));
}

fn group_mut<'a>(store: &'a mut Store, args: &ResolveDependency) -> Option<&'a mut EdgeGroup> {
    let (partition, flow) = (args.flow.partition, &args.flow.flow);
    store.flow(partition, flow)?;
    store.flow_mut(partition, flow).groups.get_mut(&args.child.execution)
}

/// `HINCRBY … 1` on a field that may be absent.
fn count(field: &mut Option<u32>) {
    *field = Some(field.unwrap_or(0) + 1);
}

/// Replaces the waiting execution's payload by the upstream's result, if it has one; not once it has ended.
fn inject(store: &mut Store, args: &ResolveDependency) -> &'static str {
    let waits = |core: &Core| core.vector.terminal_outcome == TerminalOutcome::None;
    let open = store.execution(args.child.execution).is_some_and(|found| waits(&found.core));
    if open && store.inject_payload(args.upstream, args.child.partition, args.child.execution) {
        "data_injected"
    } else {
        NOTHING
    }
}

/// Makes an execution eligible that waits for dependencies and nothing else.
fn unblock(store: &mut Store, args: &ResolveDependency) {
    let number = args.child.execution;
    let Some(found) = store.execution(number) else { return };
    let state = &found.core.vector;
    let waits = state.lifecycle_phase == LifecyclePhase::Runnable
        && state.ownership_state == OwnershipState::Unowned
        && state.terminal_outcome == TerminalOutcome::None
        && state.eligibility_state == EligibilityState::BlockedByDependencies;
    if !waits {
        return;
    }
    let score = found.core.eligible_score();
    store.edit(number, |core| {
        core.vector = vector::eligible(match core.vector.attempt_state {
            AttemptState::None => AttemptState::PendingFirstAttempt,
            kept => kept,
        });
        core.detail = Detail::None;
        core.last_transition_at = args.now;
        core.last_mutation_at = args.now;
    });
    store.remove(number, IndexKey::BlockedDependencies(args.lane));
    store.add(number, IndexKey::Eligible(args.lane), score);
}

/// Ends an execution as skipped, in whatever phase it is.
///
/// A lease, a suspension and every index but the blocked one stay as they are; the times are the caller's.
fn skip(store: &mut Store, args: &ResolveDependency) -> &'static str {
    let number = args.child.execution;
    let Some(found) = store.execution(number) else { return NOTHING };
    if found.core.vector.terminal_outcome != TerminalOutcome::None {
        return NOTHING;
    }
    let begun =
        matches!(found.core.vector.attempt_state, AttemptState::RunningAttempt | AttemptState::AttemptInterrupted);
    let at = ServerTime::trusting_caller(args.now);
    if begun {
        store.write_attempt(number, args.attempt_index, |attempt| {
            attempt.state = AttemptLifecycle::EndedCancelled;
            attempt.ended_at = Some(at);
            attempt.failure_reason = Some("dependency_impossible".into());
        });
    }
    store.edit(number, |core| {
        let attempt_state = if begun { AttemptState::AttemptTerminal } else { AttemptState::None };
        core.vector = vector::terminal(TerminalOutcome::Skipped, attempt_state);
        core.detail = Detail::None;
        core.completed_at = Some(at);
        core.last_transition_at = args.now;
        core.last_mutation_at = args.now;
    });
    store.remove(number, IndexKey::BlockedDependencies(args.lane));
    store.add(number, IndexKey::Terminal(args.lane), Score::at_ms(args.now.0));
    store.publish(number, "skipped");
    "child_skipped"
}

/// Says where an execution stands with its dependencies; `eligible` whatever else parked it.
pub(super) fn evaluate_flow_eligibility(store: &mut Store, now: ServerTime, number: ExecutionNo) -> Answer {
    let Some(found) = store.visit(number, now) else {
        return Ok(Done::Ok("not_found"));
    };
    let state = &found.core.vector;
    let meta = found.dependencies.meta.as_ref();
    Ok(Done::Ok(if state.lifecycle_phase != LifecyclePhase::Runnable {
        "not_runnable"
    } else if state.ownership_state != OwnershipState::Unowned {
        "owned"
    } else if state.terminal_outcome != TerminalOutcome::None {
        "terminal"
    } else if meta.is_some_and(|meta| meta.impossible.unwrap_or(0) > 0) {
        "impossible"
    } else if meta.is_some_and(|meta| meta.unsatisfied > 0) {
        "blocked_by_dependencies"
    } else {
        "eligible"
    }))
}
