//! Plans shrink to the smallest that breaks the same promise in the same way, and say so.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claimlab::outcome::{Outcome, Wanted};
use claimlab::plan::{Plan, draw};
use claimlab::shrink::{NotShrunk, Options, Shrunk, shrink};
use claimlab::{run, scenario, world};

/// Time enough that it decides nothing.
fn options() -> Options {
    Options { time: Duration::from_secs(3_600), stop: Arc::default() }
}

/// Workers that stall past their leases, and a model in which the fence is not looked at.
fn plan() -> Plan {
    let text = "deviations = [\"bug-ignore-fence\"]\n[world]\npartitions = 2\nfor_ms = 20000\n[lease]\nttl_ms = 1000\n\
                [workers]\ncount = 8\nreclaimers = 1\n[work]\nat_start = 20\nrun_ms = [500, 2000]\n[operators]\nreplay = \
                \"1/4\"\n[faults.pause]\nworkers = \"1/1\"\nholders = \"1/2\"\nfor_ms = [500, 6000]\n[faults.lost_reply]\n\
                messages = \"1/50\"\n";
    let scenario = scenario::parse(Path::new("stalls.toml"), text).unwrap();
    let wanted = Wanted::parse("S04 replaced").unwrap();
    (0..100).map(|seed| draw(&scenario, seed)).find(|plan| shows(plan, &wanted)).expect("a stale write is common here")
}

fn run_once(plan: &Plan) -> Outcome {
    run::run(&Arc::new(plan.clone()), world::Options::default())
}

fn shows(plan: &Plan, wanted: &Wanted) -> bool {
    run_once(plan).violations.iter().any(|violation| wanted.is(violation))
}

fn shrunk(wanted: &Wanted) -> (Shrunk, Vec<usize>) {
    let mut sizes = Vec::new();
    let shrunk = shrink(&plan(), wanted, &options(), &mut |smaller| sizes.push(smaller.elements().len())).unwrap();
    (shrunk, sizes)
}

#[test]
fn a_stale_completion_shrinks_to_two_who_run_one_item() {
    let wanted = Wanted::parse("S04 replaced").unwrap();
    let (shrunk, sizes) = shrunk(&wanted);
    assert!(shrunk.after.workers <= 2 && shrunk.after.work == 1 && shrunk.after.faults <= 2, "{}", shrunk.after);
    assert!(shrunk.before.workers == 9 && shrunk.before.work == 20, "{}", shrunk.before);
    assert!(shrunk.over.is_none() && shrunk.replays);
    assert!(sizes.is_sorted_by(|before, after| before >= after), "each improvement is no larger: {sizes:?}");
}

#[test]
fn no_element_of_what_is_left_can_go() {
    let wanted = Wanted::parse("S04 replaced").unwrap();
    let (shrunk, _) = shrunk(&wanted);
    assert!(shows(&shrunk.plan, &wanted));
    for element in shrunk.plan.elements() {
        assert!(!shows(&shrunk.plan.without(&element), &wanted), "{element} can go");
    }
}

#[test]
fn a_plan_shrinks_to_the_same_plan_each_time() {
    let wanted = Wanted::parse("S04 replaced").unwrap();
    assert_eq!(shrunk(&wanted).0.plan.text(), shrunk(&wanted).0.plan.text());
}

#[test]
fn another_cause_that_is_met_on_the_way_is_kept_with_its_plan() {
    let wanted = Wanted::parse("S04 replaced").unwrap();
    let (shrunk, _) = shrunk(&wanted);
    assert!(!shrunk.met.is_empty());
    for (other, plan) in &shrunk.met {
        assert!(*other != wanted && shows(plan, other), "{other}");
    }
}

#[test]
fn what_a_plan_does_not_show_is_not_shrunk() {
    let wanted = Wanted::parse("S41 exceeded").unwrap();
    let seen: BTreeSet<Wanted> =
        run_once(&plan()).violations.iter().map(|violation| Wanted::of(&violation.cause())).collect();
    let not = shrink(&plan(), &wanted, &options(), &mut |_| {}).unwrap_err();
    assert_eq!(not, NotShrunk::NotShown(seen));
}

#[test]
fn what_is_looked_for_is_a_promise_a_case_and_perhaps_a_script() {
    let wanted = Wanted::parse("S04 expired cancel_execution=cancelled").unwrap();
    assert_eq!(wanted.to_string(), "S04 expired cancel_execution=cancelled");
    assert!(Wanted::parse("S99 expired").unwrap_err().contains("an invariant's id"));
    assert!(Wanted::parse("S04 late").unwrap_err().contains("one of its cases: "));
    assert!(Wanted::parse("S04 expired cancel").unwrap_err().contains("name=answer"));
    assert!(Wanted::parse("S04 expired cancel_execution=cancelled by").unwrap_err().contains("name=answer"));
    let command = Wanted::parse("S53 live DEL records=deleted").unwrap();
    assert_eq!(
        (command.deed.as_deref(), command.to_string().as_str()),
        (Some("DEL records=deleted"), "S53 live DEL records=deleted")
    );
}
