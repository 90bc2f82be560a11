//! Ends that are not as wished: outputs that cannot be written, plans and scenarios that cannot be, and
//! the replay lines that such runs print.

use std::fs::File;

use claimlab_tests::{BUG, Finished, Folder, HOLDING, STALLING};

fn folder() -> Folder {
    Folder::with(&[("holding.toml", HOLDING), ("stalling.toml", STALLING)])
}

#[track_caller]
fn assert_says_refused(finished: &Finished, what: &str, named: &[&str]) {
    assert_eq!(finished.code, Some(2), "{what}: {}", finished.stderr);
    for name in named {
        assert!(finished.stderr.contains(name), "{what}: does not say {name:?}: {}", finished.stderr);
    }
}

#[track_caller]
fn assert_scenario_refused(piece: &str, replacement: &str, named: &[&str]) {
    let folder = Folder::with(&[("bad.toml", &HOLDING.replace(piece, replacement))]);
    assert_says_refused(&folder.run("run bad.toml --seeds 1"), replacement, named);
}

#[test]
fn a_value_of_another_type_is_refused_with_its_key() {
    assert_scenario_refused("count = 5", "count = \"five\"", &["bad.toml:9:", "workers.count", "five", "accepted"]);
}

#[test]
fn too_many_partitions_are_refused_with_key_and_range() {
    let named = ["bad.toml:2:", "world.partitions", "found 65536", "accepted is 1 to 65535"];
    assert_scenario_refused("partitions = 2", "partitions = 65536", &named);
}

#[test]
fn a_probability_over_one_is_refused_with_its_key() {
    assert_scenario_refused("per_second = 2", "suspend = \"3/2\"", &["bad.toml:13:", "work.suspend", "found \"3/2\""]);
}

#[test]
fn a_repeated_key_is_refused_by_its_name() {
    assert_scenario_refused("count = 5", "count = 5\ncount = 6", &["bad.toml:10:", "count"]);
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    let folder = Folder::with(&[("bad.toml", &format!("name = \"../evil\"\n{HOLDING}"))]);
    let finished = folder.run("run bad.toml --seed 1 --out results");
    assert_says_refused(&finished, "name", &["bad.toml:1:", "name", "found \"../evil\"", "accepted"]);
}

#[test]
fn a_history_that_the_disk_has_no_room_for_leaves_no_folder() {
    for blocks in [24, 64, 200] {
        let folder = folder();
        std::fs::create_dir(folder.path("results")).unwrap();
        let before = folder.contents();
        let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" run holding.toml --seed 1 --out results"#);
        let named = ["--out results", "history-1.jsonl", "cannot be written", "File too large"];
        assert_says_refused(&folder.shell(&script), &script, &named);
        assert!(folder.contents() == before, "{blocks}: {:?}", folder.contents().keys());
    }
}

fn to_full(arguments: &str) {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let folder = folder();
    let finished = Finished::from(folder.command(arguments).stdout(full).output().unwrap());
    assert_says_refused(&finished, arguments, &["No space left on device"]);
}

#[test]
fn a_trace_that_cannot_be_printed_is_an_error() {
    to_full("replay holding.toml --seed 1 --trace");
}

#[test]
fn a_summary_that_cannot_be_printed_is_an_error() {
    to_full("run holding.toml");
}

#[test]
fn a_catalogue_that_cannot_be_printed_is_an_error() {
    to_full("invariants");
}

#[test]
fn the_end_of_a_history_that_cannot_be_printed_is_an_error() {
    // The file takes all but the last few bytes, which stand in the buffer when the run ends.
    let folder = folder();
    let length = folder.run("replay holding.toml --seed 1 --history").stdout.len();
    let blocks = length / 512;
    let script =
        format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" replay holding.toml --seed 1 --history >history"#);
    assert_says_refused(&folder.shell(&script), &script, &["File too large"]);
}

fn replays_itself(arguments: &str) {
    let folder = folder();
    assert_eq!(folder.run(&format!("run stalling.toml {BUG} --seed 3 --out results")).code, Some(1));
    let finished = folder.run(arguments);
    let line = finished.stdout.lines().find_map(|line| line.trim_start().strip_prefix("replay ")).unwrap();
    let again = folder.run(line.trim_start().strip_prefix("claimlab ").unwrap());
    assert_eq!(again.code, finished.code, "{arguments} says {line:?}: {again:?}");
}

#[test]
fn the_replay_that_a_replayed_plan_names_works() {
    replays_itself("replay results/stalling/plan-3.json");
}

#[test]
fn the_replay_that_a_replayed_scenario_names_keeps_its_flags() {
    replays_itself(&format!("replay stalling.toml --seed 3 {BUG}"));
}

#[test]
fn a_plan_with_impossible_values_is_refused() {
    let folder = folder();
    folder.run("run holding.toml --seed 1 --out results");
    let plan = String::from_utf8(folder.read("results/holding/plan-1.json")).unwrap();
    for (piece, replacement, key) in [
        ("\"partitions\":2", "\"partitions\":0", "world.partitions"),
        ("\"lanes\":[\"default\"]", "\"lanes\":[]", "world.lanes"),
        ("\"lease_ttl_ms\":3000", "\"lease_ttl_ms\":0", "world.lease_ttl_ms"),
    ] {
        assert!(plan.contains(piece), "{piece}");
        folder.write("bad.json", plan.replace(piece, replacement));
        assert_says_refused(&folder.run("replay bad.json"), replacement, &["bad.json:5:", key, "accepted is"]);
    }
}

#[test]
fn a_text_that_is_no_plan_is_refused_with_what_is_accepted() {
    let folder = Folder::with(&[("text.json", "hello\n")]);
    assert_says_refused(&folder.run("replay text.json"), "text", &["text.json:1:", "accepted is a plan in JSON"]);
}

#[test]
fn a_plan_of_another_version_is_refused_with_the_line_of_its_version() {
    let folder = Folder::with(&[("newer.json", "{\n  \"version\": 3\n}\n")]);
    assert_says_refused(&folder.run("replay newer.json"), "version", &["newer.json:2:", "version", "found 3"]);
}

#[test]
fn a_scenario_that_names_a_finding_that_nobody_has_is_refused_with_its_line() {
    let folder = Folder::with(&[("bad.toml", &format!("accept = [\"F022\", \"F999\"]\n{HOLDING}"))]);
    let named = ["bad.toml:1:", "accept[1]", "found \"F999\"", "accepted is an id of", "F022"];
    assert_says_refused(&folder.run("run bad.toml --seeds 1"), "F999", &named);
}

#[test]
fn findings_that_cannot_be_are_refused_with_their_place() {
    let text = String::from_utf8(folder().read("findings/F022.toml")).unwrap();
    for (piece, replacement, named) in [
        ("\"W01\"", "\"W99\"", "invariant: found \"W99\""),
        ("\"healthy\"", "\"sick\"", "case: found \"sick\", accepted is one of healthy"),
        ("\"1/1\"", "\"2/1\"", "found \"2/1\", accepted is a ratio"),
        ("at_most", "at_least", "unknown field `at_least`"),
    ] {
        let folder = folder();
        folder.write("findings/F022.toml", text.replace(piece, replacement));
        assert_says_refused(&folder.run("run stalling.toml --seeds 1"), replacement, &["F022.toml:", named]);
    }
    let folder = folder();
    folder.write("findings/again.toml", &text);
    assert_says_refused(&folder.run("run stalling.toml --seeds 1"), "twice", &["again.toml:1: id: found F022 again"]);
}

#[test]
fn a_world_without_work_and_a_promise_that_is_not_kept_are_undecided() {
    let idle = HOLDING.replace("at_start = 10\nper_second = 2\n", "");
    let promised = format!("must_exercise = [\"S22\"]\n{HOLDING}");
    let folder = Folder::with(&[("idle.toml", &idle), ("promised.toml", &promised)]);
    for (scenario, why) in [("idle", "nothing was created"), ("promised", "S22 was never looked at")] {
        let finished = folder.run(&format!("run {scenario}.toml --seeds 2"));
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.stdout.starts_with("UNDECIDED") && finished.stdout.contains(why), "{}", finished.stdout);
    }
}

#[test]
fn results_that_cannot_be_written_leave_no_out_folder_either() {
    let folder = folder();
    let before = folder.contents();
    folder.shell(r#"trap "" XFSZ; ulimit -f 1; exec "$0" run holding.toml --seed 1 --out results"#);
    assert!(folder.contents() == before, "{:?}", folder.contents().keys());
}

#[test]
fn an_out_that_is_a_file_is_refused_with_what_is_accepted() {
    let finished = folder().run("run holding.toml --seed 1 --out stalling.toml");
    assert_says_refused(&finished, "--out", &["--out stalling.toml", "found a file", "accepted is a folder"]);
}

#[test]
fn parts_that_this_build_lacks_are_refused_with_the_line_to_type() {
    let folder = folder();
    for (command, line) in [
        ("run holding.toml --seeds 1 --worker sdk", "cargo run --release --features sdk"),
        ("replay holding.toml --seed 1 --worker sdk", "cargo run --release --features sdk"),
        ("run holding.toml --seeds 1 --lockstep valkey", "cargo run --release --features live"),
        ("conform --calls 10", "cargo run --release --features live"),
    ] {
        assert_says_refused(&folder.run(command), command, &[line]);
    }
    assert_scenario_refused("count = 5", "count = 5\nworker = \"sdk\"", &["--features sdk"]);
    assert_scenario_refused("count = 5", "count = 5\nworker = \"robot\"", &["robot", "native", "sdk"]);
}
