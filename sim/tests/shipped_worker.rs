//! The shipped SDK's worker in worlds: it does what the native worker does, call by call.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use claimlab::call::log::CallLog;
use claimlab::campaign::{replay, run_plan};
use claimlab::clock::TrueTime;
use claimlab::history::Recorder;
use claimlab::plan::{Fault, PartyKey, Plan, What, When, draw};
use claimlab::scenario::{self, Player, Scenario};
use claimlab::world::Watch;

const WORKERS: u32 = 20;

/// An output that several owners share.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    files
}

/// The calls of every party of a plan, its workers played by somebody.
fn calls(plan: &Plan, player: Player) -> CallLog {
    let mut plan = plan.clone();
    for worker in &mut plan.workers {
        if worker.key.0 >= PartyKey::WORKERS {
            worker.player = player;
            // The shipped worker's claims set none.
            worker.attempt_timeout_ms = None;
        }
    }
    // A stalled process finds several timers due when it goes on, and tokio's wheel does not tell the host
    // in which order.
    plan.faults.retain(|fault| !matches!(fault.what, What::Pause { .. }));
    let log = Arc::new(CallLog::default());
    // When the clocks are made honest, a timer under way ends by the rate at which it was set, and the two
    // do not set theirs at the same time.
    let until = Some(TrueTime::from_ms(plan.world.for_ms.saturating_sub(1)));
    run_plan(&Arc::new(plan), Watch { calls: Some(Arc::clone(&log)), until, ..Watch::default() });
    Arc::into_inner(log).expect("the world is over")
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

fn with_few_workers(file: &Path) -> Scenario {
    scenario::read(file).unwrap().with_workers(WORKERS)
}

/// A history of a plan whose workers are played by turns.
fn mixed_history(scenario: &Scenario, seed: u64) -> String {
    let mut plan = draw(scenario, seed);
    for (position, worker) in plan.workers.iter_mut().filter(|worker| worker.entry.is_some()).enumerate() {
        worker.player = if position % 2 == 0 { Player::Sdk } else { Player::Native };
    }
    let shared = Shared::default();
    let (recorder, _) = Recorder::new(shared.clone());
    replay(&Arc::new(plan), vec![Box::new(recorder)]);
    let bytes = shared.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn native_and_shipped_workers_share_a_world_that_replays() {
    let file = scenarios().into_iter().find(|file| file.ends_with("suspend-resume.toml")).unwrap();
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
    let crash = What::Crash { restart_ms: 50_000 };
    plan.faults = vec![Fault { party: worker, when: When::At(TrueTime::from_ms(15_000)), what: crash }];
    let log = Arc::new(CallLog::default());
    let until = Some(TrueTime::from_ms(59_000));
    run_plan(&Arc::new(plan), Watch { calls: Some(Arc::clone(&log)), until, ..Watch::default() });
    let renewals = log.of(worker).iter().filter(|(_, call)| call.contains("Renew ")).count();
    assert!((6..=7).contains(&renewals), "{renewals} renewals in 15 s, one each 2 s");
}

#[test]
fn the_shipped_worker_makes_the_native_workers_calls() {
    for file in scenarios() {
        let scenario = with_few_workers(&file);
        for seed in 0..20 {
            let plan = draw(&scenario, seed);
            if let Some(text) = difference(&calls(&plan, Player::Native), &calls(&plan, Player::Sdk)) {
                panic!("{} seed {seed}: {text}", file.display());
            }
        }
    }
}
