//! The state invariants: predicates over one execution and its promised.

use ff_core::state::{AttemptLifecycle, EligibilityState, LifecyclePhase, OwnershipState, TerminalOutcome};
use ff_core::types::AttemptIndex;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, State};
use super::legal;
use super::look::Look;
use super::parking;
use super::promised::{Promised, digest};
use super::retention;
use crate::message::GrantKind;
use crate::number::Score;
use crate::spelling::word;
use crate::store::{Execution, IndexKey};

/// One state invariant.
pub(super) struct Row {
    pub invariant: Invariant,
    /// How an execution is looked at, with what was promised about it.
    pub look: fn(&State<'_>) -> Look,
    /// What was seen, in one sentence.
    explain: fn(&State<'_>) -> String,
}

/// Every state invariant.
pub(super) const STATE: [Row; 16] = [
    Row { invariant: Invariant::S07, look: |state| lease_agrees(state.found), explain: |state| leases(state.found) },
    Row {
        invariant: Invariant::S15,
        look: |state| grant_is_claimable(state.found, state.promised),
        explain: |state| grant_and_state(state.found),
    },
    Row {
        invariant: Invariant::S17,
        look: |state| attempts_add_up(state.found),
        explain: |state| attempt_count(state.found),
    },
    Row {
        invariant: Invariant::S23,
        look: |state| terminal_attempt_ended(state.found),
        explain: |state| records(state.found),
    },
    Row {
        invariant: Invariant::S24,
        look: |state| started_matches_phase(state.found),
        explain: |state| records(state.found),
    },
    Row {
        invariant: Invariant::S25,
        look: |state| Look::at(legal::row(&state.found.core.vector).is_some(), "illegal"),
        explain: |state| vector_in_words(state.found),
    },
    Row {
        invariant: Invariant::S26,
        look: |state| public_state_is_derived(state.found),
        explain: |state| public_states(state.found),
    },
    Row {
        invariant: Invariant::S27,
        look: |state| in_own_primary_index(state.found),
        explain: |state| state_and_indexes(state.found),
    },
    Row {
        invariant: Invariant::S28,
        look: |state| lease_expiry_agrees(state.found),
        explain: |state| state_and_indexes(state.found),
    },
    Row {
        invariant: Invariant::S29,
        look: |state| worker_leases_agree(state.found),
        explain: |state| state_and_indexes(state.found),
    },
    Row {
        invariant: Invariant::S30,
        look: |state| timeout_is_current(state.found, state.promised),
        explain: |state| timeout_and_attempt(state.found, state.promised),
    },
    Row { invariant: Invariant::S34, look: parking::suspension_is_whole, explain: parking::suspension_in_words },
    Row {
        invariant: Invariant::L13,
        look: parking::accepted_signals_are_heeded,
        explain: parking::suspension_in_words,
    },
    Row {
        invariant: Invariant::S39,
        look: |state| terminal_has_no_lease(state.found),
        explain: |state| lease_of_ended(state.found),
    },
    Row {
        invariant: Invariant::S40,
        look: |state| result_is_of_success(state.found, state.promised),
        explain: |state| results(state.found, state.promised),
    },
    Row {
        invariant: Invariant::S53,
        look: |state| purged_stays_ended(state.found),
        explain: |state| {
            format!("keys of the execution were deleted when it had ended, and it is {} again", phase(state.found))
        },
    },
];

/// The rows that an execution is looked at by: one that retention is deleting is in pieces, of which only one row speaks.
pub(super) fn rows(found: &Execution) -> impl Iterator<Item = &'static Row> {
    STATE.iter().filter(|row| !found.purged || row.invariant == Invariant::S53)
}

/// The checks of states.
pub(super) struct OfStates;

impl Check for OfStates {
    fn invariants(&self) -> Vec<Invariant> {
        STATE.iter().map(|row| row.invariant).collect()
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        if let Seen::Upkeep { store, now, command } = seen {
            retention::look_at_deletion(store, *now, command, notes);
        }
        let Seen::State(state) = seen else { return };
        for row in rows(state.found) {
            notes.look(row.invariant, (row.look)(state), || (row.explain)(state));
        }
    }
}

fn phase(found: &Execution) -> String {
    word(found.core.vector.lifecycle_phase).to_string()
}

fn number(index: Option<AttemptIndex>) -> String {
    index.map_or_else(|| "none".to_owned(), |index| index.to_string())
}

fn leases(found: &Execution) -> String {
    let core = &found.core;
    let core_says = match (&core.current_lease_id, core.lease_expires_at) {
        (Some(id), Some(until)) => format!("lease {id} until {until}"),
        (Some(id), None) => format!("lease {id} without an expiry"),
        (None, _) => "no lease".to_owned(),
    };
    let record = found.lease.as_ref().map_or_else(
        || "missing".to_owned(),
        |lease| match &lease.holder {
            Some(holder) => format!("for lease {} until {}", holder.fence.lease_id, lease.expires_at),
            None => format!("for nobody until {}", lease.expires_at),
        },
    );
    format!("the record of the execution names {core_says}, and its key lease:current is {record}")
}

fn grant_and_state(found: &Execution) -> String {
    format!(
        "a claim grant stands until {} while the execution is {}, {}, and listed in {}",
        found.grant.as_ref().map_or(0, |grant| grant.expires_at.ms()),
        phase(found),
        word(found.core.vector.eligibility_state),
        index_names(found)
    )
}

fn attempt_count(found: &Execution) -> String {
    format!(
        "total_attempt_count is {}, the current attempt {}, and there are records of {}",
        found.core.total_attempt_count,
        number(found.core.current_attempt_index),
        attempts(found, |attempt| attempt.index.to_string())
    )
}

fn records(found: &Execution) -> String {
    let records = attempts(found, |attempt| format!("attempt {} {}", attempt.index, word(attempt.state)));
    format!("the execution is {}, and its records say {records}", phase(found))
}

fn vector_in_words(found: &Execution) -> String {
    let vector = &found.core.vector;
    format!(
        "the vector is {}, {}, {}, {}, {}, {}",
        phase(found),
        word(vector.ownership_state),
        word(vector.eligibility_state),
        word(vector.blocking_reason),
        word(vector.terminal_outcome),
        word(vector.attempt_state)
    )
}

fn public_states(found: &Execution) -> String {
    let vector = &found.core.vector;
    format!("public_state is stored as {}, the vector derives {}", vector.public_state, vector.derive_public_state())
}

fn state_and_indexes(found: &Execution) -> String {
    let ownership = word(found.core.vector.ownership_state);
    format!("the execution is {} and {ownership}, and listed in {}", phase(found), index_names(found))
}

fn timeout_and_attempt(found: &Execution, promised: &Promised) -> String {
    format!(
        "the timeout was set for attempt {}, and the execution is {} on attempt {}",
        number(promised.timeout_attempt),
        phase(found),
        number(found.core.current_attempt_index)
    )
}

fn lease_of_ended(found: &Execution) -> String {
    match &found.core.current_lease_id {
        Some(id) => format!("the execution is terminal and its core names lease {id}"),
        None => "the execution is terminal and lease:current is there".to_owned(),
    }
}

fn results(found: &Execution, promised: &Promised) -> String {
    format!(
        "the completion gave {}, and {} is stored",
        promised.success.map_or("no payload", |_| "a payload"),
        found.result.as_ref().map_or("nothing", |_| "another result")
    )
}

/// Something of every attempt record, or the word none.
fn attempts(found: &Execution, of: impl Fn(&crate::store::Attempt) -> String) -> String {
    let texts: Vec<String> = found.attempts.iter().map(of).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

fn index_names(found: &Execution) -> String {
    let mut names: Vec<_> = found.members.iter().map(|(key, _)| key.name()).collect();
    names.sort_unstable();
    if names.is_empty() { "no index".to_owned() } else { names.join(", ") }
}

fn lease_agrees(found: &Execution) -> Look {
    let core = &found.core;
    match &found.lease {
        Some(lease) => {
            let held = lease.holder.as_ref().is_some_and(|holder| core.is_held_by(&holder.fence));
            Look::at(held && core.lease_expires_at == Some(lease.expires_at), "disagrees")
        }
        // From the first renewal on the record has a time to live of its own.
        None if core.lease_last_renewed_at > core.lease_acquired_at => Look::Vacuous,
        None if core.vector.ownership_state == OwnershipState::Leased => Look::Broken("missing"),
        None => Look::Vacuous,
    }
}

fn grant_is_claimable(found: &Execution, promised: &Promised) -> Look {
    let issued_as_claim = promised.grant.as_ref().is_some_and(|issued| issued.kind == GrantKind::Claim);
    let Some(grant) = found.grant.as_ref().filter(|_| issued_as_claim) else { return Look::Vacuous };
    let vector = &found.core.vector;
    match (vector.lifecycle_phase, vector.eligibility_state) {
        (LifecyclePhase::Active, _) => Look::Broken("active"),
        (LifecyclePhase::Suspended, _) => Look::Broken("suspended"),
        (LifecyclePhase::Terminal, _) => Look::Broken("ended"),
        (_, EligibilityState::EligibleNow) => {
            Look::at(found.score_in(IndexKey::Eligible(grant.lane)).is_some(), "unlisted")
        }
        (_, EligibilityState::NotEligibleUntilTime) => Look::Broken("delayed"),
        _ => Look::Broken("blocked"),
    }
}

fn attempts_add_up(found: &Execution) -> Look {
    let total = found.core.total_attempt_count;
    if total == 0 && found.attempts.is_empty() && found.core.current_attempt_index.is_none() {
        return Look::Vacuous;
    }
    let dense = found.attempts.iter().all(|attempt| attempt.index.0 < total);
    if found.attempts.len() != total as usize || !dense {
        return Look::Broken("miscounted");
    }
    let current = found.core.current_attempt_index.map(|index| index.0);
    Look::at(current == total.checked_sub(1), "not-last")
}

fn terminal_attempt_ended(found: &Execution) -> Look {
    let is_terminal = found.core.vector.lifecycle_phase == LifecyclePhase::Terminal;
    let Some(current) = found.core.current_attempt_index.filter(|_| is_terminal) else { return Look::Vacuous };
    match found.attempt(current).map(|attempt| attempt.state) {
        None => Look::Broken("missing"),
        Some(state) if state.is_terminal() => Look::Holds,
        Some(AttemptLifecycle::Suspended) => Look::Broken("suspended"),
        Some(AttemptLifecycle::Started) => Look::Broken("started"),
        Some(_) => Look::Broken("open"),
    }
}

fn started_matches_phase(found: &Execution) -> Look {
    let started = found.attempts.iter().filter(|attempt| attempt.state == AttemptLifecycle::Started).count();
    match (found.core.vector.lifecycle_phase == LifecyclePhase::Active, started) {
        (true, 1) => Look::Holds,
        (true, 0) => Look::Broken("none"),
        (true, _) => Look::Broken("several"),
        (false, 0) if found.attempts.is_empty() => Look::Vacuous,
        (false, 0) => Look::Holds,
        (false, _) => Look::Broken("left-started"),
    }
}

/// The case is what is stored in place of what the vector derives.
fn public_state_is_derived(found: &Execution) -> Look {
    let vector = &found.core.vector;
    if vector.is_consistent() {
        return Look::Holds;
    }
    let stored = vector.public_state.as_str();
    Look::Broken(Invariant::S26.cases().iter().find(|case| **case == stored).copied().unwrap_or("waiting"))
}

/// The primary index that the vector names.
fn own_index(found: &Execution) -> Option<IndexKey> {
    let lane = found.submission.lane;
    let vector = &found.core.vector;
    match vector.lifecycle_phase {
        LifecyclePhase::Active => Some(IndexKey::Active(lane)),
        LifecyclePhase::Suspended => Some(IndexKey::Suspended(lane)),
        LifecyclePhase::Terminal => Some(IndexKey::Terminal(lane)),
        LifecyclePhase::Runnable | LifecyclePhase::Submitted => match vector.eligibility_state {
            EligibilityState::EligibleNow => Some(IndexKey::Eligible(lane)),
            EligibilityState::NotEligibleUntilTime => Some(IndexKey::Delayed(lane)),
            other => IndexKey::blocked_by(other, lane),
        },
    }
}

fn in_own_primary_index(found: &Execution) -> Look {
    let mut primary = found.members.iter().map(|(key, _)| *key).filter(|key| key.is_primary());
    match (primary.next(), primary.next()) {
        (None, _) => Look::Broken("none"),
        (Some(_), Some(_)) => Look::Broken("several"),
        (first, None) => Look::at(first == own_index(found), "other"),
    }
}

fn is_owned(found: &Execution) -> bool {
    let vector = &found.core.vector;
    vector.lifecycle_phase == LifecyclePhase::Active
        && matches!(vector.ownership_state, OwnershipState::Leased | OwnershipState::LeaseExpiredReclaimable)
}

fn lease_expiry_agrees(found: &Execution) -> Look {
    match (found.score_in(IndexKey::LeaseExpiry), is_owned(found)) {
        (None, false) => Look::Vacuous,
        (None, true) => Look::Broken("missing"),
        (Some(_), false) => Look::Broken("left-over"),
        (Some(score), true) => {
            let expected = found.core.lease_expires_at.map(|at| Score::at_ms(at.ms()));
            Look::at(Some(score) == expected, "other-time")
        }
    }
}

fn worker_leases_agree(found: &Execution) -> Look {
    let mut held = found.members.iter().filter_map(|(key, _)| match key {
        IndexKey::WorkerLeases(instance) => Some(*instance),
        _ => None,
    });
    match (held.next(), is_owned(found)) {
        (None, false) => Look::Vacuous,
        (None, true) => Look::Broken("missing"),
        (Some(_), false) => Look::Broken("left-over"),
        (first, true) => Look::at(first == found.core.current_instance && held.next().is_none(), "other-instance"),
    }
}

fn timeout_is_current(found: &Execution, promised: &Promised) -> Look {
    if found.score_in(IndexKey::AttemptTimeout).is_none() {
        return Look::Vacuous;
    }
    if found.core.vector.lifecycle_phase != LifecyclePhase::Active {
        return Look::Broken("not-active");
    }
    Look::at(promised.timeout_attempt == found.core.current_attempt_index, "earlier-attempt")
}

fn terminal_has_no_lease(found: &Execution) -> Look {
    if found.core.vector.lifecycle_phase != LifecyclePhase::Terminal {
        return Look::Vacuous;
    }
    if found.lease.is_some() {
        return Look::Broken("lease-record");
    }
    Look::at(found.core.current_lease_id.is_none(), "lease-id")
}

fn purged_stays_ended(found: &Execution) -> Look {
    match found.core.vector.lifecycle_phase {
        _ if !found.purged => Look::Vacuous,
        LifecyclePhase::Terminal => Look::Holds,
        _ => Look::Broken("replayed"),
    }
}

fn result_is_of_success(found: &Execution, promised: &Promised) -> Look {
    if found.core.vector.terminal_outcome != TerminalOutcome::Success {
        return Look::Vacuous;
    }
    match (found.result.as_deref().and_then(digest), promised.success) {
        (stored, given) if stored == given => Look::Holds,
        (Some(_), None) => Look::Broken("earlier-result"),
        (None, Some(_)) => Look::Broken("no-result"),
        _ => Look::Broken("another-result"),
    }
}
