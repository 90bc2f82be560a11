//! Random sequences of calls in lockstep: drawn, run, shrunk to the shortest that still shows the
//! difference, and printed as a Rust test that shows it again.

pub use crate::staging::sequence::{
    AdmissionStep, FlowStep, Goal, Memory, PARTITIONS, ParkingStep, Pick, Progress, START_MS, Sequence, Step, Who,
    execution, sequences,
};

use std::fmt::Write as _;

use claimlab_model::deviation::Deviations;
use claimlab_model::port::Server as _;
use claimlab_model::time::ServerTime;
use claimlab_valkey::Server;
use ff_core::partition::PartitionConfig;
use ff_core::types::LaneId;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::Config;

use super::lockstep::{self, Lockstep};
use super::twin::Error;
use crate::shrink::fewest_in;
use crate::staging::chance::{bytes_of, runner};
use crate::staging::sequence::call::boundaries;
use crate::staging::sequence::{LANES, approach, execution as execution_of};

/// A whole comparison of all keys comes after so many steps, and at the end of a sequence.
const STEPS_BETWEEN_FULL: usize = 40;

/// Runs of a shrink at most; a real server makes each cost some milliseconds.
const MOST_RUNS: usize = 400;

/// A difference with the sequence that shows it.
#[derive(Debug)]
pub struct Found {
    /// The shortest sequence that was found to show it.
    pub steps: Vec<Step>,
    /// What differs after the last of them.
    pub text: String,
}

impl Found {
    /// A Rust test that runs the sequence again.
    pub fn test(&self) -> String {
        let mut text = String::from(
            "use claimlab::live::sequence::Step::*;\n\
             use claimlab::live::sequence::{AdmissionStep, FlowStep, Goal::*, ParkingStep, Who, assert_same};\n\n\
             #[test]\nfn the_model_answers_as_the_server_does() {\n    assert_same(&[\n",
        );
        for step in &self.steps {
            let step = format!("{step:?}")
                .replace("Flow(", "Flow(FlowStep::")
                .replace("Admission(", "Admission(AdmissionStep::")
                .replace("Parking(", "Parking(ParkingStep::");
            let _ = writeln!(text, "        {step},");
        }
        text.push_str("    ]);\n}\n");
        text
    }
}

/// What a search came to.
#[derive(Debug)]
pub enum Outcome {
    /// No difference in so many calls.
    Same,
    /// A difference.
    Differs(Found),
}

/// Runs a sequence on a private server and fails where the model and the server differ; for tests.
///
/// The shipped client needs a clock of its own, so the test's program is started again with it, for this
/// test alone.
///
/// # Panics
/// When they differ, or no server can be had.
pub fn assert_same(steps: &[Step]) {
    let own = claimlab_valkey::own_clock().expect("the clock's cell is there");
    if own.is_none() {
        let name = std::thread::current().name().expect("a test's thread has its name").to_owned();
        let code = claimlab_valkey::relaunch_with([name.as_str(), "--exact", "--nocapture"]);
        assert_eq!(code.expect("the test's program starts again"), 0, "{name} failed under its own clock");
        return;
    }
    let server = Server::start(START_MS).expect("valkey-server starts");
    let mut lockstep = start(server, Deviations::default()).expect("the shipped backend is set up");
    if let Some((number, difference)) = run(&mut lockstep, steps).expect("the server answers") {
        panic!("after step {number}\n{difference}");
    }
}

/// A lockstep on a server for sequences.
///
/// # Errors
/// When the server cannot be used.
pub fn start(server: Server, deviations: Deviations) -> Result<Lockstep, Error> {
    let partitions = PartitionConfig { num_flow_partitions: PARTITIONS, ..PartitionConfig::default() };
    let lanes = LANES.map(LaneId::new);
    Lockstep::start(server, partitions, &lanes, deviations, ServerTime::from_ms(START_MS))
}

/// Runs one sequence from empty; gives the first difference as text, with the number of steps taken.
///
/// # Errors
/// When the server cannot be used any more.
pub fn run(lockstep: &mut Lockstep, steps: &[Step]) -> Result<Option<(usize, String)>, Error> {
    lockstep.reset(ServerTime::from_ms(START_MS))?;
    let mut memory = Memory::default();
    for (number, step) in (1..).zip(steps) {
        if let Some(difference) = take(lockstep, &mut memory, step)? {
            return Ok(Some((number, difference)));
        }
        if number.is_multiple_of(STEPS_BETWEEN_FULL) || number == steps.len() {
            let differences = lockstep.compare_all()?;
            if !differences.is_empty() {
                let lines: Vec<String> = differences.iter().map(|one| format!("    {one}\n")).collect();
                return Ok(Some((number, format!("after this sequence, all keys compared\n{}", lines.concat()))));
            }
        }
    }
    Ok(None)
}

/// Takes one step; an approach takes several.
pub(in crate::live) fn take(
    lockstep: &mut Lockstep,
    memory: &mut Memory,
    step: &Step,
) -> Result<Option<String>, Error> {
    if let Step::Approach { execution, goal } = step {
        for _ in 0..approach::LONGEST {
            let now = lockstep.now();
            let number = lockstep.model().ids().execution(&execution_of(*execution));
            let next =
                lockstep.model().look(|store| approach::next(store, store.execution(number), now, *execution, *goal));
            let Some(next) = next else { break };
            if let Some(difference) = take(lockstep, memory, &next)? {
                return Ok(Some(difference));
            }
        }
        return Ok(None);
    }
    if let Step::Link { flow, up, down } = step {
        for _ in 0..approach::LONGEST {
            let next = {
                let ids = lockstep.model().ids();
                lockstep.model().look(|store| approach::link(store, &ids, *flow, *up, *down))
            };
            let Some(next) = next else { break };
            if let Some(difference) = take(lockstep, memory, &next)? {
                return Ok(Some(difference));
            }
        }
        return Ok(None);
    }
    let now = lockstep.now();
    lockstep.set_now(moved(lockstep, now, step));
    let Some(call) = memory.call(step, lockstep.now()) else { return Ok(None) };
    match lockstep.perform(&call)? {
        lockstep::Step::Same(answer) => {
            memory.learn(&call, &answer);
            Ok(None)
        }
        lockstep::Step::Differs(disagreement) => Ok(Some(disagreement.to_string())),
    }
}

/// The clock after a step, before its call.
fn moved(lockstep: &Lockstep, now: ServerTime, step: &Step) -> ServerTime {
    match step {
        Step::Wait { ms } => now.plus_ms(u64::from(*ms)),
        Step::Back { ms } => ServerTime::from_ms(now.ms() - i64::from(*ms)),
        Step::ToBoundary { which, offset_ms } => {
            let times: Vec<i64> = lockstep.model().look(boundaries);
            // Times ahead first: the past is for the steps backwards.
            let ahead: Vec<i64> =
                times.iter().copied().filter(|time| *time > now.ms() && *time < now.ms() + 100_000_000).collect();
            let Some(position) = usize::from(*which).checked_rem(ahead.len()) else { return now };
            ServerTime::from_ms(ahead[position] + i64::from(*offset_ms))
        }
        _ => now,
    }
}

/// Draws and runs sequences until so many calls were compared or a difference is found and shrunk.
///
/// # Errors
/// When the server cannot be used any more: no verdict.
pub fn search(
    lockstep: &mut Lockstep,
    seed: u64,
    calls: u64,
    steps: usize,
    mut told: impl FnMut(u64),
) -> Result<(Outcome, u64), Error> {
    let mut runner = runner(bytes_of(seed), Config { failure_persistence: None, ..Config::default() });
    let strategy = sequences(steps);
    let before = lockstep.calls();
    while lockstep.calls() - before < calls {
        let drawn = strategy.new_tree(&mut runner).expect("nothing that is drawn is filtered out").current();
        if let Some((number, _)) = run(lockstep, &drawn)? {
            let done = lockstep.calls() - before;
            let shown = fewest_in(MOST_RUNS, drawn[..number].to_vec(), |steps| {
                Ok::<_, Error>(run(lockstep, steps)?.map(|(number, _)| number))
            })?;
            let text = match run(lockstep, &shown)? {
                Some((_, text)) => text,
                None => "not seen again when it was repeated".into(),
            };
            return Ok((Outcome::Differs(Found { steps: shown, text }), done));
        }
        told(lockstep.calls() - before);
    }
    Ok((Outcome::Same, lockstep.calls() - before))
}
