//! What the observers are told.

use claimlab_model::intern::ExecutionNo;
use claimlab_model::message::{Done, Message, Reply};
use claimlab_model::store::{Change, Core};
use ff_core::state::LifecyclePhase;

use super::World;
use super::hub::PartyNo;
use crate::history::{Event, Happening, LeaseSeen, Transition};

impl World {
    /// Whether anybody listens.
    pub(super) fn is_watched(&self) -> bool {
        !self.options.observers.is_empty()
    }

    /// Tells the observers, if any.
    pub(super) fn tell<'k>(&mut self, party: PartyNo, kind: impl FnOnce(&Self) -> Happening<'k>) {
        if self.options.observers.is_empty() {
            return;
        }
        let event = Event {
            at: self.now,
            server: self.server_clock.at(self.now),
            party: self.seats[party].key,
            wall: self.hub.clock(party).at(self.now),
            kind: kind(self),
        };
        for observer in &mut self.options.observers {
            observer.observe(&event);
        }
    }

    /// Tells the observers something about an execution.
    pub(super) fn tell_about(
        &mut self,
        party: PartyNo,
        execution: ExecutionNo,
        kind: impl FnOnce(&str) -> Happening<'_>,
    ) {
        if self.is_watched() {
            let name = self.hub.ids().execution_name(execution).clone();
            self.tell(party, |_| kind(&name));
        }
    }

    pub(super) fn tell_performed(&mut self, party: PartyNo, number: u64, message: &Message, reply: &Reply) {
        if !self.is_watched() {
            return;
        }
        let execution = message.execution();
        let name = execution.and_then(|number| self.store.name(number)).cloned();
        let cores = execution.and_then(|number| self.store.changes().core_of(number));
        let created = || {
            let found = self.store.execution(execution?)?;
            let is_new = self.store.changes().items.iter().any(|(_, change)| matches!(change, Change::Created));
            is_new.then(|| transition(None, &found.core))
        };
        let change = cores.map(|(before, after)| transition(Some(before), after)).or_else(created);
        let lease = match reply {
            Reply::Done(Done::Leased(lease)) => Some(LeaseSeen {
                id: lease.fence.lease_id.to_string(),
                epoch: lease.fence.lease_epoch.0,
                attempt: lease.attempt_index.0,
                until_ms: Some(lease.expires_at.ms()),
            }),
            Reply::Done(Done::Renewed(until)) => under(message, Some(until.ms())),
            _ => under(message, None),
        };
        let grant_until_ms = match reply {
            Reply::Done(Done::Granted(until)) => Some(until.ms()),
            _ => None,
        };
        self.tell(party, |_| Happening::Performed {
            message: number,
            name: message.name(),
            outcome: reply.label(),
            execution: name.as_deref(),
            lease,
            grant_until_ms,
            change,
        });
    }
}

/// The lease that a message names.
fn under(message: &Message, until_ms: Option<i64>) -> Option<LeaseSeen> {
    let Message::Script(script) = message else { return None };
    let under = script.facts().under?;
    let id = under.fence.map_or_else(String::new, |fence| fence.lease_id.to_string());
    Some(LeaseSeen { id, epoch: under.epoch.0, attempt: under.attempt.0, until_ms })
}

/// The execution's state in words: `active leased`, `runnable eligible_now`, `terminal success`.
fn state(core: &Core) -> String {
    let vector = &core.vector;
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let mut words = vec![word(serde_json::to_value(vector.lifecycle_phase))];
    match vector.lifecycle_phase {
        LifecyclePhase::Active => words.push(word(serde_json::to_value(vector.ownership_state))),
        LifecyclePhase::Terminal => words.push(word(serde_json::to_value(vector.terminal_outcome))),
        LifecyclePhase::Runnable | LifecyclePhase::Submitted => {
            words.push(word(serde_json::to_value(vector.eligibility_state)));
        }
        LifecyclePhase::Suspended => {}
    }
    words.join(" ").replace('_', " ")
}

fn transition(before: Option<&Core>, after: &Core) -> Transition {
    Transition {
        from: before.map_or_else(|| "-".into(), state),
        to: state(after),
        epoch: [before.map_or(0, |core| core.current_lease_epoch.0), after.current_lease_epoch.0],
        attempts: [before.map_or(0, |core| core.total_attempt_count), after.total_attempt_count],
    }
}
