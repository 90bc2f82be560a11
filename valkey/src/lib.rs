//! A private `valkey-server` on loopback, and the wall clock that it is made to live by.
//!
//! [`Server::start`] runs the machine's own `valkey-server` without persistence, with a small library
//! preloaded that answers its questions about the wall clock from a [`Clock`] cell. So leases, grants
//! and keys expire when the cell's owner says, in no real time, and the clock can step backwards.
//! What comes out is an address, a connection and the clock; the server stops with its value.
//! [`Plain`] is the same server under the machine's own clock, for measuring its speed.

mod clock;
mod own_clock;
mod plain;
mod process;
mod server;

pub use clock::Clock;
pub use own_clock::{own_clock, relaunch, relaunch_with};
pub use plain::Plain;
pub use server::{Address, Error, Server, connect};

/// The environment variable that names the preloaded clock's cell.
const CELL_VARIABLE: &str = "CLAIMLAB_CLOCK_CELL";
