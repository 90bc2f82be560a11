//! The three answers. In go the causes that were seen with their counts, what is known, and what had to be looked at;
//! out comes the verdict with everything that it rests on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Finding, Measure};
use crate::outcome::Cause;
use crate::stream::Ratio;

/// What a run or a campaign says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Every check held, but for known findings.
    Held,
    /// It could not be told.
    Undecided,
    /// Something was broken that is not known, or known and more often than it may be.
    Violated,
}

impl Judgement {
    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Violated => 1,
            Self::Undecided => 3,
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Undecided => "undecided",
        }
    }
}

/// What a verdict is formed from.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Causes with the number of their violations.
    pub causes: BTreeMap<Cause, u64>,
    /// How often each script ended with each result, as `script=result`.
    pub scripts: BTreeMap<String, u64>,
    /// How often each invariant was looked at where there was something to look at, by id.
    pub looks: BTreeMap<String, u64>,
    /// Executions created.
    pub executions: u64,
    /// What was measured.
    pub measures: Vec<Measure>,
    /// Why there is no answer, each reason once.
    pub undecided: Vec<String>,
}

/// A known finding and how often it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The finding's id.
    pub id: String,
    /// Violations.
    pub count: u64,
    /// Out of how many chances: calls of the script with that result; executions or looks where no script decides.
    pub of: u64,
    /// Whether that is more often than the finding allows.
    pub is_too_often: bool,
}

/// A judgement with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The answer.
    pub judgement: Judgement,
    /// Every reason why it is undecided.
    pub undecided: Vec<String>,
    /// Causes that no accepted finding knows.
    pub unexpected: Vec<Cause>,
    /// Accepted findings that were seen.
    pub known: Vec<Known>,
    /// What was measured to be over the bound that the scenario sets.
    pub exceeded: Vec<Measure>,
    /// Ids of accepted findings that were not seen.
    pub unseen: Vec<String>,
}

impl Verdict {
    /// Whether something is red.
    pub fn is_red(&self) -> bool {
        self.judgement == Judgement::Violated
    }
}

/// Forms the verdict. Strict, a known finding is red like any other violation.
pub fn judge(evidence: &Evidence, accepted: &[Finding], must_exercise: &[String], strict: bool) -> Verdict {
    let mut unexpected = Vec::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (cause, count) in &evidence.causes {
        match accepted.iter().find(|finding| finding.knows(cause)) {
            Some(finding) => *counts.entry(&finding.id).or_default() += count,
            None => unexpected.push(*cause),
        }
    }
    let (seen, unseen): (Vec<_>, Vec<_>) =
        accepted.iter().partition(|finding| counts.contains_key(finding.id.as_str()));
    let known: Vec<Known> = seen
        .into_iter()
        .map(|finding| {
            let (count, of) = (counts[finding.id.as_str()], finding.chances(evidence));
            let is_too_often = count > most(of, finding.at_most);
            Known { id: finding.id.clone(), count, of, is_too_often }
        })
        .collect();
    let mut undecided = evidence.undecided.clone();
    for id in must_exercise {
        if evidence.looks.get(id).copied().unwrap_or_default() == 0 {
            undecided.push(format!("{id} was never looked at, and the scenario promises to exercise it"));
        }
    }
    let exceeded: Vec<Measure> = evidence.measures.iter().filter(|measure| measure.is_exceeded()).copied().collect();
    let is_red =
        !unexpected.is_empty() || !exceeded.is_empty() || known.iter().any(|known| known.is_too_often || strict);
    let judgement = match (is_red, undecided.is_empty()) {
        (true, _) => Judgement::Violated,
        (false, false) => Judgement::Undecided,
        (false, true) => Judgement::Held,
    };
    let unseen = unseen.into_iter().map(|finding| finding.id.clone()).collect();
    Verdict { judgement, undecided, unexpected, known, exceeded, unseen }
}

/// How often something may come that comes at most at a rate: what the rate makes of so many chances, and three of its
/// standard deviations and three more, so that few chances do not decide by luck.
fn most(chances: u64, rate: Ratio) -> u64 {
    let expected = u128::from(chances) * u128::from(rate.times) / u128::from(rate.of);
    let expected = u64::try_from(expected).unwrap_or(u64::MAX);
    if rate == Ratio::ALWAYS { chances } else { expected.saturating_add(3 * expected.isqrt() + 3) }
}

#[cfg(test)]
mod tests {
    use claimlab_model::invariant::Invariant;

    use super::*;

    fn cause(case: &'static str) -> Cause {
        Cause { invariant: Invariant::S04, case, role: "worker", script: "cancel_execution", result: "cancelled" }
    }

    fn finding(at_most: Ratio) -> Finding {
        Finding {
            id: "F900".into(),
            title: "t".into(),
            invariant: "S04".into(),
            case: "expired".into(),
            script: vec!["cancel_execution=cancelled".into()],
            roles: Vec::new(),
            reason: "r".into(),
            at_most,
            repaired_by: None,
        }
    }

    fn evidence(causes: &[(Cause, u64)]) -> Evidence {
        let scripts = BTreeMap::from([("cancel_execution=cancelled".to_owned(), 100)]);
        Evidence { causes: causes.iter().copied().collect(), scripts, ..Evidence::default() }
    }

    #[test]
    fn a_known_cause_holds_and_another_case_under_the_same_script_does_not() {
        let known = [finding(Ratio { times: 1, of: 10 })];
        let held = judge(&evidence(&[(cause("expired"), 10)]), &known, &[], false);
        assert_eq!(held.judgement, Judgement::Held);
        assert_eq!(held.known, [Known { id: "F900".into(), count: 10, of: 100, is_too_often: false }]);
        let other = judge(&evidence(&[(cause("replaced"), 1)]), &known, &[], false);
        assert_eq!((other.judgement, other.unseen), (Judgement::Violated, vec!["F900".to_owned()]));
    }

    #[test]
    fn a_known_cause_that_comes_too_often_is_red() {
        let known = [finding(Ratio { times: 1, of: 10 })];
        // Ten are expected of a hundred; up to 22 may be luck.
        assert_eq!(judge(&evidence(&[(cause("expired"), 22)]), &known, &[], false).judgement, Judgement::Held);
        assert_eq!(judge(&evidence(&[(cause("expired"), 23)]), &known, &[], false).judgement, Judgement::Violated);
        assert_eq!(judge(&evidence(&[(cause("expired"), 1)]), &known, &[], true).judgement, Judgement::Violated);
    }

    #[test]
    fn what_was_promised_and_never_looked_at_is_undecided_and_hides_no_violation() {
        let promised = ["S08".to_owned()];
        let green = judge(&evidence(&[]), &[], &promised, false);
        assert_eq!(green.judgement, Judgement::Undecided);
        assert_eq!(judge(&evidence(&[(cause("expired"), 1)]), &[], &promised, false).judgement, Judgement::Violated);
        assert_eq!([Judgement::Held, Judgement::Violated, Judgement::Undecided].map(Judgement::exit_code), [0, 1, 3]);
    }
}
