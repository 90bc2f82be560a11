//! Everything that talks to a real server: the model and the shipped backend, side by side.
//!
//! A [`crate::call::Call`] is performed by the shipped `ff-backend-valkey` on a real server ([`client`]) and by
//! the model; [`twin`] lays the answers and then the keys of both ([`keyspace`]) beside each other.
//! [`lockstep`] drives both as one `EngineBackend`; a world does so call by call ([`whole`]) or message by
//! message ([`shadow`]); [`scanning`] lets the shipped engine and the model's pass in turn, [`concurrency`]
//! repeats many clients at once on the model. What is not compared stands in [`exclusion`], each row with
//! its reason.

mod beside;
pub mod client;
pub mod concurrency;
pub mod coverage;
pub mod exclusion;
pub mod keyspace;
pub mod library;
pub mod lockstep;
mod minted;
pub mod record;
pub mod scanning;
pub mod sequence;
pub mod shadow;
pub mod twin;
pub mod unit;
pub mod whole;
pub mod wire;
