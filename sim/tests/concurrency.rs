//! Many clients at once on a real Valkey, repeated on the model in the server's order, as a user runs the
//! comparison.

mod common;

use common::{assert_held, claimlab};

/// The number right before some words, whose digits are in groups.
fn number_before(said: &str, words: &str) -> u64 {
    let before = said.split_once(words).map(|(before, _)| before).unwrap_or_default();
    let number = before.lines().last().unwrap_or_default().rsplit(", ").next().unwrap_or_default();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number before {words:?}\n{said}"))
}

#[test]
fn many_clients_at_once_are_answered_as_the_model_answers_in_the_servers_order() {
    for clients in [2, 8] {
        let said = assert_held(&format!("conform --concurrent {clients} --calls 8000 --seed 1"));
        // Clients that never came between each other's commands would have shown nothing new.
        let crossed = number_before(&said, " calls had others' commands between their own");
        assert!(crossed > 0, "{clients} clients never crossed\n{said}");
    }
}

#[test]
fn a_planted_defect_is_found_among_many_clients_and_told_with_the_order() {
    for deviation in ["bug-ignore-fence", "bug-reclaim-live-lease", "bug-accept-expired-lease"] {
        let output = claimlab(&format!("conform --concurrent 8 --calls 60000 --seed 3 --deviation {deviation}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{deviation} was not found\n{said}");
        assert!(said.contains("VIOLATED") && said.contains("the server's order of commands"), "{deviation}\n{said}");
    }
}
