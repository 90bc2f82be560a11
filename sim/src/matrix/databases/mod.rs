//! The shipped backends over databases. Their clocks are the machine's own: a situation that needs time
//! to pass waits for it.

pub mod postgres;
pub mod server;
pub mod sqlite;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use claimlab_model::time::ServerTime;
use ff_core::contracts::SeedWaitpointHmacSecretArgs;
use ff_core::engine_backend::EngineBackend;
use ff_core::engine_error::EngineError;
use ff_core::types::ExecutionId;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::deployment;
use super::subject;
use crate::call::{Answer, Call};
use crate::plan::FIRST_KID;

/// Why a database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SQLite backend is for development only, and says so by refusing.
    #[error("the SQLite backend wants FF_DEV_MODE=1: FF_DEV_MODE=1 claimlab conform --backend sqlite")]
    DevMode,
    /// No PostgreSQL.
    #[error(
        "PostgreSQL is missing ({program} is neither in PATH nor under /usr/lib/postgresql): tests/install-postgres \
         installs it; CLAIMLAB_SKIP=postgres leaves it out"
    )]
    NoPostgres {
        /// What was looked for.
        program: &'static str,
    },
    /// PostgreSQL refuses to run as root, and there is nobody else to run it as.
    #[error("PostgreSQL does not run as root, and /etc/passwd names no user `nobody` to run it as")]
    Nobody,
    /// The private server did not come up.
    #[error("the private PostgreSQL: {what}: {said}")]
    Server {
        /// What was done.
        what: &'static str,
        /// What it said.
        said: String,
    },
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A statement beside the backend failed.
    #[error("the database refused what is done beside the backend: {0}")]
    Sql(#[from] sqlx::Error),
    /// The backend refused the database.
    #[error("the shipped backend cannot be set up: {0}")]
    SetUp(String),
}

fn io_error(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { what, source }
}

pub(crate) fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_error("starting a runtime"))
}

/// The waitpoint secret of every deployment here.
///
/// # Errors
/// When the backend refuses.
pub async fn seed(backend: &dyn EngineBackend) -> Result<(), Error> {
    let secret: String = deployment().secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let seeded = backend.seed_waitpoint_hmac_secret(SeedWaitpointHmacSecretArgs::new(FIRST_KID, secret)).await;
    seeded.map(drop).map_err(|error: EngineError| Error::SetUp(error.to_string()))
}

/// A backend with what drives it.
struct Driven<B> {
    // Dropped before the runtime that its tasks are on.
    backend: Arc<B>,
    runtime: Runtime,
}

impl<B: EngineBackend> Driven<B> {
    fn perform(&self, call: &Call) -> Answer {
        let backend: &dyn EngineBackend = &*self.backend;
        self.runtime.block_on(call.perform(backend))
    }

    fn now(&self) -> Result<ServerTime, subject::Error> {
        let now = self.runtime.block_on(self.backend.server_time_ms());
        let now = now.map_err(|error| Error::SetUp(error.to_string()))?;
        Ok(ServerTime::from_ms(i64::try_from(now).unwrap_or(i64::MAX)))
    }

    fn wait_until(&self, at: ServerTime) -> Result<(), subject::Error> {
        loop {
            let now = self.now()?;
            match u64::try_from(at.ms() - now.ms()) {
                Ok(rest) if rest > 0 => thread::sleep(Duration::from_millis(rest)),
                _ => return Ok(()),
            }
        }
    }
}

/// An execution's id as databases keep it.
fn bare(id: &ExecutionId) -> Uuid {
    id.as_str().rsplit(':').next().and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_default()
}
