//! From outcomes to a verdict: held, violated or undecided, and what is known of what was broken.

mod callers;
mod confirmation;
mod finding;
mod measured;
mod register;
mod verdict;

pub use callers::{BrokenByCalls, CallCause, KnownOfCalls};
pub use confirmation::{CONFIRMED, Confirmation, OnServer};
pub use finding::{Finding, Findings, accepted, named_or_nearest, nearest_folder, read_folder};
pub use measured::{Measure, measures};
pub use register::{PLAN, Registered, registered};
pub use verdict::{Evidence, Judgement, Known, Verdict, judge};
