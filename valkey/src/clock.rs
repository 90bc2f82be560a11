//! The cell that holds a server's wall clock: eight bytes of a file, mapped by the server.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A wall clock that stands still until it is set.
#[derive(Debug)]
pub struct Clock {
    cell: File,
    path: PathBuf,
}

impl Clock {
    /// Makes a cell at a path and sets it to `ms` since the epoch.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, ms: i64) -> io::Result<Self> {
        let cell = File::options().write(true).create(true).truncate(false).open(path)?;
        let clock = Self { cell, path: path.to_owned() };
        clock.set(ms)?;
        Ok(clock)
    }

    /// Opens the cell that a running server already maps.
    ///
    /// # Errors
    /// When the file does not exist, cannot be written, or is too short to be a cell.
    pub fn open(path: &Path) -> io::Result<Self> {
        let cell = File::options().write(true).open(path)?;
        if cell.metadata()?.len() < 8 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "shorter than the 8 bytes of a clock cell"));
        }
        Ok(Self { cell, path: path.to_owned() })
    }

    /// Sets the time, forward or back; the server's next question already gets it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, ms: i64) -> io::Result<()> {
        self.cell.write_all_at(&ms.to_ne_bytes(), 0)
    }

    /// The cell's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
