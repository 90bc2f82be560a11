//! `instructions` and `rounds`: what callgrind counts.

use claimlab_benches::cores::Placement;
use claimlab_benches::error::Error;
use claimlab_benches::gate::revision::{THIS, program};
use claimlab_benches::instructions::{self, Work};
use claimlab_benches::results::Results;
use clap::Args;

use super::{Common, on_one_thread};

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Whose: a revision of git's, the file of a program, or `.` for this program
    #[arg(default_value = THIS)]
    revision: String,
    /// Only this work
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<Work>,
    #[command(flatten)]
    common: Common,
}

/// Some rounds of some work; a program that counts runs this.
#[derive(Debug, Args)]
pub(super) struct Rounds {
    work: Work,
    rounds: u64,
    #[arg(long)]
    flush: bool,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Error> {
        let program = program(&self.revision)?;
        let works = if self.only.is_empty() { Work::ALL.to_vec() } else { self.only.clone() };
        let target = self.common.target(Placement::Anywhere)?;
        let mut results = Results::new(&target, "instructions")?;
        if self.revision != THIS {
            results.revision = Some(program.name.clone());
        }
        results.instructions = instructions::count(&program.file, &works, &target)?;
        self.common.give(&results, "instructions", || {
            let lines = results
                .instructions
                .iter()
                .map(|(name, count)| format!("{name:12} {count:>12} instructions a round\n"));
            lines.collect()
        })?;
        Ok(0)
    }
}

impl Rounds {
    pub(super) fn run(self) -> Result<u8, Error> {
        on_one_thread(self.work.run(self.rounds, self.flush))?;
        Ok(0)
    }
}
