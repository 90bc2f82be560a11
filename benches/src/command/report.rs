//! `report`: one page from a folder of results.

use std::path::PathBuf;

use claimlab_benches::error::Error;
use claimlab_benches::report;
use claimlab_benches::results::{Results, write_whole};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Command {
    /// The folder of results
    folder: PathBuf,
    /// The page
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Error> {
        let all = Results::read_all(&self.folder)?;
        write_whole(&self.out, report::page(&all).as_bytes())?;
        anstream::println!("{} results in {}", all.len(), self.out.display());
        Ok(0)
    }
}
