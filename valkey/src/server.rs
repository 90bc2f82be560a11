//! Starting, greeting and stopping the server.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Clock;
use crate::process::{self, Process};

/// The clock that is preloaded, as the build script compiled it.
pub(crate) const PRELOADED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clock.so"));

/// What the virtual clock asks of a server beside the usual.
const SETTINGS: &[&str] = &[
    "--enable-debug-command",
    "local",
    // Its waits end by the wall clock: under one that stands still it would never rest.
    "--jemalloc-bg-thread",
    "no",
];

/// Why there is no usable server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not installed.
    #[error("valkey-server is not installed; install version 8 or later (on Debian: tests/install-valkey)")]
    Missing,
    /// The folder, the clock's cell or the process could not be made.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The process ended, or never answered.
    #[error("valkey-server did not start: {said}")]
    Dead {
        /// The last lines that it printed.
        said: String,
    },
    /// Something else answers there, or an old one.
    #[error("{address} is {found}; claimlab needs Valkey 8 or later")]
    NotValkey {
        /// Where.
        address: Address,
        /// What it says it is.
        found: String,
    },
    /// The server reads another clock.
    #[error("the clock of {address} does not follow {cell}: set to {set_ms} ms, TIME answers {found_ms} ms")]
    OtherClock {
        /// Where.
        address: Address,
        /// The cell that was set.
        cell: PathBuf,
        /// What it was set to.
        set_ms: i64,
        /// What the server answers.
        found_ms: i64,
    },
    /// The address is none.
    #[error("{found}: not an address; accepted are `valkey` (a private server) and valkey://HOST:PORT?clock=FILE")]
    BadAddress {
        /// What was given.
        found: String,
    },
    /// The connection failed.
    #[error("no answer from {address}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        source: redis::RedisError,
    },
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or number.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "valkey://{}:{}", self.host, self.port)
    }
}

/// A running server under a virtual clock.
#[derive(Debug)]
pub struct Server {
    address: Address,
    clock: Clock,
    // Dropped before its folder.
    _process: Option<Process>,
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts a private server whose clock stands at `now_ms` since the epoch.
    ///
    /// # Errors
    /// When `valkey-server` is missing, too old, or does not come up.
    pub fn start(now_ms: i64) -> Result<Self, Error> {
        let folder = process::folder()?;
        let library = folder.path().join("clock.so");
        fs::write(&library, PRELOADED).map_err(io_error("writing the server's clock"))?;
        let clock = Clock::create(&folder.path().join("clock.cell"), now_ms)
            .map_err(io_error("making the server's clock cell"))?;
        let environment = [("LD_PRELOAD", library.as_os_str()), (crate::CELL_VARIABLE, clock.path().as_os_str())];
        let (process, address) = Process::start(folder.path(), SETTINGS, &environment)?;
        let server = Self { address, clock, _process: Some(process), _folder: Some(folder) };
        server.greet(now_ms)?;
        Ok(server)
    }

    /// Uses what `text` names: `valkey` starts a private server; `valkey://HOST:PORT?clock=FILE` takes
    /// one that runs already with this crate's clock preloaded and `FILE` as its cell.
    ///
    /// # Errors
    /// As [`Self::start`]; and when the address is none, or the server there is not Valkey 8 or
    /// later, or does not follow the cell.
    pub fn named(text: &str, now_ms: i64) -> Result<Self, Error> {
        if text == "valkey" {
            return Self::start(now_ms);
        }
        let bad = || Error::BadAddress { found: text.to_owned() };
        let (place, cell) =
            text.strip_prefix("valkey://").and_then(|rest| rest.split_once("?clock=")).ok_or_else(bad)?;
        let (host, port) = place.trim_end_matches('/').rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if host.is_empty() || cell.is_empty() {
            return Err(bad());
        }
        let clock = Clock::open(Path::new(cell)).map_err(io_error(&format!("opening the clock cell {cell}")))?;
        clock.set(now_ms).map_err(io_error(&format!("setting the clock cell {cell}")))?;
        let server = Self { address: Address { host: host.to_owned(), port }, clock, _process: None, _folder: None };
        server.greet(now_ms)?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its version, as `8.0.1`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn version(&self) -> Result<String, Error> {
        version(&mut connect(&self.address)?, &self.address)
    }

    /// Its wall clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Checks what answers and that it lives by the cell; and has keys expire only when they are
    /// looked at, so that a clock that steps back finds the same keys every time.
    fn greet(&self, now_ms: i64) -> Result<(), Error> {
        let mut connection = connect(&self.address)?;
        let unreachable = |source| Error::Unreachable { address: self.address.clone(), source };
        version(&mut connection, &self.address)?;
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(&mut connection).map_err(unreachable)?;
        let found_ms = seconds * 1_000 + micros / 1_000;
        if found_ms != now_ms {
            let cell = self.clock.path().to_owned();
            return Err(Error::OtherClock { address: self.address.clone(), cell, set_ms: now_ms, found_ms });
        }
        redis::cmd("DEBUG").arg("SET-ACTIVE-EXPIRE").arg(0).exec(&mut connection).map_err(unreachable)
    }
}

/// The version of a Valkey that is new enough.
pub(crate) fn version(connection: &mut redis::Connection, address: &Address) -> Result<String, Error> {
    let info = redis::cmd("INFO").arg("server").query(connection);
    let info: String = info.map_err(|source| Error::Unreachable { address: address.clone(), source })?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let found = field("valkey_version:");
    let major: Option<u32> = found.and_then(|text| text.split('.').next()?.parse().ok());
    match found {
        Some(version) if major.is_some_and(|major| major >= 8) => Ok(version.to_owned()),
        _ => {
            let found = match found {
                Some(version) => format!("Valkey {version}"),
                None => format!("no Valkey (redis_version {})", field("redis_version:").unwrap_or("unknown")),
            };
            Err(Error::NotValkey { address: address.clone(), found })
        }
    }
}

/// A blocking connection to a server.
///
/// # Errors
/// [`Error::Unreachable`].
pub fn connect(address: &Address) -> Result<redis::Connection, Error> {
    redis::Client::open((address.host.as_str(), address.port))
        .and_then(|client| client.get_connection())
        .map_err(|source| Error::Unreachable { address: address.clone(), source })
}

pub(crate) fn io_error(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = what.to_owned();
    move |source| Error::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match Server::named(text, 1_000) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_address_without_a_clock_is_refused_with_what_is_accepted() {
        for text in ["valkey://localhost:1", "redis://localhost:1?clock=x", "valkey://localhost?clock=x", ""] {
            assert!(refused(text).contains("valkey://HOST:PORT?clock=FILE"), "{text}");
        }
    }

    #[test]
    fn a_cell_that_cannot_be_opened_is_named() {
        assert!(refused("valkey://127.0.0.1:1?clock=/nowhere/cell").contains("/nowhere/cell"));
    }
}
