//! The native worker: after `ff-sdk/src/worker.rs`, for thousands.
//!
//! It polls for work, runs what it claimed beside the polling, and holds one permit for each task. All
//! that it does to the server goes through the trait.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::WorkerFact;
use claimlab_model::port::Server as _;
use ff_core::contracts::{HeartbeatWorkerArgs, RegisterWorkerArgs};
use ff_core::engine_backend::EngineBackend;
use ff_core::hash::fnv1a_u64;
use ff_core::types::LaneId;

use super::listener::listen;
use super::rounds::{Judged, Rounds};
use super::{Identity, Surroundings, namespace};
use crate::plan::{HabitPlan, WorkerPlan};
use crate::scenario::Entry;
use crate::world::{Party, Pass};

/// So many partitions are looked at in one poll.
const SCAN_CHUNK: u16 = 32;
/// A registration lives for so long without a heartbeat.
const LIVENESS_TTL_MS: u64 = 30_000;

/// The free permits of one process.
#[derive(Debug)]
pub(super) struct Permits(AtomicU32);

/// A held permit; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Permits>);

impl Permits {
    fn new(count: u32) -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(count.max(1))))
    }

    /// Takes a permit if one is free, or all the same.
    pub(super) fn try_acquire(self: &Arc<Self>, all_the_same: bool) -> Option<Permit> {
        if all_the_same {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return Some(Permit(Arc::clone(self)));
        }
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1));
        taken.ok().map(|_| Permit(Arc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One life of a worker process.
pub(super) struct Worker {
    pub party: Party,
    pub backend: Arc<dyn EngineBackend>,
    pub identity: Identity,
    pub capabilities: BTreeSet<String>,
    pub attempt_timeout_ms: Option<u64>,
    permits: Arc<Permits>,
    /// What it does besides what the shipped worker does.
    pub habits: HabitPlan,
    concurrency: u32,
    pub surroundings: Surroundings,
    /// When the process began, in microseconds of the party's timer.
    pub began_us: u64,
    lanes: Vec<LaneId>,
    /// `lane_index`: moved on by every poll that had a permit.
    lane_index: usize,
    /// `scan_cursor`: where the window of partitions starts.
    scan_cursor: u64,
    /// Where it has looked.
    pub rounds: Arc<Mutex<Rounds>>,
}

/// Runs a worker until its process dies.
pub(super) async fn run(party: Party, plan: WorkerPlan, entry: Entry, identity: Identity, surroundings: Surroundings) {
    let backend = party.trait_backend(surroundings.partitions);
    let mut worker = Worker::new(party, backend, &plan, identity, surroundings);
    if plan.registers {
        worker.register().await;
        let (party, backend) = (worker.party.clone(), Arc::clone(&worker.backend));
        let sleeper = party.clone();
        let sleep = move |timer_ms| {
            let sleeper = sleeper.clone();
            async move { sleeper.sleep_ms(timer_ms).await }
        };
        worker.party.spawn(heartbeats(party, backend, worker.identity.clone(), sleep));
    }
    if plan.listens {
        let backend = worker.party.backend(worker.surroundings.partitions);
        worker.party.spawn(listen(Arc::new(backend)));
    }
    loop {
        let claimed = match entry {
            Entry::ClaimNext => worker.claim_next().await,
            Entry::ClaimViaServer => worker.claim_via_server().await,
            Entry::ClaimFromGrants => worker.claim_from_grants().await,
            Entry::Claim => worker.claim_any().await,
        };
        match claimed {
            Ok(Some(task)) => {
                worker.found_work();
                worker.party.spawn(task.run());
            }
            Ok(None) => {
                worker.found_nothing(entry);
                worker.party.sleep_ms(plan.poll_ms).await;
            }
            Err(_) => {
                worker.gave_up(entry);
                worker.party.sleep_ms(plan.poll_ms).await;
            }
        }
    }
}

impl Worker {
    /// A worker that has done nothing yet.
    pub(super) fn new(
        party: Party,
        backend: Arc<dyn EngineBackend>,
        plan: &WorkerPlan,
        identity: Identity,
        surroundings: Surroundings,
    ) -> Self {
        let partitions = u64::from(surroundings.partitions.num_flow_partitions);
        Self {
            scan_cursor: fnv1a_u64(identity.instance.as_str().as_bytes()) % partitions,
            began_us: party.timer_us(),
            party,
            backend,
            identity,
            capabilities: plan.capabilities.iter().cloned().collect(),
            attempt_timeout_ms: plan.attempt_timeout_ms,
            permits: Permits::new(plan.concurrency),
            habits: plan.habits,
            concurrency: plan.concurrency,
            rounds: Arc::default(),
            surroundings,
            lanes: plan.lanes.iter().map(|lane| LaneId::new(lane.as_str())).collect(),
            lane_index: 0,
        }
    }

    /// Notes a poll that found work.
    pub(super) fn found_work(&self) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).found_work();
    }

    /// Notes a poll that found nothing, and whether such polls come by everywhere.
    pub(super) fn found_nothing(&self, entry: Entry) {
        if matches!(entry, Entry::ClaimViaServer | Entry::Claim) || !self.has_room() {
            return;
        }
        let partitions = self.surroundings.partitions.num_flow_partitions;
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        self.party.hub().passed(Pass::IdlePoll, self.party.number());
        let Some(judged) = rounds.found_nothing(self.lanes.len(), partitions, SCAN_CHUNK) else { return };
        let Judged { missed, all, polls } = judged;
        self.party.hub().told(WorkerFact::FoundNothing { polls, missed: missed as u64, all: all as u64 });
    }

    /// Notes a poll that an error ended. It has found nothing either, but has not been everywhere that it would have been.
    pub(super) fn gave_up(&self, entry: Entry) {
        if !matches!(entry, Entry::ClaimViaServer | Entry::Claim) && self.has_room() {
            self.party.hub().passed(Pass::IdlePoll, self.party.number());
        }
    }

    /// A permit for one more task, if there is one.
    pub(super) fn permit(&self) -> Option<Permit> {
        self.permits.try_acquire(self.party.deviations().has(Deviation::BugWorkerClaimsSaturated))
    }

    /// Whether it runs less than it may.
    pub(super) fn has_room(&self) -> bool {
        self.party.hub().running(self.party.number()) < self.concurrency
    }

    /// The next lane in turn.
    pub(super) fn next_lane(&mut self) -> LaneId {
        let lane = self.lanes[self.lane_index % self.lanes.len()].clone();
        self.lane_index += 1;
        lane
    }

    /// The window of partitions that this poll looks at.
    pub(super) fn next_window(&mut self) -> impl Iterator<Item = u16> + use<> {
        let partitions = u64::from(self.surroundings.partitions.num_flow_partitions);
        let chunk = partitions.min(u64::from(SCAN_CHUNK));
        let start = self.scan_cursor % partitions;
        // As shipped, lane and window move on together with every poll.
        let stays = self.party.deviations().has(Deviation::FixPollEveryLaneInEachWindow)
            && !self.lane_index.is_multiple_of(self.lanes.len());
        if !stays {
            self.scan_cursor = self.scan_cursor.wrapping_add(chunk);
        }
        let skips = u64::from(self.party.deviations().has(Deviation::BugWorkerSkipsPartition));
        (0..chunk - skips.min(chunk)).map(move |step| ((start + step) % partitions) as u16)
    }

    pub(super) async fn register(&self) {
        let args = RegisterWorkerArgs::new(
            self.identity.worker.clone(),
            self.identity.instance.clone(),
            self.lanes.iter().cloned().collect(),
            self.capabilities.clone(),
            LIVENESS_TTL_MS,
            namespace(),
            self.party.now().to_wire(),
        );
        // A registration that fails is made up for by nothing; the worker works all the same.
        let _ = self.backend.register_worker(args).await;
    }
}

/// Heartbeats at a third of the registration's life, with the process's own way to wait.
pub(super) async fn heartbeats<W: Future<Output = ()> + Send>(
    party: Party,
    backend: Arc<dyn EngineBackend>,
    identity: Identity,
    sleep_ms: impl Fn(u64) -> W + Send,
) {
    loop {
        sleep_ms(LIVENESS_TTL_MS / 3).await;
        let now = party.now().to_wire();
        let _ = backend.heartbeat_worker(HeartbeatWorkerArgs::new(identity.instance.clone(), namespace(), now)).await;
    }
}
