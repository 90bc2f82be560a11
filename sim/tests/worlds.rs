//! What every world must keep: determinism, independence of its elements, checks that agree with
//! themselves, and the power to turn red.

#[path = "common/history.rs"]
mod history;
#[path = "common/scenarios.rs"]
mod scenarios;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use claimlab::campaign::{self, Summary, replay};
use claimlab::clock::{Skew, TrueTime};
use claimlab::history::{Event, Happening, Observer};
use claimlab::judge::{self, Judgement, Verdict};
use claimlab::outcome::{End, Outcome};
use claimlab::plan::{Fault, PartyKey, Plan, Strikes, Way, What, draw};
use claimlab::run::run;
use claimlab::scenario::{self, Bounds, Entry, Scenario};
use claimlab::world::{Checks, Options};
use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::{Check, Invariant, Look, Notes, Promise, Scope, Seen};
use ff_core::state::TerminalOutcome;
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

/// Expects the same lines; tells the first that differ, since histories are long.
#[track_caller]
fn assert_same(one: &[impl AsRef<str>], other: &[impl AsRef<str>], what: &str) {
    let same = one.iter().zip(other).take_while(|(one, other)| one.as_ref() == other.as_ref()).count();
    let (left, right) = (one.get(same).map(AsRef::as_ref), other.get(same).map(AsRef::as_ref));
    assert_eq!(left, right, "{what}: line {same} of {} and {}", one.len(), other.len());
}

#[test]
fn a_changed_seed_changes_the_history() {
    let scenario = scenario("crash-and-skew", 40);
    let one = history(&Arc::new(draw(&scenario, 1)));
    assert!(one == history(&Arc::new(draw(&scenario, 1))), "two runs on two threads differ");
    assert!(one != history(&Arc::new(draw(&scenario, 2))), "two seeds give one history");
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
        assert_same(&without(&few, idle), &without(&many, idle), &format!("{entry:?}"));
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
    assert_same(&effects(&few), &effects(&many), "effects");
}

#[test]
fn a_fault_less_changes_nothing_else() {
    let plan = draw(&scenario("crash-and-skew", 40), 5);
    let (mut with, idle) = with_idle_worker(&plan, Entry::ClaimNext);
    let without_fault = with.clone();
    for (at_ms, what) in [
        (7_000, What::WorkerStep { by_ms: -9_999 }),
        (9_000, What::Pause { for_ms: 20_000 }),
        (40_000, What::Crash { restart_ms: 1_000, same_instance: false }),
        (50_000, What::Cut { for_ms: 5_000, way: Way::Both }),
    ] {
        let strikes = Strikes::At { party: idle, at_us: TrueTime::from_ms(at_ms) };
        with.faults.push(Fault { key: format!("extra {at_ms}"), strikes, what });
    }
    let (struck, spared) = (history(&Arc::new(with)), history(&Arc::new(without_fault)));
    assert!(struck.contains("\"key\":\"extra 9000\""), "the faults are in the history");
    assert_same(&without(&struck, idle), &without(&spared, idle), "a fault less");
}

#[test]
fn the_incremental_checks_equal_a_full_recheck_every_64_scripts() {
    for file in scenarios::all() {
        let scenario = scenario::read(&file).unwrap().with_workers(60);
        for seed in 0..3 {
            let options = Options { recheck_every: Some(64), ..Options::default() };
            let outcome = run(&Arc::new(draw(&scenario, seed)), options);
            assert!(!matches!(outcome.end, End::Panicked(_)), "{}: {:?}", file.display(), outcome.end);
            assert!(outcome.counts.scripts > 64, "{}", file.display());
        }
    }
}

/// The verdict on some seeds of a scenario, under the findings that it accepts.
fn verdict(scenario: &Scenario, seeds: std::ops::Range<u64>) -> Verdict {
    let file = scenarios::all().into_iter().find(|file| file.file_stem().is_some_and(|stem| *stem == *scenario.name));
    let accepted = judge::accepted(scenario, &file.unwrap(), None).unwrap();
    summary(scenario, seeds).verdict(&accepted, &[], &Bounds::default(), false)
}

fn summary(scenario: &Scenario, seeds: std::ops::Range<u64>) -> Summary {
    let mut summary = Summary::of(&scenario.name);
    for seed in seeds {
        summary.add(seed, &run(&Arc::new(draw(scenario, seed)), Options::default()));
    }
    summary
}

#[test]
fn every_scenario_holds_but_for_what_it_accepts() {
    for file in scenarios::all() {
        let scenario = scenario::read(&file).unwrap().with_workers(200);
        let verdict = verdict(&scenario, 0..4);
        assert_eq!(verdict.judgement, Judgement::Held, "{}: {verdict:?}", file.display());
    }
}

#[test]
fn every_invariant_that_a_scenario_names_is_looked_at() {
    for file in scenarios::all() {
        let scenario = scenario::read(&file).unwrap();
        assert!(!scenario.must_exercise.is_empty(), "{} promises nothing", file.display());
    }
    assert!(scenario("steady", 200).accept.is_empty(), "nothing goes wrong there");
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
        let mut planted = scenario.clone();
        planted.deviations.push(deviation);
        let red = (0..100).find(|seed| verdict(&planted, *seed..*seed + 1).is_red());
        let red = red.unwrap_or_else(|| panic!("{} stayed green", deviation.name()));
        assert!(!verdict(&scenario, red..red + 1).is_red(), "{}: seed {red} is red without it", deviation.name());
    }
}

/// What goes through the fence is found by the fence's own promise, not by what it breaks elsewhere.
#[test]
fn a_cancel_under_a_lease_that_was_replaced_is_no_known_finding() {
    let mut scenario = scenario("crash-and-skew", 300);
    scenario.work.endings.cancel = 200;
    scenario.deviations.push(Deviation::BugIgnoreFence);
    let causes = verdict(&scenario, 0..6).unexpected;
    let replaced = causes.iter().any(|cause| cause.to_string().contains("S04 replaced worker:cancel_execution"));
    assert!(replaced, "{causes:?}");
}

/// What a scenario's first seeds break under a switch: invariant and case.
fn broken(scenario: &Scenario, deviation: Option<Deviation>) -> BTreeSet<String> {
    let mut scenario = scenario.clone();
    scenario.deviations.extend(deviation);
    let causes = summary(&scenario, 0..3).causes.into_keys();
    causes.map(|cause| format!("{} {}", cause.invariant.id(), cause.case)).collect()
}

#[test]
fn a_worker_that_polls_every_lane_in_each_window_finds_all_work() {
    let scenario = scenario("lanes-and-windows", 1);
    let shipped = broken(&scenario, None);
    assert_eq!(shipped.iter().map(String::as_str).collect::<Vec<_>>(), ["L01 unclaimed", "W04 unseen"]);
    assert_eq!(broken(&scenario, Some(Deviation::FixPollEveryLaneInEachWindow)), BTreeSet::new());
}

#[test]
fn a_worker_that_takes_a_refusal_for_what_it_is_doubts_its_lease() {
    let scenario = scenario("reclaim-storm", 60);
    assert!(broken(&scenario, None).contains("W01 healthy"));
    assert!(!broken(&scenario, Some(Deviation::FixRefusedRenewalIsUnhealthy)).contains("W01 healthy"));
}

/// No faults and honest clocks, but a fifth of the tasks dropped and every message a quarter of a second under way.
#[test]
fn a_network_that_is_slow_is_not_a_protocol_that_is_broken() {
    let text = "[world]\npartitions = 8\nfor_ms = 20000\n[lease]\nttl_ms = 5000\n[workers]\ncount = 40\n[work]\nat_start \
                = 40\nper_second = 2\nrun_ms = [100, 2000]\n[work.endings]\ncomplete = 4\ndrop = 1\n[network]\nlatency_us \
                = [200000, 300000]\nrequest_timeout_ms = 5000\n";
    let scenario = scenario::parse(std::path::Path::new("slow.toml"), text).unwrap();
    let verdict = summary(&scenario, 0..3).verdict(&[], &[], &Bounds::default(), false);
    assert!(!verdict.is_red(), "{verdict:?}");
}

#[test]
fn a_seed_after_fifty_others_gives_the_history_that_it_gives_alone() {
    let scenario = scenario("lost-replies", 12);
    let alone = history(&Arc::new(draw(&scenario, 77)));
    for seed in 0..50 {
        run(&Arc::new(draw(&scenario, seed)), Options::default());
    }
    assert!(history(&Arc::new(draw(&scenario, 77))) == alone, "what ran before changed it");
}

/// Panics at the first event.
struct Panics;

impl Observer for Panics {
    fn observe(&mut self, _: &Event<'_>) {
        panic!("planned");
    }
}

#[test]
fn a_seed_that_panics_is_counted_with_its_message_and_leaves_the_others_undisturbed() {
    let scenario = scenario("steady", 10);
    let plan = Arc::new(draw(&scenario, 5));
    let panicked = replay(&plan, vec![Box::new(Panics)]);
    assert_eq!(panicked.end, End::Panicked("planned".to_owned()));
    let mut summary = summary(&scenario, 0..2);
    summary.add(5, &panicked);
    let verdict = summary.verdict(&[], &[], &Bounds::default(), false);
    assert_eq!((verdict.judgement, summary.seeds), (Judgement::Undecided, 3));
    assert_eq!(verdict.undecided, ["the run panicked (seed 5)"]);
    assert_eq!(summary.panicked.get(&5).map(String::as_str), Some("planned"));
}

/// Keeps the faults that a run had.
#[derive(Clone, Default)]
struct FaultsSeen(Arc<Mutex<Vec<(&'static str, PartyKey)>>>);

impl Observer for FaultsSeen {
    fn observe(&mut self, event: &Event<'_>) {
        if let Happening::Struck { what, .. } = event.kind {
            self.0.lock().unwrap().push((what.name(), event.party));
        }
    }
}

#[test]
fn a_crash_right_after_a_message_drops_the_worker_at_that_await() {
    let mut plan = draw(&scenario("steady", 10), 1);
    let key = PartyKey(PartyKey::WORKERS);
    for (skip, from_ms) in [(0, 1_000), (2, 20_000), (3, 40_000)] {
        let strikes = Strikes::Sending { party: key, from_us: TrueTime::from_ms(from_ms), skip, message: None };
        plan.faults.push(Fault {
            key: format!("crash {skip}"),
            strikes,
            what: What::Crash { restart_ms: 500, same_instance: false },
        });
    }
    let seen = FaultsSeen::default();
    let outcome: Outcome = replay(&Arc::new(plan), vec![Box::new(seen.clone())]);
    assert_eq!(*seen.0.lock().unwrap(), [("crash", key); 3]);
    assert_eq!(outcome.counts.unfinished, 0, "its work is reclaimed and ends");
}

/// Somebody's own promise: no execution ends.
struct NothingEnds;

static NOTHING_ENDS: Promise = Promise::new("X01", Scope::State, &["ended"], "no execution ends");

impl Check for NothingEnds {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::of(&NOTHING_ENDS)]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        let Seen::State(state) = seen else { return };
        let execution = state.found;
        let ended = execution.core.vector.terminal_outcome != TerminalOutcome::None;
        notes.look(Invariant::of(&NOTHING_ENDS), Look::at(!ended, "ended"), || "it has ended".to_owned());
    }
}

#[test]
fn a_check_of_ones_own_turns_a_world_red_and_has_its_story() {
    let plan = Arc::new(draw(&scenario("steady", 3), 1));
    let checks = Checks::new(|| vec![Box::new(NothingEnds)]);
    let outcome = run(&plan, Options { checks: checks.clone(), ..Options::default() });
    assert_eq!(outcome.violations.len() as u64, outcome.counts.created, "told once for each execution");
    let violation = &outcome.violations[0];
    assert_eq!(violation.cause().to_string(), "X01 ended worker:complete_execution=completed");
    let looks = outcome.counts.checked.iter().find(|(invariant, _)| *invariant == Invariant::of(&NOTHING_ENDS));
    assert!(looks.is_some_and(|(_, count)| *count > outcome.counts.created));
    let story = campaign::story(&plan, violation, &checks);
    assert!(story.lines.last().is_some_and(|line| line.contains("it has ended")), "{story}");
}
