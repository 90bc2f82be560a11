//! Results on disk: a new folder for each run, complete or not there at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::CommandError;

/// A folder under its working name until [`Self::finish`]; removed when it is dropped before.
pub(super) struct Folder {
    working: PathBuf,
    parent: PathBuf,
    name: String,
    /// Whether the parent is ours too, to be taken away again when nothing comes of it.
    made_parent: bool,
    finished: bool,
}

impl Folder {
    /// A new folder below `parent` for a run of a scenario; earlier ones stay as they are.
    pub(super) fn create(parent: &Path, name: &str) -> Result<Self, CommandError> {
        let refused = |why: String| CommandError::Out { folder: parent.to_owned(), why };
        let is_file = parent.ancestors().find(|part| part.exists()).is_some_and(|part| !part.is_dir());
        if is_file {
            return Err(refused("found a file, accepted is a folder, or a path where one can be made".into()));
        }
        let made_parent = !parent.exists();
        fs::create_dir_all(parent).map_err(|error| refused(error.to_string()))?;
        let working = parent.join(format!(".{name}-{}.partial", std::process::id()));
        fs::create_dir(&working).map_err(|error| refused(error.to_string()))?;
        Ok(Self { working, parent: parent.to_owned(), name: name.to_owned(), made_parent, finished: false })
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
    pub(super) fn check(&self, file: &str, failure: Option<std::io::Error>) -> Result<(), CommandError> {
        failure.map_or(Ok(()), |error| Err(self.refused(file, &error)))
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
            if self.made_parent {
                let _ = fs::remove_dir(&self.parent);
            }
        }
    }
}
