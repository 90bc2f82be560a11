//! The matrix as text for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::gist::apart;
use super::{Row, Verdict};

/// Why a step of the setup is done by hand where it is.
const BY_HAND: &[(&str, &str)] = &[
    ("promote", "a created execution stays submitted and nothing of this backend makes it claimable: raw SQL does"),
    ("mark", "nothing of this backend makes a lapsed lease reclaimable: raw SQL does"),
    ("grant", "this backend has no issue_claim_grant: raw SQL writes the grant that claims look for"),
];

#[derive(Serialize)]
struct Whole<'a> {
    backend: &'a str,
    situations: usize,
    verdicts: BTreeMap<&'static str, usize>,
    by_hand: BTreeMap<&'static str, ByHand>,
    rows: &'a [Row],
}

#[derive(Serialize)]
struct ByHand {
    situations: usize,
    why: &'static str,
}

fn whole<'a>(backend: &'a str, rows: &'a [Row]) -> Whole<'a> {
    let mut verdicts = BTreeMap::new();
    let mut by_hand = BTreeMap::new();
    for row in rows {
        *verdicts.entry(row.verdict.name()).or_default() += 1;
    }
    for (step, why) in BY_HAND {
        let situations = rows.iter().filter(|row| row.by_hand.contains(step)).count();
        if situations > 0 {
            by_hand.insert(*step, ByHand { situations, why });
        }
    }
    Whole { backend, situations: rows.len(), verdicts, by_hand, rows }
}

/// The matrix in one JSON document.
///
/// # Errors
/// When it cannot be written down, which no matrix should cause.
pub fn json(backend: &str, rows: &[Row]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&whole(backend, rows)).map(|text| text + "\n")
}

/// The matrix for people: a head, then each operation with its situations.
pub fn text(backend: &str, rows: &[Row]) -> String {
    let whole = whole(backend, rows);
    let counts: Vec<String> = Verdict::ALL
        .iter()
        .filter_map(|verdict| whole.verdicts.get(verdict.name()).map(|count| format!("{count} {}", verdict.name())))
        .collect();
    let mut text = format!("{backend} beside valkey: {} situations, {}\n", whole.situations, counts.join(", "));
    for (step, ByHand { situations, why }) in &whole.by_hand {
        let _ = writeln!(text, "by hand in {situations} of them: {step} ({why})");
    }
    let mut operation = "";
    for row in rows {
        if row.operation != operation {
            operation = row.operation;
            let _ = writeln!(text, "\n{operation}");
        }
        let (verdict, situation) = (row.verdict.name(), row.situation);
        match row.verdict {
            Verdict::Differs => {
                let _ = writeln!(text, "  {verdict:12} {situation}");
                let (valkey, answer) = apart(&row.valkey, &row.answer);
                for (who, said) in [("valkey", valkey), (backend, answer)] {
                    let _ = writeln!(text, "               {who:8} {said}");
                }
            }
            Verdict::Unavailable if row.answer == "Unavailable" => {
                let _ = writeln!(text, "  {verdict:12} {situation}");
            }
            _ => {
                let _ = writeln!(text, "  {verdict:12} {situation}: {}", row.answer);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(verdict: Verdict, by_hand: &[&'static str]) -> Row {
        Row {
            operation: "renew",
            situation: "live lease",
            verdict,
            valkey: "Ok".into(),
            answer: "State(LeaseExpired)".into(),
            by_hand: by_hand.iter().copied().collect(),
        }
    }

    #[test]
    fn the_text_tells_what_was_done_by_hand_and_how_answers_differ() {
        let text = text("sqlite", &[row(Verdict::Differs, &["promote"])]);
        assert!(text.starts_with("sqlite beside valkey: 1 situations, 1 differs\nby hand in 1 of them: promote ("));
        let tail = "\nrenew\n  differs      live lease\n               valkey   Ok\n               \
                    sqlite   State(LeaseExpired)\n";
        assert!(text.ends_with(tail), "{text}");
    }

    #[test]
    fn the_json_holds_every_row() {
        let text = json("sqlite", &[row(Verdict::Same, &[])]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["rows"][0]["verdict"], "same");
        assert_eq!(value["verdicts"]["same"], 1);
    }
}
