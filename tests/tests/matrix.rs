//! The conformance matrix: what is checked in of each backend is still true, and the model answers as
//! the real Valkey does in every situation.
//!
//! A matrix that has changed is looked at and then written anew:
//! `cargo run --features databases -- conform --backend NAME >tests/matrix/NAME.txt`.

use claimlab_tests::{Finished, root, with_backends};
use similar::TextDiff;

fn conform(arguments: &str) -> Finished {
    let mut command = with_backends();
    command.arg("conform").args(arguments.split_whitespace());
    Finished::from(command.output().expect("claimlab starts"))
}

/// Compares a backend's matrix with the one that is checked in; a backend that is left out says so.
#[track_caller]
fn assert_as_checked_in(backend: &str) {
    let finished = conform(&format!("--backend {backend}"));
    if finished.code == Some(3) && finished.stdout.starts_with("SKIPPED") {
        eprint!("{}", finished.stdout);
        return;
    }
    let name = format!("tests/matrix/{backend}.txt");
    let expected = std::fs::read_to_string(root().join(&name)).expect("a matrix that is checked in");
    let diff = TextDiff::from_lines(&expected, &finished.stdout);
    let diff = diff.unified_diff().context_radius(2).header(&name, "now").to_string();
    assert!(diff.is_empty(), "{name} is not true any more:\n{diff}\n{}", finished.stderr);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn the_model_answers_as_valkey_in_every_situation() {
    assert_as_checked_in("valkey");
    let checked_in = std::fs::read_to_string(root().join("tests/matrix/valkey.txt")).expect("a matrix");
    let others = ["differs", "unavailable", "unreached"];
    let broken: Vec<&str> =
        checked_in.lines().filter(|line| others.iter().any(|other| line.trim_start().starts_with(other))).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn sqlite_answers_as_its_matrix_says() {
    assert_as_checked_in("sqlite");
}

#[test]
fn postgres_answers_as_its_matrix_says() {
    assert_as_checked_in("postgres");
}

#[test]
fn a_backend_that_is_left_out_is_undecided_and_says_so() {
    let mut command = with_backends();
    command.args(["conform", "--backend", "postgres"]).env("CLAIMLAB_SKIP", "postgres");
    let finished = Finished::from(command.output().expect("claimlab starts"));
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert!(finished.stdout.starts_with("SKIPPED  postgres"), "{}", finished.stdout);
}

#[test]
fn one_operation_alone_is_printed_in_json() {
    let finished = conform("--backend sqlite --only renew --format json");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let matrix: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let rows = matrix["rows"].as_array().expect("rows");
    assert_eq!(matrix["situations"], rows.len());
    assert!(rows.iter().all(|row| row["operation"] == "renew"), "{rows:?}");
    let promoted = rows.iter().filter(|row| row["by_hand"].to_string().contains("promote")).count();
    assert_eq!(matrix["by_hand"]["promote"]["situations"], promoted);
    assert!(promoted > 0);
}

#[test]
fn an_operation_that_is_none_is_refused_with_those_that_are() {
    let finished = conform("--backend sqlite --only frobnicate");
    assert_eq!(finished.code, Some(2));
    for named in ["--only", "found frobnicate", "claim_execution"] {
        assert!(finished.stderr.contains(named), "{}", finished.stderr);
    }
}

#[test]
fn flags_of_the_random_search_do_not_go_with_the_matrix() {
    let finished = conform("--backend sqlite --calls 7");
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("--calls"), "{}", finished.stderr);
}
