//! Starting, greeting and stopping the server.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::Clock;

/// The clock that is preloaded, as the build script compiled it.
pub(crate) const PRELOADED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clock.so"));

/// A server that does not answer within this many tries of 10 ms will not.
const TRIES: u32 = 1_000;

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
    child: Option<Child>,
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts a private server whose clock stands at `now_ms` since the epoch.
    ///
    /// # Errors
    /// When `valkey-server` is missing, too old, or does not come up.
    pub fn start(now_ms: i64) -> Result<Self, Error> {
        let folder = TempDir::new().map_err(io_error("making the server's folder"))?;
        let library = folder.path().join("clock.so");
        fs::write(&library, PRELOADED).map_err(io_error("writing the server's clock"))?;
        let clock = Clock::create(&folder.path().join("clock.cell"), now_ms)
            .map_err(io_error("making the server's clock cell"))?;
        // A free port can be taken by another process before the server binds it; then the next is tried.
        let mut last = String::new();
        for _ in 0..3 {
            let address = Address { host: Ipv4Addr::LOCALHOST.to_string(), port: free_port()? };
            let mut child = spawn(&address, folder.path(), &library, &clock)?;
            match wait_until_it_answers(&mut child, &address, folder.path()) {
                Ok(()) => {
                    let server = Self { address, clock, child: Some(child), _folder: Some(folder) };
                    server.greet(now_ms)?;
                    return Ok(server);
                }
                Err(said) => last = said,
            }
            // The process may still run: it must not keep the folder.
            let _ = child.kill();
            let _ = child.wait();
        }
        Err(Error::Dead { said: last })
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
        let server = Self { address: Address { host: host.to_owned(), port }, clock, child: None, _folder: None };
        server.greet(now_ms)?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
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
        let info: String = redis::cmd("INFO").arg("server").query(&mut connection).map_err(unreachable)?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let version = field("valkey_version:");
        let major: Option<u32> = version.and_then(|text| text.split('.').next()?.parse().ok());
        if major.is_none_or(|major| major < 8) {
            let found = match version {
                Some(version) => format!("Valkey {version}"),
                None => format!("no Valkey (redis_version {})", field("redis_version:").unwrap_or("unknown")),
            };
            return Err(Error::NotValkey { address: self.address.clone(), found });
        }
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(&mut connection).map_err(unreachable)?;
        let found_ms = seconds * 1_000 + micros / 1_000;
        if found_ms != now_ms {
            let cell = self.clock.path().to_owned();
            return Err(Error::OtherClock { address: self.address.clone(), cell, set_ms: now_ms, found_ms });
        }
        redis::cmd("DEBUG").arg("SET-ACTIVE-EXPIRE").arg(0).exec(&mut connection).map_err(unreachable)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nothing is kept, so there is nothing to wait for; a process that is gone already is fine.
            let _ = child.kill();
            let _ = child.wait();
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

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(io_error("finding a free port"))
}

fn spawn(address: &Address, folder: &Path, library: &Path, clock: &Clock) -> Result<Child, Error> {
    let log = fs::File::create(folder.join("log")).map_err(io_error("making the server's log"))?;
    let errors = log.try_clone().map_err(io_error("making the server's log"))?;
    Command::new("valkey-server")
        .args(["--bind", &address.host, "--port", &address.port.to_string()])
        .args(["--save", "", "--appendonly", "no", "--enable-debug-command", "local"])
        // Its waits end by the wall clock: under one that stands still it would never rest.
        .args(["--jemalloc-bg-thread", "no"])
        .arg("--dir")
        .arg(folder)
        .env("LD_PRELOAD", library)
        .env(crate::CELL_VARIABLE, clock.path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing,
            _ => Error::Io { what: "starting valkey-server".into(), source },
        })
}

fn wait_until_it_answers(child: &mut Child, address: &Address, folder: &Path) -> Result<(), String> {
    for _ in 0..TRIES {
        if let Ok(Some(status)) = child.try_wait() {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            let tail = log.lines().rev().take(3).collect::<Vec<_>>();
            return Err(format!("{status}; {}", tail.into_iter().rev().collect::<Vec<_>>().join(" | ")));
        }
        let pong = connect(address).ok().map(|mut connection| redis::cmd("PING").exec(&mut connection));
        if matches!(pong, Some(Ok(()))) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err("no answer to PING within ten seconds".into())
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
