//! Who plays in a world: for each kind of party, the tasks of one life of its process.

mod admission;
mod application;
mod claim;
mod engine;
mod flow;
mod listener;
mod native;
mod operator;
mod reclaimer;
mod rounds;
#[cfg(feature = "sdk")]
mod sdk;
mod signaller;
mod submitter;
mod task;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use claimlab_model::message::Message;
use claimlab_model::port::Server as _;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, LaneId, Namespace, WorkerId, WorkerInstanceId};

use crate::plan::{PartyKey, Plan, WorkerPlan};
use crate::world::{Cast, Hub, Life, Party, PartyNo, TaskFuture};
use application::Waitpoint;

/// The namespace of every execution and worker.
pub fn namespace() -> Namespace {
    Namespace::new("lab")
}

/// What submitters and reclaimers know of the submitted work: execution and lane.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<(ExecutionId, LaneId)>>,
    /// How often an application has parked each execution, and where last: what it would keep in a store of its own.
    parked: Mutex<BTreeMap<String, u32>>,
    waitpoints: Mutex<BTreeMap<String, Waitpoint>>,
    lanes: Mutex<BTreeMap<String, LaneId>>,
    complete: AtomicBool,
}

impl Ledger {
    fn add(&self, id: ExecutionId, lane: LaneId) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.insert(id.as_str().to_owned(), lane.clone());
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push((id, lane));
    }

    /// How often an execution was parked so far.
    fn times_parked(&self, id: &ExecutionId) -> u32 {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).get(id.as_str()).copied().unwrap_or_default()
    }

    /// An execution was parked once more.
    fn note_parked(&self, id: &ExecutionId) {
        *self.parked.lock().unwrap_or_else(PoisonError::into_inner).entry(id.as_str().to_owned()).or_default() += 1;
    }

    /// An execution waits at another waitpoint now; gives the one before.
    fn swap_waitpoint(&self, id: &ExecutionId, waitpoint: Waitpoint) -> Option<Waitpoint> {
        self.waitpoints.lock().unwrap_or_else(PoisonError::into_inner).insert(id.as_str().to_owned(), waitpoint)
    }

    /// The lane that an execution was submitted to.
    fn lane_of(&self, id: &ExecutionId) -> Option<LaneId> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(id.as_str()).cloned()
    }

    /// Entries from a position on, at most so many.
    fn page(&self, from: usize, count: usize) -> Vec<(ExecutionId, LaneId)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().skip(from).take(count).cloned().collect()
    }
}

/// A grant that was put down.
#[derive(Debug)]
struct PutDown {
    /// The pool that it was issued to.
    pool: WorkerId,
    /// The process that it was issued to.
    by: PartyNo,
    /// Whether it is for another process of the pool, which may use it; for one of another pool otherwise, which may not.
    is_for_own: bool,
    id: ExecutionId,
    lane: LaneId,
}

/// Grants that one process had and another one claims with.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Vec<PutDown>>);

impl Shelf {
    fn put(&self, grant: PutDown) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(grant);
    }

    /// Takes the first grant that was put down for this process of a pool.
    fn take(&self, pool: &WorkerId, by: PartyNo) -> Option<(ExecutionId, LaneId)> {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_for = |grant: &PutDown| grant.by != by && (grant.pool == *pool) == grant.is_for_own;
        let position = grants.iter().position(is_for)?;
        let PutDown { id, lane, .. } = grants.remove(position);
        Some((id, lane))
    }
}

/// A process that others ask for something, with its own client.
#[derive(Clone)]
pub struct Asked {
    /// Where it is.
    pub position: PartyNo,
    /// Its own client, for requests that run in its process.
    pub backend: Arc<dyn EngineBackend>,
}

/// What every worker of a run shares.
#[derive(Clone)]
pub struct Surroundings {
    /// Partition counts.
    pub partitions: PartitionConfig,
    /// Lanes that every worker polls.
    pub lanes: Arc<[LaneId]>,
    /// Lease length.
    pub lease_ttl_ms: u64,
    /// The schedulers' processes.
    pub schedulers: Arc<[Asked]>,
    /// The signaller.
    pub signaller: Asked,
    /// What was submitted.
    pub ledger: Arc<Ledger>,
    /// Grants that processes hand to others of their pool.
    pub shelf: Arc<Shelf>,
}

impl Surroundings {
    /// The scheduler that a worker asks: always the same.
    fn scheduler_of(&self, party: &Party) -> &Asked {
        &self.schedulers[party.hub().key(party.number()).0 as usize % self.schedulers.len()]
    }
}

/// The players of a plan's run; on the bare substrate, workers that only send empty requests.
pub fn cast(plan: &Arc<Plan>, hub: &Arc<Hub>, is_bare: bool) -> Box<dyn Cast> {
    if is_bare { Box::new(Bare) } else { Box::new(Players::new(plan, hub)) }
}

struct Players {
    plan: Arc<Plan>,
    surroundings: Surroundings,
    /// Positions of the planned workers by key.
    planned: BTreeMap<PartyKey, usize>,
}

impl Players {
    fn new(plan: &Arc<Plan>, hub: &Arc<Hub>) -> Self {
        let partitions = PartitionConfig { num_flow_partitions: plan.world.partitions, ..PartitionConfig::default() };
        // The parties that are no workers are seated first, in the order of their list.
        let seat = |key: PartyKey| plan.world.others().position(|other| other == key).unwrap_or_default();
        let schedulers = (0..plan.world.schedulers).map(|number| {
            let position = seat(PartyKey::scheduler(number));
            Asked { position, backend: Party::new(Arc::clone(hub), position).scheduler_backend(partitions) }
        });
        let position = seat(PartyKey::SIGNALLER);
        let signaller = Asked { position, backend: Party::new(Arc::clone(hub), position).trait_backend(partitions) };
        let surroundings = Surroundings {
            partitions,
            lanes: plan.world.lanes.iter().map(|lane| LaneId::new(lane.as_str())).collect(),
            lease_ttl_ms: plan.world.lease_ttl_ms,
            schedulers: schedulers.collect(),
            signaller,
            ledger: Arc::default(),
            shelf: Arc::default(),
        };
        let planned = plan.workers.iter().enumerate().map(|(position, worker)| (worker.key, position)).collect();
        Self { plan: Arc::clone(plan), surroundings, planned }
    }

    fn worker(&self, party: Party, planned: &WorkerPlan, life: Life) -> TaskFuture {
        let identity = Identity {
            worker: WorkerId::new(planned.worker_id.as_str()),
            instance: WorkerInstanceId::new(planned.habits.twin_of.unwrap_or(planned.key).instance(life.instance)),
        };
        match planned.entry {
            #[cfg(feature = "sdk")]
            Some(entry) if planned.player == crate::scenario::Player::Sdk => {
                let seed = sdk::RuntimeSeed { seed: self.plan.seed, party: planned.key.0, life: life.number };
                Box::pin(sdk::run(party, planned.clone(), entry, identity, self.surroundings.clone(), seed))
            }
            Some(entry) => Box::pin(native::run(party, planned.clone(), entry, identity, self.surroundings.clone())),
            None => Box::pin(reclaimer::run(party, planned.clone(), identity, self.surroundings.clone())),
        }
    }
}

impl Cast for Players {
    fn tasks_of(&mut self, party: Party, key: PartyKey, life: Life) -> Vec<TaskFuture> {
        match key {
            _ if key.role() == "engine" => engine::tasks(&party, &self.surroundings, self.plan.world.engine.as_ref()),
            PartyKey::SUBMITTER => {
                vec![Box::pin(submitter::run(party, Arc::clone(&self.plan), self.surroundings.clone()))]
            }
            PartyKey::OPERATOR => {
                vec![Box::pin(operator::run(party, Arc::clone(&self.plan), self.surroundings.clone()))]
            }
            _ => {
                let planned = self.planned.get(&key).map(|position| &self.plan.workers[*position]);
                planned.map(|planned| self.worker(party, planned, life)).into_iter().collect()
            }
        }
    }

    fn has_submitted_all(&self) -> bool {
        self.surroundings.ledger.complete.load(Ordering::Relaxed)
    }
}

/// The bare substrate: every worker sends empty requests, one after the other.
struct Bare;

impl Cast for Bare {
    fn tasks_of(&mut self, party: Party, key: PartyKey, _: Life) -> Vec<TaskFuture> {
        if key.0 < PartyKey::WORKERS {
            return Vec::new();
        }
        vec![Box::pin(async move {
            loop {
                let _ = party.call(Message::Time).await;
            }
        })]
    }

    fn has_submitted_all(&self) -> bool {
        true
    }
}

/// The two names that a worker presents.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The logical worker.
    pub worker: WorkerId,
    /// This process.
    pub instance: WorkerInstanceId,
}
