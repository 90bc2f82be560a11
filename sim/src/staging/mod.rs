//! Staging: what calls are made, in which order and state, before anybody performs them.
//!
//! In go bytes that chance has drawn, or a store to look into; out come steps, calls and moves as values, which any
//! backend can perform: the model alone, the real server beside it, or one after the other. Nothing here knows a client
//! or a server.

#[cfg(feature = "strategies")]
pub mod chance;
pub mod crowd;
mod ids;
pub mod scanning;
pub mod sequence;
