//! A hunt draws worlds of every kind and tells of what nobody knows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use claimlab::hunt::{Find, Options, Progress, everything, hunt};
use claimlab::outcome::Cause;
use claimlab_model::deviation::Deviation;

fn options(jobs: usize, deviations: Vec<Deviation>) -> Options {
    Options {
        first: 0,
        jobs,
        time: Duration::from_secs(3_600),
        plateau: None,
        enough: Arc::default(),
        deviations,
        stop: Arc::default(),
    }
}

/// Hunts; with `until_found` the first find is enough.
fn hunted(options: &Options, until_found: bool, is_known: impl Fn(&Cause) -> bool) -> (Vec<Find>, Progress) {
    let mut finds = Vec::new();
    let bases = [("everything".to_owned(), everything())];
    let found = |find| {
        finds.push(find);
        options.enough.store(until_found, Ordering::Relaxed);
    };
    let progress = hunt(&bases, options, is_known, found, |_| {});
    (finds, progress)
}

#[test]
fn a_planted_defect_is_found_in_the_first_worlds() {
    let (finds, progress) = hunted(&options(2, vec![Deviation::BugIgnoreFence]), true, |cause| {
        !(cause.invariant.id() == "S04" && cause.case == "replaced")
    });
    assert_eq!(finds[0].cause.invariant.id(), "S04");
    assert!(progress.worlds < 5_000 && progress.reached > 100, "{} worlds", progress.worlds);
    assert!(finds[0].world.starts_with("# Drawn from everything by seed "), "{}", finds[0].world);
}

#[test]
fn a_cause_is_told_once_and_a_known_one_never() {
    let nobody_knows = |_: &Cause| false;
    let mut several = options(1, Vec::new());
    several.plateau = Some(40);
    let (finds, progress) = hunted(&several, false, nobody_knows);
    let causes: BTreeSet<Cause> = finds.iter().map(|find| find.cause).collect();
    assert_eq!(causes.len(), finds.len());
    assert!(!finds.is_empty() && progress.ended.contains("nothing new"), "{}", progress.ended);
    let (none, _) = hunted(&several, false, |_| true);
    assert!(none.is_empty());
}

#[test]
fn one_job_gives_the_same_finds_each_time() {
    let once = || {
        let mut few = options(1, Vec::new());
        few.plateau = Some(30);
        let (finds, progress) = hunted(&few, false, |_| false);
        let lines: Vec<String> =
            finds.iter().map(|find| format!("{} {} {}", find.cause, find.seed, find.world)).collect();
        (lines, progress.worlds, progress.reached)
    };
    assert_eq!(once(), once());
}
