//! The three answers, and how a list of accepted signatures changes them.

use std::collections::BTreeSet;

use serde::Serialize;

/// What a run or a campaign says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Every check held, but for what is accepted.
    Held,
    /// It could not be told.
    Undecided,
    /// Something that is not accepted was broken.
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

/// A judgement with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The answer.
    pub judgement: Judgement,
    /// Why it is undecided, if it is.
    pub undecided: Option<String>,
    /// Signatures seen that are not accepted.
    pub unexpected: Vec<String>,
    /// Accepted signatures that were not seen.
    pub unseen: Vec<String>,
}

/// Judges the signatures that were seen against those that are accepted.
///
/// A violation stays one even where the rest is undecided. An accepted signature that was not seen is
/// reported and changes nothing: fewer seeds than usual may simply not reach it.
pub fn judge<'a>(
    seen: impl IntoIterator<Item = &'a str>,
    accepted: impl IntoIterator<Item = &'a str>,
    undecided: Option<String>,
) -> Verdict {
    let seen: BTreeSet<&str> = seen.into_iter().collect();
    let accepted: BTreeSet<&str> = accepted.into_iter().collect();
    let unexpected: Vec<String> = seen.difference(&accepted).map(|signature| (*signature).to_owned()).collect();
    let unseen = accepted.difference(&seen).map(|signature| (*signature).to_owned()).collect();
    let judgement = match (unexpected.is_empty(), undecided.is_some()) {
        (false, _) => Judgement::Violated,
        (true, true) => Judgement::Undecided,
        (true, false) => Judgement::Held,
    };
    Verdict { judgement, undecided, unexpected, unseen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_holds_and_another_cause_under_the_same_invariant_does_not() {
        let accepted = ["S04 worker:cancel_execution=cancelled"];
        assert_eq!(judge(accepted, accepted, None).judgement, Judgement::Held);
        let other = judge(["S04 worker:complete_execution=completed"], accepted, None);
        assert_eq!(other.judgement, Judgement::Violated);
        assert_eq!(other.unseen, accepted);
    }

    #[test]
    fn undecided_is_an_answer_of_its_own_but_hides_no_violation() {
        assert_eq!(judge([], [], Some("interrupted".into())).judgement, Judgement::Undecided);
        assert_eq!(judge(["S01"], [], Some("interrupted".into())).judgement, Judgement::Violated);
        assert_eq!([Judgement::Held, Judgement::Violated, Judgement::Undecided].map(Judgement::exit_code), [0, 1, 3]);
    }
}
