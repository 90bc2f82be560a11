//! Taking elements out of a plan, and turning what chance struck into an explicit list.

use std::collections::BTreeSet;

use super::{Act, Fault, PartyKey, Plan, Strikes, Struck};

/// One element of a plan, by its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A fault.
    Fault(String),
    /// A work item.
    Work(u32),
    /// A worker or a reclaimer.
    Worker(PartyKey),
    /// Something that an operator does.
    Action(String),
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(key) => write!(f, "fault {key}"),
            Self::Work(key) => write!(f, "work item {key}"),
            Self::Worker(key) => write!(f, "{key}"),
            Self::Action(key) => write!(f, "action {key}"),
        }
    }
}

impl Plan {
    /// Every element that can be taken out.
    pub fn elements(&self) -> Vec<Element> {
        let faults = self.faults.iter().map(|fault| Element::Fault(fault.key.clone()));
        let actions = self.operators.iter().map(|action| Element::Action(action.key.clone()));
        let work = self.work.iter().map(|item| Element::Work(item.key));
        let workers = self.workers.iter().map(|worker| Element::Worker(worker.key));
        faults.chain(actions).chain(work).chain(workers).collect()
    }

    /// The plan without an element, and without what refers to it.
    #[must_use]
    pub fn without(&self, element: &Element) -> Self {
        let kept = self.elements().into_iter().filter(|kept| kept != element).collect();
        self.only(&kept)
    }

    /// The plan with these elements only, without what refers to others.
    #[must_use]
    pub fn only(&self, kept: &BTreeSet<Element>) -> Self {
        let is_kept = |element: Element| kept.contains(&element);
        let has_item = |key: &u32| is_kept(Element::Work(*key));
        let has_party = |party: PartyKey| party.0 < PartyKey::RECLAIMERS || is_kept(Element::Worker(party));
        let has_struck = |strikes: &Strikes| match strikes {
            Strikes::Holder { work, .. } => has_item(work),
            Strikes::At { party, .. } | Strikes::Sending { party, .. } => has_party(*party),
            Strikes::Message(_) => true,
        };
        let mut plan = Self {
            version: self.version,
            scenario: self.scenario.clone(),
            seed: self.seed,
            later: self.later,
            world: self.world.clone(),
            rates: self.rates.clone(),
            workers: self.workers.iter().filter(|worker| has_party(worker.key)).cloned().collect(),
            work: self.work.iter().filter(|item| has_item(&item.key)).cloned().collect(),
            flows: self.flows.clone(),
            operators: self
                .operators
                .iter()
                .filter(|action| has_item(&action.work) && is_kept(Element::Action(action.key.clone())))
                .cloned()
                .collect(),
            faults: self
                .faults
                .iter()
                .filter(|fault| has_struck(&fault.strikes) && is_kept(Element::Fault(fault.key.clone())))
                .cloned()
                .collect(),
        };
        for flow in &mut plan.flows {
            flow.members.retain(has_item);
            flow.edges.retain(|edge| has_item(&edge.from) && has_item(&edge.to));
            flow.groups.retain(|group| has_item(&group.to));
        }
        plan.flows.retain(|flow| !flow.members.is_empty());
        for worker in &mut plan.workers {
            worker.habits.twin_of = worker.habits.twin_of.filter(|twin| has_party(*twin));
        }
        plan
    }

    /// The plan in which exactly those messages are struck that a run of it has struck, named one by one.
    ///
    /// It runs to the same history, byte for byte. Faults that struck nobody are left out.
    #[must_use]
    pub fn concretise(&self, struck: &[Struck]) -> Self {
        let mut plan = self.clone();
        plan.rates.clear();
        plan.faults.retain(|fault| matches!(fault.strikes, Strikes::At { .. } | Strikes::Holder { .. }));
        plan.faults.retain(|fault| struck.iter().any(|struck| struck.key == fault.key));
        let of_messages = struck.iter().filter_map(|struck| {
            let strikes = Strikes::Message(struck.address.clone()?);
            Some(Fault { key: struck.key.clone(), strikes, what: struck.what })
        });
        plan.faults.extend(of_messages);
        plan
    }
}

impl Act {
    /// The key of such an action on a work item.
    pub fn key(self, work: u32) -> String {
        format!("{} work-{work}", self.name())
    }
}
