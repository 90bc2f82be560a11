//! PostgreSQL on a private server, its tables emptied for each situation.

use std::sync::Arc;

use claimlab_model::time::ServerTime;
use ff_backend_postgres::{PostgresBackend, apply_migrations};
use ff_core::contracts::IssueClaimGrantArgs;
use ff_core::partition::PartitionConfig;
use ff_core::types::ExecutionId;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::super::deployment;
use super::super::subject::{self, Subject};
use super::server::Server;
use super::{Driven, Error, bare, runtime, seed};
use crate::call::{Answer, Call};

/// As for SQLite; a created execution of ff-backend-postgres stays `submitted` too.
const PROMOTE: &str = "UPDATE ff_exec_core SET lifecycle_phase = 'runnable', attempt_state = 'pending_first_attempt' \
                       WHERE execution_id = $1 AND lifecycle_phase = 'submitted'";
const GRANT: &str = "INSERT INTO ff_claim_grant (partition_key, grant_id, execution_id, kind, worker_id, \
                     worker_instance_id, lane_id, grant_ttl_ms, issued_at_ms, expires_at_ms) \
                     VALUES (0, $1, $2, 'claim', $3, $4, $5, $6, $7, $8)";
/// Of the thousands of tables only those that hold something; two belong to the schema itself.
const FILLED: &str = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
                      AND relname LIKE 'ff\\_%' AND relname NOT IN ('ff_partition_config', 'ff_migration_annotation') \
                      AND pg_relation_size(oid) > 0";

/// A Postgres backend.
pub struct Postgres {
    driven: Driven<PostgresBackend>,
    pool: PgPool,
    // Stopped last.
    _server: Server,
}

impl Postgres {
    /// An empty one on a private server, its schema applied.
    ///
    /// # Errors
    /// When there is no PostgreSQL, it does not come up, or the backend refuses it.
    pub fn start() -> Result<Self, Error> {
        let server = Server::start()?;
        let runtime = runtime()?;
        let (pool, backend) = runtime.block_on(migrated(&server, deployment().partitions))?;
        Ok(Self { driven: Driven { backend, runtime }, pool, _server: server })
    }
}

/// A backend on a server, its schema applied, and the pool that it uses.
///
/// # Errors
/// When the server or the backend refuses.
pub async fn migrated(server: &Server, partitions: PartitionConfig) -> Result<(PgPool, Arc<PostgresBackend>), Error> {
    let pool = PgPoolOptions::new().max_connections(8).connect_with(server.options()).await?;
    apply_migrations(&pool).await.map_err(|error| Error::SetUp(error.to_string()))?;
    let backend = PostgresBackend::from_pool(pool.clone(), partitions);
    Ok((pool, backend))
}

/// Makes a created execution of any partition claimable.
///
/// # Errors
/// When the database refuses.
pub async fn promote(pool: &PgPool, id: &ExecutionId) -> Result<(), Error> {
    sqlx::query(PROMOTE).bind(bare(id)).execute(pool).await?;
    Ok(())
}

async fn empty(pool: &PgPool) -> Result<(), Error> {
    let filled: Vec<String> = sqlx::query_scalar(FILLED).fetch_all(pool).await?;
    let deletes: Vec<String> = filled.iter().map(|table| format!("DELETE FROM \"{table}\";")).collect();
    // As a replica the server follows no foreign keys and fires no triggers, so any order will do.
    let all = format!("BEGIN; SET LOCAL session_replication_role = replica; {} COMMIT;", deletes.concat());
    sqlx::raw_sql(&all).execute(pool).await?;
    Ok(())
}

/// Empties every table and gives the backend its secret again.
///
/// # Errors
/// When the database or the backend refuses.
pub async fn emptied(pool: &PgPool, backend: &PostgresBackend) -> Result<(), Error> {
    empty(pool).await?;
    seed(backend).await
}

impl Subject for Postgres {
    fn empty(&mut self) -> Result<(), subject::Error> {
        let Driven { runtime, backend } = &self.driven;
        runtime.block_on(emptied(&self.pool, backend))?;
        Ok(())
    }

    fn now(&mut self) -> Result<ServerTime, subject::Error> {
        self.driven.now()
    }

    fn wait_until(&mut self, at: ServerTime) -> Result<(), subject::Error> {
        self.driven.wait_until(at)
    }

    fn perform(&mut self, call: &Call) -> Result<Answer, subject::Error> {
        Ok(self.driven.perform(call))
    }

    fn claims_by_lane(&self) -> bool {
        // Its claim_execution gives a handle that nothing can open.
        true
    }

    fn marks_leases(&self) -> bool {
        false
    }

    fn promote(&mut self, id: &ExecutionId) -> Result<bool, subject::Error> {
        self.driven.runtime.block_on(promote(&self.pool, id))?;
        Ok(true)
    }

    fn grant(&mut self, args: &IssueClaimGrantArgs) -> Result<bool, subject::Error> {
        let ttl_ms = i64::try_from(args.grant_ttl_ms).unwrap_or(i64::MAX);
        let insert = sqlx::query(GRANT)
            .bind(format!("claimlab:{}", args.execution_id).into_bytes())
            .bind(bare(&args.execution_id))
            .bind(args.worker_id.as_str())
            .bind(args.worker_instance_id.as_str())
            .bind(args.lane_id.as_str())
            .bind(ttl_ms)
            .bind(args.now.0)
            .bind(args.now.0.saturating_add(ttl_ms));
        self.driven.runtime.block_on(insert.execute(&self.pool)).map_err(Error::Sql)?;
        Ok(true)
    }
}
