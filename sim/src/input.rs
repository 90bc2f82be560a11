//! Files that people hand in: how they are read, and what is said when they are not what they should be.

use std::path::{Path, PathBuf};

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file could not be read.
    #[error("{}: cannot be read as a {what}: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What it should be.
        what: &'static str,
        /// The system's word, or what the path is instead.
        why: String,
    },
    /// The file has a key, a type or a form that it cannot have.
    #[error("{}:{line}: {why}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Line, from 1 on.
        line: usize,
        /// What was found and what is accepted.
        why: String,
    },
    /// A value that cannot be.
    #[error("{}:{line}: {key}: found {found}, accepted is {accepted}", file.display())]
    Impossible {
        /// The file.
        file: PathBuf,
        /// Line, from 1 on.
        line: usize,
        /// The key, dotted.
        key: String,
        /// What was found.
        found: String,
        /// What is accepted.
        accepted: String,
    },
}

/// Reads a file's text; a folder, a missing and an empty file are refused.
///
/// # Errors
/// [`InputError::Unreadable`], which names `accepted` where there is nothing to read.
pub fn read_text(file: &Path, what: &'static str, accepted: &str) -> Result<String, InputError> {
    let unreadable = |why: String| InputError::Unreadable { file: file.to_owned(), what, why };
    if file.is_dir() {
        return Err(unreadable(format!("it is a directory; accepted is {accepted}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    if text.trim().is_empty() {
        return Err(unreadable(format!("it is empty; accepted is {accepted}")));
    }
    Ok(text)
}

/// A text in TOML as a value; what keeps it from being one is told with "accepted is" where the parser says "expected".
///
/// # Errors
/// [`InputError::Malformed`].
pub fn parse_toml<T: serde::de::DeserializeOwned>(file: &Path, text: &str) -> Result<T, InputError> {
    toml::from_str(text).map_err(|error: toml::de::Error| InputError::Malformed {
        file: file.to_owned(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        why: accepted_is(error.message()),
    })
}

/// A parser's message on one line, with "accepted is" where it says "expected".
pub fn accepted_is(message: &str) -> String {
    message.replace(", expected", ", accepted is").replace('\n', " ")
}

/// The line of an offset in a text, from 1 on.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
