//! The scenarios that come with claimlab.

use std::path::{Path, PathBuf};

/// Every scenario of the repository but for the reports from the field, in the order of their names.
pub fn all() -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file());
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    files
}
