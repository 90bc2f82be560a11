//! Worlds over the shipped databases, as a user runs them: what they break is known, and the same every time.

use claimlab_tests::{Finished, Folder, root, with_backends};

fn run(arguments: &str) -> Finished {
    let mut command = with_backends();
    command.current_dir(root()).arg("run").args(arguments.split_whitespace());
    Finished::from(command.output().expect("claimlab starts"))
}

/// Expects that nothing is broken that no finding knows, and that these findings are seen; a backend that is left out
/// says so.
#[track_caller]
fn assert_known(backend: &str, findings: &[&str]) {
    let finished = run(&format!("scenarios/databases/{backend}.toml --backend {backend} --seeds 2"));
    if finished.code == Some(3) && finished.stdout.starts_with("SKIPPED") {
        eprint!("{}", finished.stdout);
        return;
    }
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
    for id in findings {
        assert!(finished.stdout.contains(&format!("known       {id}:")), "{id}\n{}", finished.stdout);
    }
}

#[test]
fn sqlite_breaks_what_is_known_of_it() {
    assert_known("sqlite", &["F109", "F110", "F112", "F114", "F116"]);
}

#[test]
fn postgres_breaks_what_is_known_of_it() {
    assert_known("postgres", &["F108", "F109", "F110", "F112", "F114", "F116"]);
}

#[test]
fn a_seed_gives_the_same_calls_every_time() {
    let once = || run("scenarios/databases/sqlite.toml --backend sqlite --seeds 1 --format json").stdout;
    let first = once();
    assert!(first.contains("\"scripts\""), "{first}");
    assert_eq!(first, once());
}

#[test]
fn a_cause_that_nobody_knows_is_red_and_told_call_by_call() {
    let folder = Folder::with(&[]);
    let known = std::fs::read_to_string(root().join("scenarios/databases/sqlite.toml")).expect("a scenario");
    let unknown: Vec<&str> = known.lines().filter(|line| !line.starts_with("accept")).collect();
    folder.write("unknown.toml", unknown.join("\n"));
    let mut command = with_backends();
    command.arg("run").arg(folder.path("unknown.toml")).args(["--backend", "sqlite", "--seeds", "1"]);
    let finished = Finished::from(command.output().expect("claimlab starts"));
    assert_eq!(finished.code, Some(1), "{}\n{}", finished.stdout, finished.stderr);
    for told in ["S49 again submitter:create_execution=done", "BROKEN", "--backend sqlite --seed 0"] {
        assert!(finished.stdout.contains(told), "{told}\n{}", finished.stdout);
    }
}
