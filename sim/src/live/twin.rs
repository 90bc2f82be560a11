//! The real half of a comparison: performs a call on the real server at a set time, then lays its
//! answer and its keys beside the model's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::projection;
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use claimlab_valkey::{Address, Clock, Server, connect, own_clock};
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionFamily};
use ff_core::types::{ExecutionId, TimestampMs};

use super::client::{Client, Deployment};
use super::keyspace::{self, Difference, Expectation};
use super::{client, minted};
use crate::call::{Answer, Call};

/// Name of the library of scripts (`ff-script/src/flowfabric.lua`).
const LIBRARY: &str = "flowfabric";

/// Why no comparison could be made; none of these is a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable server.
    #[error(transparent)]
    Server(#[from] claimlab_valkey::Error),
    /// No usable client.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The server's clock could not be set.
    #[error("the server's clock cannot be set: {0}")]
    Clock(#[from] std::io::Error),
    /// This process's own clock is the machine's.
    #[error("this program must run under its own clock to be compared (claimlab_valkey::relaunch)")]
    OwnClock,
    /// The server could not be read, or died.
    #[error("the server's state cannot be read: {0}")]
    Read(#[from] redis::RedisError),
    /// The server runs other scripts than the shipped ones; the shipped loader looks at the version alone.
    #[error(
        "{address}: the library {} that is loaded there is not the one of ff-script {}, although it says so; \
         FUNCTION DELETE {} lets the shipped one be loaded",
        LIBRARY,
        ff_script::LIBRARY_VERSION,
        LIBRARY
    )]
    Library {
        /// Where.
        address: Address,
    },
    /// The gate before the server failed.
    #[error("the gate between the shipped clients and the server: {0}")]
    Gate(#[source] std::io::Error),
    /// The scheduler's rotation would differ.
    #[error(
        "the world has {partitions} partitions; message by message, each call has a shipped scheduler of its own, \
         whose rotation stays in step only where the number of partitions divides {step}"
    )]
    Rotation {
        /// The world's.
        partitions: u16,
        /// By how many a scheduler's rotation moves on.
        step: u16,
    },
    /// A command came over a connection that no client has.
    #[error("a client connected anew, as {client}: whose command came when is not known")]
    Stranger {
        /// The connection's address.
        client: String,
    },
    /// Nothing could be drawn.
    #[error("no sequence can be drawn: {0}")]
    Draw(String),
    /// The shipped client got no answer.
    #[error("the shipped client got no answer to {method}: {said}")]
    NoAnswer {
        /// The call.
        method: &'static str,
        /// What the client said.
        said: String,
    },
}

/// A disagreement between the model and the real server.
#[derive(Debug)]
pub struct Disagreement {
    /// The call that showed it.
    pub call: Call,
    /// The server's time.
    pub now: ServerTime,
    /// The model's answer.
    pub model: String,
    /// The server's answer.
    pub server: String,
    /// What differs in the state afterwards.
    pub state: Vec<Difference>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.call)?;
        writeln!(f, "  at server time {}", self.now)?;
        let mark = if self.model == self.server { "same answer" } else { "answers differ" };
        writeln!(f, "  {mark}\n    model   {}\n    server  {}", self.model, self.server)?;
        if !self.state.is_empty() {
            writeln!(f, "  state differs")?;
        }
        for difference in &self.state {
            writeln!(f, "    {difference}")?;
        }
        Ok(())
    }
}

/// A real server under a virtual clock with the shipped backend in front of it.
pub struct Twin {
    // Dropped before the server stops.
    client: Client,
    reads: redis::Connection,
    server: Server,
    partitions: u16,
    /// The clock of this process, which the shipped client reads by itself.
    own: Clock,
}

impl fmt::Debug for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twin").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Twin {
    /// Empties the server and initialises it as a deployment does, its clock at `now`.
    ///
    /// # Errors
    /// When it is not usable.
    pub fn start(server: Server, deployment: &Deployment, now: ServerTime) -> Result<Self, Error> {
        let own = own_clock()?.ok_or(Error::OwnClock)?;
        server.clock().set(now.ms())?;
        let mut reads = connect(server.address())?;
        redis::cmd("FLUSHALL").exec(&mut reads)?;
        let client = Client::start(server.address(), deployment)?;
        if loaded(&mut reads)?.is_none_or(|source| source != ff_script::LIBRARY_SOURCE) {
            return Err(Error::Library { address: server.address().clone() });
        }
        Ok(Self { client, reads, server, partitions: deployment.partitions.num_flow_partitions, own })
    }

    /// Empties the server and initialises it again.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn reset(&mut self, deployment: &Deployment, now: ServerTime) -> Result<(), Error> {
        self.server.clock().set(now.ms())?;
        self.partitions = deployment.partitions.num_flow_partitions;
        redis::cmd("FLUSHALL").exec(&mut self.reads)?;
        Ok(self.client.initialise(deployment)?)
    }

    /// Writes the fields that the scheduler and the unblock scanner read and no production code writes; only where the
    /// execution exists.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn attach(&mut self, id: &ExecutionId, budgets: Option<&str>, quota: Option<&str>) -> Result<(), Error> {
        let partition = Partition { family: PartitionFamily::Execution, index: id.partition() };
        let core = ExecKeyContext::new(&partition, id).core();
        let exists: bool = redis::cmd("EXISTS").arg(&core).query(&mut self.reads)?;
        for (field, value) in [("budget_ids", budgets), ("quota_policy_id", quota)] {
            if let Some(value) = value.filter(|_| exists) {
                redis::cmd("HSET").arg(&core).arg(field).arg(value).exec(&mut self.reads)?;
            }
        }
        Ok(())
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        self.server.address()
    }

    /// Sets the server's clock.
    ///
    /// # Errors
    /// When its cell cannot be written.
    pub fn set_server_clock(&self, now: ServerTime) -> std::io::Result<()> {
        self.server.clock().set(now.ms())
    }

    /// Sets the clock that shipped clients read by themselves.
    ///
    /// # Errors
    /// When its cell cannot be written.
    pub fn set_client_clock(&self, now: TimestampMs) -> std::io::Result<()> {
        self.own.set(now.0)
    }

    /// Performs a call at a server time and a time of the client's own clock; gives the answer and the ids
    /// that the client minted for it, in the order in which the model mints them.
    ///
    /// # Errors
    /// When the client got no answer: then nobody knows what the server did.
    pub fn perform(
        &mut self,
        now: ServerTime,
        client_now: TimestampMs,
        call: &Call,
    ) -> Result<(Answer, Vec<uuid::Uuid>), Error> {
        self.set_server_clock(now)?;
        self.set_client_clock(client_now)?;
        let answer = self.client.perform(call.clone())?;
        if let Some(said) = answer.error().and_then(minted::lost_connection) {
            return Err(Error::NoAnswer { method: call.method(), said });
        }
        let minted = minted::ids(call, &answer, &mut self.reads)?;
        Ok((answer, minted))
    }

    /// Lays answers and the touched executions' keys beside each other.
    ///
    /// # Errors
    /// When the server cannot be read.
    #[allow(clippy::too_many_arguments)]
    pub fn compare(
        &mut self,
        now: ServerTime,
        call: &Call,
        model: &Answer,
        server: &Answer,
        store: &Store,
        ids: &Interner,
        touched: &BTreeSet<ExecutionNo>,
    ) -> Result<Option<Box<Disagreement>>, Error> {
        let state = self.differences(now, store, ids, touched)?;
        let (model, server) = (model.text(), server.text());
        if model == server && state.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Disagreement { call: call.clone(), now, model, server, state })))
    }

    /// Lays the touched executions' keys beside each other.
    ///
    /// # Errors
    /// When the server cannot be read.
    pub fn differences(
        &mut self,
        now: ServerTime,
        store: &Store,
        ids: &Interner,
        touched: &BTreeSet<ExecutionNo>,
    ) -> Result<Vec<Difference>, Error> {
        if touched.is_empty() {
            return Ok(Vec::new());
        }
        let expected: Vec<Expectation> = touched.iter().map(|number| expectation(store, ids, *number, now)).collect();
        Ok(keyspace::compare(&mut self.reads, &expected)?)
    }

    /// Lays every key of both beside each other.
    ///
    /// # Errors
    /// When the server cannot be read.
    pub fn compare_all(&mut self, now: ServerTime, store: &Store, ids: &Interner) -> Result<Vec<Difference>, Error> {
        self.set_server_clock(now)?;
        Ok(keyspace::compare_all(&mut self.reads, now, projection::everything(store, ids, self.partitions))?)
    }
}

/// The source of the scripts that a server runs.
fn loaded(connection: &mut redis::Connection) -> redis::RedisResult<Option<String>> {
    let mut list = redis::cmd("FUNCTION");
    list.arg("LIST").arg("LIBRARYNAME").arg(LIBRARY).arg("WITHCODE");
    let libraries: Vec<BTreeMap<String, redis::Value>> = list.query(connection)?;
    let code = libraries.into_iter().next().and_then(|mut library| library.remove("library_code"));
    code.map(redis::from_redis_value).transpose().map_err(Into::into)
}

fn expectation(store: &Store, ids: &Interner, number: ExecutionNo, now: ServerTime) -> Expectation {
    Expectation {
        possible: projection::possible_keys(store, ids, number),
        keys: projection::execution_keys(store, ids, number, now),
        member: ids.execution_name(number).to_string(),
        places: projection::places(store, ids, number),
    }
}
