//! What every world must keep: determinism, independence of its elements, checks that agree with
//! themselves, and the power to turn red.

#[path = "common/history.rs"]
mod history;
#[path = "common/scenarios.rs"]
mod scenarios;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use claimlab::campaign::{Summary, replay, run_plan};
use claimlab::check::Judgement;
use claimlab::clock::{Skew, TrueTime};
use claimlab::history::{Event, Kind, Observer};
use claimlab::plan::{Fault, PartyKey, Plan, Way, What, When, draw};
use claimlab::scenario::{self, Entry, Scenario};
use claimlab::world::Watch;
use claimlab_model::deviation::Deviation;
use history::history;

fn scenario(name: &str, workers: u32) -> Scenario {
    let file = scenarios::all().into_iter().find(|file| file.file_stem().is_some_and(|stem| stem == name));
    scenario::read(&file.unwrap()).unwrap().with_workers(workers)
}

/// The lines of a history that are not of one party.
fn without(history: &str, party: PartyKey) -> Vec<&str> {
    let own = format!("\"party\":\"{party}\"");
    history.lines().filter(|line| !line.contains(&own)).collect()
}

#[test]
fn a_changed_seed_changes_the_history() {
    let scenario = scenario("crash-and-skew", 40);
    let one = history(&Arc::new(draw(&scenario, 1)));
    assert_eq!(one, history(&Arc::new(draw(&scenario, 1))), "two runs on two threads");
    assert_ne!(one, history(&Arc::new(draw(&scenario, 2))));
}

/// The plan with a worker more that polls a lane without work, in the way that is asked for.
fn with_idle_worker(plan: &Plan, entry: Entry) -> (Plan, PartyKey) {
    let mut more = plan.clone();
    let mut idle = plan.workers.last().unwrap().clone();
    idle.key = PartyKey(PartyKey::WORKERS + 5_000);
    idle.lanes = vec!["empty".into()];
    idle.entry = Some(entry);
    idle.clock = Skew { offset_ms: 123_456, drift_ppm: 400_000 };
    more.workers.push(idle.clone());
    (more, idle.key)
}

#[test]
fn an_idle_worker_more_changes_nothing_else() {
    let plan = draw(&scenario("crash-and-skew", 40), 3);
    let few = history(&Arc::new(plan.clone()));
    for entry in [Entry::ClaimNext, Entry::ClaimFromGrants] {
        let (more, idle) = with_idle_worker(&plan, entry);
        let many = history(&Arc::new(more));
        assert!(many.contains(&format!("\"party\":\"{idle}\",\"wall_ms\"")), "it takes part");
        assert_eq!(without(&few, idle), without(&many, idle), "{entry:?}");
    }
}

#[test]
fn an_idle_worker_more_that_asks_the_scheduler_changes_nothing_else() {
    let plan = draw(&scenario("capability-mix", 40), 3);
    let (more, idle) = with_idle_worker(&plan, Entry::ClaimViaServer);
    let (few, many) = (history(&Arc::new(plan)), history(&Arc::new(more)));
    assert!(few.lines().count() < many.lines().count(), "the scheduler works for it");
    // The scheduler's own numbering of its messages and calls moves; what it does for others does not.
    let effects = |history: &str| -> Vec<String> {
        let kept = without(history, idle).into_iter().filter(|line| line.contains("\"change\""));
        kept.map(|line| line.split("\"message\":").next().unwrap().to_owned() + &line[line.find("\"name\"").unwrap()..])
            .collect()
    };
    assert_eq!(effects(&few), effects(&many));
}

#[test]
fn a_fault_less_changes_nothing_else() {
    let plan = draw(&scenario("crash-and-skew", 40), 5);
    let (mut with, idle) = with_idle_worker(&plan, Entry::ClaimNext);
    let without_fault = with.clone();
    for (at_ms, what) in [
        (7_000, What::WorkerStep { by_ms: -9_999 }),
        (9_000, What::Pause { for_ms: 20_000 }),
        (40_000, What::Crash { restart_ms: 1_000 }),
        (50_000, What::Cut { for_ms: 5_000, way: Way::Both }),
    ] {
        with.faults.push(Fault { party: idle, when: When::At(TrueTime::from_ms(at_ms)), what });
    }
    let (struck, spared) = (history(&Arc::new(with)), history(&Arc::new(without_fault)));
    assert!(struck.contains("stalls for 20000 ms"), "the faults are in the history");
    assert_eq!(without(&struck, idle), without(&spared, idle));
}

#[test]
fn the_incremental_checks_equal_a_full_recheck_every_64_scripts() {
    for file in scenarios::all() {
        let scenario = scenario::read(&file).unwrap().with_workers(60);
        for seed in 0..3 {
            let watch = Watch { recheck_every: Some(64), ..Watch::default() };
            // The run itself panics where they differ.
            let result = run_plan(&Arc::new(draw(&scenario, seed)), watch);
            assert!(result.tally.scripts > 64, "{}", file.display());
        }
    }
}

#[test]
fn every_scenario_holds_but_for_what_it_accepts() {
    for file in scenarios::all() {
        let scenario = scenario::read(&file).unwrap().with_workers(200);
        let mut summary = Summary::of(&scenario.name);
        for seed in 0..4 {
            summary.add(seed, &run_plan(&Arc::new(draw(&scenario, seed)), Watch::default()));
        }
        let verdict = summary.verdict(scenario.accept.iter().map(|accept| accept.signature.as_str()));
        assert_eq!(verdict.judgement, Judgement::Held, "{}: {:?}", file.display(), verdict.unexpected);
    }
}

#[test]
fn steady_holds_with_nothing_accepted() {
    assert!(scenario("steady", 200).accept.is_empty());
}

/// The smallest seed below `limit` in which a planted defect breaks something that is not accepted.
fn first_red_seed(scenario: &Scenario, deviation: Deviation, limit: u64) -> Option<u64> {
    let mut scenario = scenario.clone();
    scenario.deviations.push(deviation);
    (0..limit).find(|seed| {
        let mut summary = Summary::of(&scenario.name);
        summary.add(*seed, &run_plan(&Arc::new(draw(&scenario, *seed)), Watch::default()));
        let verdict = summary.verdict(scenario.accept.iter().map(|accept| accept.signature.as_str()));
        verdict.judgement == Judgement::Violated
    })
}

#[test]
fn every_planted_lease_defect_turns_crash_and_skew_red_within_100_seeds() {
    let scenario = scenario("crash-and-skew", 300);
    for deviation in [
        Deviation::BugAcceptExpiredLease,
        Deviation::BugIgnoreFence,
        Deviation::BugRenewExpiredLease,
        Deviation::BugReclaimKeepsEpoch,
        Deviation::BugReclaimLiveLease,
        Deviation::BugGrantSurvivesClaim,
    ] {
        let red = first_red_seed(&scenario, deviation, 100);
        assert!(red.is_some(), "{} stayed green", deviation.name());
    }
}

/// What a scenario's first seeds break under a switch.
fn signatures(scenario: &Scenario, deviation: Option<Deviation>) -> BTreeSet<String> {
    let mut scenario = scenario.clone();
    scenario.deviations.extend(deviation);
    let mut summary = Summary::of(&scenario.name);
    for seed in 0..3 {
        summary.add(seed, &run_plan(&Arc::new(draw(&scenario, seed)), Watch::default()));
    }
    summary.findings.into_keys().collect()
}

#[test]
fn a_worker_that_polls_every_lane_in_each_window_finds_all_work() {
    let scenario = scenario("lanes-and-windows", 1);
    let shipped = signatures(&scenario, None);
    assert_eq!(shipped.iter().map(|of| &of[..3]).collect::<Vec<_>>(), ["L09", "W04"]);
    assert_eq!(signatures(&scenario, Some(Deviation::FixPollEveryLaneInEachWindow)), BTreeSet::new());
}

#[test]
fn a_worker_that_takes_a_refusal_for_what_it_is_doubts_its_lease() {
    let scenario = scenario("reclaim-storm", 60);
    let doubtful = |signatures: BTreeSet<String>| signatures.iter().any(|of| of.starts_with("W01"));
    assert!(doubtful(signatures(&scenario, None)));
    assert!(!doubtful(signatures(&scenario, Some(Deviation::FixRefusedRenewalIsUnhealthy))));
}

/// Keeps the faults that a run had.
#[derive(Clone, Default)]
struct FaultsSeen(Arc<Mutex<Vec<(&'static str, PartyKey)>>>);

impl Observer for FaultsSeen {
    fn observe(&mut self, event: &Event<'_>) {
        if let Kind::Fault { name, .. } = event.kind {
            self.0.lock().unwrap().push((name, event.party));
        }
    }
}

#[test]
fn a_crash_right_after_a_message_drops_the_worker_at_that_await() {
    let mut plan = draw(&scenario("steady", 10), 1);
    let key = PartyKey(PartyKey::WORKERS);
    for message in [1, 40, 90] {
        plan.faults.push(Fault { party: key, when: When::Message(message), what: What::Crash { restart_ms: 500 } });
    }
    let seen = FaultsSeen::default();
    let result = replay(&Arc::new(plan), vec![Box::new(seen.clone())]);
    assert_eq!(*seen.0.lock().unwrap(), [("crash", key); 3]);
    assert_eq!(result.executions.1, 0, "its work is reclaimed and ends");
}
