//! The command line.

mod compare;
mod instructions;
mod load;
#[cfg(feature = "peers")]
mod peers;
mod report;
mod run;
mod schema;

use std::path::PathBuf;
use std::sync::Arc;

use claimlab_benches::cores::Placement;
use claimlab_benches::error::{Error, io_error};
use claimlab_benches::interrupt;
use claimlab_benches::results::Results;
use claimlab_benches::suite::Profile;
use claimlab_benches::target::Target;
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

/// Measures FlowFabric's claim protocol on a real Valkey, and tells a regression from noise.
///
/// Exit codes: 0 held, 1 regressed, 2 bad input or environment, 3 undecided, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  claimlab-benches run --profile quick             every operation and path, beside the floor
  claimlab-benches compare main~1 main             a regression, or noise?
  claimlab-benches compare . . --plant renew=100000    is ten per cent found?
  claimlab-benches aa --comparisons 20             how often is nothing called a regression?
  claimlab-benches load --rate 2000 --for 60s --workers 64
  claimlab-benches report results --out report.html
";

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure every operation and path beside the floor of the same minute
    Run(run::Run),
    /// Offer work at a fixed rate, and measure from when it was due
    Load(load::Command),
    /// Measure other queues doing the same work
    #[cfg(feature = "peers")]
    Peers(peers::Command),
    /// Compare two revisions by turns on the same server: exit 1 on a regression, 3 when undecided
    Compare(compare::Compare),
    /// Compare a revision with itself, and print how often that is called a regression
    Aa(compare::Aa),
    /// Count instructions for each round of work under valgrind
    Instructions(instructions::Command),
    /// Make one self-contained page of a folder of results
    Report(report::Command),
    #[command(hide = true)]
    Rounds(instructions::Rounds),
    #[command(hide = true)]
    Slice(compare::Turn),
    /// Print the JSON schema of results
    Schema,
}

impl Arguments {
    /// Does what was asked; gives the exit code.
    pub fn run(self) -> Result<u8, Error> {
        // Who started a turn hears for it.
        if !matches!(self.command, Command::Slice(_) | Command::Rounds(_)) {
            interrupt::listen();
        }
        match self.command {
            Command::Run(command) => command.run(),
            Command::Load(command) => command.run(),
            #[cfg(feature = "peers")]
            Command::Peers(command) => command.run(),
            Command::Compare(command) => command.run(),
            Command::Aa(command) => command.run(),
            Command::Instructions(command) => command.run(),
            Command::Report(command) => command.run(),
            Command::Rounds(command) => command.run(),
            Command::Slice(command) => command.run(),
            Command::Schema => schema::run(),
        }
    }
}

/// Where to measure and what to do with the results.
#[derive(Debug, Args)]
struct Common {
    /// Empty the server that CLAIMLAB_VALKEY_URL names, whatever it holds
    #[arg(long)]
    flush: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Keep the results as a new file in this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    /// A few minutes, for CI
    Quick,
    /// For people who wait
    Full,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Quick => Self::QUICK,
            ProfileName::Full => Self::FULL,
        }
    }
}

impl Common {
    fn target(&self, placement: Placement) -> Result<Arc<Target>, Error> {
        Target::from_environment(self.flush, placement).map(Arc::new)
    }

    /// Prints results as text or JSON, and keeps them where that is asked.
    fn give(&self, results: &Results, command: &str, text: impl FnOnce() -> String) -> Result<(), Error> {
        match self.format {
            Format::Text => anstream::print!("{}", text()),
            Format::Json => anstream::println!("{}", serde_json::to_string_pretty(results).unwrap_or_default()),
        }
        if let Some(folder) = &self.out {
            let file = results.write(folder, command)?;
            anstream::eprintln!("kept in {}", file.display());
        }
        Ok(())
    }
}

/// Does work on a runtime like the one that the shipped client's users have, until it is done or interrupted.
fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(io_error("starting a runtime"))?.block_on(interrupt::or(work))
}

/// Does work on one thread: which of two wakes up first is noise that nobody asked for.
fn on_one_thread<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(io_error("starting a runtime"))?.block_on(work)
}

/// Shows what goes on, on a terminal.
fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // The template is checked by being used.
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Nanoseconds as microseconds or milliseconds, as people read them.
fn us(nanos: u64) -> String {
    match nanos {
        0..10_000_000 => format!("{:.1} us", nanos as f64 / 1e3),
        _ => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}
