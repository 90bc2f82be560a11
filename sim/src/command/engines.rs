//! `claimlab conform --scanners`: the shipped scanners and scheduler beside the model's.

use std::fmt::Write as _;

use claimlab_valkey::Server;
use indicatif::ProgressBar;

use super::conform::ConformArguments;
use super::{CommandError, print, unless_nothing};
use crate::live::scanning::Engines;
use crate::live::sequence::START_MS;
use crate::live::twin::Error;
use crate::report::grouped;
use crate::stopwatch::Stopwatch;

pub(super) fn run(arguments: &ConformArguments) -> Result<u8, CommandError> {
    let server = Server::named(&arguments.server, START_MS).map_err(Error::from)?;
    let known = super::judged::known(arguments.findings.as_deref())?;
    let mut engines = Engines::start(server, arguments.deviation.iter().copied().collect())?;
    let bar = ProgressBar::new(arguments.calls);
    let watch = Stopwatch::start();
    let longest = usize::from(arguments.steps);
    let (found, moves) = engines.search(arguments.seed, arguments.calls, longest, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let rate = moves.saturating_mul(1_000) / u64::try_from(watch.elapsed().as_millis().max(1)).unwrap_or(u64::MAX);
    let (passes, calls) = engines.coverage();
    let mut text = String::new();
    if arguments.coverage {
        let _ = writeln!(text, "methods\n{}", calls.table());
    }
    let (said, moves) = (unless_nothing(moves), grouped(moves));
    let code = match found {
        None => {
            let answer = said.name().to_uppercase();
            let _ = writeln!(text, "{answer}  {moves} moves compared ({}/s), no difference\n\npasses", grouped(rate));
            text.push_str(&passes.table());
            super::judged::tell(&mut text, engines.broken(), &known, (said, arguments.coverage)).exit_code()
        }
        Some(found) => {
            let _ = writeln!(text, "VIOLATED  after {moves} moves: the model and the shipped engine differ\n");
            let _ = writeln!(text, "{}\n{}", found.listing(), found.text);
            1
        }
    };
    print(&text)?;
    Ok(code)
}
