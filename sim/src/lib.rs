//! Seeded worlds of workers around FlowFabric's claim protocol.
//!
//! `scenario` → `plan` → `world` → `outcome` → `judge`: a scenario and a seed give a plan, the plan drives a world, the
//! world reports what happened, and the judge says what it means. Every run is a pure function of scenario, seed and
//! version.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use claimlab::outcome::End;
//! use claimlab::{plan, run, scenario, world};
//!
//! let text = "[world]\npartitions = 2\nfor_ms = 2000\n[workers]\ncount = 3\n[work]\nat_start = 4\nrun_ms = [100, 200]\n";
//! let scenario = scenario::parse(Path::new("small.toml"), text)?;
//! let outcome = run::run(&Arc::new(plan::draw(&scenario, 7)), world::Options::default());
//! assert_eq!(outcome.end, End::Held);
//! # Ok::<(), claimlab::input::InputError>(())
//! ```

#[cfg(all(feature = "sdk", not(all(madsim, tokio_unstable))))]
compile_error!(
    "the feature `sdk` must be built with `--cfg madsim --cfg tokio_unstable`, which .cargo/config.toml sets; a RUSTFLAGS \
     variable in the environment replaces it: unset RUSTFLAGS, or add both to it"
);

pub mod address;
pub mod call;
pub mod campaign;
pub mod clock;
#[cfg(feature = "cli")]
pub mod command;
#[cfg(feature = "databases")]
pub mod databases;
pub mod engine;
pub mod history;
pub mod hunt;
pub mod inevitable;
pub mod input;
pub mod judge;
#[cfg(feature = "live")]
pub mod live;
#[cfg(feature = "live")]
pub mod matrix;
pub mod measure;
pub mod outcome;
pub mod plan;
pub mod printed;
#[cfg(feature = "cli")]
pub mod report;
pub mod run;
pub mod scanner;
pub mod scenario;
pub mod shrink;
pub mod staging;
pub mod stopwatch;
pub mod story;
pub mod stream;
#[cfg(feature = "cli")]
pub mod timeline;
pub mod worker;
pub mod world;
