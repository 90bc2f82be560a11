//! A revision's program: this one, one that was built before, or one built from a worktree of git's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::{Error, io_error};

/// What stands for the tree as it is: this very program.
pub const THIS: &str = ".";
/// The program's own name.
const NAME: &str = "claimlab-benches";

/// A program that can measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// How results call it.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
}

/// Finds or builds the program that a user names: `.`, a file, or a revision of git's.
///
/// A revision is built once, from a worktree that is gone afterwards; its program is kept under
/// `target/revisions`.
///
/// # Errors
/// When it is neither, or does not build.
pub fn program(text: &str) -> Result<Program, Error> {
    if text == THIS {
        let file = std::env::current_exe().map_err(io_error("finding this program"))?;
        return Ok(Program { name: "this program".to_owned(), file });
    }
    let file = Path::new(text);
    if file.is_file() {
        return Ok(Program { name: text.to_owned(), file: file.to_owned() });
    }
    let commit = git(text, "finding it", &["rev-parse", "--verify", "--quiet", &format!("{text}^{{commit}}")])?;
    let root = PathBuf::from(git(text, "finding the tree", &["rev-parse", "--show-toplevel"])?);
    let short: String = commit.chars().take(12).collect();
    let kept = root.join("target/revisions").join(&short).join(NAME);
    if !kept.is_file() {
        build(text, &commit, &root, &kept)?;
    }
    Ok(Program { name: format!("{text} ({short})"), file: kept })
}

fn build(text: &str, commit: &str, root: &Path, kept: &Path) -> Result<(), Error> {
    let folder = tempfile::tempdir().map_err(io_error("making a folder for the worktree"))?;
    let tree = folder.path().join("tree");
    let place = tree.to_string_lossy().into_owned();
    git(text, "checking it out", &["worktree", "add", "--detach", "--quiet", &place, commit])?;
    // Both sides share what they have in common.
    let shared = root.join("target/revisions/build");
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", NAME, "--target-dir"])
        .arg(&shared)
        .current_dir(&tree)
        .stdin(Stdio::null())
        .output();
    let removed = git(text, "removing its worktree", &["worktree", "remove", "--force", &place]);
    said(text, "building it", built)?;
    removed?;
    let folder = kept.parent().unwrap_or(root);
    std::fs::create_dir_all(folder).map_err(io_error(format!("making {}", folder.display())))?;
    let built = shared.join("release").join(NAME);
    let keeping = || format!("keeping {}", built.display());
    // Under its name it is whole.
    let part = kept.with_extension("part");
    std::fs::copy(&built, &part).map_err(io_error(keeping()))?;
    std::fs::rename(&part, kept).map_err(io_error(keeping()))
}

fn git(text: &str, what: &'static str, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("git").args(arguments).stdin(Stdio::null()).output();
    let output = said(text, what, output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn said(text: &str, what: &'static str, output: std::io::Result<Output>) -> Result<Output, Error> {
    let failed = |said: String| Error::Revision { revision: text.to_owned(), what, said };
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output);
    }
    let lines = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(match lines.is_empty() {
        true => "accepted are `.` for this program, the file of a program, and a revision of git's".to_owned(),
        false => lines,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_revision_is_refused_with_what_is_accepted() {
        let said = program("no-such-revision").unwrap_err().to_string();
        assert!(said.contains("no-such-revision") && said.contains("a revision of git's"), "{said}");
    }

    #[test]
    fn a_dot_is_this_very_program() {
        assert_eq!(program(".").unwrap().file, std::env::current_exe().unwrap());
    }
}
