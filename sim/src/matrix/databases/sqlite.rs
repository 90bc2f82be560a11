//! SQLite in memory, a database of its own for each situation.

use std::process;
use std::sync::Arc;

use claimlab_model::time::ServerTime;
use ff_backend_sqlite::SqliteBackend;
use ff_core::contracts::IssueClaimGrantArgs;
use ff_core::types::{ExecutionId, TimestampMs};

use super::super::subject::{self, Subject};
use super::{Driven, Error, bare, runtime, seed};
use crate::call::{Answer, Call};

/// What makes a created execution claimable: `create_execution` leaves `submitted`, claims look for
/// `runnable`, and nothing in ff-backend-sqlite leads from one to the other.
const PROMOTE: &str = "UPDATE ff_exec_core SET lifecycle_phase = 'runnable', attempt_state = 'pending_first_attempt' \
                       WHERE partition_key = 0 AND execution_id = ?1 AND lifecycle_phase = 'submitted'";
/// What makes a lapsed lease reclaimable: `issue_reclaim_grant` looks for this ownership, which nothing in
/// ff-backend-sqlite writes.
const MARK: &str = "UPDATE ff_exec_core SET ownership_state = 'lease_expired_reclaimable' \
                    WHERE partition_key = 0 AND execution_id = ?1 AND lifecycle_phase = 'active'";
const MARK_LAPSED: &str = "UPDATE ff_exec_core SET ownership_state = 'lease_expired_reclaimable' \
                           WHERE partition_key = 0 AND execution_id = ?1 AND lifecycle_phase = 'active' \
                           AND ownership_state = 'leased' AND attempt_index IN (SELECT attempt_index FROM ff_attempt \
                           WHERE execution_id = ?1 AND lease_expires_at_ms <= ?2)";
const GRANT: &str = "INSERT INTO ff_claim_grant (partition_key, grant_id, execution_id, kind, worker_id, \
                     worker_instance_id, lane_id, grant_ttl_ms, issued_at_ms, expires_at_ms) \
                     VALUES (0, ?1, ?2, 'claim', ?3, ?4, ?5, ?6, ?7, ?8)";

/// A SQLite backend.
pub struct Sqlite {
    driven: Driven<SqliteBackend>,
    number: u32,
}

impl Sqlite {
    /// An empty one.
    ///
    /// # Errors
    /// When the backend refuses.
    pub fn start() -> Result<Self, Error> {
        let runtime = runtime()?;
        let backend = runtime.block_on(fresh(0))?;
        Ok(Self { driven: Driven { backend, runtime }, number: 0 })
    }
}

/// An empty database of this process's own, by a number.
///
/// # Errors
/// When the backend refuses.
pub async fn fresh(number: u32) -> Result<Arc<SqliteBackend>, Error> {
    if std::env::var("FF_DEV_MODE").as_deref() != Ok("1") {
        return Err(Error::DevMode);
    }
    // A database with a name lives as long as somebody has it open.
    let name = format!("file:claimlab-{}-{number}?mode=memory&cache=shared", process::id());
    let backend = SqliteBackend::new(&name).await.map_err(|error| Error::SetUp(error.to_string()))?;
    seed(&*backend).await?;
    Ok(backend)
}

/// Makes a created execution claimable.
///
/// # Errors
/// When the database refuses.
pub async fn promote(backend: &SqliteBackend, id: &ExecutionId) -> Result<(), Error> {
    sqlx::query(PROMOTE).bind(bare(id)).execute(backend.pool_for_test()).await?;
    Ok(())
}

/// Marks a lapsed lease reclaimable.
///
/// # Errors
/// When the database refuses.
pub async fn mark(backend: &SqliteBackend, id: &ExecutionId) -> Result<(), Error> {
    sqlx::query(MARK).bind(bare(id)).execute(backend.pool_for_test()).await?;
    Ok(())
}

/// Marks a lease reclaimable if it has lapsed by this time: the listing of lapsed leases names an execution by each of
/// its attempts, and one that was reclaimed keeps the lease that it had.
///
/// # Errors
/// When the database refuses.
pub async fn mark_lapsed(backend: &SqliteBackend, id: &ExecutionId, now: TimestampMs) -> Result<(), Error> {
    sqlx::query(MARK_LAPSED).bind(bare(id)).bind(now.0).execute(backend.pool_for_test()).await?;
    Ok(())
}

impl Subject for Sqlite {
    fn empty(&mut self) -> Result<(), subject::Error> {
        self.number += 1;
        self.driven.backend = self.driven.runtime.block_on(fresh(self.number))?;
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

    fn mark(&mut self, id: &ExecutionId) -> Result<bool, subject::Error> {
        self.driven.runtime.block_on(mark(&self.driven.backend, id))?;
        Ok(true)
    }

    fn promote(&mut self, id: &ExecutionId) -> Result<bool, subject::Error> {
        self.driven.runtime.block_on(promote(&self.driven.backend, id))?;
        Ok(true)
    }

    fn grant(&mut self, args: &IssueClaimGrantArgs) -> Result<bool, subject::Error> {
        let pool = self.driven.backend.pool_for_test();
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
        self.driven.runtime.block_on(insert.execute(pool)).map_err(Error::Sql)?;
        Ok(true)
    }
}
