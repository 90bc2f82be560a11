//! What the command-line tests share: the built command, and a folder to run it in.
//!
//! The tests know the command from outside only: its arguments, exit codes, outputs and files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A small scenario that holds.
pub const HOLDING: &str = r#"[world]
partitions = 2
for_ms = 5000

[lease]
ttl_ms = 3000

[workers]
count = 5

[work]
at_start = 10
per_second = 2
run_ms = [100, 800]
"#;

/// A small scenario that holds, but not under [`BUG`]: every worker stalls for much longer than its
/// lease while it has work, so that a stale worker writes to an execution that has been reclaimed.
pub const STALLING: &str = r#"accept = ["F022"]

[world]
partitions = 2
for_ms = 5000

[lease]
ttl_ms = 3000

[workers]
count = 5

[work]
at_start = 10
per_second = 2
run_ms = [20000, 40000]

[faults.pause]
workers = "1/1"
for_ms = [12000, 30000]
"#;

/// The finding that [`STALLING`] accepts.
const KNOWN: &str = include_str!("../../findings/F022.toml");

/// Turns [`STALLING`] red, with its first seed already.
pub const BUG: &str = "--deviation bug-ignore-fence";

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The lean `claimlab` command, built in release mode and without madsim, once for each test process: what somebody gets
/// who has nothing but the crate.
///
/// Cargo tells only a package's own tests where its commands are, so it is asked to build this one here; that takes no
/// time where nothing has changed.
///
/// # Panics
/// When the command cannot be built.
pub fn claimlab() -> Command {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    let plain = || {
        build(
            Command::new(env!("CARGO")).env("RUSTFLAGS", ""),
            &["build", "--bin", "claimlab", "--package", "claimlab", "--release", "--target-dir", "target/plain"],
        )
    };
    let mut command = Command::new(EXECUTABLE.get_or_init(plain));
    // Whether colours are wanted is for each test to say, not for whoever runs the tests.
    command.env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn build(cargo: &mut Command, how: &[&str]) -> PathBuf {
    // What cargo tells a test of its own package is news to some build scripts, which would run again, and everything
    // above them with them.
    for (name, _) in std::env::vars_os() {
        let is_of_a_package =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if is_of_a_package {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(how)
        .arg("--message-format=json")
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "claimlab cannot be built: {}", built.status);
    let messages = String::from_utf8(built.stdout).expect("cargo's messages are text");
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let ours = message["reason"] == "compiler-artifact"
            && message["target"]["name"] == "claimlab"
            && message["target"]["kind"][0] == "bin"
            && message["profile"]["test"] == false;
        message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
    });
    executable.expect("cargo names the executable that it built")
}

/// The `claimlab` command with everything in it, under madsim, built once for each test process with the profile and
/// the features of the tests, so that hardly anything is compiled for it.
///
/// # Panics
/// When the command cannot be built.
pub fn with_backends() -> Command {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    // Asked for as the test command asks for it, beside one test of its package: otherwise its dependencies had other
    // features, and were compiled again.
    let how = ["test", "--no-run", "--workspace", "--test", "lockstep"];
    let features = ["--features", "claimlab/databases,claimlab/connect"];
    let whole = || build(&mut Command::new(env!("CARGO")), &[&how[..], &features[..]].concat());
    let mut command = Command::new(EXECUTABLE.get_or_init(whole));
    command.stdin(Stdio::null());
    command
}

/// A temporary folder that claimlab is run in.
pub struct Folder(tempfile::TempDir);

/// Every path below a folder, with its bytes where it is a file.
pub type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Folder {
    /// A folder that holds these files and the finding that [`STALLING`] accepts, and nothing else.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        std::fs::create_dir(folder.path("findings")).expect("a writable temporary folder");
        folder.write("findings/F022.toml", KNOWN);
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    /// A path below it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("a writable temporary folder");
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The command in this folder, with arguments that are separated by spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = claimlab();
        command.args(arguments.split_whitespace()).current_dir(&self.0);
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, arguments: &str) -> Finished {
        Finished::from(self.command(arguments).output().expect("claimlab starts"))
    }

    /// Runs a shell script here that reaches the command as `"$0"`.
    pub fn shell(&self, script: &str) -> Finished {
        let mut shell = Command::new("sh");
        shell.args([OsStr::new("-c"), OsStr::new(script), claimlab().get_program()]).current_dir(&self.0);
        Finished::from(shell.output().expect("a shell"))
    }

    /// Everything below the folder.
    pub fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(self.0.path().join(&folder)).expect("a readable folder") {
                let entry = entry.expect("a readable folder");
                let name = folder.join(entry.file_name());
                let is_folder = entry.file_type().expect("a readable folder").is_dir();
                let bytes = (!is_folder).then(|| std::fs::read(entry.path()).expect("a readable file"));
                contents.insert(name.clone(), bytes);
                if is_folder {
                    open.push(name);
                }
            }
        }
        contents
    }
}

/// What a process left when it ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said on the side.
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("claimlab prints UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A process that is killed when its test ends before it does.
pub struct Running(pub Child);

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("claimlab starts"))
    }

    /// Waits for the process's end, but not forever.
    ///
    /// # Panics
    /// When it goes on for longer than `limit`.
    #[track_caller]
    pub fn end_within(&mut self, limit: Duration) -> ExitStatus {
        let mut status = None;
        wait_until("the process ends", limit, || {
            status = self.0.try_wait().expect("a child's status");
            status.is_some()
        });
        status.expect("a process that has ended")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something has happened, but not forever.
///
/// # Panics
/// When `limit` passes before it has.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut happened: impl FnMut() -> bool) {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    while !happened() {
        assert!(waited < limit, "waited {limit:?} until {what}");
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
}
