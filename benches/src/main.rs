//! `claimlab-benches`: measures the real path, loads it, and tells a regression from noise.
//!
//! Exit codes: 0 held, 1 regressed, 2 bad input or environment, 3 undecided, 130 interrupted.

#![allow(clippy::float_arithmetic)]

mod command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    match arguments.run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let style = anstyle::AnsiColor::Red.on_default().bold();
            anstream::eprintln!("{style}error{style:#}: {error}");
            ExitCode::from(2)
        }
    }
}
