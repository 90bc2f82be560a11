//! When a violation became inevitable: the past of a plan is kept, its future is drawn anew.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use claimlab::clock::TrueTime;
use claimlab::history::{Observer, Recorder};
use claimlab::inevitable::curve;
use claimlab::outcome::Violation;
use claimlab::plan::{Future, Plan, draw, read};
use claimlab::run::run;
use claimlab::scenario::parse;
use claimlab::world::Options;

/// A handle whose machine stalls beyond its lease and then cancels: one worker, one item, one fault.
fn plan() -> Arc<Plan> {
    Arc::new(read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../findings/F002/plan.json"))).unwrap())
}

fn violation(plan: &Arc<Plan>) -> Violation {
    run(plan, Options::default()).violations.into_iter().find(|found| found.invariant.id() == "S04").unwrap()
}

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines of a plan's history, each with its true time in microseconds.
fn history(plan: &Arc<Plan>) -> Vec<(u64, String)> {
    let bytes = Bytes::default();
    let (recorder, _) = Recorder::new(bytes.clone());
    let observers: Vec<Box<dyn Observer>> = vec![Box::new(recorder)];
    run(plan, Options { observers, ..Options::default() });
    let text = String::from_utf8(std::mem::take(&mut bytes.0.lock().unwrap())).unwrap();
    let at = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["at_us"].as_u64().unwrap();
    text.lines().map(|line| (at(line), line.to_owned())).collect()
}

/// Five seconds in which something befalls everybody.
fn busy() -> Arc<Plan> {
    let text = "[world]\npartitions = 2\nfor_ms = 5000\n[workers]\ncount = 3\n[work]\nat_start = 5\nrun_ms = [100, 2000]\n\
                [operators]\ncancel = \"1/1\"\nafter_ms = [0, 5000]\n[faults.pause]\nworkers = \"1/1\"\nfor_ms = [1, 2000]\n";
    Arc::new(draw(&parse(Path::new("busy.toml"), text).unwrap(), 4))
}

/// The moment up to which [`busy`] is kept.
const FROM_US: u64 = 1_000_000;

fn redrawn(plan: &Arc<Plan>, seed: u64) -> Arc<Plan> {
    let future = Future { from: TrueTime::from_us(FROM_US), until: TrueTime::from_ms(5_000) };
    Arc::new(plan.redrawn(future, seed, |_| None))
}

#[test]
fn a_redrawn_plan_has_the_same_past_and_another_future() {
    let plan = busy();
    let past = |lines: &[(u64, String)]| lines.iter().filter(|(at, _)| *at <= FROM_US).cloned().collect::<Vec<_>>();
    let original = history(&plan);
    let others: Vec<_> = (1..9).map(|seed| history(&redrawn(&plan, seed))).collect();
    assert!(past(&original).len() > 20);
    assert!(others.iter().all(|other| past(other) == past(&original)));
    assert!(others.iter().all(|other| *other != original), "a future was no other one");
}

#[test]
fn a_redrawn_plan_is_a_plan_like_any_other() {
    let another = redrawn(&busy(), 3);
    let read_back = claimlab::plan::parse(Path::new("plan.json"), &another.text()).unwrap();
    assert_eq!(read_back, *another);
    assert_eq!(history(&another), history(&Arc::new(read_back)));
}

#[test]
fn the_curve_of_a_violation_ends_where_it_always_comes() {
    let plan = plan();
    let violation = violation(&plan);
    let moments = curve(&plan, &violation, 0);
    assert_eq!(moments.len(), 21);
    assert!(moments.is_sorted_by_key(|moment| moment.at_us));
    let (first, last) = (moments[0], moments[20]);
    assert_eq!((last.at_us, last.came, last.ppm()), (violation.at_us, last.of, 1_000_000));
    assert!(first.came < last.came, "{first:?}");
    assert_eq!(curve(&plan, &violation, 0), moments);
}
