//! Files that are written again and again and are always whole ones.

use std::fs;
use std::path::{Path, PathBuf};

use super::CommandError;

/// Writes a file of a folder, which is made where it is missing; whoever reads it finds the old text or the new one.
pub(super) fn keep(folder: &Path, name: &str, text: &str) -> Result<PathBuf, CommandError> {
    let refused = |error: std::io::Error| CommandError::Out { folder: folder.to_owned(), why: error.to_string() };
    fs::create_dir_all(folder).map_err(refused)?;
    let (partial, file) = (folder.join(format!(".{name}.partial")), folder.join(name));
    fs::write(&partial, text).map_err(refused)?;
    fs::rename(&partial, &file).map_err(refused)?;
    Ok(file)
}
