//! This program's own wall clock, set like a server's.
//!
//! A client library that reads the wall clock by itself sends times that nobody chose. A program that
//! wants to choose them starts itself again with the clock preloaded.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::server::{Error, PRELOADED, io_error};
use crate::{CELL_VARIABLE, Clock};

/// The clock that this process lives by, if it was started by [`relaunch`].
///
/// # Errors
/// When the cell that the environment names cannot be used.
pub fn own_clock() -> Result<Option<Clock>, Error> {
    match env::var_os(CELL_VARIABLE) {
        Some(cell) => {
            let cell = Path::new(&cell);
            let clock = Clock::open(cell).map_err(io_error(&format!("opening the clock cell {}", cell.display())))?;
            Ok(Some(clock))
        }
        None => Ok(None),
    }
}

/// Runs this program again, with the same arguments, under a clock of its own that first reads the
/// machine's; gives its exit code, or 130 where a signal ended it.
///
/// # Errors
/// When it cannot be started.
pub fn relaunch() -> Result<u8, Error> {
    relaunch_with(env::args_os().skip(1))
}

/// The same with other arguments.
///
/// # Errors
/// When it cannot be started.
pub fn relaunch_with(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<u8, Error> {
    let folder = TempDir::new().map_err(io_error("making a folder for the clock"))?;
    let library = folder.path().join("clock.so");
    fs::write(&library, PRELOADED).map_err(io_error("writing the clock"))?;
    // While the cell holds 0 the machine's own clock answers.
    let clock = Clock::create(&folder.path().join("own.cell"), 0).map_err(io_error("making the clock's cell"))?;
    let program = env::current_exe().map_err(io_error("finding this program"))?;
    let status = Command::new(program)
        .args(arguments)
        .env("LD_PRELOAD", &library)
        .env(CELL_VARIABLE, clock.path())
        .status()
        .map_err(io_error("starting this program again"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(130))
}
