//! A history is a function of scenario, seed and version: never of the process that prints it.
//!
//! Histories are too long to be kept, up to a gigabyte each, so two processes print theirs at the same
//! time and are compared as they go.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use claimlab_tests::{BUG, Folder, Running, STALLING, claimlab, root, with_backends};

const SEEDS: [u64; 3] = [1, 2, 3];

/// Every scenario that comes with claimlab.
fn scenarios() -> Vec<PathBuf> {
    let folder = root().join("scenarios").canonicalize().expect("a folder of scenarios");
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let files = entries.map(|entry| entry.expect("a readable folder").path());
    let mut scenarios: Vec<_> = files.filter(|file| file.extension().is_some_and(|kind| kind == "toml")).collect();
    scenarios.sort();
    assert!(!scenarios.is_empty(), "no scenarios to compare");
    scenarios
}

/// A process that prints a history.
struct Replay {
    running: Running,
    history: BufReader<ChildStdout>,
}

impl Replay {
    /// `surroundings` become the process's working folder, time zone and runtime seed: all that could
    /// leak into a run from outside.
    fn start(mut command: Command, scenario: &Path, seed: u64, surroundings: (&Path, &str, &str)) -> Self {
        let (folder, zone, runtime_seed) = surroundings;
        command.arg("replay").arg(scenario).args(["--seed", &seed.to_string(), "--workers", "60", "--history"]);
        command.current_dir(folder).env("TZ", zone).env("MADSIM_TEST_SEED", runtime_seed);
        let mut running = Running::start(command.stdout(Stdio::piped()));
        let stdout = running.0.stdout.take().expect("a piped output");
        Self { running, history: BufReader::with_capacity(1 << 20, stdout) }
    }

    fn here(scenario: &Path, seed: u64) -> Self {
        Self::start(claimlab(), scenario, seed, (root(), "UTC", "1"))
    }

    fn elsewhere(scenario: &Path, seed: u64) -> Self {
        Self::start(claimlab(), scenario, seed, (&std::env::temp_dir(), "Pacific/Chatham", "2"))
    }

    /// By another build: with every feature, hosted by madsim.
    fn hosted(scenario: &Path, seed: u64) -> Self {
        Self::start(with_backends(), scenario, seed, (root(), "UTC", "3"))
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.running.end_within(Duration::from_secs(60)).code()
    }
}

/// Where two histories differ first, and how many bytes they have in common.
fn compare(one: &mut Replay, other: &mut Replay) -> (bool, u64) {
    let mut common = 0;
    loop {
        let (left, right) = (one.history.fill_buf().expect("output"), other.history.fill_buf().expect("output"));
        let length = left.len().min(right.len());
        if left[..length] != right[..length] || (length == 0 && left.len() != right.len()) {
            return (false, common);
        }
        if length == 0 {
            return (true, common);
        }
        one.history.consume(length);
        other.history.consume(length);
        common += length as u64;
    }
}

#[test]
fn a_seed_gives_the_same_history_in_every_process() {
    for scenario in scenarios() {
        for seed in SEEDS {
            let (mut here, mut elsewhere) = (Replay::here(&scenario, seed), Replay::elsewhere(&scenario, seed));
            let (same, length) = compare(&mut here, &mut elsewhere);
            assert!(same, "{} with seed {seed} differs after {length} bytes", scenario.display());
            assert!(length > 0, "{} with seed {seed} printed nothing", scenario.display());
            let code = here.exit_code();
            assert!(matches!(code, Some(0 | 1 | 3)), "{} with seed {seed}: exit code {code:?}", scenario.display());
            assert_eq!(elsewhere.exit_code(), code, "{} with seed {seed}", scenario.display());
        }
    }
}

#[test]
fn builds_with_and_without_madsim_give_the_same_history() {
    for scenario in scenarios() {
        let (mut plain, mut hosted) = (Replay::here(&scenario, 1), Replay::hosted(&scenario, 1));
        let (same, length) = compare(&mut plain, &mut hosted);
        assert!(same && length > 0, "{} differs after {length} bytes", scenario.display());
    }
}

#[test]
fn another_seed_gives_another_history() {
    for scenario in scenarios() {
        for seed in SEEDS {
            let (mut one, mut other) = (Replay::here(&scenario, seed), Replay::here(&scenario, seed + 1));
            let (same, _) = compare(&mut one, &mut other);
            assert!(!same, "{}: seeds {seed} and {} give one history", scenario.display(), seed + 1);
        }
    }
}

#[test]
fn a_summary_does_not_depend_on_the_number_of_jobs() {
    let folder = Folder::with(&[("stalling.toml", STALLING)]);
    let summary = |jobs| folder.run(&format!("run stalling.toml {BUG} --seeds 20 --format json --jobs {jobs}")).stdout;
    let alone = summary(1);
    assert!(alone.contains("S04"), "nothing to compare: {alone}");
    for jobs in [2, 7] {
        assert_eq!(summary(jobs), alone, "{jobs} jobs");
    }
}
