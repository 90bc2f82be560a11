//! Why nothing could be measured or judged. None of these is a verdict: the exit code is 2.

use std::io;
use std::path::PathBuf;

use claimlab_valkey::Address;
use ff_core::engine_error::EngineError;
use ff_sdk::SdkError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment variable or flag names no server.
    #[error("{found}: not an address; accepted are valkey://HOST:PORT and, for a cluster, valkey://HOST:PORT?cluster")]
    Address {
        /// What was given.
        found: String,
    },
    /// No usable server.
    #[error(transparent)]
    Server(#[from] claimlab_valkey::Error),
    /// The server is not empty.
    #[error(
        "{address} holds {keys} keys and {libraries} function libraries that are not from here; --flush deletes them, nothing was touched"
    )]
    OtherData {
        /// Where.
        address: Address,
        /// How many keys, in all of its databases.
        keys: u64,
        /// How many libraries of functions.
        libraries: usize,
    },
    /// The server did not answer a plain command.
    #[error("{address}: {what}: {source}")]
    Command {
        /// Where.
        address: Address,
        /// Which command.
        what: &'static str,
        /// Why.
        source: redis::RedisError,
    },
    /// The shipped backend refused a call.
    #[error("the shipped backend: {what}: {source}")]
    Engine {
        /// Which call.
        what: &'static str,
        /// What it said.
        source: Box<EngineError>,
    },
    /// The shipped worker refused a call.
    #[error("the shipped worker: {what}: {source}")]
    Sdk {
        /// Which call.
        what: &'static str,
        /// What it said.
        source: Box<SdkError>,
    },
    /// The shipped client failed.
    #[error("the shipped client: {0}")]
    Client(#[from] ferriskey::Error),
    /// A call was answered with something else than the work needs.
    #[error("{what} was answered {found}")]
    Unexpected {
        /// Which call.
        what: &'static str,
        /// What came.
        found: String,
    },
    /// A queue beside FlowFabric failed.
    #[error("{peer}: {said}")]
    Peer {
        /// Which.
        peer: &'static str,
        /// What it said.
        said: String,
    },
    /// A task of the harness ended early.
    #[error("a task of the harness ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of results cannot be read.
    #[error("{}:{line}: {why}; accepted are files that `claimlab-benches` wrote with --out, schema {}", file.display(), crate::results::SCHEMA)]
    Results {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A file of results has another schema.
    #[error("{}: field `schema`: found {found}, accepted is {}; measure again with this version", file.display(), crate::results::SCHEMA)]
    Schema {
        /// Which file.
        file: PathBuf,
        /// What it says.
        found: String,
    },
    /// Nothing can be said about so little.
    #[error("{what}: {found} are too few, at least {wanted} are needed")]
    TooFew {
        /// Of what.
        what: String,
        /// How many there are.
        found: usize,
        /// How many it takes.
        wanted: usize,
    },
    /// A flag's value is not accepted.
    #[error("--{flag}: found {found}, accepted is {accepted}")]
    Flag {
        /// Which flag.
        flag: &'static str,
        /// What was given.
        found: String,
        /// What would be right.
        accepted: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted; nothing was kept")]
    Interrupted,
    /// A revision cannot be had.
    #[error("{revision}: {what}: {said}")]
    Revision {
        /// Which.
        revision: String,
        /// What was tried.
        what: &'static str,
        /// What was said.
        said: String,
    },
}

/// What is tried, for [`Error::Io`].
pub fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// Which call, for [`Error::Engine`].
pub fn engine_error(what: &'static str) -> impl FnOnce(EngineError) -> Error {
    move |source| Error::Engine { what, source: Box::new(source) }
}

/// Which call, for [`Error::Sdk`].
pub fn sdk_error(what: &'static str) -> impl FnOnce(SdkError) -> Error {
    move |source| Error::Sdk { what, source: Box::new(source) }
}

/// Whether a worker that looked for work only came second: nothing failed, and it looks again.
pub fn another_was_faster(error: &SdkError) -> bool {
    matches!(error, SdkError::Engine(error) if matches!(**error, EngineError::Contention(_)))
}
