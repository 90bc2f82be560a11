//! Tells a regression from noise: two programs by turns on the same server, paired, with an interval.
//!
//! Each turn is a process of its own ([`slice`](mod@slice)), so that what differs from process to process
//! (addresses, hash seeds, scheduling) is part of the noise that the interval sees. Turns go base, head,
//! head, base, so that a drift of the machine falls on both alike.

pub mod judge;
pub mod revision;
pub mod slice;

use std::collections::BTreeMap;
use std::time::Duration;

use claimlab::stopwatch::Stopwatch;

use crate::error::Error;
use crate::operation::Operation;
use crate::plant::Plant;
use crate::results::{Compared, Comparison, Verdict};
use crate::target::Target;
use judge::{Question, judge};
use revision::Program;
use slice::Slice;

/// How many more instructions are accepted, in ppm: more than the client's own wake-ups scatter.
const INSTRUCTIONS_PPM: u32 = 10_000;

/// Fewer pairs say nothing about their own spread.
pub const FEWEST_PAIRS: usize = 12;

/// One of the two that are compared.
#[derive(Clone, Debug)]
pub struct Side {
    /// The program.
    pub program: Program,
    /// What is slowed down in it on purpose.
    pub plant: Plant,
}

/// How to compare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which operations.
    pub operations: Vec<Operation>,
    /// How often each is performed in one turn.
    pub count: usize,
    /// By how much the head may cost more, in ppm.
    pub threshold_ppm: u32,
    /// The chance of a false alarm that is accepted, over all operations, in ppm.
    pub risk_ppm: u32,
    /// When to give up.
    pub allowed: Duration,
    /// Pairs at most.
    pub most_pairs: usize,
}

/// Compares until every operation is decided, or the allowed time is over; `each` is told the pairs so far.
///
/// # Errors
/// When a program cannot be run on the server.
pub fn compare(
    target: &Target,
    (base, head): (&Side, &Side),
    options: &Options,
    mut each: impl FnMut(usize, &[Compared]),
) -> Result<Comparison, Error> {
    let question = Question {
        threshold_ppm: options.threshold_ppm,
        risk_ppm: options.risk_ppm / u32::try_from(options.operations.len().max(1)).unwrap_or(u32::MAX),
    };
    let began = Stopwatch::start();
    let mut pairs: Vec<(Slice, Slice)> = Vec::new();
    let mut operations = Vec::new();
    // Both are warmed up: files are read, the server has its memory.
    for side in [base, head] {
        slice::of_child(side, target, options)?;
    }
    while pairs.len() < options.most_pairs {
        // Base, head; head, base: in pairs of pairs.
        let pair = if pairs.len().is_multiple_of(2) {
            let first = slice::of_child(base, target, options)?;
            (first, slice::of_child(head, target, options)?)
        } else {
            let first = slice::of_child(head, target, options)?;
            (slice::of_child(base, target, options)?, first)
        };
        pairs.push(pair);
        let is_over = began.elapsed() >= options.allowed;
        if pairs.len() < FEWEST_PAIRS && !is_over {
            each(pairs.len(), &[]);
            continue;
        }
        operations = options.operations.iter().map(|operation| compared(*operation, &pairs, question)).collect();
        each(pairs.len(), &operations);
        if is_over || operations.iter().all(|operation| operation.verdict != Verdict::Undecided) {
            break;
        }
    }
    Ok(Comparison {
        base: base.program.name.clone(),
        head: head.program.name.clone(),
        threshold_ppm: options.threshold_ppm,
        verdict: overall(&operations),
        operations,
    })
}

fn compared(operation: Operation, pairs: &[(Slice, Slice)], question: Question) -> Compared {
    let name = operation.name().to_owned();
    let of = |slice: &Slice| slice.operations.get(&name).copied().unwrap_or_default();
    let times: Vec<(f64, f64)> =
        pairs.iter().map(|(base, head)| (of(base).median_ns as f64, of(head).median_ns as f64)).collect();
    let commands = pairs.last().map_or((0.0, 0.0), |(base, head)| (of(base).commands, of(head).commands));
    let mut judged = judge(&times, question);
    if pairs.len() < FEWEST_PAIRS {
        judged.verdict = Verdict::Undecided;
    }
    // Commands are exact: more of them beyond the threshold needs no interval.
    if commands.1 > commands.0 * (1.0 + f64::from(question.threshold_ppm) / 1e6) {
        judged.verdict = Verdict::Regressed;
    }
    Compared {
        name,
        pairs: pairs.len() as u64,
        ratio: judged.ratio,
        low: judged.low,
        high: judged.high,
        commands,
        verdict: judged.verdict,
    }
}

/// Adds what needs no interval: instructions for each round of work, by which one more in a hundred counts.
pub fn add_instructions(comparison: &mut Comparison, base: &BTreeMap<String, u64>, head: &BTreeMap<String, u64>) {
    for (work, before) in base {
        let ratio = head.get(work).copied().unwrap_or_default() as f64 / *before as f64;
        let limit = 1.0 + f64::from(INSTRUCTIONS_PPM) / 1e6;
        comparison.operations.push(Compared {
            name: format!("instructions:{work}"),
            pairs: 1,
            ratio,
            low: ratio,
            high: ratio,
            commands: (0.0, 0.0),
            verdict: if ratio > limit { Verdict::Regressed } else { Verdict::Held },
        });
    }
    comparison.verdict = overall(&comparison.operations);
}

/// A regression anywhere is one; nothing decided is not held.
fn overall(operations: &[Compared]) -> Verdict {
    let any = |verdict| operations.iter().any(|operation| operation.verdict == verdict);
    if any(Verdict::Regressed) {
        Verdict::Regressed
    } else if any(Verdict::Undecided) || operations.is_empty() {
        Verdict::Undecided
    } else {
        Verdict::Held
    }
}

/// How often it held, regressed and stayed undecided.
pub fn verdicts(comparisons: &[Comparison]) -> [usize; 3] {
    let count = |verdict| comparisons.iter().filter(|comparison| comparison.verdict == verdict).count();
    [Verdict::Held, Verdict::Regressed, Verdict::Undecided].map(count)
}

#[cfg(test)]
mod tests {
    use super::slice::Cost;
    use super::*;

    fn slice(median_ns: u64, commands: f64) -> Slice {
        let cost = Cost { median_ns, commands };
        Slice { operations: BTreeMap::from([("renew".to_owned(), cost)]), ..Slice::default() }
    }

    fn of(pairs: &[(Slice, Slice)]) -> Verdict {
        compared(Operation::Renew, pairs, Question { threshold_ppm: 50_000, risk_ppm: 10_000 }).verdict
    }

    #[test]
    fn one_command_more_is_a_regression_whatever_the_clock_says() {
        let pairs: Vec<_> = (0..20).map(|_| (slice(100_000, 7.0), slice(100_000, 8.0))).collect();
        assert_eq!(of(&pairs), Verdict::Regressed);
        let pairs: Vec<_> = (0..20).map(|_| (slice(100_000, 7.0), slice(100_000, 7.0))).collect();
        assert_eq!(of(&pairs), Verdict::Held);
    }

    #[test]
    fn a_few_pairs_decide_nothing_but_commands() {
        let few: Vec<_> = (1..FEWEST_PAIRS).map(|_| (slice(100_000, 7.0), slice(300_000, 7.0))).collect();
        assert_eq!(of(&few), Verdict::Undecided);
        let more: Vec<_> = (0..FEWEST_PAIRS).map(|_| (slice(100_000, 7.0), slice(300_000, 7.0))).collect();
        assert_eq!(of(&more), Verdict::Regressed);
    }

    #[test]
    fn two_in_a_hundred_instructions_more_are_a_regression() {
        let of = |count| BTreeMap::from([("client".to_owned(), count)]);
        let mut comparison = Comparison {
            base: String::new(),
            head: String::new(),
            threshold_ppm: 50_000,
            operations: Vec::new(),
            verdict: Verdict::Undecided,
        };
        add_instructions(&mut comparison, &of(100_000), &of(100_900));
        assert_eq!(comparison.verdict, Verdict::Held);
        add_instructions(&mut comparison, &of(100_000), &of(102_000));
        assert_eq!(comparison.verdict, Verdict::Regressed);
    }

    #[test]
    fn a_regression_outweighs_what_is_undecided_and_nothing_is_not_held() {
        let compared = |verdict| Compared {
            name: String::new(),
            pairs: 0,
            ratio: 1.0,
            low: 1.0,
            high: 1.0,
            commands: (0.0, 0.0),
            verdict,
        };
        assert_eq!(overall(&[compared(Verdict::Undecided), compared(Verdict::Regressed)]), Verdict::Regressed);
        assert_eq!(overall(&[compared(Verdict::Undecided), compared(Verdict::Held)]), Verdict::Undecided);
        assert_eq!(overall(&[]), Verdict::Undecided);
        assert_eq!(overall(&[compared(Verdict::Held)]), Verdict::Held);
    }
}
