//! When a violation became inevitable: the past of a plan is kept, its future is drawn anew.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use claimlab::clock::TrueTime;
use claimlab::history::{Observer, Recorder};
use claimlab::inevitable::curve;
use claimlab::outcome::Violation;
use claimlab::plan::{Future, Plan, read};
use claimlab::run::run;
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

fn redrawn(plan: &Arc<Plan>, from_us: u64, until_us: u64, seed: u64) -> Arc<Plan> {
    let future = Future { from: TrueTime::from_us(from_us), until: TrueTime::from_us(until_us) };
    Arc::new(plan.redrawn(future, seed, |_| None))
}

#[test]
fn a_redrawn_plan_has_the_same_past_and_another_future() {
    let plan = plan();
    let until_us = violation(&plan).at_us;
    let from_us = until_us / 2;
    let past = |lines: &[(u64, String)]| lines.iter().filter(|(at, _)| *at <= from_us).cloned().collect::<Vec<_>>();
    let original = history(&plan);
    let others: Vec<_> = (1..9).map(|seed| history(&redrawn(&plan, from_us, until_us, seed))).collect();
    assert!(past(&original).len() > 5);
    assert!(others.iter().all(|other| past(other) == past(&original)));
    assert!(others.iter().any(|other| *other != original), "no future was another one");
}

#[test]
fn a_redrawn_plan_is_a_plan_like_any_other() {
    let plan = plan();
    let another = redrawn(&plan, 0, violation(&plan).at_us, 3);
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
