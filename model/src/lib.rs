//! FlowFabric 0.15.0's claim protocol as a value.
//!
//! [`store::Store`] is what the server holds; [`script::perform`] is how one message changes it;
//! [`backend::ModelBackend`] puts it behind the real `ff_core::engine_backend::EngineBackend`, one
//! message at a time, over a [`port::Server`]; [`invariant`] says what must never be seen.
//!
//! No runtime, no clock, no randomness and no I/O lives here: time and ids enter as arguments.
//!
//! The modules lie on floors, lowest first below; each imports only what is before it, which
//! `tests/layers.rs` checks.

pub mod deviation;
pub mod intern;
pub mod method;
pub mod number;
mod spelling;
pub mod time;
pub mod token;

pub mod store;

pub mod message;
pub mod projection;

pub mod script;

pub mod invariant;
pub mod port;

pub mod backend;

pub mod completion;
