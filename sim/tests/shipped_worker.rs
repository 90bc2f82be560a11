//! The shipped SDK's worker in worlds: it does what the native worker does, call by call.

#[allow(dead_code)]
mod common;
#[path = "common/history.rs"]
mod history;
#[path = "common/scenarios.rs"]
mod scenarios;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use claimlab::call::log::{CallLog, Log};
use claimlab::clock::TrueTime;
use claimlab::outcome::Runs;
use claimlab::plan::{Act, Fault, HabitPlan, OperatorAction, PartyKey, Plan, Strikes, Way, What, draw};
use claimlab::run::run;
use claimlab::scenario::{self, Entry, Player, Scenario};
use claimlab::stream::Ratio;
use claimlab::world::Options;
use history::history;

const WORKERS: u32 = 20;

/// The calls of every party of a plan as it is, its workers and reclaimers played by somebody.
fn all_calls(plan: &Plan, player: Player, until: Option<TrueTime>) -> CallLog {
    let mut plan = plan.clone();
    for worker in &mut plan.workers {
        worker.player = player;
        if player == Player::Sdk {
            // The shipped worker's claims set none.
            worker.attempt_timeout_ms = None;
        }
    }
    let log = Log::default();
    run(&Arc::new(plan), Options { overhears: Some(Arc::new(log.clone())), until, ..Options::default() });
    Arc::into_inner(log.0).expect("the world is over")
}

/// The same without what the two are known to differ in.
fn calls(plan: &Plan, player: Player) -> CallLog {
    let mut plan = plan.clone();
    for worker in &mut plan.workers {
        worker.attempt_timeout_ms = None;
        // Habits have a test of their own; the shipped worker has no loop over `EngineBackend::claim`.
        worker.habits = HabitPlan::default();
        worker.entry = worker.entry.map(|entry| if entry == Entry::Claim { Entry::ClaimNext } else { entry });
    }
    plan.faults.retain(|fault| !matches!(fault.what, What::Pause { .. }));
    all_calls(&plan, player, Some(before_the_healing(&plan)))
}

fn before_the_healing(plan: &Plan) -> TrueTime {
    TrueTime::from_ms(plan.world.for_ms.saturating_sub(1))
}

/// The first call of all in which a party differs, with those before it.
fn difference(native: &CallLog, shipped: &CallLog) -> Option<String> {
    let mut first: Option<(usize, String)> = None;
    for party in native.parties() {
        let (native, shipped) = (native.of(party), shipped.of(party));
        let same = native.iter().zip(&shipped).take_while(|((_, native), (_, shipped))| native == shipped).count();
        let place = native.get(same).or(shipped.get(same)).map(|(place, _)| *place);
        let Some(place) = place.filter(|place| first.as_ref().is_none_or(|(first, _)| place < first)) else { continue };
        let text = |calls: &[(usize, String)], at: usize| {
            calls.get(at).map_or_else(|| "nothing".to_owned(), |(_, text)| text.clone())
        };
        let before: Vec<String> = (same.saturating_sub(4)..same).map(|at| text(&native, at)).collect();
        let both = format!("native   {}\nshipped  {}", text(&native, same), text(&shipped, same));
        first = Some((place, format!("{party} differs at call {same}\n  {}\n{both}", before.join("\n  "))));
    }
    first.map(|(_, text)| text)
}

/// A fault of a party at a time.
fn at(party: PartyKey, ms: u64, what: What) -> Fault {
    Fault { key: what.name().to_owned(), strikes: Strikes::At { party, at_us: TrueTime::from_ms(ms) }, what }
}

fn with_few_workers(file: &Path) -> Scenario {
    scenario::read(file).unwrap().with_workers(WORKERS)
}

/// A history of a plan whose workers are played by turns.
fn mixed_history(scenario: &Scenario, seed: u64) -> String {
    let mut plan = draw(scenario, seed);
    for (position, worker) in plan.workers.iter_mut().filter(|worker| worker.entry.is_some()).enumerate() {
        worker.player = if position % 2 == 0 { Player::Sdk } else { Player::Native };
    }
    history(&Arc::new(plan))
}

#[test]
fn two_processes_write_the_same_trace_byte_for_byte() {
    for name in ["crash-and-skew", "suspend-resume", "capability-mix"] {
        let trace = || {
            let output =
                common::claimlab(&format!("replay scenarios/{name}.toml --seed 1 --workers 30 --worker sdk --trace"));
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let first = trace();
        assert!(first.len() > 100_000, "{name}: {}", first.len());
        assert!(first == trace(), "{name}: a second process differs");
    }
}

#[test]
fn a_summary_of_shipped_workers_does_not_depend_on_the_number_of_jobs() {
    let summary = |jobs: u32| {
        let common = "run scenarios/suspend-resume.toml --seeds 6 --workers 10 --worker sdk --format json";
        common::claimlab(&format!("{common} --jobs {jobs}")).stdout
    };
    let alone = summary(1);
    assert!(alone.len() > 1_000);
    assert!(alone == summary(2), "two jobs differ");
}

#[test]
fn native_and_shipped_workers_share_a_world_that_replays() {
    let file = scenarios::all().into_iter().find(|file| file.ends_with("suspend-resume.toml")).unwrap();
    let scenario = with_few_workers(&file);
    let history = mixed_history(&scenario, 3);
    assert!(history.contains("claim_execution") && history.len() > 100_000);
    assert!(history == mixed_history(&scenario, 3), "a second run differs");
}

#[test]
fn a_shipped_worker_whose_process_dies_renews_no_more() {
    let text = "[world]\npartitions = 1\nfor_ms = 60000\n\n[lease]\nttl_ms = 6000\n\n[workers]\ncount = \
                1\nreclaimers = 0\nworker = \"sdk\"\n\n[work]\nrun_ms = [50000, 50000]\nat_start = 1\nper_second = 0\n";
    let scenario = scenario::parse(Path::new("one.toml"), text).unwrap();
    let mut plan = draw(&scenario, 1);
    let worker = PartyKey(PartyKey::WORKERS);
    let crash = What::Crash { restart_ms: 50_000, same_instance: false };
    plan.faults = vec![at(worker, 15_000, crash)];
    let log = Log::default();
    let until = Some(TrueTime::from_ms(59_000));
    run(&Arc::new(plan), Options { overhears: Some(Arc::new(log.clone())), until, ..Options::default() });
    let renewals = log.0.of(worker).iter().filter(|(_, call)| call.contains("Renew ")).count();
    assert!((6..=7).contains(&renewals), "{renewals} renewals in 15 s, one each 2 s");
}

/// One worker with two tasks at a time on one partition, for 20 s.
fn one_worker(run_ms: u64, more: &str) -> Scenario {
    let text = format!(
        "[world]\npartitions = 1\nfor_ms = 20000\n\n[lease]\nttl_ms = 6000\n\n[workers]\ncount = 1\nconcurrency = \
         2\nreclaimers = 0\npoll_ms = 300\n\n[work]\nrun_ms = [{run_ms}, {run_ms}]\nat_start = 2\n{more}"
    );
    scenario::parse(Path::new("one.toml"), &text).unwrap()
}

#[test]
fn only_the_native_worker_can_set_an_attempt_timeout() {
    let plan = draw(&one_worker(50_000, "attempt_timeout = \"1/1\"\n"), 1);
    let until = Some(before_the_healing(&plan));
    let (native, shipped) = (all_calls(&plan, Player::Native, until), all_calls(&plan, Player::Sdk, until));
    let text = difference(&native, &shipped).expect("they differ");
    assert!(text.contains("attempt_timeout_ms: Some"), "{text}");
    let both = difference(&calls(&plan, Player::Native), &calls(&plan, Player::Sdk));
    assert!(both.is_none(), "and in nothing else: {}", both.unwrap_or_default());
}

#[test]
fn a_stalled_process_may_take_its_overdue_timers_in_another_order() {
    // The end of one task's work and both tasks' renewals fall into the stall.
    let mut plan = draw(&one_worker(3_000, "per_second = 2\n"), 1);
    let what = What::Pause { for_ms: 2_500 };
    plan.faults = vec![at(PartyKey(PartyKey::WORKERS), 2_530, what)];
    let until = Some(before_the_healing(&plan));
    let (native, shipped) = (all_calls(&plan, Player::Native, until), all_calls(&plan, Player::Sdk, until));
    let text = difference(&native, &shipped).expect("they differ");
    let of = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(of("native").contains("5030 Complete") && of("shipped").contains("5030 Renew"), "{text}");
}

#[test]
fn a_timer_under_way_at_the_healing_ends_by_the_rate_at_which_it_was_set() {
    let mut plan = draw(&one_worker(50_000, ""), 1);
    plan.workers[0].clock.drift_ppm = 400_000;
    assert!(difference(&calls(&plan, Player::Native), &calls(&plan, Player::Sdk)).is_none(), "the same until then");
    let until = Some(TrueTime::from_ms(26_000));
    let (native, shipped) = (all_calls(&plan, Player::Native, until), all_calls(&plan, Player::Sdk, until));
    assert!(difference(&native, &shipped).is_some(), "they differ after it");
}

/// What a world with one worker counts when its lease is lost in some way.
fn runs_of(player: Player, faults: Vec<Fault>, act: Option<OperatorAction>) -> (Runs, BTreeMap<String, u64>) {
    let scenario = one_worker(15_000, "");
    let mut plan = draw(&scenario, 1);
    plan.workers[0].player = player;
    (plan.faults, plan.operators) = (faults, act.into_iter().collect());
    let until = Some(before_the_healing(&plan));
    let outcome = run(&Arc::new(plan), Options { until, ..Options::default() });
    let mut causes = BTreeMap::new();
    for violation in &outcome.violations {
        *causes.entry(violation.cause().to_string()).or_default() += 1;
    }
    (outcome.counts.runs, causes)
}

#[test]
fn a_worker_whose_renewals_get_no_answer_doubts_its_lease_at_the_third() {
    for player in [Player::Native, Player::Sdk] {
        // The lease ends 6 s after the last renewal, which was at 4 s; renewals at 6, 8 and 10 s fail.
        let cut = What::Cut { for_ms: 12_000, way: Way::Both };
        let faults = vec![at(PartyKey(PartyKey::WORKERS), 5_000, cut)];
        let (runs, _) = runs_of(player, faults, None);
        assert_eq!((runs.lost, runs.doubted), (2, 2), "{player:?} {runs:?}");
        assert!(runs.doubted_after_ms.longest < 2_500, "{player:?} {runs:?}");
        assert!(runs.ran_on_ms.longest > 4_000, "{player:?} {runs:?}");
    }
}

#[test]
fn a_worker_whose_renewal_is_refused_for_good_never_doubts_its_lease() {
    for player in [Player::Native, Player::Sdk] {
        let revoke = OperatorAction { key: "revoke".into(), at: TrueTime::from_ms(5_000), work: 0, act: Act::Revoke };
        let (runs, findings) = runs_of(player, Vec::new(), Some(revoke));
        assert_eq!((runs.lost, runs.doubted), (1, 0), "{player:?}");
        assert!(runs.ran_on_ms.longest > 8_000, "{player:?} {runs:?}");
        assert_eq!(findings.get("W01 healthy worker:renew_lease=refused"), Some(&1), "{player:?} {findings:?}");
    }
}

#[test]
fn the_shipped_worker_makes_the_native_workers_calls() {
    for file in scenarios::all() {
        let scenario = with_few_workers(&file);
        for seed in 0..20 {
            let plan = draw(&scenario, seed);
            if let Some(text) = difference(&calls(&plan, Player::Native), &calls(&plan, Player::Sdk)) {
                panic!("{} seed {seed}: {text}", file.display());
            }
        }
    }
}

/// What an application around a worker does with its grants, whichever worker it is.
fn with_applications_habits(plan: &mut Plan) {
    for worker in &mut plan.workers {
        worker.attempt_timeout_ms = None;
        worker.entry = worker.entry.map(|_| Entry::ClaimFromGrants);
        worker.habits.repeats = false;
        worker.habits.stale_read = Ratio::NEVER;
    }
    plan.faults.retain(|fault| !matches!(fault.what, What::Pause { .. }));
}

#[test]
fn the_shipped_worker_is_handed_the_grants_and_names_the_lanes_that_the_native_one_does() {
    let scenario = with_few_workers(&scenarios::all().into_iter().find(|file| file.ends_with("clients.toml")).unwrap());
    let (mut handed, mut twins) = (0, 0);
    for seed in 0..20 {
        let mut plan = draw(&scenario, seed);
        with_applications_habits(&mut plan);
        let until = Some(before_the_healing(&plan));
        let (native, shipped) = (all_calls(&plan, Player::Native, until), all_calls(&plan, Player::Sdk, until));
        if let Some(text) = difference(&native, &shipped) {
            panic!("seed {seed}: {text}");
        }
        twins += plan.workers.iter().filter(|worker| worker.habits.twin_of.is_some()).count();
        let calls = shipped.parties().into_iter().flat_map(|party| shipped.of(party));
        handed += calls.filter(|(_, call)| call.contains("InvalidClaimGrant")).count();
    }
    assert!(handed > 0 && twins > 0, "{handed} claims by a stranger's grant were refused, {twins} twins");
}
