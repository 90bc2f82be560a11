//! `claimlab-benches`: measures the real path, loads it, and tells a regression from noise.
//!
//! Exit codes: 0 held, 1 regressed, 2 bad input or environment, 3 undecided, 130 interrupted.

#![allow(clippy::float_arithmetic)]

mod command;

use std::process::ExitCode;

use claimlab_benches::error::Error;
use claimlab_benches::interrupt;
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    match arguments.run() {
        Ok(code) => ExitCode::from(code),
        // Whatever failed, failed because of that.
        Err(_) if interrupt::asked() => {
            anstream::eprintln!("{}", Error::Interrupted);
            ExitCode::from(interrupt::EXIT)
        }
        Err(error) => {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            anstream::eprintln!("{style}error{style:#}: {error}");
            ExitCode::from(2)
        }
    }
}
