//! The model beside the shipped backend on a real Valkey, as a user runs the comparison.
//!
//! The numbers of calls are what a CI run affords; the same commands with larger ones are for by hand.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use claimlab_valkey::{Server, connect};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs the command in the workspace's root.
fn claimlab(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claimlab"))
        .args(arguments.split_whitespace())
        .current_dir(root())
        .env_remove("CLAIMLAB_VALKEY_URL")
        .output()
        .expect("the command starts")
}

#[track_caller]
fn assert_held(arguments: &str) -> String {
    let output = claimlab(arguments);
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "claimlab {arguments}\n{said}\n{complained}");
    assert!(said.contains("HELD"), "{said}");
    said.into_owned()
}

#[test]
fn random_sequences_over_the_whole_surface_are_answered_alike() {
    let said = assert_held("conform --calls 12000 --seed 1 --coverage");
    for method in ["claim_execution", "deliver_signal", "resolve_dependency", "check_admission", "claim_for_worker"] {
        assert!(said.contains(method), "{method} was never called:\n{said}");
    }
}

#[test]
fn every_scenario_runs_in_lockstep_with_its_clocks_and_faults() {
    let mut scenarios: Vec<_> = std::fs::read_dir(root().join("scenarios"))
        .expect("the scenarios are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    scenarios.sort();
    assert!(scenarios.len() >= 6);
    for scenario in scenarios {
        let name = scenario.file_name().expect("a file").to_string_lossy().into_owned();
        assert_held(&format!("run scenarios/{name} --workers 16 --seeds 2 --calls 1500 --lockstep valkey"));
    }
}

/// Each planted defect is one changed line of one script.
#[test]
fn a_planted_defect_in_a_script_is_found_and_told_with_both_answers() {
    for deviation in [
        "bug-accept-expired-lease",
        "bug-ignore-fence",
        "bug-renew-expired-lease",
        "bug-reclaim-keeps-epoch",
        "bug-claim-ignores-grant-worker",
        "bug-grant-survives-claim",
        "bug-reclaim-live-lease",
        "fix-fence-handle-cancel",
        "fix-block-respects-grant",
        "fix-reclaim-clears-attempt-timeout",
        "fix-resume-delay-records-due",
        "fix-create-index-follows-state",
        "fix-renew-refuses-marked-lease",
        "fix-list-expired-leases-reads-scores",
    ] {
        let output = claimlab(&format!("conform --calls 60000 --seed 3 --deviation {deviation}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{deviation} was not found\n{said}");
        assert!(said.contains("VIOLATED") && said.contains("#[test]"), "{deviation}\n{said}");
    }
}

#[test]
fn the_same_seed_gives_the_same_calls() {
    let run = || {
        let said = assert_held("conform --calls 1500 --seed 5 --coverage");
        said.lines().filter(|line| !line.contains("calls compared")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn an_address_that_cannot_be_used_claims_no_verdict() {
    for (server, complaint) in
        [("redis://127.0.0.1:1", "not an address"), ("valkey://127.0.0.1:1?clock=/nowhere/cell", "/nowhere/cell")]
    {
        let output = claimlab(&format!("conform --calls 10 --server {server}"));
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complained}");
        assert!(complained.contains(complaint), "{complained}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_server_that_dies_in_the_middle_claims_no_verdict() {
    let server = Server::start(1_700_000_000_000).expect("valkey-server starts");
    let address = format!("{}?clock={}", server.address(), server.clock().path().display());
    let command = Command::new(env!("CARGO_BIN_EXE_claimlab"))
        .args(["conform", "--calls", "100000000", "--server", &address])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // It is under way once its sequences have made keys.
    let mut connection = connect(server.address()).expect("the server answers");
    let mut keys = || redis::cmd("DBSIZE").query::<u64>(&mut connection).expect("the server answers");
    while keys() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(server);
    let output = command.wait_with_output().expect("the command ends");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complained}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(complained.contains("claimlab:"), "{complained}");
}

#[test]
fn without_the_server_program_the_line_to_type_is_said() {
    let output = Command::new(env!("CARGO_BIN_EXE_claimlab"))
        .args(["conform", "--calls", "10"])
        .current_dir(root())
        .env("PATH", "/nowhere")
        .output()
        .expect("the command starts");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complained}");
    assert!(complained.contains("tests/install-valkey"), "{complained}");
}
