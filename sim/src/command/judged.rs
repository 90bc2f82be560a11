//! What the calls of a comparison broke, and whether all of it is known.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::CommandError;
use crate::input::InputError;
use crate::judge::{BrokenByCalls, Judgement, KnownOfCalls, named_or_nearest};

/// What is known of what random calls break: from a folder, or from the one nearest to where the command runs.
pub(super) fn known(folder: Option<&Path>) -> Result<KnownOfCalls, CommandError> {
    let none = || InputError::Unreadable {
        file: PathBuf::from("findings"),
        what: "folder of findings",
        why: "there is none here or above; name one with --findings".to_owned(),
    };
    Ok(KnownOfCalls::read(&named_or_nearest(folder).ok_or_else(none)?)?)
}

/// Tells the promises that were broken: those that nobody knows with what was seen, the others counted, or listed where
/// everything is to be told. Gives what the comparison came to, where it came to `said` without a look at promises.
pub(super) fn tell(
    text: &mut String,
    broken: &BrokenByCalls,
    known: &KnownOfCalls,
    (said, all): (Judgement, bool),
) -> Judgement {
    let (of_known, unknown): (Vec<_>, Vec<_>) = broken.causes().partition(|(cause, ..)| known.knows(cause));
    let answer = if unknown.is_empty() { "judged" } else { "VIOLATED" };
    let _ = writeln!(
        text,
        "{answer}  promises broken by {} known causes and {} that nobody knows yet, on both sides alike",
        of_known.len(),
        unknown.len()
    );
    for (cause, count, seen) in &unknown {
        let _ = writeln!(text, "  {cause}, {count} times: {seen}");
    }
    if all {
        for (cause, count, _) in &of_known {
            let _ = writeln!(text, "  known  {cause}, {count} times");
        }
    }
    if unknown.is_empty() { said } else { Judgement::Violated }
}
