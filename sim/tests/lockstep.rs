//! The model beside the shipped backend on a real Valkey, as a user runs the comparison.
//!
//! The numbers of calls are what a CI run affords; the same commands with larger ones are for by hand.

mod common;
#[path = "common/scenarios.rs"]
mod scenarios;

use std::process::{Command, Stdio};

use claimlab_valkey::{Server, connect};
use common::{assert_held, claimlab, root};

#[test]
fn random_sequences_over_the_whole_surface_are_answered_alike() {
    let said = assert_held("conform --calls 12000 --seed 1 --coverage");
    for method in ["claim_execution", "deliver_signal", "resolve_dependency", "check_admission", "claim_for_worker"] {
        assert!(said.contains(method), "{method} was never called:\n{said}");
    }
}

#[test]
fn every_scenario_runs_in_lockstep_with_its_clocks_and_faults() {
    for file in scenarios::all() {
        let file = file.display();
        assert_held(&format!("run {file} --workers 16 --seeds 2 --calls 1500 --lockstep valkey"));
    }
}

#[test]
fn every_scenario_runs_in_lockstep_message_by_message() {
    for file in scenarios::all() {
        let file = file.display();
        let common = "--workers 16 --seeds 2 --calls 300 --lockstep valkey --unit message";
        assert_held(&format!("run {file} {common}"));
    }
}

#[test]
fn lost_replies_are_lost_on_both_sides() {
    let common = "--workers 16 --seeds 1 --calls 300 --lockstep valkey --unit message";
    let said = assert_held(&format!("run scenarios/lost-replies.toml {common}"));
    assert!(said.contains("Transport(Valkey)"), "no call ended without a reply:\n{said}");
}

/// Each run ends at the first message that shows the planted change.
#[test]
fn a_planted_defect_is_found_message_by_message() {
    for deviation in ["bug-grant-survives-claim", "fix-list-expired-leases-reads-scores"] {
        let common = "--workers 16 --seeds 2 --calls 2000 --lockstep valkey --unit message";
        let output = claimlab(&format!("run scenarios/crash-and-skew.toml {common} --deviation {deviation}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{deviation} was not found\n{said}");
        assert!(said.contains("VIOLATED"), "{said}");
    }
}

#[test]
fn schedulers_that_would_not_stay_in_step_claim_no_verdict() {
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("uneven-partitions.toml");
    let text = "[world]\npartitions = 12\nfor_ms = 1000\n\n[workers]\ncount = 2\nkinds = [{ weight = 1, \
                entry = \"claim_via_server\" }]\n\n[work]\nrun_ms = [1, 2]\n";
    std::fs::write(&path, text).expect("the scenario is written");
    let output = claimlab(&format!("run {} --lockstep valkey --unit message", path.display()));
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complained}");
    assert!(complained.contains("12 partitions") && complained.contains("divides 32"), "{complained}");
    assert!(output.stdout.is_empty());
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

/// A server's address, as `--server` takes it.
fn address_of(server: &Server) -> String {
    format!("{}?clock={}", server.address(), server.clock().path().display())
}

#[test]
fn another_library_under_the_shipped_version_claims_no_verdict() {
    let server = Server::start(1_700_000_000_000).expect("valkey-server starts");
    let mut connection = connect(server.address()).expect("the server answers");
    let changed = format!("{}\n-- a patch\n", ff_script::LIBRARY_SOURCE);
    redis::cmd("FUNCTION").arg("LOAD").arg(changed).exec(&mut connection).expect("the library loads");
    let output = claimlab(&format!("conform --calls 10 --server {}", address_of(&server)));
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complained}");
    assert!(complained.contains("FUNCTION DELETE flowfabric"), "{complained}");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_old_library_gives_way_to_the_shipped_one() {
    let server = Server::start(1_700_000_000_000).expect("valkey-server starts");
    let mut connection = connect(server.address()).expect("the server answers");
    let old = "#!lua name=flowfabric\nserver.register_function('ff_version', function() return '1' end)";
    redis::cmd("FUNCTION").arg("LOAD").arg(old).exec(&mut connection).expect("the library loads");
    assert_held(&format!("conform --calls 200 --server {}", address_of(&server)));
}

#[test]
fn a_server_that_dies_in_the_middle_claims_no_verdict() {
    let server = Server::start(1_700_000_000_000).expect("valkey-server starts");
    let address = address_of(&server);
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

#[test]
fn a_comparison_of_nothing_is_undecided() {
    for arguments in ["conform --calls 0", "conform --scanners --calls 0"] {
        let output = claimlab(arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "claimlab {arguments}: {said}");
        assert!(said.contains("UNDECIDED"), "{said}");
    }
}
