//! FlowFabric's backends over databases, claimed by lane.
//!
//! A created execution stays where no claim looks for it; nothing shipped leads further. So each is
//! promoted by hand as part of putting it in, in one statement more.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claimlab::matrix::databases::server::Server;
use claimlab::matrix::databases::{self, postgres, seed, sqlite};
use ff_backend_postgres::PostgresBackend;
use ff_backend_sqlite::SqliteBackend;
use ff_core::backend::{CapabilitySet, ClaimPolicy};
use ff_core::partition::PartitionConfig;
use ff_core::types::ExecutionId;
use sqlx::PgPool;

use super::{Done, Queue, Workers};
use crate::error::{Error, engine_error};
use crate::lab::{LEASE_TTL_MS, Lab, WORKER, lane, who};
use crate::plant::Plant;

/// A worker that found nothing looks again after so long.
const POLL: Duration = Duration::from_millis(5);

fn failed(error: databases::Error) -> Error {
    Error::Peer { peer: "the database backends", said: error.to_string() }
}

/// Creates an execution; gives its id, by which it is promoted.
async fn create(lab: &Lab) -> Result<ExecutionId, Error> {
    let id = lab.execution();
    lab.create(&id).await?;
    Ok(id)
}

fn work(lab: &Lab, workers: usize, done: &Arc<Done>) -> Workers {
    let mut running = Workers::new();
    for _ in 0..workers {
        let (backend, done) = (Arc::clone(&lab.backend), Arc::clone(done));
        running.spawn(async move {
            let (worker, instance) = who(WORKER);
            let policy = ClaimPolicy::new(worker, instance, LEASE_TTL_MS as u32, None);
            loop {
                match backend.claim(&lane(), &CapabilitySet::default(), policy.clone()).await {
                    Ok(Some(handle)) => {
                        backend.complete(&handle, None).await.map_err(engine_error("complete"))?;
                        done.one();
                    }
                    Ok(None) => tokio::time::sleep(POLL).await,
                    // Another worker was faster, or the database is busy with one.
                    Err(error) if is_passing(&error) => {}
                    Err(error) => return Err(engine_error("claim")(error)),
                }
            }
        });
    }
    running
}

fn is_passing(error: &ff_core::engine_error::EngineError) -> bool {
    use ff_core::error::ErrorClass;
    matches!(claimlab_model::backend::class(error), ErrorClass::Retryable)
}

/// SQLite in memory.
pub struct Sqlite {
    lab: Lab,
    backend: Arc<SqliteBackend>,
}

impl Sqlite {
    /// An empty one.
    ///
    /// # Errors
    /// When the backend refuses.
    pub async fn open() -> Result<Self, Error> {
        use std::sync::atomic::{AtomicU32, Ordering};
        // A database with a name lives as long as somebody has it open.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let backend = sqlite::fresh(NUMBER.fetch_add(1, Ordering::Relaxed)).await.map_err(failed)?;
        let partitions = PartitionConfig { num_flow_partitions: 1, ..PartitionConfig::default() };
        Ok(Self { lab: Lab::over(backend.clone(), partitions, Plant::default()), backend })
    }
}

#[async_trait]
impl Queue for Sqlite {
    async fn put(&self, _: u64) -> Result<(), Error> {
        let id = create(&self.lab).await?;
        sqlite::promote(&self.backend, &id).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        Ok(work(&self.lab, workers, &done))
    }
}

/// PostgreSQL on a private server.
pub struct Postgres {
    lab: Lab,
    pool: PgPool,
    _backend: Arc<PostgresBackend>,
    // Stopped last.
    _server: Server,
}

impl Postgres {
    /// An empty one.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or the backend refuses it.
    pub async fn open() -> Result<Self, Error> {
        let server = Server::start().map_err(failed)?;
        let partitions = PartitionConfig { num_flow_partitions: 4, ..PartitionConfig::default() };
        let (pool, backend) = postgres::migrated(&server, partitions).await.map_err(failed)?;
        seed(&*backend).await.map_err(failed)?;
        let lab = Lab::over(backend.clone(), partitions, Plant::default());
        Ok(Self { lab, pool, _backend: backend, _server: server })
    }
}

#[async_trait]
impl Queue for Postgres {
    async fn put(&self, _: u64) -> Result<(), Error> {
        let id = create(&self.lab).await?;
        postgres::promote(&self.pool, &id).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        Ok(work(&self.lab, workers, &done))
    }
}
