//! `peers`: other queues doing the same work.

use std::fmt::Write as _;

use claimlab_benches::cores::Placement;
use claimlab_benches::error::Error;
use claimlab_benches::peer::{Kind, guarantees};
use claimlab_benches::results::{Peer, Results};
use clap::Args;

use super::{Common, block_on, progress, us};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Only these queues
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Kind>,
    /// So many workers; one measurement for each number
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,32",
          value_parser = clap::value_parser!(u16).range(1..))]
    workers: Vec<u16>,
    #[command(flatten)]
    common: Common,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Error> {
        let kinds = if self.only.is_empty() { Kind::ALL.to_vec() } else { self.only.clone() };
        let target = self.common.target(Placement::Anywhere)?;
        let mut results = Results::new(&target, "peers")?;
        let bar = progress((kinds.len() * self.workers.len()) as u64);
        for kind in kinds {
            for workers in &self.workers {
                bar.set_message(format!("{}, {workers} workers", kind.name()));
                results.peers.push(block_on(kind.measure(&target, usize::from(*workers)))?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        self.common.give(&results, "peers", || table(&results.peers))?;
        Ok(0)
    }
}

fn table(peers: &[Peer]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:20} {:>7} {:>10} {:>9} {:>11} {:>11} {:>9} {:>9}",
        "", "workers", "put in", "done/s", "alone p50", "alone p99", "commands", "in scripts"
    );
    for peer in peers {
        let commands = |of: fn(&claimlab_benches::statistics::Commands) -> f64| {
            peer.commands.as_ref().map_or_else(|| "-".to_owned(), |commands| format!("{:.1}", of(commands)))
        };
        let _ = writeln!(
            out,
            "{:20} {:>7} {:>10} {:>9.0} {:>11} {:>11} {:>9} {:>9}",
            peer.name,
            peer.workers,
            us(peer.enqueue_ns),
            peer.per_second,
            us(peer.alone.p50_ns),
            us(peer.alone.p99_ns),
            commands(|commands| commands.client),
            commands(|commands| commands.script),
        );
    }
    let mut names: Vec<&str> = Vec::new();
    for peer in peers {
        if names.contains(&peer.name.as_str()) {
            continue;
        }
        names.push(&peer.name);
        let _ = writeln!(out, "\n{}", peer.name);
        for question in guarantees::QUESTIONS {
            if let Some(answer) = peer.guarantees.get(*question) {
                let _ = writeln!(out, "  {question:22} {answer}");
            }
        }
    }
    out
}
