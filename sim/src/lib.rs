//! Seeded worlds of workers around FlowFabric's claim protocol.
//!
//! `scenario` → `plan` → `world` → `history` → `verdict`: a scenario and a seed give a plan, the plan
//! drives a world, the world's history is checked as it happens, and a verdict comes out. Every run is
//! a pure function of scenario, seed and version.

#[cfg(not(madsim))]
compile_error!(
    "claimlab must be built with `--cfg madsim`, which .cargo/config.toml sets; a RUSTFLAGS variable in the \
     environment replaces it: unset RUSTFLAGS, or add `--cfg madsim` to it"
);

#[cfg(any(feature = "live", feature = "sdk"))]
pub mod call;
pub mod campaign;
pub mod check;
pub mod clock;
pub mod command;
pub mod engine;
pub mod history;
pub mod input;
#[cfg(feature = "live")]
pub mod live;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod stopwatch;
pub mod stream;
pub mod worker;
pub mod world;
