//! What FlowFabric's claim protocol costs on the real path, and whether a change made it cost more.
//!
//! A [`target`] is a running Valkey; a [`lab`] is a deployment of FlowFabric on it. [`operation`] and
//! [`path`] say what is measured, [`floor`] what the same client needs for nothing at all; [`suite`]
//! measures them into [`results`]. [`load`] offers work at a fixed rate instead. [`gate`] compares two
//! revisions, [`instructions`] without a clock; [`history`] looks back over many runs, and [`report`]
//! draws what was measured.
//!
//! Everything here lives in real time: no module of it is used by a simulated run.

#![allow(clippy::float_arithmetic)]

pub mod closed_loop;
pub mod cores;
pub mod error;
pub mod floor;
pub mod gate;
pub mod history;
pub mod instructions;
pub mod interrupt;
pub mod lab;
pub mod load;
mod named;
pub mod operation;
pub mod path;
#[cfg(feature = "peers")]
pub mod peer;
pub mod plant;
pub mod report;
pub mod results;
pub mod statistics;
pub mod suite;
pub mod target;
pub mod wall;
pub mod world;
