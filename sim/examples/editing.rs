//! How far plans can be edited: over red seeds of a scenario, which share of the struck messages is struck again when one
//! other element is taken out, and what carried the change to the rest.
//!
//! `cargo run --release -p claimlab --example editing -- scenarios/lost-replies.toml [WORKERS [RED_SEEDS [REMOVALS]]]`

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use claimlab::outcome::Outcome;
use claimlab::plan::{Element, Plan, Struck, draw};
use claimlab::run::run;
use claimlab::scenario;
use claimlab::world::Options;

fn run_struck(plan: &Plan) -> Outcome {
    run(&Arc::new(plan.clone()), Options { keep_struck: true, ..Options::default() })
}

/// Why a message is no longer struck: it is not sent any more, or not while faults last.
fn carried(element: &Element, fault: &Struck) -> &'static str {
    let address = fault.address.as_deref().unwrap_or_default();
    match element {
        Element::Work(key) if address.contains(&format!("work-{key} ")) => "it was about the work item taken out",
        Element::Worker(key) if address.starts_with(&format!("{key}.")) => "the worker taken out sent it",
        _ if address.starts_with("holder / ") => "its attempt or lease of the work item does not come about",
        _ if address.contains("ZRANGEBYSCORE") => "its process looks for work less often",
        _ => "its process does not try that work item then",
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("a scenario's file");
    let mut number = |usual: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (workers, wanted, removals) = (number(12), number(20), number(6));
    let scenario = scenario::read(Path::new(&file)).expect("a scenario");
    let scenario = scenario.with_workers(u32::try_from(workers).unwrap_or(12));
    let mut shares: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut red, mut seed) = (0, 0);
    while red < wanted && seed < 400 {
        let plan = draw(&scenario, seed);
        seed += 1;
        let outcome = run_struck(&plan);
        if outcome.violations.is_empty() {
            continue;
        }
        red += 1;
        let (explicit, before) = (plan.concretise(&outcome.struck), outcome.struck);
        let mut by_kind: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        for element in explicit.elements() {
            let kind = match &element {
                Element::Fault(_) => "fault",
                Element::Work(_) => "work item",
                Element::Worker(_) => "worker",
                Element::Action(_) => "action",
            };
            by_kind.entry(kind).or_default().push(element);
        }
        for (kind, elements) in by_kind {
            // Evenly spread over the list.
            let step = elements.len().div_ceil(removals as usize);
            for element in elements.iter().step_by(step.max(1)) {
                let after = run_struck(&explicit.without(element)).struck;
                let share = shares.entry(kind).or_default();
                for fault in before.iter().filter(|fault| fault.address.is_some()) {
                    if matches!(element, Element::Fault(key) if *key == fault.key) {
                        continue;
                    }
                    share.1 += 1;
                    if after.iter().any(|other| other.address == fault.address && other.what == fault.what) {
                        share.0 += 1;
                    } else {
                        *causes.entry(carried(element, fault)).or_default() += 1;
                    }
                }
            }
        }
    }
    println!("{file}: {red} red seeds of {seed}, {workers} workers");
    for (kind, (kept, all)) in &shares {
        let percent = kept * 100 / all.max(&1);
        println!("  a {kind} less: {kept} of {all} other struck messages are struck again ({percent} %)");
    }
    for (cause, count) in causes {
        println!("  {count} are not struck, because {cause}");
    }
}
