//! `compare`, `aa` and `slice`: the gate.

use std::fmt::Write as _;
use std::time::Duration;

use claimlab_benches::cores::Placement;
use claimlab_benches::error::Error;
use claimlab_benches::gate::revision::{THIS, program};
use claimlab_benches::gate::{self, FEWEST_PAIRS, Options, Side, slice};
use claimlab_benches::instructions::{self, Work};
use claimlab_benches::operation::Operation;
use claimlab_benches::plant::Plant;
use claimlab_benches::results::{Compared, Comparison, Results, Verdict};
use clap::Args;

use super::{Common, on_one_thread, progress};

/// What both ways of comparing take.
#[derive(Debug, Args)]
struct How {
    /// Which operations are compared
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "claim_execution,renew,complete")]
    operations: Vec<Operation>,
    /// How often each is performed in one turn
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..))]
    count: u32,
    /// By how much the head may cost more, in millionths
    #[arg(long, value_name = "PPM", default_value_t = 50_000)]
    threshold_ppm: u32,
    /// The accepted chance of a false alarm, over all operations, in millionths
    #[arg(long, value_name = "PPM", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1_000..500_000))]
    risk_ppm: u32,
    /// Give up after so much time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    allowed: Duration,
    /// Give up after so many pairs of turns
    #[arg(long, value_name = "N", default_value_t = 400)]
    pairs: usize,
}

impl How {
    fn options(&self) -> Result<Options, Error> {
        if self.pairs < FEWEST_PAIRS {
            return Err(Error::TooFew { what: "--pairs".to_owned(), found: self.pairs, wanted: FEWEST_PAIRS });
        }
        Ok(Options {
            operations: self.operations.clone(),
            count: self.count as usize,
            threshold_ppm: self.threshold_ppm,
            risk_ppm: self.risk_ppm,
            allowed: self.allowed,
            most_pairs: self.pairs,
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The revision to compare with: of git's, the file of a program, or `.` for this program
    base: String,
    /// The revision in question
    #[arg(default_value = THIS)]
    head: String,
    #[command(flatten)]
    how: How,
    /// Slow an operation of the head down on purpose, to see that it is found; may be given again
    #[arg(long, value_name = "OPERATION=PPM")]
    plant: Vec<Plant>,
    /// Compare instructions too, under valgrind: what no noise reaches
    #[arg(long)]
    instructions: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Aa {
    /// The revision to compare with itself
    #[arg(default_value = THIS)]
    revision: String,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 20)]
    comparisons: usize,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    common: Common,
}

/// One turn; a program that compares runs this.
#[derive(Debug, Args)]
pub(super) struct Turn {
    #[arg(long, value_delimiter = ',')]
    operations: Vec<Operation>,
    #[arg(long)]
    count: usize,
    #[arg(long)]
    plant: Vec<Plant>,
    #[arg(long)]
    flush: bool,
}

impl Compare {
    pub(super) fn run(self) -> Result<u8, Error> {
        let options = self.how.options()?;
        let base = Side { program: program(&self.base)?, plant: Plant::default() };
        let plant = self.plant.into_iter().fold(Plant::default(), Plant::and);
        let head = Side { program: program(&self.head)?, plant };
        let target = self.common.target(Placement::Apart)?;
        let mut results = Results::new(&target, "compare")?;
        let bar = progress(options.most_pairs as u64);
        let mut comparison = gate::compare(&target, (&base, &head), &options, |pairs, operations| {
            bar.set_position(pairs as u64);
            bar.set_message(in_a_line(operations));
        })?;
        bar.finish_and_clear();
        if self.instructions {
            let count = |side: &Side| instructions::count(&side.program.file, Work::ALL, &target);
            gate::add_instructions(&mut comparison, &count(&base)?, &count(&head)?);
        }
        let (code, text) = (code(comparison.verdict), table(&comparison));
        results.comparisons.push(comparison);
        self.common.give(&results, "compare", || text)?;
        Ok(code)
    }
}

impl Aa {
    pub(super) fn run(self) -> Result<u8, Error> {
        let options = self.how.options()?;
        let side = Side { program: program(&self.revision)?, plant: Plant::default() };
        let target = self.common.target(Placement::Apart)?;
        let mut results = Results::new(&target, "aa")?;
        let bar = progress(self.comparisons as u64);
        for _ in 0..self.comparisons {
            let comparison = gate::compare(&target, (&side, &side), &options, |pairs, operations| {
                bar.set_message(format!("{pairs} pairs {}", in_a_line(operations)));
            })?;
            bar.println(one_line(&comparison));
            bar.inc(1);
            results.comparisons.push(comparison);
        }
        bar.finish_and_clear();
        let count = results.comparisons.len();
        let [held, alarms, undecided] = gate::verdicts(&results.comparisons);
        let ppm = alarms * 1_000_000 / count.max(1);
        self.common.give(&results, "aa", || {
            let mut out: String = results.comparisons.iter().map(|one| one_line(one) + "\n").collect();
            let _ = writeln!(
                out,
                "{count} comparisons with itself: {held} held, {undecided} undecided, {alarms} false alarms ({ppm} ppm)"
            );
            out
        })?;
        // More than what was accepted.
        Ok(match (ppm > options.risk_ppm as usize, undecided == count) {
            (true, _) => 1,
            (_, true) => 3,
            _ => 0,
        })
    }
}

impl Turn {
    pub(super) fn run(self) -> Result<u8, Error> {
        let target = claimlab_benches::target::Target::from_environment(self.flush, Placement::Anywhere)?.into();
        let plant = self.plant.into_iter().fold(Plant::default(), Plant::and);
        let slice = on_one_thread(slice::measure(&target, &self.operations, self.count, plant))?;
        println!("{}", serde_json::to_string(&slice).unwrap_or_default());
        Ok(0)
    }
}

const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Held => 0,
        Verdict::Regressed => 1,
        Verdict::Undecided => 3,
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Regressed => "REGRESSED",
        Verdict::Undecided => "undecided",
    }
}

fn in_a_line(operations: &[Compared]) -> String {
    let each = operations.iter().map(|one| format!("{} {:.3} {}", one.name, one.ratio, word(one.verdict)));
    each.collect::<Vec<_>>().join(", ")
}

fn one_line(comparison: &Comparison) -> String {
    let pairs = comparison.operations.first().map_or(0, |one| one.pairs);
    format!("{:9} after {pairs} pairs: {}", word(comparison.verdict), in_a_line(&comparison.operations))
}

fn table(comparison: &Comparison) -> String {
    let mut out = String::new();
    let Comparison { base, head, threshold_ppm, operations, verdict } = comparison;
    let _ = writeln!(out, "{head} beside {base}; accepted is a ratio below 1 + {threshold_ppm} ppm\n");
    let _ = writeln!(out, "{:27} {:>6} {:>7} {:>17} {:>13}", "", "pairs", "ratio", "interval", "commands");
    for one in operations {
        let interval = format!("{:.3} to {:.3}", one.low, one.high);
        let commands = format!("{:.1} > {:.1}", one.commands.0, one.commands.1);
        let _ = writeln!(
            out,
            "{:27} {:>6} {:>7.3} {interval:>17} {commands:>13}  {}",
            one.name,
            one.pairs,
            one.ratio,
            word(one.verdict)
        );
    }
    let _ = writeln!(out, "\n{}", word(*verdict).to_uppercase());
    out
}
