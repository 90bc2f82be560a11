//! Two backends as one: each call is performed on the real server and on the model, and both must agree.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::{Immediate, Server as _};
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use claimlab_model::token::Secret;
use claimlab_valkey::Server;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::ExecutionId;

use super::client::Deployment;
use super::coverage::Coverage;
use super::keyspace::Difference;
use super::twin::{Disagreement, Error, Twin};
use crate::call::{Answer, Answerer, Call};
use crate::judge::BrokenByCalls;
use crate::plan::FIRST_KID;

/// The waitpoint secret of both sides.
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// What a call in lockstep came to.
#[derive(Debug)]
pub enum Step {
    /// Both gave this answer and hold the same state.
    Same(Box<Answer>),
    /// They differ.
    Differs(Box<Disagreement>),
}

/// The model and the real server, in step.
#[derive(Debug)]
pub struct Lockstep {
    twin: Twin,
    deployment: Deployment,
    deviations: Deviations,
    model: Arc<Immediate>,
    backend: Arc<ModelBackend<Arc<Immediate>>>,
    performed: u64,
    calls: Coverage,
    scripts: Coverage,
    broken: BrokenByCalls,
}

impl Lockstep {
    /// Both sides empty, their clocks at `now`.
    ///
    /// # Errors
    /// When the server cannot be used.
    pub fn start(
        server: Server,
        partitions: PartitionConfig,
        lanes: &[ff_core::types::LaneId],
        deviations: Deviations,
        now: ServerTime,
    ) -> Result<Self, Error> {
        let deployment = Deployment { secret: SECRET, lanes: lanes.to_vec(), partitions };
        let twin = Twin::start(server, &deployment, now)?;
        let (model, backend) = fresh_model(&deployment, deviations, now);
        Ok(Self {
            twin,
            deployment,
            deviations,
            model,
            backend,
            performed: 0,
            calls: Coverage::default(),
            scripts: Coverage::default(),
            broken: BrokenByCalls::default(),
        })
    }

    /// Empties both sides; coverage stays.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn reset(&mut self, now: ServerTime) -> Result<(), Error> {
        self.twin.reset(&self.deployment, now)?;
        (self.model, self.backend) = fresh_model(&self.deployment, self.deviations, now);
        Ok(())
    }

    /// Sets both clocks, forward or back.
    pub fn set_now(&mut self, now: ServerTime) {
        self.model.set_now(now);
    }

    /// Both clocks.
    pub fn now(&self) -> ServerTime {
        self.model.now()
    }

    /// The model's server, to look into.
    pub fn model(&self) -> &Arc<Immediate> {
        &self.model
    }

    /// Calls compared since the start.
    pub fn calls(&self) -> u64 {
        self.performed
    }

    /// The promises that the calls have broken, on both sides alike as long as nothing differs.
    pub fn broken(&self) -> &BrokenByCalls {
        &self.broken
    }

    /// How often each method ended how, and each script.
    pub fn coverage(&self) -> (&Coverage, &Coverage) {
        (&self.calls, &self.scripts)
    }

    /// Performs a call on both sides.
    ///
    /// # Errors
    /// When the server cannot be used any more: no verdict.
    pub fn perform(&mut self, call: &Call) -> Result<Step, Error> {
        self.performed += 1;
        let now = self.model.now();
        let (server, minted) = self.twin.perform(now, now.to_wire(), call)?;
        self.model.give_ids(minted);
        let model = ready(call.perform(&*self.backend as &dyn EngineBackend));
        let (touched, messages) = self.model.take_traffic();
        self.broken.note(self.model.take_broken());
        self.calls.note(call.method(), &model.label());
        for (name, outcome) in messages {
            self.scripts.note(name, outcome);
        }
        // Reading a key that has expired drops it for good; the model's go at the same moment.
        self.model.lapse(Some(&touched));
        let ids = self.model.ids();
        let twin = &mut self.twin;
        let compared = self.model.look(|store| twin.compare(now, call, &model, &server, store, &ids, &touched))?;
        Ok(compared.map_or_else(|| Step::Same(Box::new(server)), Step::Differs))
    }

    /// Writes the admission fields of an execution, as [`Twin::attach`] does.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn attach(&mut self, id: &ExecutionId, budgets: Option<&str>, quota: Option<&str>) -> Result<(), Error> {
        self.twin.attach(id, budgets, quota)
    }

    /// Lays every key of both sides beside each other.
    ///
    /// # Errors
    /// When the server cannot be read.
    pub fn compare_all(&mut self) -> Result<Vec<Difference>, Error> {
        let now = self.model.now();
        let ids = self.model.ids();
        let twin = &mut self.twin;
        let differences = self.model.look(|store| twin.compare_all(now, store, &ids));
        self.model.lapse(None);
        differences
    }
}

/// What the model's server holds after its initialisation.
pub(crate) fn fresh_store(deployment: &Deployment, deviations: Deviations) -> Store {
    let mut store = Store::new(Secret::new(FIRST_KID, deployment.secret.to_vec()), deviations);
    store.seed_lanes(deployment.lanes.iter().map(|lane| lane.as_str().to_owned()));
    store
}

pub(crate) fn fresh_model(
    deployment: &Deployment,
    deviations: Deviations,
    now: ServerTime,
) -> (Arc<Immediate>, Arc<ModelBackend<Arc<Immediate>>>) {
    let model = Arc::new(Immediate::new(fresh_store(deployment, deviations), now).judged());
    let backend = Arc::new(ModelBackend::new(Arc::clone(&model), deployment.partitions).with_scheduler());
    (model, backend)
}

/// The value of a future that never waits.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("an immediate server never makes its caller wait"),
    }
}

/// A lockstep behind the trait; the first disagreement or failure is kept, and later calls are
/// answered by the model alone.
#[derive(Debug)]
pub struct Shared {
    lockstep: Mutex<Lockstep>,
    first: Mutex<Option<Result<Box<Disagreement>, Error>>>,
}

impl Shared {
    /// Puts a lockstep behind the trait.
    pub fn new(lockstep: Lockstep) -> Self {
        Self { lockstep: Mutex::new(lockstep), first: Mutex::new(None) }
    }

    /// The first disagreement or failure, if any call met one.
    pub fn finish(self) -> (Lockstep, Option<Result<Box<Disagreement>, Error>>) {
        let lockstep = self.lockstep.into_inner().unwrap_or_else(PoisonError::into_inner);
        (lockstep, self.first.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the lockstep between calls.
    pub fn with<T>(&self, look: impl FnOnce(&mut Lockstep) -> T) -> T {
        look(&mut self.lockstep.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Answerer for Arc<Shared> {
    async fn answer(&self, call: Call) -> Answer {
        self.with(|lockstep| {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_none() {
                match lockstep.perform(&call) {
                    Ok(Step::Same(answer)) => return *answer,
                    Ok(Step::Differs(disagreement)) => *first = Some(Ok(disagreement)),
                    Err(error) => *first = Some(Err(error)),
                }
            }
            ready(call.perform(&*lockstep.backend as &dyn EngineBackend))
        })
    }
}
