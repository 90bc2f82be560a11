//! `claimlab conform`: the model beside the shipped backend, call by call.

use claimlab_model::deviation::Deviation;
use clap::Args;

#[cfg(not(feature = "live"))]
use super::CommandError;
use super::changes::parse_deviation;

pub(super) const EXAMPLES: &str = "\
Examples:
  claimlab conform                                   20,000 random calls against a private valkey-server
  claimlab conform --calls 200000 --seed 7           more of them, from another seed
  claimlab conform --scanners                        passes of the shipped scanners and scheduler too
  claimlab conform --concurrent 32                   32 clients at once, repeated in the server's order
  claimlab conform --server 'valkey://127.0.0.1:7000?clock=/tmp/cell'
                                                     against a server that runs under claimlab's clock
  claimlab conform --backend valkey                  the matrix: a fixed list of situations, answer by answer
  claimlab conform --backend sqlite                  the same on SQLite in memory, beside Valkey's answers
  claimlab conform --backend postgres --only renew   and on a private PostgreSQL, of one operation

Needs a build with the feature `live`, for databases `databases`: cargo run --features databases -- conform";

#[derive(Debug, Args)]
pub(super) struct ConformArguments {
    /// How many calls to compare; with --scanners, how many moves
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub(super) calls: u64,
    /// Where the random sequences start
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub(super) seed: u64,
    /// Longest sequence, in steps or moves
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub(super) steps: u16,
    /// `valkey` starts a private server; valkey://HOST:PORT?clock=FILE takes one that runs under
    /// claimlab's clock, and empties it
    #[arg(long, default_value = "valkey", value_name = "SERVER")]
    pub(super) server: String,
    #[command(flatten)]
    matrix: super::matrix::MatrixArguments,
    /// Switch a deviation on in the model: the comparison must then find it
    #[arg(long, value_name = "NAME", value_parser = parse_deviation)]
    pub(super) deviation: Vec<Deviation>,
    /// Let the shipped scanners and scheduler act on random states, and compare every key after each pass
    #[arg(long)]
    scanners: bool,
    /// Let so many clients call at the same time, and repeat on the model the order in which the server
    /// performed their commands; the seed fixes what they try, not that order
    #[arg(
        long,
        value_name = "CLIENTS",
        conflicts_with_all = ["scanners", "steps"],
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    concurrent: Option<u16>,
    /// The folder of known findings, instead of the one nearest to where the command runs
    #[arg(long, value_name = "DIR")]
    pub(super) findings: Option<std::path::PathBuf>,
    /// Print how often each method and each script ended how, and what was not reached; with --scanners,
    /// each method
    #[arg(long)]
    pub(super) coverage: bool,
}

#[cfg(not(feature = "live"))]
pub(super) fn conform(_: &ConformArguments) -> Result<u8, CommandError> {
    Err(CommandError::NotLive { what: "conform" })
}

#[cfg(feature = "live")]
pub(super) use live::conform;

#[cfg(feature = "live")]
mod live {
    use std::fmt::Write as _;

    use claimlab_model::deviation::Deviations;
    use claimlab_valkey::Server;
    use indicatif::{ProgressBar, ProgressStyle};

    use super::super::{CommandError, print, under_own_clock, unless_nothing};
    use super::ConformArguments;
    use crate::live::library;
    use crate::live::sequence::{self, Outcome};
    use crate::live::twin::Error;
    use crate::stopwatch::Stopwatch;

    pub(in super::super) fn conform(arguments: &ConformArguments) -> Result<u8, CommandError> {
        if let Some(backend) = arguments.matrix.backend {
            return super::super::matrix::matrix(&arguments.matrix, backend, &arguments.server);
        }
        if let Some(code) = under_own_clock()? {
            return Ok(code);
        }
        if let Some(clients) = arguments.concurrent {
            return super::super::crowd::run(arguments, clients);
        }
        if arguments.scanners {
            return super::super::engines::run(arguments);
        }
        let deviations: Deviations = arguments.deviation.iter().copied().collect();
        let server = Server::named(&arguments.server, sequence::START_MS).map_err(Error::from)?;
        let known = super::super::judged::known(arguments.findings.as_deref())?;
        let mut lockstep = sequence::start(server, deviations)?;
        let bar = ProgressBar::new(arguments.calls).with_style(
            ProgressStyle::with_template("{bar:30} {pos}/{len} calls {per_sec}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let watch = Stopwatch::start();
        let (outcome, calls) =
            sequence::search(&mut lockstep, arguments.seed, arguments.calls, usize::from(arguments.steps), |done| {
                bar.set_position(done)
            })?;
        bar.finish_and_clear();
        let seconds = watch.elapsed().as_secs_f64();
        let (of_calls, of_scripts) = lockstep.coverage();
        let mut text = String::new();
        if arguments.coverage {
            let _ = writeln!(text, "methods\n{}\nmessages\n{}", of_calls.table(), of_scripts.table());
            let unreached = library::unreached(ff_script::LIBRARY_SOURCE, of_scripts);
            let _ = writeln!(text, "refusals of the library that were not reached: {}", unreached.len());
            for (function, code) in unreached {
                let _ = writeln!(text, "  {function}  {code}");
            }
        }
        let pairs = of_scripts.pairs();
        let rate = per_second(calls, seconds);
        let code = match outcome {
            Outcome::Same => {
                let _ = writeln!(
                    text,
                    "{}  {calls} calls compared, {rate}/s, {pairs} pairs of message and outcome, no difference",
                    unless_nothing(calls).name().to_uppercase()
                );
                super::super::judged::tell(
                    &mut text,
                    lockstep.broken(),
                    &known,
                    (unless_nothing(calls), arguments.coverage),
                )
                .exit_code()
            }
            Outcome::Differs(found) => {
                let _ = writeln!(text, "VIOLATED  after {calls} calls: the model and the server differ\n");
                for step in &found.steps {
                    let _ = writeln!(text, "  {step:?}");
                }
                let _ = writeln!(text, "\n{}\n{}", found.text, found.test());
                1
            }
        };
        print(&text)?;
        Ok(code)
    }

    /// Whole calls for each second, for people.
    #[allow(clippy::float_arithmetic)]
    fn per_second(calls: u64, seconds: f64) -> u64 {
        (calls as f64 / seconds.max(0.001)) as u64
    }
}
