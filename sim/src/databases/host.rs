//! A thread of its own for one shipped backend over a database: calls, reconcilers' passes and looks come one at a time,
//! each under the clock that its caller shows.

use std::sync::{Arc, mpsc};
use std::thread;

use claimlab_valkey::{Clock, own_clock};
use ff_backend_postgres::{PostgresBackend, reconcilers};
use ff_backend_sqlite::SqliteBackend;
use ff_core::backend::ScannerFilter;
use ff_core::contracts::{CreateExecutionResult, ListExpiredLeasesArgs};
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, TimestampMs};
use sqlx::PgPool;
use tokio::runtime::Runtime;

use super::judge::Found;
use crate::call::{Answer, Call};
use crate::matrix::databases::server::Server;
use crate::matrix::databases::{self, Error, postgres, sqlite};

/// A shipped backend over a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In memory.
    Sqlite,
    /// On a private server.
    Postgres,
}

impl Backend {
    /// The reconcilers that the backend ships for what worlds do; for SQLite, which ships none of them, the marking of
    /// lapsed leases by hand, without which nothing is ever reclaimed there.
    pub const fn reconcilers(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &["mark_by_hand"],
            Self::Postgres => &["lease_expiry", "attempt_timeout", "suspension_timeout"],
        }
    }
}

enum Request {
    Empty(Reply<()>),
    Perform(Box<Call>, TimestampMs, Reply<Answer>),
    Pass(&'static str, TimestampMs, Reply<()>),
    Look(Box<ExecutionId>, TimestampMs, Reply<Option<Found>>),
}

type Reply<T> = mpsc::SyncSender<Result<T, Error>>;

/// The thread's address.
pub struct Host {
    backend: Backend,
    requests: mpsc::Sender<Request>,
}

impl Host {
    /// A backend over an empty database of its own. The process must live under a clock of its own
    /// ([`claimlab_valkey::relaunch`]).
    ///
    /// # Errors
    /// When the database does not come up, or there is no clock to set.
    pub fn start(backend: Backend) -> Result<Self, Error> {
        let (requests, inbox) = mpsc::channel();
        let (started, outcome) = mpsc::sync_channel(1);
        // This thread is no part of any run.
        #[allow(clippy::disallowed_methods)]
        thread::spawn(move || match Place::start(backend) {
            Ok(mut place) => {
                let _ = started.send(Ok(()));
                inbox.into_iter().for_each(|request| place.serve(request));
            }
            Err(error) => drop(started.send(Err(error))),
        });
        outcome.recv().map_err(|_| gone())??;
        Ok(Self { backend, requests })
    }

    /// Which backend it is.
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, outcome) = mpsc::sync_channel(1);
        self.requests.send(request(reply)).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())?
    }

    /// Empties the database.
    ///
    /// # Errors
    /// When it cannot be used any more.
    pub fn empty(&self) -> Result<(), Error> {
        self.ask(Request::Empty)
    }

    /// Performs a call while the process's clock shows this.
    ///
    /// # Errors
    /// When the database cannot be used any more.
    pub fn perform(&self, call: Call, now: TimestampMs) -> Result<Answer, Error> {
        self.ask(|reply| Request::Perform(Box::new(call), now, reply))
    }

    /// One pass of a reconciler.
    ///
    /// # Errors
    /// When the database cannot be used any more.
    pub fn pass(&self, reconciler: &'static str, now: TimestampMs) -> Result<(), Error> {
        self.ask(|reply| Request::Pass(reconciler, now, reply))
    }

    /// How an execution stands, as the backend describes it; none where it has none, or cannot describe it.
    ///
    /// # Errors
    /// When the database cannot be used any more.
    pub fn look(&self, id: &ExecutionId, now: TimestampMs) -> Result<Option<Found>, Error> {
        self.ask(|reply| Request::Look(Box::new(id.clone()), now, reply))
    }
}

fn gone() -> Error {
    Error::SetUp("the thread of the database has ended".to_owned())
}

/// What lives on the thread.
struct Place {
    clock: Clock,
    database: Database,
    // Dropped after what runs on it.
    runtime: Runtime,
}

enum Database {
    Sqlite { backend: Arc<SqliteBackend>, number: u32 },
    Postgres { backend: Arc<PostgresBackend>, pool: PgPool, _server: Server },
}

impl Database {
    fn backend(&self) -> &dyn EngineBackend {
        match self {
            Self::Sqlite { backend, .. } => &**backend,
            Self::Postgres { backend, .. } => &**backend,
        }
    }
}

impl Place {
    fn start(backend: Backend) -> Result<Self, Error> {
        let clock = own_clock().map_err(|error| Error::SetUp(error.to_string()))?;
        let clock = clock.ok_or_else(|| Error::SetUp("this process has no clock of its own".to_owned()))?;
        let runtime = databases::runtime()?;
        let database = match backend {
            Backend::Sqlite => Database::Sqlite { backend: runtime.block_on(sqlite::fresh(0))?, number: 0 },
            Backend::Postgres => {
                let server = Server::start()?;
                let partitions = PartitionConfig { num_flow_partitions: 1, ..PartitionConfig::default() };
                let (pool, backend) = runtime.block_on(postgres::migrated(&server, partitions))?;
                Database::Postgres { backend, pool, _server: server }
            }
        };
        Ok(Self { clock, database, runtime })
    }

    fn serve(&mut self, request: Request) {
        // Who asked waits for the answer.
        let _ = match request {
            Request::Empty(reply) => reply.send(self.empty()).map_err(drop),
            Request::Perform(call, now, reply) => reply.send(self.perform(&call, now)).map_err(drop),
            Request::Pass(reconciler, now, reply) => reply.send(self.pass(reconciler, now)).map_err(drop),
            Request::Look(id, now, reply) => reply.send(self.look(&id, now)).map_err(drop),
        };
    }

    fn set(&self, now: TimestampMs) -> Result<(), Error> {
        self.clock.set(now.0).map_err(|source| Error::Io { what: "setting the process's clock", source })
    }

    fn empty(&mut self) -> Result<(), Error> {
        match &mut self.database {
            Database::Sqlite { backend, number } => {
                *number += 1;
                *backend = self.runtime.block_on(sqlite::fresh(*number))?;
                Ok(())
            }
            Database::Postgres { backend, pool, .. } => self.runtime.block_on(postgres::emptied(pool, backend)),
        }
    }

    fn perform(&self, call: &Call, now: TimestampMs) -> Result<Answer, Error> {
        self.set(now)?;
        let answer = self.runtime.block_on(call.perform(self.database.backend()));
        // Nothing that ships makes a created execution claimable there.
        if let Answer::CreateExecution(Ok(CreateExecutionResult::Created { execution_id, .. })) = &answer {
            self.runtime.block_on(async {
                match &self.database {
                    Database::Sqlite { backend, .. } => sqlite::promote(backend, execution_id).await,
                    Database::Postgres { pool, .. } => postgres::promote(pool, execution_id).await,
                }
            })?;
        }
        Ok(answer)
    }

    fn pass(&self, reconciler: &'static str, now: TimestampMs) -> Result<(), Error> {
        self.set(now)?;
        let everything = ScannerFilter::default();
        self.runtime.block_on(async {
            match &self.database {
                Database::Sqlite { backend, .. } => {
                    let listed = backend.list_expired_leases(ListExpiredLeasesArgs::new(now)).await;
                    for entry in listed.map_or_else(|_| Vec::new(), |page| page.entries) {
                        sqlite::mark_lapsed(backend, &entry.execution_id, now).await?;
                    }
                }
                // A pass that fails is over; the next one starts afresh.
                Database::Postgres { pool, .. } => drop(match reconciler {
                    "lease_expiry" => reconcilers::lease_expiry::scan_tick(pool, 0, &everything).await,
                    "attempt_timeout" => reconcilers::attempt_timeout::scan_tick(pool, 0, &everything).await,
                    _ => reconcilers::suspension_timeout::scan_tick(pool, 0, &everything).await,
                }),
            }
            Ok(())
        })
    }

    fn look(&self, id: &ExecutionId, now: TimestampMs) -> Result<Option<Found>, Error> {
        self.set(now)?;
        let info = self.runtime.block_on(self.database.backend().read_execution_info(id));
        Ok(info.ok().flatten().map(|info| Found::of(&info)))
    }
}
