//! What work waits for, read from the store: what is due and has not been moved, and what has not ended.
//!
//! Meant for a world whose faults have stopped and whose clocks are honest, with scanners, workers
//! and a reclaimer running. Server times only.

use ff_core::state::{BlockingReason, EligibilityState, LifecyclePhase, OwnershipState};

use crate::intern::{ExecutionNo, LaneNo};
use crate::spelling::word;
use crate::store::{Execution, Flow, FlowSummary, IndexKey, SUMMARY_SAMPLE, Store};
use crate::time::ServerTime;

/// What a non-terminal execution waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who or what has to move it next.
    pub waits_for: String,
    /// Why nobody can, as a case of L10; none where somebody can.
    pub lost: Option<&'static str>,
}

/// The step that due work waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueStep {
    /// A lease past its expiry waits to be marked.
    Marking,
    /// An execution whose lease was marked expired waits to be reclaimed.
    ReclaimOfExpired,
    /// An execution whose lease was revoked waits to be reclaimed.
    ReclaimOfRevoked,
    /// A delay that has passed waits to be taken off.
    Promotion,
    /// A suspension past its timeout waits for what its behaviour says.
    SuspensionTimeout,
    /// An attempt past its timeout waits to be ended.
    AttemptTimeout,
    /// An execution past its deadline waits to be ended.
    Deadline,
    /// Work that waits for dependencies, all of which have ended, waits to be released or skipped.
    Resolution,
    /// Work that waits for a capable worker, of which there is one now, waits to be unblocked.
    UnblockOfRoute,
    /// Work that waits for a budget that has room again waits to be unblocked.
    UnblockOfBudget,
    /// Work that waits for a quota that has room again waits to be unblocked.
    UnblockOfQuota,
    /// A flow, by the first of its members, whose summary says something else than its members do.
    Projection,
}

/// Work that is due and has not been moved yet. That alone breaks nothing: who watches has to tell how many passes
/// of those who should have moved it have gone by it since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overdue {
    /// The execution.
    pub execution: ExecutionNo,
    /// What it waits for.
    pub due: DueStep,
    /// When that became due, in milliseconds of the server's clock.
    pub since_ms: i64,
}

/// Leases past their expiry, marked leases, delays and timeouts that have passed, and blocked work whose cause has gone,
/// read from the indexes.
pub fn overdue(store: &Store, partitions: u16, lanes: &[LaneNo], now: ServerTime) -> Vec<Overdue> {
    let mut found = Vec::new();
    let mut add = |due, execution, since_ms| found.push(Overdue { execution, due, since_ms });
    for partition in 0..partitions {
        let due = store.range(partition, IndexKey::LeaseExpiry).take_while(|(score, _)| score.is_due(now.ms()));
        for (score, number) in due {
            let Some(execution) = store.execution(number) else { continue };
            let core = &execution.core;
            if core.vector.ownership_state == OwnershipState::Leased {
                add(DueStep::Marking, number, score.whole());
            } else if let Some(at) = core.lease_expired_at {
                add(DueStep::ReclaimOfExpired, number, at.ms());
            }
        }
        let timed = [
            (IndexKey::SuspensionTimeout, DueStep::SuspensionTimeout),
            (IndexKey::AttemptTimeout, DueStep::AttemptTimeout),
            (IndexKey::ExecutionDeadline, DueStep::Deadline),
        ];
        let delayed = lanes.iter().map(|lane| (IndexKey::Delayed(*lane), DueStep::Promotion));
        for (key, step) in timed.into_iter().chain(delayed) {
            for (score, number) in store.range(partition, key).take_while(|(score, _)| score.is_due(now.ms())) {
                add(step, number, score.whole());
            }
        }
        let blocked = lanes.iter().flat_map(|lane| {
            [
                (*lane, IndexKey::BlockedDependencies(*lane), DueStep::Resolution),
                (*lane, IndexKey::BlockedRoute(*lane), DueStep::UnblockOfRoute),
                (*lane, IndexKey::BlockedBudget(*lane), DueStep::UnblockOfBudget),
                (*lane, IndexKey::BlockedQuota(*lane), DueStep::UnblockOfQuota),
            ]
        });
        for (lane, key, step) in blocked {
            for (_, number) in store.range(partition, key) {
                let Some(execution) = store.execution(number) else { continue };
                // An entry that an execution has left behind says nothing of what it waits for now.
                if IndexKey::blocked_by(execution.core.vector.eligibility_state, lane) != Some(key) {
                    continue;
                }
                if let Some(since_ms) = cleared_since(store, execution, step, now) {
                    add(step, number, since_ms);
                }
            }
        }
    }
    found
}

/// Flows whose summary is not what their members say, for a world in which somebody writes summaries.
pub fn untrue_summaries(store: &Store) -> Vec<Overdue> {
    store.flows().filter_map(|flow| untrue_summary(store, flow)).collect()
}

/// The first member stands for the flow, and it is due since one of them was moved last. A flow too large for the
/// projector to look at each member, or that has lost one, has no summary to be held to.
fn untrue_summary(store: &Store, flow: &Flow) -> Option<Overdue> {
    let execution = *flow.members.first().filter(|_| flow.core.is_some() && flow.members.len() <= SUMMARY_SAMPLE)?;
    let members: Option<Vec<_>> = flow.members.iter().map(|number| store.execution(*number)).collect();
    let members = members?;
    let states = members.iter().map(|member| member.core.vector.public_state.as_str());
    let is_true = flow
        .summary
        .as_ref()
        .is_some_and(|summary| *summary == FlowSummary::of(flow.members.len() as u64, states, summary.updated_at));
    let since_ms = members.iter().map(|member| member.core.last_transition_at.0).max()?;
    (!is_true).then_some(Overdue { execution, due: DueStep::Projection, since_ms })
}

/// Since when blocked work has had no cause to be blocked, or a time at which it had none any more; none while it has.
fn cleared_since(store: &Store, found: &Execution, step: DueStep, now: ServerTime) -> Option<i64> {
    let blocked_at = found.core.last_transition_at.0;
    let has_gone = match step {
        DueStep::Resolution => {
            let mut ends = found.dependencies.applied.iter().map(|dependency| {
                let upstream = store.execution(dependency.upstream)?;
                let is_terminal = upstream.core.vector.lifecycle_phase == LifecyclePhase::Terminal;
                upstream.core.completed_at.filter(|_| is_terminal)
            });
            // All of them must have ended; the last end is what it waits for since.
            let last = ends.try_fold(blocked_at, |last, end| end.map(|end| last.max(end.ms())));
            return last.filter(|_| !found.dependencies.applied.is_empty());
        }
        DueStep::UnblockOfRoute => {
            let known = store.registry().capabilities(found.submission.namespace, now);
            found.submission.required.iter().all(|token| known.contains(token))
        }
        DueStep::UnblockOfBudget => {
            let attached = found.attached.budget_ids.as_deref().unwrap_or_default();
            let is_full = |id: &str| {
                let id = ff_core::types::BudgetId::parse(id.trim()).ok();
                let budget = store.budgets().iter().find(|(place, _)| Some(place.budget) == id.as_ref().map(|id| id.0));
                budget.is_some_and(|(_, budget)| budget.is_spent())
            };
            !attached.split(',').any(is_full)
        }
        DueStep::UnblockOfQuota => {
            let attached = found.attached.quota_policy_id.as_deref().unwrap_or_default();
            let id = ff_core::types::QuotaPolicyId::parse(attached).ok();
            let quota = store.quotas().iter().find(|(place, _)| Some(place.policy) == id.as_ref().map(|id| id.0));
            quota.is_none_or(|(_, quota)| quota.has_room(now))
        }
        _ => false,
    };
    has_gone.then_some(blocked_at)
}

/// Executions whose lease was revoked and that nobody has reclaimed; no listing shows them.
pub fn revoked(store: &Store) -> Vec<Overdue> {
    let of = |execution: &Execution| {
        let at = execution.core.lease_revoked_at?;
        let is_revoked = execution.core.vector.ownership_state == OwnershipState::LeaseRevoked;
        is_revoked.then_some(Overdue { execution: execution.number, due: DueStep::ReclaimOfRevoked, since_ms: at.ms() })
    };
    store.executions().filter_map(of).collect()
}

/// Every execution that is not terminal, with what it waits for.
pub fn unfinished(store: &Store, now: ServerTime) -> impl Iterator<Item = (&Execution, Stuck)> {
    let open = store.executions().filter(|found| found.core.vector.lifecycle_phase != LifecyclePhase::Terminal);
    open.map(move |execution| (execution, waits_for(store, execution, now)))
}

/// Who has to move an execution next, and whether they can. A timeout scanner ends whatever still has
/// an entry, however lost it is otherwise.
pub(super) fn waits_for(store: &Store, execution: &Execution, now: ServerTime) -> Stuck {
    let stuck = waits_first_for(store, execution, now);
    let timed = [IndexKey::AttemptTimeout, IndexKey::ExecutionDeadline].map(|key| execution.score_in(key));
    match timed.into_iter().flatten().next() {
        Some(due) if stuck.lost.is_some() => {
            let waits_for = format!("{}; its timeout at {} ends it", stuck.waits_for, due.whole());
            Stuck { waits_for, lost: None }
        }
        _ => stuck,
    }
}

/// Whether a dependency is open whose upstream is gone: whoever resolves dependencies asks the upstream how it ended. Or
/// its own dependencies are gone.
fn waits_for_deleted(store: &Store, execution: &Execution) -> bool {
    if execution.purged && execution.dependencies.unresolved.is_empty() {
        return true;
    }
    let mut open = execution.dependencies.unresolved.iter().filter_map(|edge| execution.dependencies.of(edge));
    open.any(|dependency| store.execution(dependency.upstream).is_none())
}

fn waits_first_for(store: &Store, execution: &Execution, now: ServerTime) -> Stuck {
    let core = &execution.core;
    let lane = execution.submission.lane;
    let held = |key: IndexKey| execution.score_in(key).is_some();
    // Who names another lane leaves it in that lane's index, where others find it.
    let held_in_any = |is_such: fn(&IndexKey) -> bool| execution.members.iter().any(|(key, _)| is_such(key));
    let movable = |waits_for: String| Stuck { waits_for, lost: None };
    let lost = |case, waits_for: String| Stuck { waits_for, lost: Some(case) };
    match core.vector.lifecycle_phase {
        LifecyclePhase::Terminal => movable("nothing".into()),
        LifecyclePhase::Suspended => match execution.suspension.as_ref().and_then(|open| open.timeout_at) {
            Some(at) if held(IndexKey::SuspensionTimeout) => movable(format!("a signal, or its timeout at {}", at.0)),
            _ => movable("a signal, without any timeout".into()),
        },
        LifecyclePhase::Active => match core.vector.ownership_state {
            OwnershipState::Leased => {
                let expires = core.lease_expires_at.map_or(0, ServerTime::ms);
                if held(IndexKey::LeaseExpiry) {
                    movable(format!("its holder, or the marking of the lease that expires at {expires}"))
                } else {
                    lost(
                        "unmarkable",
                        format!("its holder only: lease_expiry lacks the lease that expires at {expires}"),
                    )
                }
            }
            OwnershipState::LeaseExpiredReclaimable if held(IndexKey::LeaseExpiry) => {
                movable("a reclaim of the expired lease".into())
            }
            OwnershipState::LeaseExpiredReclaimable => {
                lost("unlisted", "a reclaim of the expired lease, but lease_expiry does not list it".into())
            }
            _ => movable("a reclaim of the revoked lease, which no listing shows".into()),
        },
        LifecyclePhase::Runnable | LifecyclePhase::Submitted => match core.vector.eligibility_state {
            EligibilityState::EligibleNow if held_in_any(|key| matches!(key, IndexKey::Eligible(_))) => {
                let grant = execution.grant.as_ref().filter(|grant| grant.expires_at >= now);
                movable(match grant {
                    Some(grant) => format!("a worker, after the grant that stands until {}", grant.expires_at),
                    None => "a worker".into(),
                })
            }
            EligibilityState::EligibleNow => lost("unlisted", "a worker, but no eligible index holds it".into()),
            EligibilityState::NotEligibleUntilTime => match core.delay_until {
                Some(due) if held_in_any(|key| matches!(key, IndexKey::Delayed(_))) => {
                    movable(format!("its delay until {}", due.to_lua_string()))
                }
                Some(_) => lost("unlisted", "its delay, but no delayed index holds it".into()),
                None => lost("no-delay", "a promotion that fails each time: delay_until is empty".into()),
            },
            EligibilityState::BlockedByDependencies if waits_for_deleted(store, execution) => {
                lost("no-upstream", "the end of an upstream that was deleted before anybody had told it of that".into())
            }
            other => match IndexKey::blocked_by(other, lane) {
                Some(key) if held(key) => movable(match core.vector.blocking_reason {
                    BlockingReason::WaitingForCapableWorker => {
                        "a registered worker with the required capabilities".into()
                    }
                    reason => format!("the end of {}", word(reason)),
                }),
                _ => lost(
                    "unlisted",
                    format!("the end of {}, but no blocked index holds it", word(core.vector.blocking_reason)),
                ),
            },
        },
    }
}
