//! The command as its user meets it: what it accepts, says, writes and exits with.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use claimlab_tests::{BUG, Finished, Folder, HOLDING, Running, STALLING, wait_until};
use serde_json::Value;

/// A folder with both scenarios.
fn folder() -> Folder {
    Folder::with(&[("holding.toml", HOLDING), ("stalling.toml", STALLING)])
}

/// Expects bad input: exit code 2, an error that says all of `named`, no result, and nothing on disk.
#[track_caller]
fn assert_refused(folder: &Folder, arguments: &str, named: &[&str]) {
    let before = folder.contents();
    let finished = folder.run(arguments);
    assert_says_refused(&finished, arguments, named);
    assert!(folder.contents() == before, "{arguments}: left something on disk: {:?}", folder.contents().keys());
}

#[track_caller]
fn assert_says_refused(finished: &Finished, what: &str, named: &[&str]) {
    let Finished { code, stdout, stderr } = finished;
    assert_eq!(*code, Some(2), "{what}: {stderr}");
    assert_eq!(stdout, "", "{what}: printed a result");
    for name in named {
        assert!(stderr.contains(name), "{what}: does not say {name:?}: {stderr}");
    }
}

/// Expects that [`HOLDING`] with one piece of its text replaced is refused, whether it is run or replayed.
#[track_caller]
fn assert_scenario_refused(piece: &str, replacement: &str, named: &[&str]) {
    assert!(HOLDING.contains(piece), "{piece:?} is not in the scenario");
    let folder = Folder::with(&[("bad.toml", &HOLDING.replace(piece, replacement))]);
    assert_refused(&folder, "run bad.toml --seeds 1 --out results", named);
    assert_refused(&folder, "replay bad.toml --seed 1", named);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_known_keys() {
    for (piece, replacement, named) in [
        ("count = 5", "count = 5\ncuont = 5", ["bad.toml:10:", "`cuont`", "`count`", "`reclaimers`"]),
        ("ttl_ms = 3000", "ttl_ms = 3000\nttl = 3", ["bad.toml:7:", "`ttl`", "accepted is", "`ttl_ms`"]),
        ("[lease]", "[leases]", ["bad.toml:5:", "`leases`", "`lease`", "`workers`"]),
    ] {
        assert_scenario_refused(piece, replacement, &named);
    }
}

#[test]
fn a_missing_key_is_refused_with_its_table() {
    assert_scenario_refused("ttl_ms = 3000", "", &["bad.toml:5:", "missing", "`ttl_ms`"]);
    assert_scenario_refused("partitions = 2", "", &["bad.toml:1:", "missing", "`partitions`"]);
}

#[test]
fn a_value_of_another_type_is_refused_with_its_line_and_the_right_type() {
    for (piece, replacement, named) in [
        ("count = 5", "count = \"five\"", ["bad.toml:9:", "string \"five\"", "accepted is"]),
        ("for_ms = 5000", "for_ms = 0.5", ["bad.toml:3:", "floating point `0.5`", "accepted is"]),
        ("[100, 800]", "800", ["bad.toml:14:", "integer `800`", "accepted is an array of length 2"]),
        ("per_second = 2", "suspend = 1", ["bad.toml:13:", "integer `1`", "accepted is a string"]),
    ] {
        assert_scenario_refused(piece, replacement, &named);
    }
}

#[test]
fn a_lease_that_cannot_be_renewed_in_thirds_is_refused() {
    for ttl in ["0", "2"] {
        let named = ["bad.toml:6:", "lease.ttl_ms", &format!("found {ttl},"), "accepted is 3 to 86400000"];
        assert_scenario_refused("ttl_ms = 3000", &format!("ttl_ms = {ttl}"), &named);
    }
}

#[test]
fn a_probability_over_one_is_refused() {
    for found in ["3/2", "2/1", "1000001/1000000"] {
        let named = ["bad.toml:13:", &format!("found \"{found}\""), "accepted is a ratio between 0 and 1"];
        assert_scenario_refused("per_second = 2", &format!("suspend = \"{found}\""), &named);
    }
}

#[test]
fn lanes_that_cannot_be_are_refused() {
    for (lanes, named) in [
        ("[]", ["world.lanes", "found no lanes", "accepted is at least one lane"]),
        (r#"["a", "b", "a"]"#, ["world.lanes[2]", "found \"a\" again", "accepted is each lane once"]),
        (r#"["a", ""]"#, ["world.lanes[1]", "found \"\"", "accepted is 1 to 64 printable ASCII characters"]),
    ] {
        let replacement = format!("partitions = 2\nlanes = {lanes}");
        assert_scenario_refused("partitions = 2", &replacement, &[&["bad.toml:3:"], &named[..]].concat());
    }
}

#[test]
fn partitions_that_an_id_cannot_name_are_refused() {
    for (partitions, named) in [
        ("0", ["bad.toml:2:", "partitions", "found 0", "accepted is 1 to 65535"].as_slice()),
        ("65536", &["bad.toml:2:", "65536"]),
    ] {
        assert_scenario_refused("partitions = 2", &format!("partitions = {partitions}"), named);
    }
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_its_line() {
    assert_scenario_refused("[work]", "[work", &["bad.toml:11:", "accepted is `]`"]);
    assert_scenario_refused("count = 5", "count = 5\ncount = 6", &["bad.toml:10:", "duplicate key"]);
}

#[test]
fn a_path_that_holds_no_scenario_is_refused() {
    let folder = Folder::with(&[("empty.toml", ""), ("blank.toml", " \n\n"), ("bytes.toml", "")]);
    folder.write("bytes.toml", [0xff, 0xfe, 0x00]);
    std::fs::create_dir(folder.path("folder.toml")).unwrap();
    for (file, named) in [
        ("missing.toml", ["No such file", ""]),
        ("folder.toml", ["it is a directory", "accepted is a TOML file"]),
        ("empty.toml", ["it is empty", "accepted is a TOML file with [world], [workers] and [work]"]),
        ("blank.toml", ["it is empty", "accepted is a TOML file with [world], [workers] and [work]"]),
        ("bytes.toml", ["UTF-8", ""]),
    ] {
        for arguments in [format!("run {file} --out results"), format!("replay {file} --seed 1")] {
            assert_refused(&folder, &arguments, &[&[file], &named[..]].concat());
        }
    }
}

/// The plan that a run of seed 1 stores.
fn stored_plan(folder: &Folder) -> String {
    assert_eq!(folder.run("run holding.toml --seed 1 --out results").code, Some(0));
    String::from_utf8(folder.read("results/holding/plan-1.json")).unwrap()
}

#[test]
fn a_file_that_holds_no_plan_is_refused() {
    let folder = folder();
    let plan = stored_plan(&folder);
    folder.write("older.json", plan.replace("\"version\": 2", "\"version\": 1"));
    folder.write("text.json", "hello\n");
    folder.write("toml.json", HOLDING);
    folder.write("cut.json", &plan[..plan.len() / 2]);
    folder.write("other.json", "{}");
    folder.write("seed.json", plan.replace("\"seed\": 1", "\"seed\": \"one\""));
    folder.write("key.json", plan.replace("\"world\": {", "\"world\": {\"wrold\":0,"));
    folder.write("execution.json", plan.replacen("{fp:", "{", 1));
    folder.write("empty.json", "");
    std::fs::create_dir(folder.path("folder.json")).unwrap();
    for (file, named) in [
        ("older.json", ["older.json:2:", "found 1", "accepted is 2", "claimlab replay SCENARIO --seed N --out"]),
        ("text.json", ["text.json:1:", "expected", "", ""]),
        ("toml.json", ["toml.json:1:", "expected", "", ""]),
        ("cut.json", ["cut.json:", "EOF", "", ""]),
        ("other.json", ["other.json:1:", "missing field", "`version`", ""]),
        ("seed.json", ["seed.json:4:", "string \"one\"", "expected", ""]),
        ("key.json", ["key.json:5:", "unknown field `wrold`", "expected", "`partitions`"]),
        ("execution.json", ["execution.json:", "work[0].execution", "{fp:N}:UUID", ""]),
        ("empty.json", ["empty.json", "it is empty", "accepted is a plan in JSON", ""]),
        ("folder.json", ["folder.json", "it is a directory", "accepted is a plan in JSON", ""]),
        ("missing.json", ["missing.json", "No such file", "", ""]),
    ] {
        assert_refused(&folder, &format!("replay {file}"), &named);
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for (flags, named) in [
        ("--seed 1 --seeds 2", ["--seed <N>", "--seeds <N>"]),
        ("--seed 1 --seed-from 2", ["--seed <N>", "--seed-from <N>"]),
        ("--seed 1 --for 1s", ["--seed <N>", "--for <TIME>"]),
    ] {
        assert_refused(&folder(), &format!("run holding.toml {flags} --out results"), &named);
    }
    assert_refused(&folder(), "replay holding.toml --seed 1 --trace --history", &["--trace", "--history"]);
}

#[test]
fn a_flag_with_an_impossible_value_is_refused_with_what_is_accepted() {
    let folder = folder();
    for (flags, named) in [
        ("--seeds 0", ["--seeds", "found 0", "accepted is 1 or more"]),
        ("--seeds x", ["--seeds", "'x'", "invalid digit"]),
        ("--seed -1", ["'-1'", "", ""]),
        ("--workers 0", ["--workers", "found 0", "accepted is 1 to 200000"]),
        ("--workers 200001", ["--workers", "found 200001", "accepted is 1 to 200000"]),
        ("--jobs 0", ["--jobs", "found 0", "accepted is 1 to 1024"]),
        ("--jobs 1025", ["--jobs", "found 1025", "accepted is 1 to 1024"]),
        ("--for soon", ["--for", "'soon'", "expected"]),
        ("--format yaml", ["--format", "'yaml'", "[possible values: text, json]"]),
        ("--deviation bug-unknown", ["--deviation", "'bug-unknown'", "bug-ignore-fence"]),
    ] {
        assert_refused(&folder, &format!("run holding.toml --out results {flags}"), &named);
    }
    for (flags, named) in [
        ("--workers 0", ["--workers", "found 0", "accepted is 1 to 200000"]),
        ("--deviation bug-unknown", ["--deviation", "'bug-unknown'", "bug-ignore-fence"]),
    ] {
        assert_refused(&folder, &format!("replay holding.toml --seed 1 {flags}"), &named);
    }
}

#[test]
fn seeds_beyond_the_last_one_are_refused_and_the_last_one_is_run() {
    let folder = folder();
    let last = "run holding.toml --seed-from 18446744073709551615";
    let named = ["--seed-from", "found 18446744073709551615 with 2 seeds", "accepted is", "18446744073709551616"];
    assert_refused(&folder, &format!("{last} --seeds 2 --out results"), &named);
    assert_refused(&folder, &format!("{last} --out results"), &["--seed-from", "with 10 seeds", "accepted is"]);
    assert_eq!(folder.run(&format!("{last} --seeds 1")).code, Some(0));
}

#[test]
fn a_replay_needs_a_seed_with_a_scenario_and_none_with_a_plan() {
    let folder = folder();
    folder.write("plan.json", stored_plan(&folder));
    assert_refused(&folder, "replay holding.toml", &["--seed", "found nothing", "accepted is a seed"]);
    for flags in ["--seed 1", "--workers 5", "--worker native", BUG] {
        let named = ["--seed, --workers, --worker, --deviation", "found a plan", "accepted is a plan alone"];
        assert_refused(&folder, &format!("replay plan.json {flags}"), &named);
    }
    assert_eq!(folder.run("replay plan.json").code, Some(0));
}

#[test]
fn an_out_folder_that_cannot_be_made_is_refused_before_anything_is_run() {
    let folder = folder();
    for out in ["holding.toml/results", "holding.toml/deep/results"] {
        let named = [&format!("--out {out}"), "accepted is a folder"];
        assert_refused(&folder, &format!("run holding.toml --seed 1 --out {out}"), &named);
    }
    assert_refused(&folder, "run holding.toml --seed 1 --out stalling.toml", &["--out stalling.toml"]);
}

#[test]
fn results_that_the_disk_has_no_room_for_leave_no_folder() {
    // A limit on a file's size stands in for the full disk, since that takes no privileges. The first
    // limit is too small for every file, the second one for the plan only.
    for (blocks, file) in [(1, "summary.json"), (8, "plan-1.json")] {
        let folder = folder();
        std::fs::create_dir(folder.path("results")).unwrap();
        let before = folder.contents();
        let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" run holding.toml --seed 1 --out results"#);
        let finished = folder.shell(&script);
        assert_says_refused(&finished, &script, &["--out results", file, "cannot be written", "File too large"]);
        assert!(folder.contents() == before, "left something on disk: {:?}", folder.contents().keys());
    }
}

#[test]
fn a_history_that_cannot_be_printed_is_an_error() {
    let full = File::options().write(true).open("/dev/full").expect("a device that is always full");
    let folder = folder();
    let mut command = folder.command("replay holding.toml --seed 1 --history");
    let finished = Finished::from(command.stdout(full).output().unwrap());
    assert_says_refused(&finished, "--history", &["standard output", "No space left on device"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let replay = "replay holding.toml --seed 1";
    for arguments in ["run holding.toml", &format!("{replay} --history"), &format!("{replay} --trace"), "invariants"] {
        // The reader is gone before the first byte is written.
        let script = format!(r#"{{ sleep 0.2; "$0" {arguments}; echo "code $?" >&2; }} | true"#);
        let finished = folder().shell(&script);
        assert!(finished.stderr.ends_with("code 0\n"), "{arguments}: {}", finished.stderr);
    }
}

#[test]
fn a_scenario_that_holds_exits_with_0() {
    for (arguments, seeds) in [
        ("run holding.toml", "10 seeds"),
        ("run holding.toml --seeds 3", "3 seeds"),
        ("run holding.toml --seed-from 5 --seeds 2 --jobs 2", "2 seeds"),
        ("run holding.toml --for 1m --seeds 4", "4 seeds"),
        ("replay holding.toml --seed 3", "1 seeds"),
    ] {
        let finished = folder().run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments}: {finished:?}");
        assert!(finished.stdout.starts_with("HELD  holding  "), "{arguments}: {}", finished.stdout);
        assert!(finished.stdout.contains(seeds), "{arguments}: {}", finished.stdout);
    }
}

#[test]
fn a_scenario_that_is_violated_exits_with_1_and_tells_by_what() {
    let folder = folder();
    let held = folder.run("run stalling.toml");
    assert_eq!(held.code, Some(0), "the scenario holds without the bug: {held:?}");
    assert!(held.stdout.starts_with("HELD but for 1 known finding  stalling"), "{}", held.stdout);
    assert!(held.stdout.contains("known       F022 W01 healthy: "), "{}", held.stdout);
    assert_eq!(folder.run("run stalling.toml --strict").code, Some(1), "strict, a known finding is red");
    for arguments in ["run stalling.toml", "run stalling.toml --seed 3", "replay stalling.toml --seed 3"] {
        let finished = folder.run(&format!("{arguments} {BUG}"));
        assert_eq!(finished.code, Some(1), "{arguments}: {finished:?}");
        assert!(finished.stdout.starts_with("VIOLATED by "), "{arguments}: {}", finished.stdout);
        assert!(finished.stdout.contains("S04 a fenced write is accepted only"), "{arguments}: {}", finished.stdout);
    }
}

#[test]
fn the_replay_that_a_violation_names_shows_that_violation() {
    let folder = folder();
    let finished = folder.run(&format!("run stalling.toml {BUG} --workers 7 --seeds 3"));
    let told = |label: &str| {
        let line = finished.stdout.lines().find_map(|line| line.trim_start().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label}: {}", finished.stdout)).trim_start()
    };
    let replayed = folder.run(told("replay ").strip_prefix("claimlab ").expect("a command of claimlab"));
    assert_eq!(replayed.code, Some(1), "{replayed:?}");
    assert!(replayed.stdout.contains(told("cause ")), "{}", replayed.stdout);
}

#[test]
fn a_campaign_without_a_single_seed_is_undecided_and_exits_with_3() {
    let finished = folder().run("run holding.toml --for 0s");
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stdout.starts_with("UNDECIDED"), "{}", finished.stdout);
    assert!(finished.stdout.contains("no seed was run"), "{}", finished.stdout);
}

/// A campaign that would take days, ended by Ctrl-C after a second.
fn interrupted(folder: &Folder, flags: &str) -> Finished {
    let mut command = folder.command(&format!("run holding.toml --seeds 1000000000 --out results {flags}"));
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let limit = Duration::from_secs(60);
    // A busy machine may take its time to start it at all; then some seeds get done.
    wait_until("results has been made", limit, || folder.path("results").exists());
    std::thread::sleep(Duration::from_secs(1));
    let kill = folder.shell(&format!("kill -INT {}", running.0.id()));
    assert_eq!(kill.code, Some(0), "{kill:?}");
    let status = running.end_within(limit);
    let text = |from: &mut dyn std::io::Read| std::io::read_to_string(from).unwrap();
    let stdout = text(running.0.stdout.as_mut().unwrap());
    Finished { code: status.code(), stdout, stderr: text(running.0.stderr.as_mut().unwrap()) }
}

#[test]
fn ctrl_c_ends_a_campaign_with_130_and_the_summary_so_far() {
    let finished = interrupted(&folder(), "");
    assert_eq!(finished.code, Some(130), "{finished:?}");
    assert!(finished.stdout.starts_with("UNDECIDED  holding"), "{}", finished.stdout);
    assert!(finished.stdout.contains("interrupted"), "{}", finished.stdout);
    assert!(finished.stdout.contains("checked     L02"), "{}", finished.stdout);
}

#[test]
fn ctrl_c_keeps_the_results_so_far() {
    let folder = folder();
    let printed = parse_object(&interrupted(&folder, "--format json").stdout);
    assert!(printed["summary"]["seeds"].as_u64().unwrap() > 0, "{printed}");
    let stored: Value = serde_json::from_slice(&folder.read("results/holding/summary.json")).unwrap();
    assert_eq!(stored, printed);
}

/// Names directly below a folder.
fn names(folder: &Folder, below: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path(below)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_run_into_one_out_folder_gets_a_folder_of_its_own() {
    let folder = folder();
    assert_eq!(folder.run("run holding.toml --seed 1 --out results").code, Some(0));
    let first = folder.contents();
    for (arguments, expected) in [
        ("run holding.toml --seed 1 --out results", ["holding", "holding-2"].as_slice()),
        ("run holding.toml --seed 2 --out results", &["holding", "holding-2", "holding-3"]),
        ("run stalling.toml --seed 1 --out results", &["holding", "holding-2", "holding-3", "stalling"]),
    ] {
        let finished = folder.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments}: {finished:?}");
        assert!(finished.stderr.contains("results in results/"), "{arguments}: {}", finished.stderr);
        assert_eq!(names(&folder, "results"), expected, "{arguments}");
        let mut now = folder.contents();
        now.retain(|path, _| first.contains_key(path));
        assert!(now == first, "{arguments}: changed what an earlier run left");
    }
}

#[test]
fn a_run_of_one_seed_stores_summary_plan_and_history_whatever_the_verdict() {
    let folder = folder();
    for (scenario, flags) in [("holding", ""), ("stalling", BUG)] {
        folder.run(&format!("run {scenario}.toml --seed 7 {flags} --out results"));
        let expected = ["history-7.jsonl", "plan-7.json", "summary.json", "summary.txt"];
        assert_eq!(names(&folder, &format!("results/{scenario}")), expected);
    }
}

#[test]
fn a_red_campaign_stores_plan_and_history_of_a_red_seed_only() {
    let folder = folder();
    assert_eq!(folder.run("run holding.toml --seeds 3 --out results").code, Some(0));
    assert_eq!(names(&folder, "results/holding"), ["summary.json", "summary.txt"]);
    assert_eq!(folder.run(&format!("run stalling.toml --seeds 3 {BUG} --out results")).code, Some(1));
    let expected = ["history-0.jsonl", "plan-0.json", "summary.json", "summary.txt"];
    assert_eq!(names(&folder, "results/stalling"), expected);
}

#[test]
fn the_stored_summaries_are_the_printed_ones() {
    let folder = folder();
    let json = folder.run(&format!("run stalling.toml {BUG} --seeds 3 --format json --out results"));
    let stored = String::from_utf8(folder.read("results/stalling/summary.json")).unwrap();
    assert_eq!(stored.trim_end(), json.stdout.trim_end());
    let text = folder.run(&format!("run stalling.toml {BUG} --seeds 3 --out results"));
    let stored = String::from_utf8(folder.read("results/stalling-2/summary.txt")).unwrap();
    assert_eq!(stored.trim_end(), text.stdout.trim_end());
}

#[test]
fn replaying_a_stored_plan_prints_its_stored_history_byte_for_byte() {
    let folder = folder();
    for (scenario, flags) in [("holding", ""), ("stalling", BUG), ("stalling", "--workers 9")] {
        let run = folder.run(&format!("run {scenario}.toml --seed 7 {flags} --out results"));
        let results = run.stderr.trim_end().strip_prefix("results in ").expect("the folder's name");
        let replayed = folder.run(&format!("replay {results}/plan-7.json --history"));
        assert_eq!(replayed.code, run.code, "{scenario} {flags}");
        let stored = folder.read(&format!("{results}/history-7.jsonl"));
        assert!(!stored.is_empty(), "{scenario} {flags}: no history");
        assert!(replayed.stdout.as_bytes() == stored, "{scenario} {flags}: another history");
        let drawn = folder.run(&format!("replay {scenario}.toml --seed 7 {flags} --history"));
        assert!(drawn.stdout.as_bytes() == stored, "{scenario} {flags}: another history from the scenario");
    }
}

#[test]
fn a_history_is_one_json_object_a_line_in_order_of_time() {
    let history = folder().run("replay stalling.toml --seed 1 --history").stdout;
    assert!(history.ends_with("}\n"), "the last line is cut off");
    let times = history.lines().map(|line| parse_object(line)["at_us"].as_u64().expect("a time"));
    assert!(times.is_sorted(), "events out of order");
}

#[test]
fn a_trace_is_text_for_people_with_a_line_for_each_transition() {
    let trace = folder().run("replay holding.toml --seed 1 --trace").stdout;
    assert!(trace.contains("create_execution") && trace.contains("complete_execution"), "{trace}");
    assert_no_colours(&trace, "--trace");
}

#[track_caller]
fn parse_object(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(value.is_object(), "{text}");
    value
}

#[track_caller]
fn assert_no_colours(text: &str, what: &str) {
    assert!(!text.contains('\u{1b}'), "{what}: colour codes: {text:?}");
}

#[test]
fn json_is_one_object_with_verdict_and_summary_and_no_colours() {
    let folder = folder();
    for (arguments, judgement) in [
        ("run holding.toml --seeds 3".to_owned(), "held"),
        ("replay holding.toml --seed 1".to_owned(), "held"),
        (format!("run stalling.toml --seeds 3 {BUG}"), "violated"),
        (format!("replay stalling.toml --seed 1 {BUG}"), "violated"),
        ("run holding.toml --for 0s".to_owned(), "undecided"),
    ] {
        // Even a user who wants colours everywhere wants none in JSON.
        let mut command = folder.command(&format!("{arguments} --format json"));
        let finished = Finished::from(command.env("CLICOLOR_FORCE", "1").output().unwrap());
        assert_no_colours(&finished.stdout, &arguments);
        let object = parse_object(&finished.stdout);
        let keys = object.as_object().unwrap().keys().collect::<Vec<_>>();
        assert_eq!(keys, ["summary", "verdict", "violations"], "{arguments}");
        assert_eq!(object["verdict"]["judgement"], judgement, "{arguments}");
        let violations = object["violations"].as_array().unwrap();
        assert_eq!(violations.is_empty(), judgement != "violated", "{arguments}: {object}");
        for violation in violations {
            let replay = violation["replay"].as_str().unwrap();
            assert!(replay.starts_with("claimlab replay stalling.toml --seed "), "{arguments}: {replay}");
        }
        assert!(object["summary"]["seeds"].is_u64(), "{arguments}: {object}");
        assert_eq!(finished.stderr, "", "{arguments}");
    }
}

#[test]
fn text_has_no_colours_when_it_goes_into_a_pipe() {
    for arguments in [
        "run holding.toml".to_owned(),
        format!("run stalling.toml {BUG}"),
        format!("replay stalling.toml --seed 1 {BUG}"),
        "run missing.toml".to_owned(),
        "run holding.toml --deviation bug-unknown".to_owned(),
        "invariants".to_owned(),
        "--help".to_owned(),
    ] {
        let finished = folder().run(&arguments);
        assert!(!finished.stdout.is_empty() || !finished.stderr.is_empty(), "{arguments}: said nothing");
        assert_no_colours(&finished.stdout, &arguments);
        assert_no_colours(&finished.stderr, &arguments);
    }
}

#[test]
fn the_catalogue_lists_every_invariant_once() {
    let numbers = (1..=53).map(|number| format!("S{number:02}"));
    let liveness = (1..=15).map(|number| format!("L{number:02}"));
    let workers = (1..=4).map(|number| format!("W{number:02}"));
    let expected: BTreeSet<String> = numbers.chain(liveness).chain(workers).collect();
    let text = folder().run("invariants");
    let first_word = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let json = folder().run("invariants --format json");
    let catalogue: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let id = |entry: &Value| entry["id"].as_str().unwrap_or_default().to_owned();
    for (finished, ids) in [
        (&text, text.stdout.lines().filter(|line| !line.starts_with(' ')).map(first_word).collect::<Vec<_>>()),
        (&json, catalogue.iter().map(id).collect()),
    ] {
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(ids.len(), expected.len(), "{ids:?}");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
