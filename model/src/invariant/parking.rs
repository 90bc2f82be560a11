//! Parked work: the suspension is whole, and a signal does what it should, once.

use ff_core::contracts::ResumeCondition;
use ff_core::state::LifecyclePhase;
use ff_core::types::{SignalId, WaitpointId};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::catalogue::Invariant;
use super::check::{Check, Notes, Seen, State, Step};
use super::look::Look;
use crate::message::{Done, Refusal, Reply, Script, Signal};
use crate::spelling::word;
use crate::store::{Condition, Suspension, WaitpointState};
use crate::time::ServerTime;

/// The checks of signals.
#[derive(Default)]
pub(super) struct OfSignals {
    /// Deduplication keys that are remembered: partition, waitpoint and key, with the signal and until when.
    sent: HashMap<(u16, WaitpointId, String), (SignalId, ServerTime), FxBuildHasher>,
}

impl Check for OfSignals {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::S35, Invariant::S36]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        if let Seen::Step(step, _) = seen
            && let Script::Signal(args) = step.script
        {
            check_target(notes, step, args);
            self.check_once(notes, step, args);
        }
    }
}

/// Whether a suspension waits at this waitpoint.
fn waits_at(suspension: &Suspension, waitpoint: &WaitpointId) -> bool {
    suspension.waitpoint == *waitpoint || suspension.additional.iter().any(|(id, _)| id == waitpoint)
}

fn check_target(notes: &mut Notes<'_>, step: &Step<'_>, args: &Signal) {
    let (Some(found), Some((before, after)), Reply::Done(Done::SignalAccepted(_))) =
        (step.found, step.cores, step.reply)
    else {
        return;
    };
    let (from, to) = (before.vector.lifecycle_phase, after.vector.lifecycle_phase);
    let of_this = found.suspension.as_ref().is_some_and(|suspension| waits_at(suspension, &args.waitpoint));
    let look = match () {
        () if from == to => Look::Holds,
        () if from != LifecyclePhase::Suspended => Look::Broken("not-suspended"),
        () => Look::at(of_this, "other-waitpoint"),
    };
    notes.look(Invariant::S35, look, || {
        format!("a signal to waitpoint {} took it from {} to {}", args.waitpoint, word(from), word(to))
    });
}

impl OfSignals {
    fn check_once(&mut self, notes: &mut Notes<'_>, step: &Step<'_>, args: &Signal) {
        let named = args.idempotency_key.as_ref().filter(|key| !key.is_empty() && args.dedup_ttl_ms > 0);
        let (Some(key), Some(found)) = (named, step.found) else { return };
        let place = (found.partition, args.waitpoint.clone(), key.clone());
        let known = self.sent.get(&place).filter(|(_, until)| *until >= step.now).map(|(signal, _)| signal);
        let look = match (step.reply, known) {
            (Reply::Done(Done::SignalAccepted(_)), known) => Look::at(known.is_none(), "second-effect"),
            (Reply::Done(Done::DuplicateSignal(_)), None) => Look::Broken("never-sent"),
            (Reply::Done(Done::DuplicateSignal(told)), Some(known)) => Look::at(told == known, "other-signal"),
            (Reply::Refused(Refusal::InvalidToken | Refusal::TokenExpired | Refusal::MissingToken), _) => Look::Vacuous,
            (Reply::Refused(_), Some(_)) => Look::Broken("refused"),
            _ => Look::Vacuous,
        };
        notes.look(Invariant::S36, look, || {
            let before = known.map_or_else(|| "never sent".into(), |signal| format!("accepted as {signal}"));
            format!("the signal with key {key:?} was {before}, and is answered {} now", step.reply.label())
        });
        if matches!(step.reply, Reply::Done(Done::SignalAccepted(_))) {
            self.sent.insert(place, (args.signal.clone(), step.now.plus_ms(args.dedup_ttl_ms)));
        }
    }
}

/// S34: a suspended execution has an open suspension with an active waitpoint and an open condition, and no other
/// execution has an open one.
pub(super) fn suspension_is_whole(state: &State<'_>) -> Look {
    let State { store, found, .. } = *state;
    let is_suspended = found.core.vector.lifecycle_phase == LifecyclePhase::Suspended;
    let Some(suspension) = &found.suspension else {
        return if is_suspended { Look::Broken("missing") } else { Look::Vacuous };
    };
    if !is_suspended {
        return Look::at(suspension.closed_at.is_some(), "left-open");
    }
    let waitpoint = store.waitpoint(found.partition, &suspension.waitpoint);
    let condition = waitpoint.and_then(|waitpoint| waitpoint.condition.as_ref());
    match () {
        () if suspension.closed_at.is_some() => Look::Broken("closed"),
        () if waitpoint.is_none_or(|waitpoint| waitpoint.state != WaitpointState::Active) => {
            Look::Broken("waitpoint-not-active")
        }
        () => Look::at(condition.is_some_and(|condition| !condition.closed), "condition-closed"),
    }
}

pub(super) fn suspension_in_words(state: &State<'_>) -> String {
    let State { store, found, .. } = *state;
    let phase = word(found.core.vector.lifecycle_phase);
    let Some(suspension) = &found.suspension else { return format!("it is {phase} without a suspension") };
    let waitpoint = store.waitpoint(found.partition, &suspension.waitpoint);
    let stands = |closed: bool| if closed { "closed" } else { "open" };
    format!(
        "it is {phase}, its suspension is {}, the waitpoint {}, the condition {}",
        stands(suspension.closed_at.is_some()),
        waitpoint.map_or("missing", |waitpoint| waitpoint.state.as_str()),
        waitpoint.and_then(|found| found.condition.as_ref()).map_or("missing", |condition| stands(condition.closed))
    )
}

/// L13 for simple conditions: signals that were accepted and satisfy the wait have ended it.
pub(super) fn accepted_signals_are_heeded(state: &State<'_>) -> Look {
    let State { store, found, .. } = *state;
    let Some(suspension) = &found.suspension else { return Look::Vacuous };
    let Some(waitpoint) = store.waitpoint(found.partition, &suspension.waitpoint) else { return Look::Vacuous };
    let is_on = suspension.closed_at.is_none() && found.core.vector.lifecycle_phase == LifecyclePhase::Suspended;
    if !is_on {
        return if waitpoint.signals.is_empty() { Look::Vacuous } else { Look::Holds };
    }
    if waitpoint.signals.is_empty() || matches!(suspension.terms.condition, ResumeCondition::Composite(_)) {
        return Look::Vacuous;
    }
    let mut fresh = Condition::new(&suspension.terms, suspension.created_at);
    for entry in &waitpoint.signals {
        fresh.offer(&entry.name, &entry.signal);
    }
    Look::at(!fresh.is_satisfied(), "unheeded")
}
