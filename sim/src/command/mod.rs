//! The command line: `run`, `hunt`, `replay`, `shrink`, `confirm`, `findings`, `conform`, `measure`, `invariants`.

mod bar;
mod changes;
mod confirm;
mod conform;
#[cfg(feature = "live")]
mod crowd;
mod databases;
#[cfg(feature = "live")]
mod engines;
mod find;
mod findings;
mod hunt;
mod invariants;
#[cfg(feature = "live")]
mod judged;
mod kept;
mod lockstep;
mod matrix;
mod measure;
mod out;
mod replay;
mod run;
mod shrink;
mod source;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand, ValueEnum};

use crate::input::InputError;
use crate::scenario::Player;
use changes::Changes;

const EXIT_CODES: &str = "Exit codes: 0 held, 1 violated, 2 bad input or environment, 3 undecided, 130 interrupted";

/// The laboratory for FlowFabric's claim protocol.
#[derive(Debug, Parser)]
#[command(name = "claimlab", version, about, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario over many seeds and judge it
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunArguments),
    /// Draw worlds of every kind, and shrink what breaks in them
    #[command(after_help = hunt::EXAMPLES)]
    Hunt(hunt::HuntArguments),
    /// Run one seed, or a stored plan, again: the same run, byte for byte
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::ReplayArguments),
    /// Find the smallest plan that breaks the same promise in the same way
    #[command(after_help = shrink::EXAMPLES)]
    Shrink(shrink::ShrinkArguments),
    /// Run the plans of finds on a real server, message by message
    #[command(after_help = confirm::EXAMPLES)]
    Confirm(confirm::ConfirmArguments),
    /// List, tell, verify and print what is known
    #[command(after_help = findings::EXAMPLES)]
    Findings(findings::FindingsArguments),
    /// Compare the model call by call with the shipped backend on a real server
    #[command(after_help = conform::EXAMPLES)]
    Conform(conform::ConformArguments),
    /// Plant defects into worlds, and measure which check sees each of them and how soon
    #[command(after_help = measure::EXAMPLES)]
    Measure(measure::MeasureArguments),
    /// Print the catalogue of invariants
    Invariants(invariants::InvariantsArguments),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines
    Json,
}

/// Why a command could not do what it was asked to; all of them are the caller's to mend.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{flag}: found {found}, accepted is {accepted}")]
    Flag { flag: &'static str, found: String, accepted: String },
    #[error("--out {}: {why}", folder.display())]
    Out { folder: std::path::PathBuf, why: String },
    #[cfg(not(feature = "live"))]
    #[error("{what} needs a build that can talk to a real server: cargo run --release --features live -- …")]
    NotLive { what: &'static str },
    #[cfg(feature = "live")]
    #[error(transparent)]
    Live(#[from] crate::live::twin::Error),
    #[cfg(feature = "live")]
    #[error(transparent)]
    Matrix(#[from] crate::matrix::subject::Error),
    #[cfg(not(feature = "databases"))]
    #[error("--backend {backend} needs a build with the database backends: cargo run --features databases -- …")]
    NoDatabases { backend: &'static str },
    #[error("a worker of the shipped SDK needs a build with it: cargo run --release --features sdk -- …")]
    NoSdk,
    #[error("standard output: cannot be written: {0}")]
    Output(std::io::Error),
}

/// Bad input or environment.
const EXIT_BAD_INPUT: u8 = 2;
/// Ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// Goes on under a clock of this process's own, which the shipped client reads; gives the exit code of
/// the second start where this one is the first.
#[cfg(feature = "live")]
fn under_own_clock() -> Result<Option<u8>, CommandError> {
    use crate::live::twin::Error;
    if claimlab_valkey::own_clock().map_err(Error::from)?.is_some() {
        return Ok(None);
    }
    Ok(Some(claimlab_valkey::relaunch().map_err(Error::from)?))
}

/// Whether a backend is left out; says so and gives the exit code.
#[cfg(feature = "live")]
fn left_out(backend: &str) -> Result<Option<u8>, CommandError> {
    /// Backends that are left out, separated by commas.
    const VARIABLE: &str = "CLAIMLAB_SKIP";
    let skipped = std::env::var(VARIABLE).unwrap_or_default();
    if !skipped.split(',').any(|skipped| skipped.trim() == backend) {
        return Ok(None);
    }
    print(&format!("SKIPPED  {backend}: {VARIABLE}={skipped} leaves it out; nothing was done\n"))?;
    Ok(Some(crate::judge::Judgement::Undecided.exit_code()))
}

/// Goes on in the development mode that the SQLite backend asks for; gives the exit code of the second start where this
/// one is the first.
#[cfg(feature = "databases")]
fn in_dev_mode() -> Result<Option<u8>, CommandError> {
    use std::env;

    use crate::matrix::databases::Error;
    use crate::matrix::subject;
    const VARIABLE: &str = "FF_DEV_MODE";
    if env::var_os(VARIABLE).is_some() {
        return Ok(None);
    }
    let again = env::current_exe().and_then(|program| {
        std::process::Command::new(program).args(env::args_os().skip(1)).env(VARIABLE, "1").status()
    });
    let status = again.map_err(|source| {
        subject::Error::Database(Error::Io { what: "starting this program in development mode", source })
    })?;
    Ok(Some(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(130)))
}

/// Runs the command line and gives the process's exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Hunt(arguments) => hunt::run(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Shrink(arguments) => shrink::run(&arguments),
        Command::Confirm(arguments) => confirm::run(&arguments),
        Command::Findings(arguments) => findings::run(&arguments),
        Command::Conform(arguments) => conform::conform(&arguments),
        Command::Measure(arguments) => measure::run(&arguments),
        Command::Invariants(arguments) => invariants::print(&arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            anstream::eprintln!("claimlab: {error}");
            ExitCode::from(EXIT_BAD_INPUT)
        }
    }
}

/// Prints to standard output; a reader that has gone away is no error.
fn print(text: &str) -> Result<(), CommandError> {
    let mut out = anstream::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()).err())
}

/// What a failed write to standard output means.
fn printed(failure: Option<std::io::Error>) -> Result<(), CommandError> {
    match failure {
        Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        _ => Ok(()),
    }
}

/// The command that replays a seed of a scenario, or a plan, with the flags that it was run with.
fn replay_command(file: &Path, seed: Option<u64>, changes: &Changes) -> String {
    let path = file.to_string_lossy();
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte));
    let mut command = match plain {
        true => format!("claimlab replay {path}"),
        false => format!("claimlab replay '{}'", path.replace('\'', "'\\''")),
    };
    if let Some(seed) = seed {
        command.push_str(&format!(" --seed {seed}"));
    }
    command.push_str(&changes.flags());
    command
}

/// What a comparison without a difference says: where nothing was compared, nothing has held.
#[cfg(feature = "live")]
const fn unless_nothing(compared: u64) -> crate::judge::Judgement {
    if compared == 0 { crate::judge::Judgement::Undecided } else { crate::judge::Judgement::Held }
}

/// Refuses players that this build does not have.
fn require_players(players: impl IntoIterator<Item = Player>) -> Result<(), CommandError> {
    let built = cfg!(feature = "sdk");
    match players.into_iter().any(|player| player == Player::Sdk) && !built {
        true => Err(CommandError::NoSdk),
        false => Ok(()),
    }
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the process at once.
fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    // Where no handler can be had, Ctrl-C ends the process as it would anyway.
    let _ = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        }
    });
    stop
}
