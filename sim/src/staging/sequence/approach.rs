//! The way to a state: by right calls only, one at a time, decided by what the model holds now.
//!
//! Random steps alone rarely get an execution claimed, suspended and resumed; these take it there, and
//! every one of their calls is compared too.

use claimlab_model::intern::Interner;
use claimlab_model::store::{Execution, Store};
use claimlab_model::time::ServerTime;
use ff_core::state::{AttemptState, EligibilityState, LifecyclePhase, OwnershipState};

use super::flow::{FlowStep, edge as edge_id, flow as flow_id};
use super::step::{Goal, Pick, Step, Who};

/// More calls than any way needs.
pub const LONGEST: usize = 8;

const ME: Who = Who { worker: 0, instance: 0 };

/// The next step towards a goal; none when it is reached, or no right call leads on.
pub fn next(store: &Store, found: Option<&Execution>, now: ServerTime, execution: Pick, goal: Goal) -> Option<Step> {
    let Some(found) = found else {
        return Some(Step::Create {
            execution,
            lane: 0,
            priority: 0,
            key: 0,
            delay: 0,
            deadline: 0,
            policy: if goal == Goal::Retried { 5 } else { 0 },
            text: 0,
        });
    };
    let vector = &found.core.vector;
    let reached = match goal {
        Goal::Granted => found.grant.as_ref().is_some_and(|grant| grant.expires_at >= now),
        Goal::Running => vector.ownership_state == OwnershipState::Leased && !is_past(found, now),
        Goal::Suspended | Goal::Timed => vector.lifecycle_phase == LifecyclePhase::Suspended,
        Goal::Interrupted => {
            vector.lifecycle_phase == LifecyclePhase::Runnable
                && vector.attempt_state == AttemptState::AttemptInterrupted
        }
        Goal::Expired => vector.ownership_state == OwnershipState::LeaseExpiredReclaimable,
        Goal::Retried => vector.attempt_state == AttemptState::PendingRetryAttempt,
        Goal::Terminal => vector.lifecycle_phase == LifecyclePhase::Terminal,
    };
    if reached {
        return None;
    }
    match vector.lifecycle_phase {
        LifecyclePhase::Terminal => Some(Step::Replay { execution }),
        LifecyclePhase::Suspended => {
            // The latest waitpoint is the one that the latest suspension opened.
            let open = store
                .waitpoints_of(found)
                .any(|waitpoint| waitpoint.condition.as_ref().is_some_and(|condition| !condition.closed));
            open.then_some(Step::Signal { waitpoint: 0, execution: 0, name: 0, token: 0, key: 0, delay: 0, cap: 0 })
        }
        LifecyclePhase::Runnable => runnable(found, now, execution),
        LifecyclePhase::Active => active(found, now, execution, goal),
        LifecyclePhase::Submitted => None,
    }
}

fn is_past(found: &Execution, now: ServerTime) -> bool {
    found.core.lease_expires_at.is_none_or(|expires| expires <= now)
}

fn runnable(found: &Execution, now: ServerTime, execution: Pick) -> Option<Step> {
    let reason = match found.core.vector.eligibility_state {
        EligibilityState::EligibleNow => {
            if found.grant.as_ref().is_none_or(|grant| grant.expires_at < now) {
                return Some(Step::Grant { execution, lane: 0, who: ME, capabilities: 3, ttl: 0, partition: 0 });
            }
            let attempt = found.core.current_attempt_index.map_or(0, |index| u8::try_from(index.0).unwrap_or(0));
            return Some(match found.core.vector.attempt_state {
                AttemptState::AttemptInterrupted => {
                    Step::ClaimResumed { execution, lane: 0, who: ME, ttl: 0, attempt, remaining: 0 }
                }
                _ => Step::Claim { execution, lane: 0, who: ME, ttl: 0, timeout: 0, deadline: 0 },
            });
        }
        EligibilityState::NotEligibleUntilTime => {
            // By a clock that is past every delay that a sequence asks for.
            return Some(Step::Promote { execution, lane: 0, now: 15, partition: 0 });
        }
        EligibilityState::BlockedByBudget => 1,
        EligibilityState::BlockedByQuota => 2,
        EligibilityState::BlockedByRoute => 0,
        EligibilityState::BlockedByOperator => 3,
        _ => return None,
    };
    Some(Step::Unblock { execution, lane: 0, reason, now: 0 })
}

fn active(found: &Execution, now: ServerTime, execution: Pick, goal: Goal) -> Option<Step> {
    let past = is_past(found, now);
    let expired = found.core.vector.ownership_state != OwnershipState::Leased;
    let attempt = found.core.current_attempt_index.map_or(0, |index| u8::try_from(index.0).unwrap_or(0));
    if expired {
        let granted = found.grant.as_ref().is_some_and(|grant| grant.expires_at >= now);
        return Some(match granted {
            true => Step::Reclaim { execution, lane: 0, who: ME, ttl: 0, cap: 0, old: ME, attempt },
            false => Step::GrantReclaim { execution, lane: 0, who: ME, capabilities: 3, ttl: 0 },
        });
    }
    if past {
        return Some(Step::Mark { execution, partition: 0 });
    }
    Some(match goal {
        Goal::Suspended | Goal::Interrupted => {
            Step::Suspend { handle: 0, condition: 0, reason: 0, timeout: 0, behavior: 0, key: 0 }
        }
        // What the timeout does differs from one millisecond to the next.
        Goal::Timed => Step::Suspend {
            handle: 0,
            condition: 0,
            reason: 0,
            timeout: 2,
            behavior: u8::try_from(now.ms().rem_euclid(5)).unwrap_or(0),
            key: 0,
        },
        // The lease's end comes with time.
        Goal::Expired => Step::Wait { ms: 1_000 },
        Goal::Retried => Step::Fail { handle: 0, text: 0, class: 0 },
        _ => Step::Complete { handle: 0, payload: 1 },
    })
}

/// The next step towards an applied dependency; none when it is applied, or no right call leads on.
pub fn link(store: &Store, ids: &Interner, flow: Pick, up: Pick, down: Pick) -> Option<Step> {
    for execution in [up, down] {
        if found(store, ids, execution).is_none() {
            return Some(Step::Create {
                execution,
                lane: 0,
                priority: 0,
                key: 0,
                delay: 0,
                deadline: 0,
                policy: 0,
                text: 0,
            });
        }
    }
    let id = flow_id(flow);
    let held = store.flows().find(|held| held.id == id && held.core.is_some());
    let Some((held, core)) = held.and_then(|held| Some((held, held.core.as_ref()?))) else {
        return Some(Step::Flow(FlowStep::Create { flow, text: 0 }));
    };
    for execution in [up, down] {
        if !found(store, ids, execution).is_some_and(|found| held.members.contains(&found.number)) {
            return Some(Step::Flow(FlowStep::Add { flow, execution }));
        }
    }
    let edge = edge_id(0, up, down);
    if held.edge(&edge).is_none() {
        let revision = u8::try_from(core.graph_revision).ok()?;
        return Some(Step::Flow(FlowStep::Stage { flow, edge: 0, up, down, revision, data: 0, now: 0 }));
    }
    let applied = found(store, ids, down)?.dependencies.of(&edge).is_some();
    (!applied).then_some(Step::Flow(FlowStep::Apply { flow, edge: 0, up, down, revision: 0, data: 0, now: 0 }))
}

fn found<'a>(store: &'a Store, ids: &Interner, execution: Pick) -> Option<&'a Execution> {
    let id = super::value::execution(execution);
    store.executions().find(|found| **ids.execution_name(found.number) == *id.as_str())
}
