//! Many clients at once: what each of them tries, and a model's server that is advanced message by message in an order
//! that is given from outside.

#[cfg(feature = "strategies")]
mod storm;
mod table;

#[cfg(feature = "strategies")]
pub use storm::{Deed, Storm};
pub use table::{Port, Table};
