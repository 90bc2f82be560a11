//! Collecting: every event that touches the execution, and whatever befell the parties that touched it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Moment, Story, Told, slice, text};
use crate::clock::EPOCH_MS;
use crate::history::{Event, Happening, Observer};
use crate::outcome::Violation;
use crate::plan::{PartyKey, What};

/// A request that takes longer than this is worth telling, in microseconds.
const LONG_UNDER_WAY_US: u64 = 200_000;
/// What plain commands answer that take something away; no script has changed a core then.
const TAKEN_AWAY: [&str; 2] = ["deleted", "removed"];

#[derive(Default)]
struct Collected {
    moments: Vec<Moment>,
    /// Messages about the execution: by party and number, when they were sent, and their name.
    sent: BTreeMap<(PartyKey, u64), (u64, &'static str)>,
    /// Those that have arrived.
    arrived: BTreeSet<(PartyKey, u64)>,
    over: bool,
}

/// Listens to a run up to a violation.
#[derive(Clone)]
pub struct Collector {
    violation: Violation,
    collected: Arc<Mutex<Collected>>,
}

impl Collector {
    /// Listens for a violation.
    pub fn of(violation: Violation) -> Self {
        Self { violation, collected: Arc::default() }
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The story of what was heard.
    pub fn story(&self) -> Story {
        let collected = self.collected();
        text::tell(slice::causes(&collected.moments), collected.moments.len())
    }

    fn tell(&self, collected: &mut Collected, event: &Event<'_>) -> Option<Told> {
        let is_own = event.kind.execution() == Some(self.violation.execution.as_str());
        match &event.kind {
            Happening::Sent { message, name, .. } if is_own => {
                collected.sent.insert((event.party, *message), (event.at.us(), name));
                None
            }
            Happening::Performed { message, name, outcome, lease, grant_until_ms, change, .. } if is_own => {
                if *outcome == "read" {
                    return None;
                }
                let again = !collected.arrived.insert((event.party, *message));
                if let Some((sent_us, name)) = collected.sent.get(&(event.party, *message))
                    && (again || event.at.us() - sent_us > LONG_UNDER_WAY_US)
                {
                    let late = Told::Late { message: *message, name, us: event.at.us() - sent_us, again };
                    collected.moments.push(moment(event, late));
                }
                let became = change.as_ref().filter(|change| change.from != change.to);
                Some(Told::Performed {
                    message: *message,
                    name,
                    outcome,
                    became: became.map(|change| change.to.clone()).unwrap_or_default(),
                    epoch: lease.as_ref().map(|lease| lease.epoch),
                    until_ms: lease.as_ref().and_then(|lease| lease.until_ms).or(*grant_until_ms),
                    is_write: change.is_some() || grant_until_ms.is_some() || TAKEN_AWAY.contains(outcome),
                })
            }
            Happening::RunStarted { .. } if is_own => Some(Told::Ran { starts: true }),
            Happening::RunEnded { .. } if is_own => Some(Told::Ran { starts: false }),
            Happening::Struck { what, message: Some((message, name)), .. } => {
                // What befalls a message is told right after its sending.
                let is_own = collected.sent.contains_key(&(event.party, *message));
                let text = format!("{name}: {}", what.describe());
                is_own.then_some(Told::Befell { of_message: Some(*message), text })
            }
            Happening::Struck { what: What::Spare, .. } => None,
            Happening::Struck { what, .. } => Some(Told::Befell { of_message: None, text: what.describe() }),
            Happening::Dropped { message, why } => {
                let (_, name) = collected.sent.get(&(event.party, *message))?;
                Some(Told::Unheard { message: *message, name, lost: Some(why) })
            }
            Happening::GaveUp { message: Some(message) } => {
                let (_, name) = collected.sent.get(&(event.party, *message))?;
                Some(Told::Unheard { message: *message, name, lost: None })
            }
            Happening::Started { life } if *life > 0 => {
                Some(Told::GoesOn { text: format!("the process starts again, life {life}") })
            }
            Happening::Resumed => Some(Told::GoesOn { text: "the machine goes on".to_owned() }),
            Happening::Reconnected => Some(Told::GoesOn { text: "the cut is over".to_owned() }),
            Happening::Healed => Some(Told::GoesOn { text: "all faults stop and all clocks agree".to_owned() }),
            Happening::Violated { violation } if **violation == self.violation => {
                collected.over = true;
                Some(Told::Broken { text: violation.detail.clone() })
            }
            _ => None,
        }
    }
}

fn moment(event: &Event<'_>, what: Told) -> Moment {
    let true_ms = EPOCH_MS.saturating_add_unsigned(event.at.ms());
    Moment {
        at: event.at,
        server_ms: event.server.ms() - true_ms,
        party: event.party,
        party_ms: event.wall.ms() - true_ms,
        what,
    }
}

impl Observer for Collector {
    fn observe(&mut self, event: &Event<'_>) {
        let mut collected = self.collected();
        if collected.over {
            return;
        }
        if let Some(told) = self.tell(&mut collected, event) {
            collected.moments.push(moment(event, told));
        }
    }
}
