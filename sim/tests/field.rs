//! Situations from the field: what went wrong in systems that do the same job, staged here, each with its right outcome.
//!
//! A scenario under `scenarios/field/` says in its head what is right. Where 0.15.0 goes wrong, a finding is named there or
//! a measure is over its bound, and this test says which.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use claimlab::campaign::{self, Options, Seeds};
use claimlab::judge::{self, Verdict};
use claimlab::scenario;
use claimlab::world::Checks;

/// What comes of a situation.
struct Outcome {
    /// Findings that are seen: what 0.15.0 does wrong.
    wrong: &'static [&'static str],
    /// Measures that are over their bounds.
    exceeded: &'static [&'static str],
}

const RIGHT: Outcome = Outcome { wrong: &[], exceeded: &[] };

/// Every situation.
const SITUATIONS: &[(&str, Outcome)] = &[
    ("acknowledgement-after-its-time", RIGHT),
    ("lost-claim-reply", Outcome { wrong: &["F009"], exceeded: &["M07"] }),
    ("stalled-expirer", RIGHT),
    ("lock-lost-at-a-fail-over", Outcome { wrong: &["F033"], exceeded: &[] }),
    ("slot-given-back-twice", Outcome { wrong: &["F059"], exceeded: &[] }),
    ("dead-by-the-cap", Outcome { wrong: &["F057"], exceeded: &[] }),
    ("between-two-writes", RIGHT),
    ("due-by-another-clock", Outcome { wrong: &[], exceeded: &["M02"] }),
    ("cancel-between-resume-and-claim", Outcome { wrong: &["F008"], exceeded: &[] }),
    ("untakable-head", Outcome { wrong: &[], exceeded: &["M03"] }),
    ("unpromotable-head", Outcome { wrong: &["F106"], exceeded: &[] }),
    ("step-by-an-hour-and-back", RIGHT),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/field")
}

fn verdict(name: &str) -> Verdict {
    let file = folder().join(format!("{name}.toml"));
    let scenario = scenario::read(&file).unwrap();
    let accepted = judge::accepted(&scenario, &file, None).unwrap();
    let options = Options {
        seeds: Seeds { first: 0, count: Some(20) },
        jobs: 2,
        time: None,
        stop: Arc::new(AtomicBool::new(false)),
        checks: Checks::default(),
    };
    let summary = campaign::run(&scenario, &options, |_| ());
    summary.verdict(&accepted, &scenario.must_exercise, &scenario.bounds, false)
}

#[test]
fn every_situation_comes_out_as_it_is_told() {
    for (name, Outcome { wrong, exceeded }) in SITUATIONS {
        let verdict = verdict(name);
        assert!(verdict.unexpected.is_empty() && verdict.undecided.is_empty(), "{name}: {verdict:?}");
        assert!(verdict.known.iter().all(|known| !known.is_too_often), "{name}: {verdict:?}");
        let over: Vec<&str> = verdict.exceeded.iter().map(|measure| measure.id).collect();
        assert_eq!(over, *exceeded, "{name}");
        for id in *wrong {
            assert!(verdict.known.iter().any(|known| known.id == *id), "{name} does not show {id}: {verdict:?}");
        }
    }
}

#[test]
fn every_scenario_of_the_folder_is_a_situation() {
    let files = folder().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut told: Vec<&str> = SITUATIONS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    told.sort_unstable();
    assert_eq!(names, told);
}
