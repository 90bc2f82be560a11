//! The ways that users feel: what the shipped worker does from looking for work to having ended it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claimlab::stopwatch::Stopwatch;
use ff_core::contracts::*;
use ff_core::partition::PartitionKey;
use ff_core::types::ExecutionId;
use ff_sdk::task::{ClaimedTask, Signal};
use ff_sdk::{FlowFabricAdminClient, FlowFabricWorker};
use tokio::task::JoinSet;

use crate::closed_loop::{self, Measured};
use crate::error::{Error, another_was_faster, engine_error, sdk_error};
use crate::lab::{Deployed, LEASE_TTL_MS, Lab, lane, until_go};
use crate::operation::{IN_FLIGHT, Operation};
use crate::statistics::{Commands, Tally};

/// So many more executions than are done wait for each partition and each worker, so that the queue is full to the end.
const RESERVE: usize = 4;
/// A grant that is used at once.
const GRANT_TTL_MS: u64 = 60_000;

/// From one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// `claim_next`, then `complete`, on a queue that is full.
    ClaimNext,
    /// `claim_next` on an empty queue.
    ClaimNextEmpty,
    /// `claim_from_grant`, then `complete`.
    ClaimFromGrant,
    /// `claim_via_server`, then `complete`.
    ClaimViaServer,
    /// `suspend`, `deliver_signal`, a grant, `claim_from_resume_grant`, then `complete`.
    SuspendResume,
    /// The mark of a lapsed lease, `issue_reclaim_grant`, `claim_from_reclaim_grant`, then `complete`.
    ExpireReclaim,
}

impl Path {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::ClaimNext,
        Self::ClaimNextEmpty,
        Self::ClaimFromGrant,
        Self::ClaimViaServer,
        Self::SuspendResume,
        Self::ExpireReclaim,
    ];

    /// Its name, as results carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaimNext => "claim_next+complete",
            Self::ClaimNextEmpty => "claim_next(empty)",
            Self::ClaimFromGrant => "claim_from_grant+complete",
            Self::ClaimViaServer => "claim_via_server+complete",
            Self::SuspendResume => "suspend>signal>resume",
            Self::ExpireReclaim => "expire>reclaim",
        }
    }

    /// Whether the number of partitions is what its cost depends on.
    pub const fn depends_on_partitions(self) -> bool {
        matches!(self, Self::ClaimNext | Self::ClaimNextEmpty)
    }

    /// Goes it so often, with so many workers; latencies are those of one whole way.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn measure(self, lab: &Arc<Deployed>, count: usize, workers: usize) -> Result<Measured, Error> {
        self.go(lab, count, workers, false).await.map(|(measured, _)| measured)
    }

    /// What it costs the server, with so many workers; whoever counts is slower, so times are not given.
    ///
    /// # Errors
    /// Those of the calls, and the server's.
    pub async fn count(self, lab: &Arc<Deployed>, count: usize, workers: usize) -> Result<Commands, Error> {
        let (measured, tally) = self.go(lab, count, workers, true).await?;
        Ok(tally.each(measured.count()))
    }

    async fn go(
        self,
        lab: &Arc<Deployed>,
        count: usize,
        workers: usize,
        counts: bool,
    ) -> Result<(Measured, Tally), Error> {
        match self {
            Self::ClaimNext | Self::ClaimViaServer => {
                let looks = if self == Self::ClaimNext { Looks::ByItself } else { Looks::ThroughTheScheduler };
                let reserve = RESERVE * (usize::from(lab.partitions.num_flow_partitions) + workers);
                create_all(lab, (0..count + reserve).map(|_| lab.execution()).collect()).await?;
                counted(lab, counts, until_so_many_are_done(lab, count, workers, looks)).await
            }
            Self::ClaimNextEmpty => {
                let pool = Pool::new(lab, workers).await?;
                let loops = closed_loop::run((0..count).collect(), workers, move |position| {
                    let worker = pool.worker(position);
                    async move {
                        match worker.claim_next().await.map_err(sdk_error("claim_next"))? {
                            None => Ok(()),
                            Some(_) => Err(Error::Unexpected { what: "claim_next", found: "a task".into() }),
                        }
                    }
                });
                counted(lab, counts, loops).await
            }
            Self::ClaimFromGrant => {
                let items = Operation::Claim.prepare(lab, count).await?;
                let pool = Pool::new(lab, workers).await?;
                let own = lab.clone();
                let loops =
                    closed_loop::run(items.into_iter().enumerate().collect(), workers, move |(position, item)| {
                        let (lab, worker) = (own.clone(), pool.worker(position));
                        async move { complete(claim_granted(&lab, &worker, item.id()).await?).await }
                    });
                counted(lab, counts, loops).await
            }
            Self::SuspendResume => {
                let pool = Pool::new(lab, workers).await?;
                let tasks = claimed_tasks(lab, &pool, count).await?;
                let own = lab.clone();
                let loops = closed_loop::run(tasks, workers, move |(position, task)| {
                    let (lab, worker) = (own.clone(), pool.worker(position));
                    async move { suspend_and_resume(&lab, &worker, task).await }
                });
                counted(lab, counts, loops).await
            }
            Self::ExpireReclaim => {
                let items = Operation::Lapse.prepare(lab, count).await?;
                let pool = Pool::new(lab, workers).await?;
                let own = lab.clone();
                let loops =
                    closed_loop::run(items.into_iter().enumerate().collect(), workers, move |(position, item)| {
                        let (lab, worker) = (own.clone(), pool.worker(position));
                        async move { reclaim(&lab, &worker, item.id()).await }
                    });
                counted(lab, counts, loops).await
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What work shows, and where that is asked for what it costs the server.
async fn counted(
    lab: &Deployed,
    counts: bool,
    work: impl Future<Output = Result<Measured, Error>>,
) -> Result<(Measured, Tally), Error> {
    if !counts {
        return Ok((work.await?, Tally::default()));
    }
    let counter = lab.count().await?;
    let measured = work.await?;
    Ok((measured, counter.end().await?))
}

/// Shipped workers over one client.
#[derive(Clone)]
struct Pool(Arc<Vec<Arc<FlowFabricWorker>>>);

impl Pool {
    async fn new(lab: &Lab, workers: usize) -> Result<Self, Error> {
        let mut pool = Vec::new();
        for _ in 0..workers.max(1) {
            pool.push(Arc::new(lab.worker(lab.backend.clone(), LEASE_TTL_MS).await?));
        }
        Ok(Self(Arc::new(pool)))
    }

    /// Who takes the item at a position.
    fn worker(&self, position: usize) -> Arc<FlowFabricWorker> {
        Arc::clone(&self.0[position % self.0.len()])
    }
}

/// Creates executions, many at once.
///
/// # Errors
/// The first of any call.
pub async fn create_all(lab: &Arc<Deployed>, ids: Vec<ExecutionId>) -> Result<(), Error> {
    let lab = lab.clone();
    let create = move |id: ExecutionId| {
        let lab = lab.clone();
        async move { lab.create(&id).await }
    };
    closed_loop::run(ids, IN_FLIGHT, create).await.map(drop)
}

/// Claims an execution that is granted already.
async fn claim_granted(lab: &Lab, worker: &FlowFabricWorker, id: &ExecutionId) -> Result<ClaimedTask, Error> {
    let key = PartitionKey::from(&lab.partition(id));
    let grant = ClaimGrant::new(id.clone(), key, String::new(), u64::MAX);
    worker.claim_from_grant(lane(), grant).await.map_err(sdk_error("claim_from_grant"))
}

async fn complete(task: ClaimedTask) -> Result<(), Error> {
    task.complete(Some(b"out".to_vec())).await.map_err(sdk_error("complete"))
}

/// How a worker comes to its tasks.
#[derive(Clone, Copy, Debug)]
enum Looks {
    ByItself,
    ThroughTheScheduler,
}

/// Workers look for work until so much is done; a latency is from beginning to look to having completed.
async fn until_so_many_are_done(
    lab: &Arc<Deployed>,
    count: usize,
    workers: usize,
    looks: Looks,
) -> Result<Measured, Error> {
    let pool = Pool::new(lab, workers).await?;
    let admin = Arc::new(FlowFabricAdminClient::connect_with(lab.backend.clone()));
    let done = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    let began = Stopwatch::start();
    for position in 0..workers.max(1) {
        let (worker, admin, done) = (pool.worker(position), admin.clone(), done.clone());
        running.spawn(async move {
            let mut latencies = Vec::new();
            let mut began = Stopwatch::start();
            while done.load(Ordering::Relaxed) < count {
                let found = match looks {
                    Looks::ByItself => worker.claim_next().await,
                    Looks::ThroughTheScheduler => worker.claim_via_server(&admin, &lane(), GRANT_TTL_MS).await,
                };
                let task = match found {
                    Ok(Some(task)) => task,
                    Ok(None) => continue,
                    Err(error) if another_was_faster(&error) => continue,
                    Err(error) => return Err(sdk_error("looking for work")(error)),
                };
                complete(task).await?;
                done.fetch_add(1, Ordering::Relaxed);
                latencies.push(began.elapsed());
                began = Stopwatch::start();
            }
            Ok::<_, Error>(latencies)
        });
    }
    closed_loop::join(running, began).await
}

/// Tasks in the hands of the pool's workers, each with its worker's position.
async fn claimed_tasks(lab: &Arc<Deployed>, pool: &Pool, count: usize) -> Result<Vec<(usize, ClaimedTask)>, Error> {
    let mut tasks = Vec::new();
    for (position, item) in Operation::Claim.prepare(lab, count).await?.into_iter().enumerate() {
        tasks.push((position, claim_granted(lab, &pool.worker(position), item.id()).await?));
    }
    Ok(tasks)
}

async fn suspend_and_resume(lab: &Lab, worker: &FlowFabricWorker, task: ClaimedTask) -> Result<(), Error> {
    let id = task.execution_id().clone();
    let suspended = task.suspend(SuspensionReasonCode::WaitingForSignal, until_go(), None, ResumePolicy::normal());
    let details = suspended.await.map_err(sdk_error("suspend"))?.details;
    let signal = Signal {
        signal_name: "go".into(),
        signal_category: "bench".into(),
        payload: None,
        source_type: "bench".into(),
        source_identity: "bench".into(),
        idempotency_key: None,
        waitpoint_token: details.waitpoint_token.token().clone(),
    };
    worker.deliver_signal(&id, &details.waitpoint_id, signal).await.map_err(sdk_error("deliver_signal"))?;
    let granted = lab.backend.issue_claim_grant(lab.grant_args(&id)).await;
    granted.map_err(engine_error("issue_claim_grant"))?;
    let key = PartitionKey::from(&lab.partition(&id));
    let grant = ResumeGrant::new(id, key, String::new(), u64::MAX, lane());
    let resumed = worker.claim_from_resume_grant(grant).await;
    complete(resumed.map_err(sdk_error("claim_from_resume_grant"))?).await
}

async fn reclaim(lab: &Lab, worker: &FlowFabricWorker, id: &ExecutionId) -> Result<(), Error> {
    let marked = lab.backend.mark_lease_expired_if_due(lab.partition(id), id).await;
    marked.map_err(engine_error("mark_lease_expired_if_due"))?;
    let granted = lab.backend.issue_reclaim_grant(lab.reclaim_grant_args(id)).await;
    let IssueReclaimGrantOutcome::Granted(grant) = granted.map_err(engine_error("issue_reclaim_grant"))? else {
        return Err(Error::Unexpected { what: "issue_reclaim_grant", found: "no grant".into() });
    };
    let reclaimed = worker.claim_from_reclaim_grant(grant, lab.reclaim_args(id)).await;
    let ReclaimExecutionOutcome::Claimed(handle) = reclaimed.map_err(sdk_error("claim_from_reclaim_grant"))? else {
        return Err(Error::Unexpected { what: "claim_from_reclaim_grant", found: "no lease".into() });
    };
    lab.backend.complete(&handle, Some(b"out".to_vec())).await.map_err(engine_error("complete"))
}
