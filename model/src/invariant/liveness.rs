//! The liveness phase: what should have moved and has not, and what it waits for.
//!
//! Meant for a world whose faults have stopped and whose clocks are honest, with scanners, workers
//! and a reclaimer running. Server times only.

use ff_core::state::{BlockingReason, EligibilityState, LifecyclePhase, OwnershipState};

use super::{Invariant, Violation};
use crate::store::{Execution, IndexKey, Store};
use crate::time::ServerTime;

/// How long each kind of work may wait before it counts as overdue, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From a lease's expiry to its marking.
    pub mark_ms: u64,
    /// From marking or revocation to the reclaim.
    pub reclaim_ms: u64,
    /// From a delay's end to eligibility.
    pub promote_ms: u64,
}

/// What a non-terminal execution waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who or what has to move it next.
    pub waits_for: String,
    /// Whether anybody can.
    pub movable: bool,
}

/// Leases unmarked and delays unpromoted beyond their bounds, read from the indexes' heads.
pub fn overdue(
    store: &Store,
    partitions: u16,
    lanes: &[crate::intern::LaneNo],
    now: ServerTime,
    bounds: &Bounds,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let before = |bound_ms: u64| now.ms().saturating_sub_unsigned(bound_ms);
    for partition in 0..partitions {
        let due =
            store.range(partition, IndexKey::LeaseExpiry).take_while(|(score, _)| score.is_due(before(bounds.mark_ms)));
        for (score, no) in due {
            let Some(execution) = store.execution(no) else { continue };
            let core = &execution.core;
            if core.vector.ownership_state == OwnershipState::Leased {
                let detail = format!("the lease expired at {} and is still unmarked at {now}", score.whole());
                found.push(Violation { invariant: Invariant::L03, execution: no, detail });
            } else if core.lease_expired_at.is_some_and(|at| at.plus_ms(bounds.reclaim_ms) < now) {
                let detail = format!(
                    "marked expired at {:?}, not reclaimed at {now}",
                    core.lease_expired_at.map(ServerTime::ms)
                );
                found.push(Violation { invariant: Invariant::L04, execution: no, detail });
            }
        }
        for lane in lanes {
            let due = store
                .range(partition, IndexKey::Delayed(*lane))
                .take_while(|(score, _)| score.is_due(before(bounds.promote_ms)));
            found.extend(due.map(|(score, no)| {
                let waits =
                    store.execution(no).map_or_else(String::new, |execution| waits_for(execution, now).waits_for);
                let detail = format!("due at {}, still delayed at {now}: {waits}", score.whole());
                Violation { invariant: Invariant::L05, execution: no, detail }
            }));
        }
    }
    found
}

/// The end of the phase: every execution that is not terminal, with its diagnosis.
///
/// Each breaks L09; one that nobody can move breaks L10 too.
pub fn diagnose(store: &Store, now: ServerTime, bounds: &Bounds) -> Vec<Violation> {
    let mut found = Vec::new();
    for execution in store.executions() {
        let core = &execution.core;
        if core.vector.lifecycle_phase == LifecyclePhase::Terminal {
            continue;
        }
        let stuck = waits_for(execution, now);
        if core.vector.ownership_state == OwnershipState::LeaseRevoked
            && core.lease_revoked_at.is_some_and(|at| at.plus_ms(bounds.reclaim_ms) < now)
        {
            let detail = format!("revoked at {:?}, not reclaimed at {now}", core.lease_revoked_at.map(ServerTime::ms));
            found.push(Violation { invariant: Invariant::L04, execution: execution.no, detail });
        }
        if !stuck.movable {
            let detail = stuck.waits_for.clone();
            found.push(Violation { invariant: Invariant::L10, execution: execution.no, detail });
        }
        let detail = format!("not terminal at {now}: waits for {}", stuck.waits_for);
        found.push(Violation { invariant: Invariant::L09, execution: execution.no, detail });
    }
    found
}

/// Who has to move an execution next, and whether they can. A timeout scanner ends whatever still has
/// an entry, however lost it is otherwise.
fn waits_for(execution: &Execution, now: ServerTime) -> Stuck {
    let stuck = waits_first_for(execution, now);
    let timed = [IndexKey::AttemptTimeout, IndexKey::ExecutionDeadline].map(|key| execution.score_in(key));
    match timed.into_iter().flatten().next() {
        Some(due) if !stuck.movable => {
            let waits_for = format!("{}; its timeout at {} ends it", stuck.waits_for, due.whole());
            Stuck { waits_for, movable: true }
        }
        _ => stuck,
    }
}

fn waits_first_for(execution: &Execution, now: ServerTime) -> Stuck {
    let core = &execution.core;
    let lane = execution.submission.lane;
    let held = |key: IndexKey| execution.score_in(key).is_some();
    let movable = |waits_for: String| Stuck { waits_for, movable: true };
    let lost = |waits_for: String| Stuck { waits_for, movable: false };
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
                    lost(format!("its holder only: lease_expiry lacks the lease that expires at {expires}"))
                }
            }
            OwnershipState::LeaseExpiredReclaimable if held(IndexKey::LeaseExpiry) => {
                movable("a reclaim of the expired lease".into())
            }
            OwnershipState::LeaseExpiredReclaimable => {
                lost("a reclaim of the expired lease, but lease_expiry does not list it".into())
            }
            _ => movable("a reclaim of the revoked lease, which no listing shows".into()),
        },
        LifecyclePhase::Runnable | LifecyclePhase::Submitted => match core.vector.eligibility_state {
            EligibilityState::EligibleNow if held(IndexKey::Eligible(lane)) => {
                let grant = execution.grant.as_ref().filter(|grant| grant.expires_at >= now);
                movable(match grant {
                    Some(grant) => format!("a worker, after the grant that stands until {}", grant.expires_at),
                    None => "a worker".into(),
                })
            }
            EligibilityState::EligibleNow => lost("a worker, but no eligible index holds it".into()),
            EligibilityState::NotEligibleUntilTime => match core.delay_until {
                Some(due) if held(IndexKey::Delayed(lane)) => {
                    movable(format!("its delay until {}", due.to_lua_string()))
                }
                Some(_) => lost("its delay, but no delayed index holds it".into()),
                None => lost("a promotion that fails each time: delay_until is empty".into()),
            },
            other => match IndexKey::blocked_by(other, lane) {
                Some(key) if held(key) => movable(match core.vector.blocking_reason {
                    BlockingReason::WaitingForCapableWorker => {
                        "a registered worker with the required capabilities".into()
                    }
                    reason => format!("the end of {reason:?}"),
                }),
                _ => lost(format!("the end of {:?}, but no blocked index holds it", core.vector.blocking_reason)),
            },
        },
    }
}
