//! Results on disk: a new folder for each run, complete or not there at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::CommandError;

/// A folder under its working name until [`Self::finish`]; removed when it is dropped before.
pub(super) struct Folder {
    working: PathBuf,
    parent: PathBuf,
    name: String,
    finished: bool,
}

impl Folder {
    /// A new folder below `parent` for a run of a scenario; earlier ones stay as they are.
    pub(super) fn create(parent: &Path, name: &str) -> Result<Self, CommandError> {
        let refused = |error: std::io::Error| CommandError::Out { folder: parent.to_owned(), why: error.to_string() };
        fs::create_dir_all(parent).map_err(refused)?;
        let working = parent.join(format!(".{name}-{}.partial", std::process::id()));
        fs::create_dir(&working).map_err(refused)?;
        Ok(Self { working, parent: parent.to_owned(), name: name.to_owned(), finished: false })
    }

    fn refused(&self, file: &str, error: &std::io::Error) -> CommandError {
        CommandError::Out { folder: self.parent.clone(), why: format!("{file} cannot be written: {error}") }
    }

    /// Writes a whole file.
    pub(super) fn write(&mut self, file: &str, bytes: &[u8]) -> Result<(), CommandError> {
        let written = File::create(self.working.join(file)).and_then(|mut out| {
            out.write_all(bytes)?;
            out.sync_all()
        });
        written.map_err(|error| self.refused(file, &error))
    }

    /// Opens a file that is written bit by bit.
    pub(super) fn open(&mut self, file: &str) -> Result<BufWriter<File>, CommandError> {
        let opened = File::create(self.working.join(file));
        opened.map(|out| BufWriter::with_capacity(1 << 20, out)).map_err(|error| self.refused(file, &error))
    }

    /// Tells whether a file that was written bit by bit is complete.
    pub(super) fn check(&self, file: &str, failure: &Mutex<Option<std::io::Error>>) -> Result<(), CommandError> {
        match failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(self.refused(file, &error)),
            None => Ok(()),
        }
    }

    /// Gives the folder its first free name: `NAME`, `NAME-2`, `NAME-3` and so on.
    pub(super) fn finish(mut self) -> Result<(), CommandError> {
        for number in 1_u32.. {
            let name = if number == 1 { self.name.clone() } else { format!("{}-{number}", self.name) };
            let wanted = self.parent.join(&name);
            if wanted.exists() {
                continue;
            }
            // Renaming onto a folder that appeared meanwhile fails, since that one is not empty.
            return match fs::rename(&self.working, &wanted) {
                Ok(()) => {
                    self.finished = true;
                    anstream::eprintln!("results in {}", wanted.display());
                    Ok(())
                }
                Err(_) if wanted.exists() => continue,
                Err(error) => Err(self.refused(&name, &error)),
            };
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_dir_all(&self.working);
        }
    }
}
