//! What one call, or one pass of a reconciler, breaks: pure functions of what was promised before and how the execution
//! stands.

use std::collections::BTreeSet;

use claimlab_model::invariant::Invariant;
use ff_core::backend::FailOutcome;
use ff_core::contracts::{CreateExecutionResult, RevokeLeaseResult, SuspendOutcome};
use ff_core::engine_error::EngineError;
use ff_core::state::{LifecyclePhase, OwnershipState, PublicState};

use super::super::subject::{handle_of, lease_of};
use super::{Deed, Found, Held, Promised};
use crate::call::{Answer, Call};

/// What one look says.
pub(super) struct Look {
    pub(super) invariant: Invariant,
    pub(super) case: Option<&'static str>,
    pub(super) detail: String,
}

pub(super) fn at(invariant: Invariant, holds: bool, case: &'static str, detail: impl FnOnce() -> String) -> Look {
    Look { invariant, case: (!holds).then_some(case), detail: if holds { String::new() } else { detail() } }
}

/// What a call that was performed breaks.
pub(super) fn look_at_call(
    deed: &Deed<'_>,
    call: &Call,
    answer: &Answer,
    promised: &Promised,
    lease_ids: &mut BTreeSet<String>,
) -> Vec<Look> {
    let mut looks = Vec::new();
    let now = (deed.clock_of)(deed.party);
    let live = |held: &Held| held.ended.is_none() && held.expires_at_ms > (deed.clock_of)(held.party);
    if let Some(lease) = lease_of(answer) {
        let other = promised.held.as_ref().filter(|held| live(held));
        looks.push(at(Invariant::S01, other.is_none(), "live", || {
            let other = other.map_or(0, |held| held.epoch);
            format!("a lease is given while, by its holder's clock, the one of epoch {other} lives")
        }));
        let is_new = lease_ids.insert(lease.lease_id.to_string());
        looks.push(at(Invariant::S03, is_new, "again", || "a lease id is used again".to_owned()));
    }
    let is_accepted = answer.error().is_none();
    if let Some(shown) = handle_of(call) {
        let case = match &promised.held {
            None => Some("never-held"),
            Some(held) if held.epoch != shown.lease_epoch.0 || held.id != shown.lease_id => Some("replaced"),
            Some(held) if held.ended.is_some() => held.ended,
            Some(held) if held.expires_at_ms <= now => Some("expired"),
            Some(_) => None,
        };
        if is_accepted {
            looks.push(at(Invariant::S04, case.is_none(), case.unwrap_or("replaced"), || {
                format!("{} is accepted under a lease that is {}", call.method(), case.unwrap_or_default())
            }));
            if let Some(revoked) = &promised.revoked {
                looks.push(at(Invariant::S08, *revoked != shown.lease_id, "revoked", || {
                    format!("{} is accepted under a revoked lease", call.method())
                }));
            }
            if ends(deed) {
                looks.push(at(Invariant::S45, case.is_none(), "not-holder", || {
                    format!("{} ends it under a lease that is {}", call.method(), case.unwrap_or_default())
                }));
            }
        } else if case.is_none() && !answer.error().is_some_and(is_unavailable) {
            let about_the_lease = answer.error().is_some_and(is_about_the_lease);
            looks.push(at(Invariant::S46, !about_the_lease, family(call), || {
                let error = answer.error().map_or_else(String::new, error_in_short);
                format!("{} by the holder of the live lease is answered {error}", call.method())
            }));
        }
        if is_accepted && case.is_none() {
            looks.push(at(Invariant::S46, true, "renewal", String::new));
        }
    }
    looks.extend(changed(deed, matches!(call, Call::ReplayExecution { .. } | Call::CreateExecution { .. })));
    looks.extend(told(deed, call, answer));
    looks.extend(deed.keeps_result.map(|keeps| {
        at(Invariant::S47, !keeps, "result", || "the result of the life before can still be read".to_owned())
    }));
    if let (Call::ReclaimExecution { .. }, Some(error), Some((party, until))) = (call, answer.error(), promised.grant) {
        let is_live = party == deed.party && until > now;
        looks.push(at(Invariant::S46, !(is_live && is_about_the_lease(error)), "reclaim", || {
            format!("the bearer of a live reclaim grant is answered {}", error_in_short(error))
        }));
    }
    looks
}

/// What a reconciler's pass breaks.
pub(super) fn look_at_pass(deed: &Deed<'_>, promised: &Promised) -> Vec<Look> {
    let mut looks: Vec<Look> = changed(deed, false).into_iter().collect();
    let holder = promised.held.as_ref().filter(|held| held.ended.is_none());
    if let (true, Some(held)) = (ends(deed), holder) {
        let is_over = held.expires_at_ms <= (deed.clock_of)(held.party);
        looks.push(at(Invariant::S45, is_over, "timeout-not-due", || {
            format!("it is ended while, by its holder's clock, the lease of epoch {} lives", held.epoch)
        }));
    }
    looks
}

/// Whether it ends by what was done.
fn ends(deed: &Deed<'_>) -> bool {
    deed.before.as_ref().is_some_and(|before| !before.is_terminal())
        && deed.after.as_ref().is_some_and(Found::is_terminal)
}

/// S37: an execution that has ended stays as it ended.
fn changed(deed: &Deed<'_>, may_change: bool) -> Option<Look> {
    let (before, after) = (deed.before.as_ref()?, deed.after.as_ref()?);
    if may_change || !before.is_terminal() {
        return None;
    }
    Some(at(Invariant::S37, before.state == after.state, "changed", || {
        format!("it had ended as {:?} and is {:?} now", before.state, after.state)
    }))
}

/// S48: who is told that something was done finds it so, and who is refused finds nothing changed.
fn told(deed: &Deed<'_>, call: &Call, answer: &Answer) -> Option<Look> {
    let after = deed.after.as_ref()?;
    let ended = |state: PublicState| after.is_terminal() && after.state == state;
    let (case, holds) = match (call, answer) {
        (_, answer) if answer.error().is_some() => ("refused", *deed.before.as_ref()? == *after),
        (Call::CreateExecution { .. }, Answer::CreateExecution(Ok(CreateExecutionResult::Created { .. }))) => {
            ("created", after.phase == LifecyclePhase::Runnable)
        }
        (Call::Complete { .. }, _) => ("completed", ended(PublicState::Completed)),
        (Call::Fail { .. }, Answer::Fail(Ok(FailOutcome::TerminalFailed))) => ("failed", ended(PublicState::Failed)),
        (Call::Fail { .. }, _) => ("failed", after.phase == LifecyclePhase::Runnable),
        (Call::Cancel { .. } | Call::CancelExecution { .. }, _) => ("cancelled", ended(PublicState::Cancelled)),
        (Call::Suspend { .. }, Answer::Suspend(Ok(SuspendOutcome::Suspended { .. }))) => {
            ("suspended", after.phase == LifecyclePhase::Suspended)
        }
        (Call::Delay { .. }, _) => ("delayed", after.phase == LifecyclePhase::Runnable),
        (Call::ReplayExecution { .. }, _) => ("replayed", !after.is_terminal()),
        (Call::RevokeLease { .. }, Answer::RevokeLease(Ok(RevokeLeaseResult::Revoked { .. }))) => {
            ("revoked", after.ownership != OwnershipState::Leased)
        }
        (_, answer) => {
            lease_of(answer)?;
            ("claimed", after.phase == LifecyclePhase::Active && after.ownership == OwnershipState::Leased)
        }
    };
    Some(at(Invariant::S48, holds, case, || format!("{} is answered, and it is {}", call.method(), after.in_words())))
}

/// The family of a fenced write, as a case of S46.
const fn family(call: &Call) -> &'static str {
    match call {
        Call::Renew { .. } => "renewal",
        Call::Complete { .. } => "completion",
        Call::Fail { .. } => "failure",
        Call::Delay { .. } => "delay",
        Call::Suspend { .. } => "suspension",
        Call::Progress { .. } => "progress",
        Call::WaitChildren { .. } => "waiting",
        _ => "cancel",
    }
}

/// An error without the remarks about where it came up.
fn innermost(mut error: &EngineError) -> &EngineError {
    while let EngineError::Contextual { source, .. } = error {
        error = source;
    }
    error
}

pub(super) fn is_unavailable(error: &EngineError) -> bool {
    matches!(innermost(error), EngineError::Unavailable { .. })
}

/// Whether a refusal is about the lease or the state that it gives, and not about the caller's arguments.
fn is_about_the_lease(error: &EngineError) -> bool {
    matches!(innermost(error), EngineError::Contention(_) | EngineError::State(_) | EngineError::NotFound { .. })
}

/// An error without what differs from run to run.
pub(super) fn error_in_short(error: &EngineError) -> String {
    match innermost(error) {
        EngineError::Contention(kind) => format!("{kind:?}"),
        EngineError::State(kind) => format!("{kind:?}"),
        EngineError::NotFound { entity } => format!("no {entity}"),
        EngineError::Validation { kind, .. } => format!("{kind:?}"),
        _ => "an error of transport".to_owned(),
    }
}
