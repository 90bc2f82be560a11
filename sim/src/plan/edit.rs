//! Taking elements out of a plan, and turning what chance struck into an explicit list.

use super::{Act, Fault, PartyKey, Plan, Strikes, Struck};

/// One element of a plan, by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let mut plan = self.clone();
        match element {
            Element::Fault(key) => plan.faults.retain(|fault| fault.key != *key),
            Element::Action(key) => plan.operators.retain(|action| action.key != *key),
            Element::Work(key) => {
                plan.work.retain(|item| item.key != *key);
                plan.operators.retain(|action| action.work != *key);
                for flow in &mut plan.flows {
                    flow.members.retain(|member| member != key);
                    flow.edges.retain(|edge| edge.from != *key && edge.to != *key);
                    flow.groups.retain(|group| group.to != *key);
                }
                plan.flows.retain(|flow| !flow.members.is_empty());
                plan.faults.retain(|fault| !matches!(fault.strikes, Strikes::Holder { work, .. } if work == *key));
            }
            Element::Worker(key) => {
                plan.workers.retain(|worker| worker.key != *key);
                plan.faults.retain(|fault| fault.strikes.party() != Some(*key));
            }
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
