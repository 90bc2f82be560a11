//! The causal cut: of a large world, what could have brought a violation about.
//!
//! A run is watched up to the violation of one execution: who touched the execution, who ran it when, and what struck
//! whom. What is left is the execution's work item (with the flow that it is in), these parties, and the faults that
//! struck them, the server or a holder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::TrueTime;
use crate::history::{Event, Happening, Observer};
use crate::plan::{Element, Fault, PartyKey, Plan, Strikes, What};

/// Who touched the execution, and who ran it.
#[derive(Clone, Debug, Default)]
pub struct Touches {
    /// When each party touched it first, in microseconds of true time.
    first_us: BTreeMap<PartyKey, u64>,
    /// Who ran it, from when until when.
    runs: Vec<(PartyKey, u64, Option<u64>)>,
}

/// Watches a run for the touches of one execution.
#[derive(Clone)]
pub struct Watcher {
    execution: String,
    touches: Arc<Mutex<Touches>>,
}

impl Watcher {
    /// Watches this execution.
    pub fn of(execution: &str) -> Self {
        Self { execution: execution.to_owned(), touches: Arc::default() }
    }

    fn touches(&self) -> MutexGuard<'_, Touches> {
        self.touches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen.
    pub fn seen(&self) -> Touches {
        self.touches().clone()
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: &Event<'_>) {
        if event.kind.execution() != Some(self.execution.as_str()) {
            return;
        }
        let (party, at_us) = (event.party, event.at.us());
        let mut touches = self.touches();
        match &event.kind {
            Happening::Performed { outcome, .. } if *outcome != "read" => {
                touches.first_us.entry(party).or_insert(at_us);
            }
            Happening::RunStarted { .. } => touches.runs.push((party, at_us, None)),
            Happening::RunEnded { .. } => {
                let open = touches.runs.iter_mut().rev().find(|(who, _, until)| *who == party && until.is_none());
                if let Some((_, _, until)) = open {
                    *until = Some(at_us);
                }
            }
            _ => {}
        }
    }
}

impl Touches {
    /// Whether a party ran the execution at a time, or a little before or after.
    fn ran(&self, party: PartyKey, at_us: u64) -> bool {
        const NEAR_US: u64 = 100_000;
        let near = |(who, from, until): &(PartyKey, u64, Option<u64>)| {
            *who == party && from.saturating_sub(NEAR_US) <= at_us && until.is_none_or(|until| at_us <= until + NEAR_US)
        };
        self.runs.iter().any(near)
    }
}

/// The work items that belong to an execution: its own, and the members of its flow.
fn items_of(plan: &Plan, execution: &str) -> BTreeSet<u32> {
    let own = plan.work.iter().find(|item| item.execution == execution || item.again.as_deref() == Some(execution));
    let Some(own) = own else { return BTreeSet::new() };
    let of_flow =
        plan.flows.iter().filter(|flow| flow.members.contains(&own.key)).flat_map(|flow| flow.members.clone());
    of_flow.chain([own.key]).collect()
}

/// Whether a message's address belongs to one of these parties or work items.
fn is_of(address: &str, parties: &BTreeSet<PartyKey>, items: &BTreeSet<u32>) -> bool {
    let (scope, rest) = address.split_once(" / ").unwrap_or((address, ""));
    let party = scope.split_once('.').map_or(scope, |(party, _)| party).parse::<PartyKey>();
    let is_about_item = || {
        let number = rest.strip_prefix("work-").map(|rest| rest.split([' ', '/']).next().unwrap_or_default());
        number.and_then(|number| number.parse().ok()).is_some_and(|item: u32| items.contains(&item))
    };
    match party {
        Ok(party) => parties.contains(&party) || !is_seated(party) && is_about_item(),
        Err(_) => is_about_item(),
    }
}

/// Whether a party has a seat that a plan can leave out.
const fn is_seated(party: PartyKey) -> bool {
    party.0 >= PartyKey::RECLAIMERS
}

/// What the cut leaves of a plan in which every struck message is named, and the same with what helps it to come about
/// again when everything else is gone: parties that start when they are needed, stalls that strike whoever holds the
/// work item.
pub fn cuts(plan: &Plan, execution: &str, touches: &Touches) -> Vec<Plan> {
    let items = items_of(plan, execution);
    let parties: BTreeSet<PartyKey> = touches.first_us.keys().copied().filter(|party| is_seated(*party)).collect();
    if items.is_empty() {
        return Vec::new();
    }
    let belongs = |fault: &Fault| match &fault.strikes {
        Strikes::At { party, .. } | Strikes::Sending { party, .. } => !is_seated(*party) || parties.contains(party),
        Strikes::Holder { work, .. } => items.contains(work),
        Strikes::Message(address) => is_of(address, &parties, &items),
    };
    let kept: BTreeSet<Element> = plan
        .elements()
        .into_iter()
        .filter(|element| match element {
            Element::Work(key) => items.contains(key),
            Element::Worker(key) => parties.contains(key),
            Element::Fault(_) | Element::Action(_) => true,
        })
        .collect();
    let mut cut = plan.only(&kept);
    cut.faults.retain(belongs);
    let mut staggered = cut.clone();
    for worker in &mut staggered.workers {
        // Two polls before it is needed: the claim is then as late as it was.
        let first_us = touches.first_us.get(&worker.key).copied().unwrap_or_default();
        let before_us = 2_000 * worker.poll_ms.min(1_000);
        worker.starts_at = worker.starts_at.max(TrueTime::from_us(first_us.saturating_sub(before_us)));
    }
    let of_holder = |plan: &Plan| {
        let mut plan = plan.clone();
        let work = plan.work.first().map(|item| item.key).filter(|_| items.len() == 1);
        for fault in &mut plan.faults {
            if let (Strikes::At { party, at_us }, Some(work)) = (&fault.strikes, work)
                && touches.ran(*party, at_us.us())
                && matches!(
                    fault.what,
                    What::Pause { .. } | What::Cut { .. } | What::Crash { .. } | What::Starve { .. }
                )
            {
                fault.strikes = Strikes::Holder { work, from_us: *at_us };
            }
        }
        plan
    };
    let (held, staggered_held) = (of_holder(&cut), of_holder(&staggered));
    vec![cut, staggered, held, staggered_held]
}
