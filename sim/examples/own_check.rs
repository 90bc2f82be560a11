//! A check of one's own, beside the catalogue's: no execution may be given a third attempt.
//!
//! `cargo run --release -p claimlab --example own_check -- scenarios/reclaim-storm.toml` prints the story of the first
//! violation and ends with 1, or says that the promise held.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use claimlab::campaign;
use claimlab::plan::draw;
use claimlab::run::run;
use claimlab::scenario;
use claimlab::world::{Checks, Options};
use claimlab_model::invariant::{Check, Invariant, Look, Notes, Promise, Scope, Seen};

/// What is promised: an id that no other has, what it is looked at on, its cases, and the sentence.
static TWO_ATTEMPTS: Promise = Promise::new("X01", Scope::State, &["third"], "no execution needs a third attempt");

/// The check. It remembers nothing: what is broken stands in the execution.
struct TwoAttempts;

impl Check for TwoAttempts {
    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::of(&TWO_ATTEMPTS)]
    }

    fn look(&mut self, seen: &Seen<'_>, notes: &mut Notes<'_>) {
        let Seen::State(state) = seen else { return };
        let execution = state.found;
        let attempts = execution.attempts.len();
        let look = if attempts == 0 { Look::Vacuous } else { Look::at(attempts < 3, "third") };
        notes.look(Invariant::of(&TWO_ATTEMPTS), look, || format!("the execution has {attempts} attempts"));
    }
}

fn main() -> ExitCode {
    let file = std::env::args().nth(1).expect("a scenario's file");
    let scenario = scenario::read(Path::new(&file)).expect("a scenario").with_workers(12);
    let checks = Checks::new(|| vec![Box::new(TwoAttempts)]);
    for seed in 0..20 {
        let plan = Arc::new(draw(&scenario, seed));
        let outcome = run(&plan, Options { checks: checks.clone(), ..Options::default() });
        let broken = |violation: &&claimlab::outcome::Violation| violation.invariant == Invariant::of(&TWO_ATTEMPTS);
        if let Some(violation) = outcome.violations.iter().find(broken) {
            println!("seed {seed}: {}", violation.cause());
            print!("{}", campaign::story(&plan, violation, &checks));
            return ExitCode::from(1);
        }
    }
    println!("held over 20 seeds");
    ExitCode::SUCCESS
}
