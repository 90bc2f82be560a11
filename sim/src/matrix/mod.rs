//! The conformance matrix: what each operation answers in each of a fixed list of situations, on a real
//! backend, beside Valkey's answer.
//!
//! Valkey's answer is the model's, which the matrix of Valkey itself keeps honest. A situation
//! ([`situations`]) leads a [`scene::Scene`] by right calls to the probed call; answers are compared by
//! their gist ([`mod@gist`]).

#[cfg(feature = "databases")]
pub mod databases;
pub mod gist;
pub mod reference;
pub mod report;
pub mod scene;
pub mod situations;
pub mod subject;
pub mod valkey;

use std::collections::BTreeSet;

use ff_core::partition::PartitionConfig;
use serde::Serialize;

use crate::live::client::Deployment;
use gist::gist;
use reference::Reference;
use scene::{Scene, Stop, lane};
use situations::{Family, Situation, families};
use subject::{Error, Subject};

/// How a backend's answer compares with Valkey's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same gist.
    Same,
    /// Another gist.
    Differs,
    /// The backend does not have the operation, or one on the way to the situation.
    Unavailable,
    /// A call on the way was answered otherwise than by Valkey, so that the situation never came.
    Unreached,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Same, Self::Differs, Self::Unavailable, Self::Unreached];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Unavailable => "unavailable",
            Self::Unreached => "unreached",
        }
    }
}

/// One situation's line.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The probed method.
    pub operation: &'static str,
    /// The situation's name.
    pub situation: &'static str,
    /// How the answers compare.
    pub verdict: Verdict,
    /// Valkey's answer.
    pub valkey: String,
    /// The backend's answer.
    pub answer: String,
    /// Steps of the setup that no call of the backend could do.
    pub by_hand: BTreeSet<&'static str>,
}

/// What a situation came to on one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The probed call's gist.
    Answered(String),
    /// A call of the setup was answered otherwise than it must be.
    Stopped(&'static str, String),
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Answered(gist) => gist.clone(),
            Self::Stopped(method, gist) => format!("on the way: {method} answered {gist}"),
        }
    }
}

/// What every backend is set up with: one partition of each kind and the one lane.
pub fn deployment() -> Deployment {
    let partitions = PartitionConfig { num_flow_partitions: 1, num_budget_partitions: 1, num_quota_partitions: 1 };
    Deployment { secret: [7; 32], lanes: vec![lane()], partitions }
}

/// Leads a backend through every situation, or through those of one operation, and lays its answers
/// beside Valkey's.
///
/// # Errors
/// When the backend cannot be used any more.
pub fn run(subject: &mut dyn Subject, operation: Option<&str>, mut told: impl FnMut(usize)) -> Result<Vec<Row>, Error> {
    let mut reference = Reference::new();
    let mut rows = Vec::new();
    for family in families().filter(|family| operation.is_none_or(|wanted| wanted == family.operation)) {
        for situation in family.situations {
            let (expected, _) = come_to(&mut reference, situation)?;
            let (found, by_hand) = come_to(subject, situation)?;
            rows.push(row(family, situation, &expected, &found, by_hand));
            told(rows.len());
        }
    }
    Ok(rows)
}

fn come_to(subject: &mut dyn Subject, situation: &Situation) -> Result<(Outcome, BTreeSet<&'static str>), Error> {
    subject.empty()?;
    let mut scene = Scene::new(subject);
    let outcome = match (situation.lead)(&mut scene) {
        Ok(call) => Outcome::Answered(gist(&scene.perform(&call)?)),
        Err(Stop::Setup { method, gist }) => Outcome::Stopped(method, gist),
        Err(Stop::Failed(error)) => return Err(error),
    };
    Ok((outcome, scene.by_hand))
}

fn row(
    family: &Family,
    situation: &Situation,
    expected: &Outcome,
    found: &Outcome,
    by_hand: BTreeSet<&'static str>,
) -> Row {
    let is_unavailable = matches!(found, Outcome::Answered(gist) | Outcome::Stopped(_, gist) if gist == "Unavailable");
    let verdict = match (expected, found) {
        _ if expected == found => Verdict::Same,
        _ if is_unavailable => Verdict::Unavailable,
        (_, Outcome::Stopped(..)) => Verdict::Unreached,
        _ => Verdict::Differs,
    };
    Row {
        operation: family.operation,
        situation: situation.name,
        verdict,
        valkey: expected.text(),
        answer: found.text(),
        by_hand,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_leads_to_a_call_of_its_operation_and_is_reached_on_the_model() {
        let mut reference = Reference::new();
        for family in families() {
            for situation in family.situations {
                reference.empty().unwrap();
                let mut scene = Scene::new(&mut reference);
                match (situation.lead)(&mut scene) {
                    Ok(call) => assert_eq!(call.method(), family.operation, "{}", situation.name),
                    Err(stop) => panic!("{} / {}: {stop:?}", family.operation, situation.name),
                }
            }
        }
    }

    #[test]
    fn the_model_has_every_operation() {
        let mut reference = Reference::new();
        for family in families() {
            let mut answers = family.situations.iter().map(|situation| come_to(&mut reference, situation).unwrap().0);
            let unavailable = Outcome::Answered("Unavailable".into());
            assert!(answers.any(|answer| answer != unavailable), "{}", family.operation);
        }
    }

    #[test]
    fn no_name_comes_twice() {
        let mut operations = BTreeSet::new();
        for family in families() {
            assert!(operations.insert(family.operation), "{} twice", family.operation);
            let names: BTreeSet<&str> = family.situations.iter().map(|situation| situation.name).collect();
            assert_eq!(names.len(), family.situations.len(), "{}", family.operation);
        }
    }
}
