//! The operating system's process: started on a free port, awaited, and stopped with its value.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{Address, Error, connect, io_error};

/// A server that does not answer within this many tries of 10 ms will not.
const TRIES: u32 = 1_000;

/// A running `valkey-server` without persistence.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts one in a folder that must outlive it, with settings and environment beside the usual ones.
    pub(crate) fn start(
        folder: &Path,
        settings: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Result<(Self, Address), Error> {
        // A free port can be taken by another process before the server binds it; then the next is tried.
        let mut last = String::new();
        for _ in 0..3 {
            let address = Address { host: Ipv4Addr::LOCALHOST.to_string(), port: free_port()? };
            // One that never answers may still run: it is stopped with its value, before the next.
            let mut process = Self(spawn(&address, folder, settings, environment)?);
            match process.wait_until_it_answers(&address, folder) {
                Ok(()) => return Ok((process, address)),
                Err(said) => last = said,
            }
        }
        Err(Error::Dead { said: last })
    }

    fn wait_until_it_answers(&mut self, address: &Address, folder: &Path) -> Result<(), String> {
        for _ in 0..TRIES {
            if let Ok(Some(status)) = self.0.try_wait() {
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
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is kept, so there is nothing to wait for; a process that is gone already is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder for a server.
pub(crate) fn folder() -> Result<TempDir, Error> {
    TempDir::new().map_err(io_error("making the server's folder"))
}

fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(io_error("finding a free port"))
}

fn spawn(address: &Address, folder: &Path, settings: &[&str], environment: &[(&str, &OsStr)]) -> Result<Child, Error> {
    let log = fs::File::create(folder.join("log")).map_err(io_error("making the server's log"))?;
    let errors = log.try_clone().map_err(io_error("making the server's log"))?;
    Command::new("valkey-server")
        .args(["--bind", &address.host, "--port", &address.port.to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .args(settings)
        .arg("--dir")
        .arg(folder)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing,
            _ => Error::Io { what: "starting valkey-server".into(), source },
        })
}
