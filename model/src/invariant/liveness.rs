//! The liveness phase: what should have moved and has not, and what it waits for.
//!
//! Meant for a world whose faults have stopped and whose clocks are honest, with scanners, workers
//! and a reclaimer running. Server times only.

use ff_core::state::{BlockingReason, EligibilityState, LifecyclePhase, OwnershipState};

use super::{Invariant, Violation};
use crate::spelling::word;
use crate::store::{Execution, IndexKey, Store};
use crate::time::ServerTime;

/// What a non-terminal execution waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who or what has to move it next.
    pub waits_for: String,
    /// Why nobody can, as a case of L10; none where somebody can.
    pub lost: Option<&'static str>,
}

/// Work that is due and has not been moved yet. That alone breaks nothing: who watches has to tell how many passes
/// of those who should have moved it have gone by it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// L03, L04 or L05, as it will be broken if nobody moves the execution.
    pub violation: Violation,
    /// When it became due, in milliseconds of the server's clock.
    pub due_ms: i64,
}

/// Leases past their expiry, marked leases, and delays that have passed, read from the indexes' heads.
pub fn overdue(store: &Store, partitions: u16, lanes: &[crate::intern::LaneNo], now: ServerTime) -> Vec<Overdue> {
    let mut found = Vec::new();
    let mut add = |invariant, case, execution, due_ms, detail| {
        found.push(Overdue { violation: Violation { invariant, case, execution, detail }, due_ms });
    };
    for partition in 0..partitions {
        let due = store.range(partition, IndexKey::LeaseExpiry).take_while(|(score, _)| score.is_due(now.ms()));
        for (score, no) in due {
            let Some(execution) = store.execution(no) else { continue };
            let core = &execution.core;
            if core.vector.ownership_state == OwnershipState::Leased {
                let detail = "the lease has expired and nobody has marked it".to_owned();
                add(Invariant::L03, "unmarked", no, score.whole(), detail);
            } else if let Some(at) = core.lease_expired_at {
                let detail = "the lease was marked expired and nobody has reclaimed the execution".to_owned();
                add(Invariant::L04, "expired", no, at.ms(), detail);
            }
        }
        for lane in lanes {
            let due = store.range(partition, IndexKey::Delayed(*lane)).take_while(|(score, _)| score.is_due(now.ms()));
            for (score, no) in due {
                let waits = store.execution(no).map_or_else(String::new, |found| waits_for(found, now).waits_for);
                let detail = format!("the delay has passed and the execution still waits for {waits}");
                add(Invariant::L05, "delayed", no, score.whole(), detail);
            }
        }
    }
    found
}

/// Executions whose lease was revoked and that nobody has reclaimed; no listing shows them.
pub fn revoked(store: &Store) -> Vec<Overdue> {
    let of = |execution: &Execution| {
        let at = execution.core.lease_revoked_at?;
        let is_revoked = execution.core.vector.ownership_state == OwnershipState::LeaseRevoked;
        let detail = "the lease was revoked and nobody has reclaimed the execution".to_owned();
        let violation = Violation { invariant: Invariant::L04, case: "revoked", execution: execution.no, detail };
        is_revoked.then_some(Overdue { violation, due_ms: at.ms() })
    };
    store.executions().filter_map(of).collect()
}

/// Every execution that is not terminal, with what it waits for.
pub fn unfinished(store: &Store, now: ServerTime) -> impl Iterator<Item = (&Execution, Stuck)> {
    let open = store.executions().filter(|found| found.core.vector.lifecycle_phase != LifecyclePhase::Terminal);
    open.map(move |execution| (execution, waits_for(execution, now)))
}

/// What is broken where nothing and nobody can move an execution any more: L09 and L10.
pub fn immovable(execution: &Execution, stuck: &Stuck) -> Vec<Violation> {
    let Some(case) = stuck.lost else { return Vec::new() };
    let of = |invariant, case| Violation {
        invariant,
        case,
        execution: execution.no,
        detail: format!("nothing can move it: it waits for {}", stuck.waits_for),
    };
    vec![of(Invariant::L09, "immovable"), of(Invariant::L10, case)]
}

/// Who has to move an execution next, and whether they can. A timeout scanner ends whatever still has
/// an entry, however lost it is otherwise.
fn waits_for(execution: &Execution, now: ServerTime) -> Stuck {
    let stuck = waits_first_for(execution, now);
    let timed = [IndexKey::AttemptTimeout, IndexKey::ExecutionDeadline].map(|key| execution.score_in(key));
    match timed.into_iter().flatten().next() {
        Some(due) if stuck.lost.is_some() => {
            let waits_for = format!("{}; its timeout at {} ends it", stuck.waits_for, due.whole());
            Stuck { waits_for, lost: None }
        }
        _ => stuck,
    }
}

fn waits_first_for(execution: &Execution, now: ServerTime) -> Stuck {
    let core = &execution.core;
    let lane = execution.submission.lane;
    let held = |key: IndexKey| execution.score_in(key).is_some();
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
            EligibilityState::EligibleNow if held(IndexKey::Eligible(lane)) => {
                let grant = execution.grant.as_ref().filter(|grant| grant.expires_at >= now);
                movable(match grant {
                    Some(grant) => format!("a worker, after the grant that stands until {}", grant.expires_at),
                    None => "a worker".into(),
                })
            }
            EligibilityState::EligibleNow => lost("unlisted", "a worker, but no eligible index holds it".into()),
            EligibilityState::NotEligibleUntilTime => match core.delay_until {
                Some(due) if held(IndexKey::Delayed(lane)) => {
                    movable(format!("its delay until {}", due.to_lua_string()))
                }
                Some(_) => lost("unlisted", "its delay, but no delayed index holds it".into()),
                None => lost("no-delay", "a promotion that fails each time: delay_until is empty".into()),
            },
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
