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

/// Every defect that one world of each scenario shows, and an invariant that sees it.
const SEEN: [(&str, &str); 74] = [
    ("bug-claim-needs-no-grant", "S11"),
    ("bug-accept-expired-lease", "S04"),
    ("bug-ignore-fence", "S23"),
    ("bug-renew-expired-lease", "S05"),
    ("bug-reclaim-keeps-epoch", "S02"),
    ("bug-claim-ignores-grant-worker", "S12"),
    ("bug-grant-survives-claim", "S15"),
    ("bug-reclaim-live-lease", "S01"),
    ("bug-progress-skips-fence", "S04"),
    ("bug-fail-skips-fence", "S29"),
    ("bug-renew-skips-fence", "S04"),
    ("bug-accept-revoked-lease", "S08"),
    ("bug-complete-any-phase", "S37"),
    ("bug-renew-keeps-expiry", "S28"),
    ("bug-mark-forgets", "L03"),
    ("bug-revoke-forgets", "S48"),
    ("bug-claim-keeps-epoch", "S02"),
    ("bug-claim-forgets-attempt", "S17"),
    ("bug-retry-is-initial", "S20"),
    ("bug-reclaim-keeps-attempt", "S19"),
    ("bug-reclaim-forgets-count", "S19"),
    ("bug-reclaim-cap-off-by-one", "S22"),
    ("bug-retry-cap-off-by-one", "S21"),
    ("bug-retry-ignores-backoff", "S50"),
    ("bug-grant-ignores-capabilities", "S13"),
    ("bug-grant-beside-grant", "S09"),
    ("bug-grant-outlives-ttl", "L02"),
    ("bug-promote-early", "S32"),
    ("bug-complete-forgets-result", "S40"),
    ("bug-complete-unpublished", "S38"),
    ("bug-complete-published-twice", "S38"),
    ("bug-fail-published-as-success", "S38"),
    ("bug-cancel-keeps-lease", "S39"),
    ("bug-keeps-active-index", "S27"),
    ("bug-keeps-lease-expiry", "S28"),
    ("bug-keeps-worker-leases", "S29"),
    ("bug-keeps-attempt-timeout", "S30"),
    ("bug-keeps-eligible-index", "S27"),
    ("bug-keeps-suspended-index", "S27"),
    ("bug-keeps-terminal-index", "S27"),
    ("bug-forgets-delayed-index", "L09"),
    ("bug-ignores-priority", "S31"),
    ("bug-signal-remembers-first", "S36"),
    ("bug-signal-ignores-key", "S36"),
    ("bug-signal-resumes-nothing", "S34"),
    ("bug-resume-keeps-suspension", "S46"),
    ("bug-suspension-timeout-early", "S45"),
    ("bug-create-ignores-key", "S49"),
    ("bug-release-slot-twice", "S44"),
    ("bug-admit-over-cap", "S41"),
    ("bug-admit-over-rate", "S42"),
    ("bug-resolve-any", "S33"),
    ("bug-resolve-skips-on-success", "S45"),
    ("bug-reclaim-keeps-lease-id", "S03"),
    ("bug-reclaim-keeps-grant", "L02"),
    ("bug-reclaim-refuses-revoked", "L04"),
    ("bug-renew-restamps-acquisition", "S06"),
    ("bug-refused-renewal-extends", "S07"),
    ("bug-lease-outlives-ttl", "L14"),
    ("bug-suspend-keeps-running", "S25"),
    ("bug-promote-keeps-public-state", "S26"),
    ("bug-promote-forgets", "L05"),
    ("bug-create-ignores-delay", "S32"),
    ("bug-fail-at-cap-refuses", "S51"),
    ("bug-complete-ends-first-attempt", "S24"),
    ("bug-keeps-deadline", "L08"),
    ("bug-signal-satisfies-nothing", "L13"),
    ("bug-flow-cancel-forgets-member", "S52"),
    ("bug-resolve-forgets-release", "L07"),
    ("bug-budget-unheeded", "S43"),
    ("bug-worker-claims-saturated", "S14"),
    ("bug-worker-skips-partition", "W04"),
    ("bug-retention-ignores-policy", "S53"),
    ("bug-projector-looks-at-one", "L15"),
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
