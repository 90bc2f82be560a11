//! `claimlab conform --concurrent`: many clients at once, repeated on the model in the server's order.

use std::fmt::Write as _;

use claimlab_valkey::Server;
use indicatif::ProgressBar;

use super::conform::ConformArguments;
use super::{CommandError, print, unless_nothing};
use crate::live::concurrency::Crowd;
use crate::live::sequence::START_MS;
use crate::live::twin::Error;
use crate::report::grouped;
use crate::stopwatch::Stopwatch;

pub(super) fn run(arguments: &ConformArguments, clients: u16) -> Result<u8, CommandError> {
    let server = Server::named(&arguments.server, START_MS).map_err(Error::from)?;
    let known = super::judged::known(arguments.findings.as_deref())?;
    let mut crowd = Crowd::start(server, clients, arguments.deviation.iter().copied().collect())?;
    let bar = ProgressBar::new(arguments.calls);
    let watch = Stopwatch::start();
    let found = crowd.search(arguments.seed, arguments.calls, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let tally = crowd.tally();
    let milliseconds = u64::try_from(watch.elapsed().as_millis().max(1)).unwrap_or(u64::MAX);
    let rate = tally.compared.saturating_mul(1_000) / milliseconds;
    let mut text = String::new();
    if arguments.coverage {
        let _ = writeln!(text, "methods\n{}\nmessages\n{}", tally.calls.table(), tally.messages.table());
    }
    let (said, compared) = (unless_nothing(tally.compared), grouped(tally.compared));
    let code = match found {
        None => {
            let _ = writeln!(
                text,
                "{}  {compared} calls of {clients} clients compared ({}/s) in the server's order of {} commands, no \
                 difference\n{} calls had others' commands between their own, {} pairs of message and outcome, {} calls \
                 not compared because others' commands came within one read",
                said.name().to_uppercase(),
                grouped(rate),
                grouped(tally.commands),
                grouped(tally.crossed),
                tally.messages.pairs(),
                grouped(tally.torn),
            );
            super::judged::tell(&mut text, &tally.broken, &known, (said, arguments.coverage)).exit_code()
        }
        Some(found) => {
            let _ = writeln!(text, "VIOLATED  after {compared} calls: the model and the server differ\n\n{found}");
            1
        }
    };
    print(&text)?;
    Ok(code)
}
