//! FlowFabric's backends over databases, claimed by lane.
//!
//! A created execution stays where no claim looks for it; nothing shipped leads further. So each is
//! promoted by hand as part of putting it in, in one statement more.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claimlab::live::matrix::databases::server::Server;
use claimlab::live::matrix::databases::{self, postgres, seed, sqlite};
use claimlab::stream::{Purpose, Stream};
use ff_backend_postgres::PostgresBackend;
use ff_backend_sqlite::SqliteBackend;
use ff_core::backend::{CapabilitySet, ClaimPolicy};
use ff_core::contracts::CreateExecutionArgs;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, FlowId, Namespace};
use sqlx::PgPool;
use tokio::sync::Mutex;

use super::{Done, Queue, Workers};
use crate::error::{Error, engine_error};
use crate::lab::{LEASE_TTL_MS, WORKER, lane, who};
use crate::wall;

/// A worker that found nothing looks again after so long.
const POLL: Duration = Duration::from_millis(5);

fn failed(error: databases::Error) -> Error {
    Error::Peer { peer: "the database backends", said: error.to_string() }
}

/// Ids and the calls that both databases share.
struct Common {
    backend: Arc<dyn EngineBackend>,
    partitions: PartitionConfig,
    ids: Mutex<Stream>,
}

impl Common {
    fn new(backend: Arc<dyn EngineBackend>, partitions: PartitionConfig) -> Self {
        Self { backend, partitions, ids: Mutex::new(Stream::new(0, Purpose::Ids, 0)) }
    }

    async fn create(&self) -> Result<ExecutionId, Error> {
        let id = {
            let mut ids = self.ids.lock().await;
            let flow = FlowId::from_uuid(ids.uuid());
            ExecutionId::deterministic_for_flow(&flow, &self.partitions, ids.uuid())
        };
        let args = CreateExecutionArgs {
            execution_id: id.clone(),
            namespace: Namespace::new("bench"),
            lane_id: lane(),
            execution_kind: "task".into(),
            input_payload: b"in".to_vec(),
            payload_encoding: None,
            priority: 0,
            creator_identity: WORKER.into(),
            idempotency_key: None,
            tags: [].into(),
            policy: None,
            delay_until: None,
            execution_deadline_at: None,
            partition_id: id.partition(),
            now: wall::now(),
        };
        self.backend.create_execution(args).await.map_err(engine_error("create_execution"))?;
        Ok(id)
    }

    fn work(&self, workers: usize, done: &Arc<Done>) -> Workers {
        let mut running = Workers::new();
        for _ in 0..workers {
            let (backend, done) = (Arc::clone(&self.backend), Arc::clone(done));
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
}

fn is_passing(error: &ff_core::engine_error::EngineError) -> bool {
    use ff_core::error::ErrorClass;
    matches!(claimlab_model::backend::class(error), ErrorClass::Retryable)
}

/// SQLite in memory.
pub struct Sqlite {
    common: Common,
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
        Ok(Self { common: Common::new(backend.clone(), partitions), backend })
    }
}

#[async_trait]
impl Queue for Sqlite {
    async fn put(&self, _: u64) -> Result<(), Error> {
        let id = self.common.create().await?;
        sqlite::promote(&self.backend, &id).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        Ok(self.common.work(workers, &done))
    }
}

/// PostgreSQL on a private server.
pub struct Postgres {
    common: Common,
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
        Ok(Self { common: Common::new(backend.clone(), partitions), pool, _backend: backend, _server: server })
    }
}

#[async_trait]
impl Queue for Postgres {
    async fn put(&self, _: u64) -> Result<(), Error> {
        let id = self.common.create().await?;
        postgres::promote(&self.pool, &id).await.map_err(failed)
    }

    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error> {
        Ok(self.common.work(workers, &done))
    }
}
