//! The story as numbered sentences: who did what when, by true time and by the party's own clock, and what came of it.

use std::fmt::Write as _;

use super::text::fold_key;
use super::{Moment, Told};
use crate::clock::EPOCH_MS;
use crate::plan::PartyKey;

/// Sentences at most; the last ones are the ones that are told.
const MOST: usize = 24;

/// What a script does, in words, where it ends so.
const DEEDS: &[(&str, &str, &str)] = &[
    ("create_execution", "created", "submits the work"),
    ("issue_claim_grant", "granted", "is granted the right to claim it"),
    ("issue_claim_grant_for", "granted", "is granted the right to claim it"),
    ("issue_claim_grant", "grant_already_exists", "asks for the right to claim it and is refused: somebody has it"),
    (
        "issue_claim_grant",
        "execution_not_eligible",
        "asks for the right to claim it and is refused: it is not eligible",
    ),
    ("claim_execution", "use_claim_resumed_execution", "wants to claim it and is told that it is resumed work"),
    ("claim_execution", "leased", "claims it and is its holder"),
    ("claim_resumed_execution", "leased", "claims the resumed work and is its holder"),
    ("issue_reclaim_grant", "granted", "is granted the right to take it back"),
    ("reclaim_execution", "leased", "takes it back from its earlier holder and holds it"),
    ("reclaim_execution", "max_retries_exhausted", "wants to take it back; it fails, reclaimed as often as it may"),
    ("renew_lease", "renewed", "renews its lease"),
    ("renew_lease", "lease_expired", "wants to renew its lease and is told that it has expired"),
    ("complete_execution", "completed", "completes it"),
    ("fail_execution", "retry_scheduled", "fails it, and a retry is scheduled"),
    ("fail_execution", "terminal_failed", "fails it for good"),
    ("cancel_execution", "cancelled", "cancels it"),
    ("suspend_execution", "suspended", "suspends it"),
    ("delay_execution", "delayed", "puts it off"),
    ("deliver_signal", "resume_condition_satisfied", "delivers the signal that it waits for"),
    ("expire_suspension", "auto_resume", "resumes it, because its wait has timed out"),
    ("mark_lease_expired_if_due", "marked_expired", "marks its lease as expired"),
    ("mark_lease_expired_if_due", "already_expired", "finds its lease marked as expired already"),
    ("promote_delayed", "promoted", "makes it eligible, because its delay is over"),
    ("revoke_lease", "revoked", "revokes its lease"),
    ("replay_execution", "replayed", "replays it"),
    ("change_priority", "changed", "changes its priority"),
    ("expire_execution", "expired", "ends it, because its timeout or deadline has passed"),
    ("add_execution_to_flow", "added", "puts it into a flow"),
    ("apply_dependency_to_child", "applied", "makes it depend on other work of the flow"),
    ("resolve_dependency", "satisfied", "says that work it depends on has succeeded"),
    ("resolve_dependency", "impossible", "ends it as skipped: work that it depends on can no longer succeed"),
    ("block_execution_for_admission", "blocked", "blocks it"),
    ("unblock_execution", "unblocked", "unblocks it"),
];

/// The moments in sentences.
pub(super) fn sentences(moments: &[Moment]) -> Vec<String> {
    let Some(first) = moments.first() else { return Vec::new() };
    let zero_us = first.at.us();
    let mut folded: Vec<Folded<'_>> = Vec::new();
    for moment in moments {
        let text = sentence(moment, zero_us);
        let is_same = |last: &&mut Folded<'_>| {
            last.first.party == moment.party
                && (fold_key(last.first).is_some() && fold_key(last.first) == fold_key(moment) || last.text == text)
        };
        match folded.last_mut().filter(is_same) {
            // What repeats is told once, with the time of the last.
            Some(last) => (last.times, last.last_us) = (last.times + 1, moment.at.us()),
            None => folded.push(Folded { first: moment, text, times: 1, last_us: moment.at.us() }),
        }
    }
    let from = folded.len().saturating_sub(MOST);
    let kept = folded.into_iter().skip(from).map(|Folded { text, times, last_us, .. }| match times {
        1 => text,
        _ => format!("{text} So {times} times in all, the last at {} s.", seconds(last_us - zero_us)),
    });
    kept.collect()
}

/// Moments that are told by one sentence.
struct Folded<'m> {
    first: &'m Moment,
    text: String,
    times: u32,
    last_us: u64,
}

fn sentence(moment: &Moment, zero_us: u64) -> String {
    let at = format!("At {} s", seconds(moment.at.us() - zero_us));
    let who = subject(moment);
    match &moment.what {
        Told::Performed { name, outcome, became, epoch, until_ms, .. } => {
            let known = DEEDS.iter().find(|(script, answer, _)| script == name && answer == outcome);
            let deed = known.map_or_else(
                || format!("calls {name}, which answers \"{}\"", outcome.replace('_', " ")),
                |(_, _, words)| (*words).to_owned(),
            );
            let mut text = format!("{at}, {who} {deed}");
            if let Some(epoch) = epoch {
                let _ = write!(text, ", under epoch {epoch}");
            }
            if let Some(until_ms) = until_ms {
                let true_ms = (until_ms - EPOCH_MS).saturating_sub(moment.server_ms);
                let since_us = u64::try_from(true_ms).unwrap_or(0).saturating_mul(1_000).saturating_sub(zero_us);
                let _ = write!(text, ", until {} s by the server's clock", seconds(since_us));
            }
            if !became.is_empty() {
                // The phase, and what it is like within that.
                let _ = write!(text, "; the work is now {}", became.replacen(' ', ", ", 1));
            }
            text.push('.');
            text
        }
        Told::Ran { starts: true } => format!("{at}, {who} begins to run the work."),
        Told::Ran { starts: false } => format!("{at}, {who} stops running it."),
        Told::Late { name, us, again, .. } => {
            let which = if *again { "a second copy of a request" } else { "a request" };
            format!("{at}, {which} of {who} arrives ({name}), {} s after it was sent.", seconds(*us))
        }
        Told::Befell { text, .. } => format!("{at}, a fault strikes {who}: {text}."),
        Told::GoesOn { text } if moment.party == PartyKey::SERVER => format!("{at}, {text}."),
        Told::GoesOn { text } => format!("{at}, {text} at {who}."),
        Told::Unheard { name, lost: Some(why), .. } => format!("{at}, {name} of {who} is lost: {why}."),
        Told::Unheard { name, lost: None, .. } => format!("{at}, {who} stops waiting for an answer to {name}."),
        Told::Broken { text } => {
            format!("{at}, the promise is broken: {}.", super::plain(text, moment.server_ms, zero_us))
        }
    }
}

/// The party, with its clock where that is wrong.
fn subject(moment: &Moment) -> String {
    match (moment.party, moment.party_ms) {
        (PartyKey::SERVER, _) => match moment.server_ms {
            0 => "the server".to_owned(),
            ms => format!("the server (its clock is {})", difference(ms)),
        },
        (party, 0) => party.to_string(),
        (party, ms) => format!("{party} (its clock is {})", difference(ms)),
    }
}

fn difference(ms: i64) -> String {
    format!("{} ms {}", ms.unsigned_abs(), if ms < 0 { "behind" } else { "ahead" })
}

fn seconds(us: u64) -> String {
    format!("{}.{:03}", us / 1_000_000, us / 1_000 % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TrueTime;

    fn at(ms: u64, what: Told) -> Moment {
        let (at, party) = (TrueTime::from_ms(ms), PartyKey(PartyKey::WORKERS));
        Moment { at, server_ms: 0, party, party_ms: 4_000, what }
    }

    fn performed(name: &'static str, outcome: &'static str, became: &str) -> Told {
        let became = became.to_owned();
        Told::Performed { message: 1, name, outcome, became, epoch: Some(1), until_ms: None, is_write: true }
    }

    #[test]
    fn a_deed_is_told_in_words_with_the_time_and_the_clock_of_whoever_does_it() {
        let told = sentences(&[at(1_500, performed("claim_execution", "leased", "active leased"))]);
        let expected = "At 0.000 s, worker-0 (its clock is 4000 ms ahead) claims it and is its holder, under epoch 1; the work is \
                        now active, leased.";
        assert_eq!(told, [expected]);
    }

    #[test]
    fn renewals_are_told_once() {
        let told: Vec<Moment> =
            (1..=4).map(|second| at(second * 1_000, performed("renew_lease", "renewed", ""))).collect();
        let told = sentences(&told);
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with("So 4 times in all, the last at 3.000 s."), "{told:?}");
    }
}
