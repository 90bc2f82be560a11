//! From broken promises to a verdict: held, violated or undecided.

mod signature;
mod verdict;

pub use signature::Signatures;
pub use verdict::{Judgement, Verdict, judge};
