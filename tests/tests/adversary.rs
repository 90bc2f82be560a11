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
