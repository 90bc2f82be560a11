//! The story of one execution: the events that matter to it, in order, with every party's clock.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::trace::{clocks, line};
use super::{Event, Kind, Observer};
use crate::plan::PartyKey;

const LINES: usize = 24;

#[derive(Default)]
struct Told {
    lines: VecDeque<String>,
    parties: BTreeSet<PartyKey>,
    /// Who has just sent a message about the execution.
    sending: Option<PartyKey>,
    over: bool,
}

/// Collects the last events of one execution up to its violation, and the faults of whoever touched it.
#[derive(Clone)]
pub struct Story {
    execution: String,
    invariant: &'static str,
    told: Arc<Mutex<Told>>,
}

impl Story {
    /// The story of an execution up to the violation of an invariant.
    pub fn of(execution: String, invariant: &'static str) -> Self {
        Self { execution, invariant, told: Arc::default() }
    }

    /// What was told.
    pub fn lines(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    fn matters(&self, told: &mut Told, event: &Event<'_>) -> bool {
        let mine = |execution: &Option<&str>| *execution == Some(self.execution.as_str());
        match &event.kind {
            Kind::Perform { execution, outcome, .. } if mine(execution) => {
                told.parties.insert(event.party);
                *outcome != "read"
            }
            Kind::Violation { execution, .. } => *execution == self.execution,
            Kind::Send { execution, .. } => {
                told.sending = mine(execution).then_some(event.party);
                false
            }
            // What befalls a message is told right after its sending.
            Kind::Fault { name, .. } if is_of_message(name) => told.sending == Some(event.party),
            Kind::Fault { .. } | Kind::Started { .. } => {
                event.party == PartyKey::SERVER || told.parties.contains(&event.party)
            }
            Kind::Healed => true,
            _ => false,
        }
    }
}

fn is_of_message(fault: &str) -> bool {
    matches!(fault, "lost_request" | "lost_reply" | "delay" | "duplicate")
}

impl Observer for Story {
    fn observe(&mut self, event: &Event<'_>) {
        let told = Arc::clone(&self.told);
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.over || !self.matters(&mut told, event) {
            return;
        }
        let text = line(event).or_else(|| match &event.kind {
            Kind::Perform { name, outcome, .. } => Some(format!("{} {name:<30} {outcome}", clocks(event))),
            _ => None,
        });
        if let Some(text) = text {
            if told.lines.len() == LINES {
                told.lines.pop_front();
            }
            told.lines.push_back(text);
        }
        if matches!(&event.kind, Kind::Violation { invariant, .. } if *invariant == self.invariant) {
            told.over = true;
        }
    }
}
