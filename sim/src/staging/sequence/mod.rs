//! Sequences of calls over the whole surface, biased to the neighbourhood of boundaries.
//!
//! A [`Step`] is small and says what to do in general ("renew an old handle"); [`Memory`] turns it into a call with what
//! earlier answers gave. Strategies draw steps where the feature `strategies` is on.

mod admission;
pub mod approach;
pub mod call;
#[cfg(feature = "strategies")]
mod draw;
mod flow;
mod memory;
mod parking;
mod step;
mod value;

pub use admission::AdmissionStep;
#[cfg(feature = "strategies")]
pub use draw::{Progress, Sequence, sequences};
pub use flow::FlowStep;
pub use memory::Memory;
pub use parking::ParkingStep;
pub use step::{Goal, Pick, Step, Who};
pub(in crate::staging) use value::one;
pub use value::{LANES, PARTITIONS, execution};

/// Where every sequence begins, in milliseconds since the epoch.
pub const START_MS: i64 = 1_700_000_000_000;
