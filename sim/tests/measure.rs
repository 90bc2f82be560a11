//! Planted defects are seen by the checks: a part of what `claimlab measure` prints.

#[path = "common/scenarios.rs"]
mod scenarios;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use claimlab::measure::{Options, Row, Subject, measure};
use claimlab::{judge, scenario};
use claimlab_model::deviation::Deviation;

/// Every scenario in small worlds, one world of each: the first row is the control, which plants nothing.
fn measured(defects: &[Deviation]) -> Vec<Row> {
    let subject = |file: PathBuf| {
        let scenario = scenario::read(&file).unwrap().with_workers(24);
        let accepted = judge::accepted(&scenario, &file, None).unwrap();
        Subject { scenario, accepted }
    };
    let subjects: Vec<Subject> = scenarios::all().into_iter().map(subject).collect();
    let worlds = subjects.len() as u64;
    let options = Options {
        trials: 1,
        time: Duration::MAX,
        worlds,
        whole_rounds: false,
        jobs: 2,
        stop: Arc::new(AtomicBool::new(false)),
    };
    measure(&subjects, defects, &options, |_| {})
}

/// One defect of each family of scripts, and an invariant that sees it.
const SEEN: [(&str, &str); 24] = [
    ("bug-accept-expired-lease", "S04"),
    ("bug-renew-expired-lease", "S05"),
    ("bug-renew-keeps-expiry", "S28"),
    ("bug-reclaim-keeps-epoch", "S02"),
    ("bug-reclaim-forgets-count", "S19"),
    ("bug-reclaim-live-lease", "S01"),
    ("bug-claim-forgets-attempt", "S17"),
    ("bug-retry-is-initial", "S20"),
    ("bug-retry-cap-off-by-one", "S21"),
    ("bug-retry-ignores-backoff", "S50"),
    ("bug-fail-skips-fence", "S45"),
    ("bug-complete-any-phase", "S37"),
    ("bug-complete-forgets-result", "S40"),
    ("bug-complete-unpublished", "S38"),
    ("bug-grant-ignores-capabilities", "S13"),
    ("bug-grant-beside-grant", "S09"),
    ("bug-grant-survives-claim", "S15"),
    ("bug-mark-forgets", "L03"),
    ("bug-revoke-forgets", "S08"),
    ("bug-cancel-keeps-lease", "S39"),
    ("bug-ignores-priority", "S31"),
    ("bug-forgets-delayed-index", "S27"),
    ("bug-signal-resumes-nothing", "S34"),
    ("bug-release-slot-twice", "L06"),
];

#[test]
fn planted_defects_are_seen_in_one_world_of_each_scenario_and_nothing_without_them() {
    let named = |name: &str| Deviation::ALL.iter().copied().find(|deviation| deviation.name() == name).unwrap();
    let rows = measured(&SEEN.map(|(name, _)| named(name)));
    assert_eq!(rows[0].trials[0].red, BTreeSet::new(), "the control");
    assert_eq!(rows[0].trials[0].worlds, scenarios::all().len() as u64);
    for (row, (name, invariant)) in rows[1..].iter().zip(SEEN) {
        assert!(row.seen_by().contains_key(invariant), "{name}: {row:?}");
    }
}
