//! The command as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs the command in the workspace's root.
pub fn claimlab(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claimlab"))
        .args(arguments.split_whitespace())
        .current_dir(root())
        .env_remove("CLAIMLAB_VALKEY_URL")
        .output()
        .expect("the command starts")
}

/// Runs it where it must find no difference; gives what it said.
#[track_caller]
pub fn assert_held(arguments: &str) -> String {
    let output = claimlab(arguments);
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "claimlab {arguments}\n{said}\n{complained}");
    assert!(said.contains("HELD"), "{said}");
    said.into_owned()
}
