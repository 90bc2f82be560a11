//! Every kind of fault, and every party that it can strike, changes what somebody is told; the counts name it.

#[path = "common/history.rs"]
mod history;

use std::path::Path;
use std::sync::Arc;

use claimlab::plan::{Plan, draw};
use claimlab::run::run;
use claimlab::scenario;
use claimlab::world::Options;
use history::history;

/// A world that uses everybody.
const BASE: &str = "[world]\npartitions = 2\nfor_ms = 20000\nschedulers = 1\n[lease]\nttl_ms = 2000\n\
                    [engine]\nscanners = [\"lease_expiry\", \"delayed_promoter\", \"suspension_timeout\"]\n\
                    [workers]\ncount = 8\nconcurrency = 2\nreclaimers = 1\n[[workers.kinds]]\nentry = \"claim_via_server\"\n\
                    [[workers.kinds]]\nentry = \"claim_next\"\n[work]\nat_start = 12\nper_second = 2\n\
                    run_ms = [500, 4000]\nsuspend = \"1/3\"\nsignal_after_ms = [200, 3000]\nsubmit_delayed = \"1/3\"\ndelay = \"1/3\"\n\
                    delay_ms = [500, 3000]\n[operators]\ncancel = \"1/4\"\nrevoke = \"1/4\"\nafter_ms = [0, 8000]\n";

/// Kinds of faults with what a scenario says of them.
const KINDS: [(&str, &str); 17] = [
    ("crash", "[faults.crash]\nworkers = \"1/1\"\nrestart_ms = [200, 4000]\n"),
    ("crash", "[faults.crash]\nworkers = \"0/1\"\nholders = \"1/1\"\nrestart_ms = [200, 4000]\n"),
    ("pause", "[faults.pause]\nworkers = \"1/1\"\nfor_ms = [2000, 6000]\n"),
    ("pause", "[faults.pause]\nworkers = \"0/1\"\nholders = \"1/1\"\nfor_ms = [2000, 6000]\n"),
    ("cut", "[faults.cut]\nworkers = \"1/1\"\nfor_ms = [2000, 6000]\n"),
    ("starve", "[faults.starve]\nworkers = \"1/1\"\nfor_ms = [4000, 8000]\n"),
    (
        "worker_step",
        "[faults.worker_step]\nworkers = \"0/1\"\nothers = { submitter = \"1/1\" }\nby_ms = [-4000, -2000]\n",
    ),
    ("lost_request", "[faults.lost_request]\nmessages = \"1/20\"\n"),
    ("lost_reply", "[faults.lost_reply]\nmessages = \"1/20\"\n"),
    ("duplicate", "[faults.duplicate]\nmessages = \"1/5\"\n"),
    ("delay", "[faults.delay]\nmessages = \"1/20\"\nby_ms = [1000, 4000]\n"),
    ("server_step", "[faults.server_step]\ncount = [1, 1]\nby_ms = [4000, 6000]\n"),
    ("server_restart", "[faults.server_restart]\ncount = [1, 1]\ndown_ms = [1000, 3000]\n"),
    (
        "fail_over",
        "[faults.fail_over]\ncount = [1, 1]\nlose_ms = [1000, 2000]\nclock_ms = [0, 0]\ndown_ms = [100, 200]\n",
    ),
    ("", "[network]\nservice_us = [2000, 9000]\n"),
    ("", "[clocks]\nworker_offset_ms = [3000, 4000]\n"),
    ("", "[clocks]\nothers_offset_ms = [5000, 6000]\n"),
];

/// So many worlds are looked at.
const SEEDS: u64 = 12;

/// Who besides workers can be struck.
const OTHERS: [&str; 6] = ["engine", "scheduler", "submitter", "operator", "signaller", "reclaimer"];

fn plan(faults: &str, seed: u64) -> Arc<Plan> {
    let text = format!("{BASE}{faults}");
    Arc::new(draw(&scenario::parse(Path::new("faults.toml"), &text).unwrap(), seed))
}

/// What calls came to, one line each in the order of a party's calls, without times.
fn told(plan: &Arc<Plan>) -> Vec<String> {
    let of = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let is_return = line["event"] == "returned";
        for time in ["at_us", "server_ms", "wall_ms"] {
            line.as_object_mut().unwrap().remove(time);
        }
        is_return.then(|| line.to_string())
    };
    let mut lines: Vec<String> = history(plan).lines().filter_map(of).collect();
    lines.sort();
    lines
}

/// What is told in one of a few worlds without any fault.
fn calm() -> Vec<Vec<String>> {
    (0..SEEDS).map(|seed| told(&plan("", seed))).collect()
}

/// Expects the fault to strike in every world, and to be told of in one of a few: some change little by themselves, a
/// request that is applied twice least.
#[track_caller]
fn assert_strikes(kind: &str, faults: &str, calm: &[Vec<String>]) {
    if !kind.is_empty() {
        let struck = run(&plan(faults, 0), Options::default()).counts.faults;
        assert!(struck.get(kind).is_some_and(|count| *count > 0), "{faults}: {struck:?}");
    }
    let is_told = (0..).zip(calm).any(|(seed, calm)| told(&plan(faults, seed)) != *calm);
    assert!(is_told, "nobody was told anything else:\n{faults}");
}

#[test]
fn every_kind_of_fault_strikes_and_changes_what_somebody_is_told() {
    let calm = calm();
    for (kind, faults) in KINDS {
        assert_strikes(kind, faults, &calm);
    }
}

#[test]
fn every_party_can_be_struck_by_crash_pause_and_cut() {
    let calm = calm();
    for other in OTHERS {
        for (kind, length) in [("crash", "restart_ms"), ("pause", "for_ms"), ("cut", "for_ms")] {
            let faults = format!(
                "[faults.{kind}]\nworkers = \"0/1\"\nothers = {{ {other} = \"1/1\" }}\n{length} = [5000, 9000]\n"
            );
            assert_strikes(kind, &faults, &calm);
        }
    }
}
