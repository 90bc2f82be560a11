//! A server that lives by the machine's own clock: what is measured for speed.

use std::fmt;

use tempfile::TempDir;

use crate::process::{self, Process};
use crate::server::{Address, Error, connect, version};

/// A server as its users have it: a private one, or one that runs already.
#[derive(Debug)]
pub struct Plain {
    address: Address,
    version: String,
    // Dropped before its folder.
    _process: Option<Process>,
    _folder: Option<TempDir>,
}

impl Plain {
    /// Starts a private one, without persistence, with settings as on the server's command line.
    ///
    /// # Errors
    /// When `valkey-server` is missing, too old, or does not come up.
    pub fn start(settings: &[&str]) -> Result<Self, Error> {
        let folder = process::folder()?;
        let (process, address) = Process::start(folder.path(), settings, &[])?;
        Ok(Self { version: greet(&address)?, address, _process: Some(process), _folder: Some(folder) })
    }

    /// Takes one that runs already.
    ///
    /// # Errors
    /// When nothing answers there, or no Valkey 8 or later.
    pub fn at(address: Address) -> Result<Self, Error> {
        Ok(Self { version: greet(&address)?, address, _process: None, _folder: None })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The version that it says it has.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Valkey {} at {}", self.version, self.address)
    }
}

fn greet(address: &Address) -> Result<String, Error> {
    version(&mut connect(address)?, address)
}
