//! Hunting, shrinking and confirming as their user meets them.

use claimlab_tests::{BUG, Folder, HOLDING, STALLING};
use serde_json::Value;

fn folder() -> Folder {
    Folder::with(&[("holding.toml", HOLDING), ("stalling.toml", STALLING)])
}

/// A seed of [`STALLING`] that is red with the planted defect.
fn red_seed(folder: &Folder) -> u64 {
    let finished = folder.run(&format!("run stalling.toml --seeds 40 --format json {BUG}"));
    let value: Value = serde_json::from_str(&finished.stdout).unwrap();
    let replay = value["violations"][0]["replay"].as_str().unwrap().to_owned();
    replay.split("--seed ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_shrunk_plan_has_a_folder_with_its_story_its_page_and_its_test() {
    let folder = folder();
    let seed = red_seed(&folder);
    let shrunk = folder.run(&format!("shrink stalling.toml --seed {seed} --out small --format json {BUG}"));
    assert_eq!(shrunk.code, Some(1), "{}", shrunk.stderr);
    let value: Value = serde_json::from_str(&shrunk.stdout).unwrap();
    assert!(value["is_minimal"] == true && value["replays"] == true, "{value}");
    let plan = value["plan"].as_str().unwrap();
    let beside = |name: &str| String::from_utf8(folder.read(&plan.replace("plan.json", name))).unwrap();
    assert!(beside("story.md").contains("the promise is broken"), "{}", beside("story.md"));
    assert!(beside("story.md").contains("## When it became inevitable"), "{}", beside("story.md"));
    assert!(beside("timeline.html").starts_with("<!DOCTYPE html>"));
    assert!(beside("regression.rs").contains("#[test]"));
    let replayed = folder.run(&format!("replay {plan}"));
    assert_eq!(replayed.code, Some(1), "{}", replayed.stdout);
    let invariant = value["violation"]["invariant"].as_str().unwrap();
    assert!(replayed.stdout.contains(invariant), "{}", replayed.stdout);
}

#[test]
fn what_cannot_be_shrunk_is_said_and_nothing_is_written() {
    let folder = folder();
    let before = folder.contents();
    for (arguments, named) in [
        ("shrink holding.toml --seed 1", "a plan that holds"),
        ("shrink holding.toml", "--seed: found nothing"),
        ("shrink holding.toml --seed 1 --cause S99", "an invariant's id"),
        ("shrink holding.toml --seed 1 --cause S04", "one of its cases"),
        ("shrink nowhere.json", "nowhere.json"),
        ("hunt nowhere.toml", "nowhere.toml"),
        ("confirm nowhere", "--features live"),
    ] {
        let finished = folder.run(arguments);
        assert_eq!(finished.code, Some(2), "{arguments}: {}", finished.stderr);
        assert!(finished.stderr.contains(named), "{arguments}: {}", finished.stderr);
    }
    assert!(folder.contents() == before, "something was left on disk");
}

#[test]
fn a_hunt_ends_with_the_first_find_and_writes_it() {
    let folder = folder();
    let hunted = folder.run(&format!("hunt --until-found --for 10m --strict --format json {BUG}"));
    assert_eq!(hunted.code, Some(1), "{}", hunted.stderr);
    let value: Value = serde_json::from_str(&hunted.stdout).unwrap();
    assert_eq!(value["ended"], "the first find was made");
    let find = value["finds"][0]["folder"].as_str().unwrap();
    assert!(
        String::from_utf8(folder.read(&format!("{find}/world.toml"))).unwrap().starts_with("# Drawn from everything")
    );
    let seed = value["finds"][0]["seed"].as_u64().unwrap();
    // The world that was drawn is a scenario like any other.
    let again = folder.run(&format!("run {find}/world.toml --seed {seed} --strict {BUG}"));
    assert_eq!(again.code, Some(1), "{}{}", again.stdout, again.stderr);
}

#[test]
fn the_plan_of_a_find_that_is_known_is_kept_and_verified() {
    let folder = folder();
    let before = folder.run("findings verify");
    assert_eq!(before.code, Some(3), "nothing was run: {}", before.stdout);
    let seed = red_seed(&folder);
    let shrunk = folder
        .shell(&format!("\"$0\" shrink stalling.toml --seed {seed} --out small --cause 'W01 healthy' --format json"));
    assert_eq!(shrunk.code, Some(1), "{}", shrunk.stderr);
    let value: Value = serde_json::from_str(&shrunk.stdout).unwrap();
    let find = value["plan"].as_str().unwrap().trim_end_matches("/plan.json").to_owned();
    let kept = folder.run(&format!("findings keep {find}"));
    assert!(kept.stdout.contains("F022  kept: "), "{}{}", kept.stdout, kept.stderr);
    let again = folder.run(&format!("findings keep {find}"));
    assert!(again.stdout.contains("F022  no smaller than what is there"), "{}", again.stdout);
    let verified = folder.run("findings verify");
    assert_eq!((verified.code, verified.stdout.as_str()), (Some(0), "1 plans run, 0 of them show nothing any more\n"));
    let shown = folder.run("findings show F022");
    assert!(shown.stdout.contains("BROKEN"), "{}", shown.stdout);
    let pages = folder.run("findings html pages");
    assert!(
        pages.code == Some(0)
            && String::from_utf8(folder.read("pages/index.html")).unwrap().contains("F022/timeline.html")
    );
}

#[test]
fn a_plan_that_shows_nothing_any_more_is_named() {
    let folder = folder();
    folder.run("replay holding.toml --seed 1 --out plans");
    std::fs::create_dir(folder.path("findings/F022")).unwrap();
    folder.write("findings/F022/plan.json", folder.read("plans/holding/plan-1.json"));
    let verified = folder.run("findings verify");
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    assert!(verified.stdout.contains("1 plans run, 1 of them show nothing any more\n  F022  "), "{}", verified.stdout);
    let unknown = folder.run("findings show F999");
    assert!(unknown.code == Some(2) && unknown.stderr.contains("ID: found \"F999\""), "{}", unknown.stderr);
}

#[test]
fn a_find_of_a_promise_that_there_is_not_is_refused_with_its_line() {
    let folder = folder();
    folder.run("replay holding.toml --seed 1 --out plans");
    std::fs::create_dir(folder.path("find")).unwrap();
    folder.write("find/plan.json", folder.read("plans/holding/plan-1.json"));
    folder.write("find/find.json", b"{\n  \"wanted\": \"S99 gone\"\n}\n");
    let kept = folder.run("findings keep find");
    assert_eq!(kept.code, Some(2), "{}", kept.stderr);
    assert!(kept.stderr.contains("find.json:2: wanted: found \"S99 gone\", accepted is"), "{}", kept.stderr);
}

#[test]
fn every_registered_plan_shows_its_finding() {
    let folder = folder();
    let verified = folder.run(&format!("findings verify --findings {}/findings", claimlab_tests::root().display()));
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}
