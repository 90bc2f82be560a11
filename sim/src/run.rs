//! The one door: a plan in, an outcome out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use crate::clock::TrueTime;
use crate::outcome::{Counts, End, Outcome};
use crate::plan::Plan;
use crate::scenario::Player;
use crate::worker;
use crate::world::{Options, World};

/// Runs a plan on a thread of its own and waits for it.
///
/// The outcome is a function of the plan and of claimlab's version; nothing in the options changes what happens. A run
/// that panics is an outcome too.
pub fn run(plan: &Arc<Plan>, options: Options) -> Outcome {
    let (send, receive) = mpsc::channel();
    start(plan, options, move |outcome| {
        // Who waits for it is there until it has come.
        let _ = send.send(outcome);
    });
    receive.recv().unwrap_or_else(|_| panicked("its thread ended without an outcome".to_owned()))
}

/// Starts a plan's run on a thread of its own; `done` gets its outcome.
pub(crate) fn start(plan: &Arc<Plan>, options: Options, done: impl FnOnce(Outcome) + Send + 'static) {
    let plan = Arc::clone(plan);
    let on_thread = move || done(caught(&plan, options));
    #[allow(clippy::disallowed_methods)]
    let thread = builder().spawn(on_thread);
    drop(thread.expect("the system gives another thread"));
}

/// A thread that a run has room on.
pub(crate) fn builder() -> std::thread::Builder {
    std::thread::Builder::new().name("run".into()).stack_size(16 << 20)
}

/// Runs a plan on this thread, which [`builder`] has made, one after the other: short runs cost less than threads. The
/// shipped worker keeps entropy with its thread, so a plan that has one gets a thread of its own.
pub(crate) fn here(plan: &Arc<Plan>, options: Options) -> Outcome {
    if is_native(plan) { caught(plan, options) } else { run(plan, options) }
}

fn is_native(plan: &Plan) -> bool {
    plan.workers.iter().all(|worker| worker.player == Player::Native)
}

fn caught(plan: &Arc<Plan>, options: Options) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| hosted(plan, options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        panicked(text.unwrap_or_else(|| "a panic without a message".to_owned()))
    })
}

fn panicked(message: String) -> Outcome {
    Outcome {
        end: End::Panicked(message),
        violations: Vec::new(),
        struck: Vec::new(),
        unstruck: Vec::new(),
        counts: Counts::default(),
        reached: Vec::new(),
        ended_at: TrueTime::default(),
    }
}

/// Under madsim the clock and the entropy of everything below are simulated, which the shipped worker needs and nobody else.
#[cfg(madsim)]
fn hosted(plan: &Arc<Plan>, options: Options) -> Outcome {
    if is_native(plan) {
        return direct(plan, options);
    }
    let runtime = madsim::runtime::Runtime::with_seed_and_config(plan.seed, madsim::Config::default());
    runtime.block_on(async { direct(plan, options) })
}

#[cfg(not(madsim))]
fn hosted(plan: &Arc<Plan>, options: Options) -> Outcome {
    direct(plan, options)
}

fn direct(plan: &Arc<Plan>, options: Options) -> Outcome {
    let is_bare = options.bare;
    World::new(plan, options, |hub| worker::cast(plan, hub, is_bare)).run()
}
