//! From outcomes to a verdict: held, violated or undecided, and what is known of what was broken.

mod finding;
mod verdict;

pub use finding::{Finding, Findings, accepted, nearest_folder, read_folder};
pub use verdict::{Evidence, Judgement, Known, Verdict, judge};
