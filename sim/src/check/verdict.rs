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
    let is_accepted = |signature: &&&str| accepted.iter().any(|known| covers(known, signature));
    let is_seen = |known: &&&str| seen.iter().any(|signature| covers(known, signature));
    let unexpected: Vec<String> =
        seen.iter().filter(|signature| !is_accepted(signature)).map(|signature| (*signature).to_owned()).collect();
    let unseen = accepted.iter().filter(|known| !is_seen(known)).map(|known| (*known).to_owned()).collect();
    let judgement = match (unexpected.is_empty(), undecided.is_some()) {
        (false, _) => Judgement::Violated,
        (true, true) => Judgement::Undecided,
        (true, false) => Judgement::Held,
    };
    Verdict { judgement, undecided, unexpected, unseen }
}

/// Whether an accepted signature covers one that was seen: the same invariant, and the same last
/// mutations, as many as the accepted one names.
fn covers(accepted: &str, seen: &str) -> bool {
    let split = |signature: &'_ str| -> (String, Vec<String>) {
        let (invariant, mutations) = signature.split_once(' ').unwrap_or((signature, ""));
        (invariant.to_owned(), mutations.split(" > ").map(|mutation| mutation.trim().to_owned()).collect())
    };
    let (accepted_invariant, accepted_mutations) = split(accepted);
    let (seen_invariant, seen_mutations) = split(seen);
    accepted_invariant == seen_invariant && seen_mutations.ends_with(&accepted_mutations)
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
    fn an_accepted_signature_may_name_the_last_mutations_only() {
        let seen = "S26 engine:unblock_execution=unblocked > worker:block_execution_for_admission=blocked";
        let last = "S26 worker:block_execution_for_admission=blocked";
        assert_eq!(judge([seen], [last], None).judgement, Judgement::Held);
        assert_eq!(judge([last], [seen], None).judgement, Judgement::Violated, "more context is another cause");
        let other = "S27 worker:block_execution_for_admission=blocked";
        assert_eq!(judge([seen], [other], None).judgement, Judgement::Violated, "another invariant is another promise");
    }

    #[test]
    fn undecided_is_an_answer_of_its_own_but_hides_no_violation() {
        assert_eq!(judge([], [], Some("interrupted".into())).judgement, Judgement::Undecided);
        assert_eq!(judge(["S01"], [], Some("interrupted".into())).judgement, Judgement::Violated);
        assert_eq!([Judgement::Held, Judgement::Violated, Judgement::Undecided].map(Judgement::exit_code), [0, 1, 3]);
    }
}
