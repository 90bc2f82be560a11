//! The shipped engine beside the model's: single passes of `ff-engine`'s scanners, and calls of the
//! shipped scheduler, from random states that both sides share; then all keys are compared.

mod shipped;

pub use crate::staging::scanning::{End, Move, Scene};

use std::fmt::Write as _;
use std::sync::Arc;

use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::{Immediate, Server as _};
use claimlab_model::time::ServerTime;
use claimlab_valkey::Server;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::LaneId;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::Config;
use uuid::Uuid;

use super::client::Deployment;
use super::coverage::Coverage;
use super::lockstep::{self, Lockstep, ready};
use super::sequence;
use super::twin::Error;
use crate::call::Call;
use crate::engine::Scanner;
use crate::judge::BrokenByCalls;
use crate::scanner::ScannerKind;
use crate::shrink::fewest_in;
use crate::staging::chance::{bytes_of, runner};
use crate::staging::scanning::scene::attachment;
use crate::staging::scanning::{due, moves as moves_of, schedule};
use crate::staging::sequence::{Goal, LANES, Memory, PARTITIONS, ParkingStep, Pick, START_MS, Step};

/// Budgets and quotas, of which a sequence has few, are on few partitions.
const OTHER_PARTITIONS: u16 = 4;

/// Runs of a shrink at most.
const MOST_RUNS: usize = 2_000;

/// A difference with the moves that show it.
#[derive(Debug)]
pub struct Found {
    /// The shortest sequence that was found to show it.
    pub moves: Vec<Move>,
    /// What differs after the last of them.
    pub text: String,
}

/// Both engines, and what their calls and passes came to.
pub struct Engines {
    lockstep: Lockstep,
    shipped: shipped::Engine,
    deployment: Deployment,
    minted: u128,
    passes: Coverage,
}

impl Engines {
    /// Both sides empty on a server.
    ///
    /// # Errors
    /// When the server cannot be used.
    pub fn start(server: Server, deviations: Deviations) -> Result<Self, Error> {
        let partitions = PartitionConfig {
            num_flow_partitions: PARTITIONS,
            num_budget_partitions: OTHER_PARTITIONS,
            num_quota_partitions: OTHER_PARTITIONS,
        };
        let lanes = LANES.map(LaneId::new).to_vec();
        let deployment = Deployment { secret: lockstep::SECRET, lanes, partitions };
        let address = server.address().clone();
        let now = ServerTime::from_ms(START_MS);
        let lockstep = Lockstep::start(server, partitions, &deployment.lanes, deviations, now)?;
        let shipped = shipped::Engine::start(&address, &deployment)?;
        Ok(Self { lockstep, shipped, deployment, minted: 0, passes: Coverage::default() })
    }

    /// The promises that calls and passes have broken, on both sides alike as long as nothing differs.
    pub fn broken(&self) -> &BrokenByCalls {
        self.lockstep.broken()
    }

    /// How the passes of each scanner ended, and each trait method.
    pub fn coverage(&self) -> (&Coverage, &Coverage) {
        (&self.passes, self.lockstep.coverage().0)
    }

    /// Runs one sequence from empty; gives the first difference as text, with the number of moves made.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn run(&mut self, moves: &[Move]) -> Result<Option<(usize, String)>, Error> {
        self.lockstep.reset(ServerTime::from_ms(START_MS))?;
        self.shipped.forget()?;
        self.minted = 0;
        let mut memory = Memory::default();
        let mut scanners = self.scanners();
        for (number, next) in (1..).zip(moves) {
            let found = match next {
                Move::Step(step) => sequence::take(&mut self.lockstep, &mut memory, step)?,
                Move::Scene(scene) => self.play(scene)?,
                Move::Park { execution, timeout, behavior } => {
                    let (timeout, behavior) = (*timeout, *behavior);
                    let suspend = Step::Suspend { handle: 0, condition: 0, reason: 0, timeout, behavior, key: 0 };
                    self.run_and(&mut memory, *execution, &suspend)?
                }
                Move::Pend { execution, expires } => {
                    let wait = ParkingStep::CreateWaitpoint { handle: 0, key: 0, expires: *expires };
                    self.run_and(&mut memory, *execution, &Step::Parking(wait))?
                }
                Move::Due { which, offset_ms } => {
                    let now = self.lockstep.now();
                    let at = self.lockstep.model().look(|store| due::ahead(store, now, *which));
                    if let Some(at) = at {
                        self.lockstep.set_now(ServerTime::from_ms(at + i64::from(*offset_ms)));
                    }
                    None
                }
                Move::Pass(kind) => self.pass(*kind, &mut scanners)?,
                Move::Schedule { who, lane, capabilities, ttl } => {
                    let call = schedule(*who, *lane, *capabilities, *ttl);
                    self.perform(&call)?
                }
            };
            if let Some(text) = found {
                return Ok(Some((number, text)));
            }
        }
        let found = self.differences("after these moves")?;
        Ok(found.map(|text| (moves.len(), text)))
    }

    fn scanners(&self) -> Vec<(ScannerKind, Scanner<Arc<Immediate>>)> {
        let Deployment { lanes, partitions, .. } = &self.deployment;
        let backend = Arc::new(ModelBackend::new(Arc::clone(self.lockstep.model()), *partitions));
        let scanner = |kind| {
            let calls: Arc<dyn EngineBackend> = Arc::clone(&backend) as Arc<dyn EngineBackend>;
            (kind, Scanner::new(kind, Arc::clone(&backend), calls, lanes.as_slice().into(), *partitions))
        };
        ScannerKind::ALL.map(scanner).into()
    }

    /// One pass of both scanners of a kind, all keys compared before and after.
    fn pass(
        &mut self,
        kind: ScannerKind,
        scanners: &mut [(ScannerKind, Scanner<Arc<Immediate>>)],
    ) -> Result<Option<String>, Error> {
        // The comparison also sets the server's clock.
        if let Some(text) = self.differences("before the pass")? {
            return Ok(Some(text));
        }
        let shipped = self.shipped.pass(kind)?;
        let mut model = crate::engine::Counts::default();
        for (of, scanner) in scanners {
            if *of == kind {
                model = ready(scanner.pass());
            }
        }
        // What the pass touched is compared here, not with the next call.
        let _ = self.lockstep.model().take_traffic();
        let outcome = match (shipped.processed, shipped.errors) {
            (0, 0) => "nothing due",
            (_, 0) => "acted",
            (0, _) => "failed",
            _ => "acted and failed",
        };
        self.passes.note(kind.name(), outcome);
        let title = format!("after a pass of {} at server time {}", kind.name(), self.lockstep.now());
        if model != shipped {
            let mut text = format!("{title}: the counts differ\n    model   {model:?}\n    server  {shipped:?}\n");
            text.push_str(&self.differences("and")?.unwrap_or_default());
            return Ok(Some(text));
        }
        self.differences(&title)
    }

    /// Has an execution run, and whoever runs it do something.
    fn run_and(&mut self, memory: &mut Memory, execution: Pick, then: &Step) -> Result<Option<String>, Error> {
        let run = Step::Approach { execution, goal: Goal::Running };
        match sequence::take(&mut self.lockstep, memory, &run)? {
            None => sequence::take(&mut self.lockstep, memory, then),
            found => Ok(found),
        }
    }

    fn play(&mut self, scene: &Scene) -> Result<Option<String>, Error> {
        if let Scene::Attach { execution, budgets, quota } = scene {
            return self.attach(*execution, *budgets, *quota).map(|()| None);
        }
        let partitions = &self.deployment.partitions;
        let parts = self.lockstep.model().look(|store| scene.parts(store, partitions));
        for part in parts {
            let minted = &mut self.minted;
            let mint = || {
                *minted += 1;
                Uuid::from_u128((0xc5 << 120) | *minted)
            };
            let (now, partitions) = (self.lockstep.now(), &self.deployment.partitions);
            let model = self.lockstep.model();
            let calls = model.look(|store| part.calls(store, partitions, now, sequence::execution, mint));
            for call in calls {
                if let Some(text) = self.perform(&call)? {
                    return Ok(Some(text));
                }
            }
        }
        Ok(None)
    }

    /// Writes the fields that the scheduler and the unblock scanner read and no production code writes.
    fn attach(&mut self, execution: Pick, budgets: Pick, quota: Pick) -> Result<(), Error> {
        let id = sequence::execution(execution);
        let model = self.lockstep.model();
        let number = model.ids().execution(&id);
        if model.look(|store| store.execution(number).is_none()) {
            return Ok(());
        }
        let (budgets, quota) = attachment(budgets, quota);
        let backend = ModelBackend::new(Arc::clone(model), self.deployment.partitions);
        // An immediate server always answers.
        let _ = ready(backend.attach_admission(&id, budgets.as_deref(), quota.as_deref()));
        self.lockstep.attach(&id, budgets.as_deref(), quota.as_deref())?;
        Ok(())
    }

    fn perform(&mut self, call: &Call) -> Result<Option<String>, Error> {
        Ok(match self.lockstep.perform(call)? {
            lockstep::Step::Same(_) => None,
            lockstep::Step::Differs(disagreement) => Some(disagreement.to_string()),
        })
    }

    fn differences(&mut self, when: &str) -> Result<Option<String>, Error> {
        let differences = self.lockstep.compare_all()?;
        if differences.is_empty() {
            return Ok(None);
        }
        let lines: Vec<String> = differences.iter().map(|one| format!("    {one}\n")).collect();
        Ok(Some(format!("{when}, all keys compared\n{}", lines.concat())))
    }

    /// Draws and runs sequences until so many moves were made or a difference is found and shrunk.
    ///
    /// # Errors
    /// When the server cannot be used any more: no verdict.
    pub fn search(
        &mut self,
        seed: u64,
        moves: u64,
        longest: usize,
        mut told: impl FnMut(u64),
    ) -> Result<(Option<Found>, u64), Error> {
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = runner(bytes_of(seed), config);
        let strategy = moves_of(longest);
        let mut done = 0;
        while done < moves {
            let drawn = strategy.new_tree(&mut runner).map_err(|reason| Error::Draw(reason.to_string()))?.current();
            if let Some((number, why)) = self.run(&drawn)? {
                let moves = fewest_in(MOST_RUNS, drawn[..number].to_vec(), |moves| {
                    Ok::<_, Error>(self.run(moves)?.map(|(number, _)| number))
                })?;
                let text = match self.run(&moves)? {
                    Some((_, text)) => text,
                    None => format!("not seen again when it was repeated (it was: {why})"),
                };
                return Ok((Some(Found { moves, text }), done + number as u64));
            }
            done += drawn.len() as u64;
            told(done);
        }
        Ok((None, done))
    }
}

impl Found {
    /// The moves, one on each line.
    pub fn listing(&self) -> String {
        let mut text = String::new();
        for made in &self.moves {
            let _ = writeln!(text, "  {made:?}");
        }
        text
    }
}
