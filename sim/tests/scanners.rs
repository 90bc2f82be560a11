//! The engine's scanners and scheduler beside the shipped ones on a real Valkey, as a user runs the
//! comparison.

mod common;

use common::{assert_held, claimlab};

/// The outcomes of a line of a coverage table: `name  outcome 12, another 3`.
fn outcomes<'a>(said: &'a str, name: &str) -> Vec<&'a str> {
    let line = said.lines().find(|line| line.split_whitespace().next() == Some(name));
    let outcomes = line.and_then(|line| line.trim_start().strip_prefix(name)).unwrap_or_default();
    outcomes.split(',').filter_map(|outcome| Some(outcome.trim().rsplit_once(' ')?.0)).collect()
}

#[test]
fn each_scanner_that_ships_acts_as_the_models() {
    let said = assert_held("conform --scanners --calls 9000 --seed 2");
    for scanner in [
        "lease_expiry",
        "delayed_promoter",
        "attempt_timeout",
        "execution_deadline",
        "suspension_timeout",
        "pending_wp_expiry",
        "unblock",
        "index_reconciler",
        "quota_reconciler",
        "budget_reset",
        "dependency_reconciler",
        "cancel_reconciler",
        "edge_cancel_dispatcher",
        "edge_cancel_reconciler",
        "flow_projector",
        "retention_trimmer",
    ] {
        let outcomes = outcomes(&said, scanner);
        for outcome in ["acted", "nothing due"] {
            assert!(outcomes.contains(&outcome), "{scanner} never was: {outcome}\n{said}");
        }
    }
    // It asks for a budget's definition in a form that its client refuses: the shipped one never acts.
    assert_eq!(outcomes(&said, "budget_reconciler"), ["nothing due", "failed"], "{said}");
}

#[test]
fn the_scheduler_that_ships_grants_what_the_models_does() {
    let said = assert_held("conform --scanners --calls 2500 --seed 2 --coverage");
    let outcomes = outcomes(&said, "claim_for_worker");
    for outcome in ["Granted", "NoWork"] {
        assert!(outcomes.contains(&outcome), "the scheduler never said {outcome}\n{said}");
    }
}

#[test]
fn a_scanner_that_acts_otherwise_is_found_and_told_with_the_moves() {
    for deviation in ["bug-reclaim-live-lease", "fix-resume-delay-records-due", "fix-create-index-follows-state"] {
        let output = claimlab(&format!("conform --scanners --calls 30000 --seed 3 --deviation {deviation}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{deviation} was not found\n{said}");
        assert!(said.contains("VIOLATED") && said.contains("server"), "{deviation}\n{said}");
    }
}
