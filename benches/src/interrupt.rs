//! Ctrl-C, heard where nothing is left half done: children have ended, a named server is left empty, and only then
//! does the program end, with exit code 130.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::Error;

/// What the program ends with.
pub const EXIT: u8 = 130;
/// How soon work hears of it.
const POLL: Duration = Duration::from_millis(50);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens from now on; who asks a second time does not want to wait.
pub fn listen() {
    // Where no handler can be had, Ctrl-C ends the process as it would anyway.
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT));
        }
    });
}

/// Whether somebody asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Goes on, unless somebody asked to stop.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn check() -> Result<(), Error> {
    if asked() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Work that is given up when somebody asks to stop.
///
/// # Errors
/// The work's own, and [`Error::Interrupted`].
pub async fn or<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let until_asked = async {
        while !asked() {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = until_asked => Err(Error::Interrupted),
    }
}
