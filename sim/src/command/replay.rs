//! `claimlab replay`.

use std::io::stdout;
use std::path::PathBuf;
use std::sync::Arc;

use claimlab_model::deviation::Deviation;
use clap::Args;

use super::run::{json, load};
use super::{CommandError, Format, printed, replay_command};
use crate::campaign::{self, Summary};
use crate::history::{Observer, Recorder, Trace};
use crate::plan::{self, Plan, draw};
use crate::report;
use crate::stopwatch::Stopwatch;

pub(super) const EXAMPLES: &str = "Examples:
  claimlab replay scenarios/crash-and-skew.toml --seed 7
  claimlab replay scenarios/crash-and-skew.toml --seed 7 --trace | less
  claimlab replay runs/crash-and-skew/plan-7.json --history > history.jsonl";

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// A stored plan (.json), or a scenario together with --seed
    file: PathBuf,
    /// The seed, where the file is a scenario
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Workers instead of the scenario's number, as the run had them
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// A named deviation, as the run had it; may be given again
    #[arg(long, value_name = "NAME", value_parser = super::run::parse_deviation)]
    deviation: Vec<Deviation>,
    /// Print one line for each transition instead of the summary
    #[arg(long)]
    trace: bool,
    /// Print the whole history as lines of JSON instead of the summary
    #[arg(long, conflicts_with = "trace")]
    history: bool,
    /// How to print the summary
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn plan_of(arguments: &ReplayArguments) -> Result<Plan, CommandError> {
    let is_plan = arguments.file.extension().is_some_and(|extension| extension == "json");
    let flag =
        |flag, found: &str, accepted: &str| CommandError::Flag { flag, found: found.into(), accepted: accepted.into() };
    if is_plan {
        if arguments.seed.is_some() || arguments.workers.is_some() || !arguments.deviation.is_empty() {
            let accepted = "a plan alone, which holds its seed, workers and deviations";
            return Err(flag("--seed, --workers, --deviation", "a plan beside them", accepted));
        }
        return Ok(plan::read(&arguments.file)?);
    }
    let scenario = load(&arguments.file, arguments.workers, &arguments.deviation)?;
    let seed = arguments.seed.ok_or_else(|| flag("--seed", "nothing", "a seed, where the file is a scenario"))?;
    Ok(draw(&scenario, seed))
}

pub(super) fn replay(arguments: &ReplayArguments) -> Result<u8, CommandError> {
    let plan = Arc::new(plan_of(arguments)?);
    let mut observers: Vec<Box<dyn Observer>> = Vec::new();
    let mut failure = None;
    if arguments.trace {
        let (trace, failed) = Trace::new(std::io::BufWriter::new(stdout()));
        failure = Some(failed);
        observers.push(Box::new(trace));
    }
    if arguments.history {
        let (recorder, failed) = Recorder::new(std::io::BufWriter::new(stdout()));
        failure = Some(failed);
        observers.push(Box::new(recorder));
    }
    let watch = Stopwatch::start();
    let result = campaign::replay(&plan, observers);
    let elapsed = watch.elapsed();
    printed(failure.and_then(|failure| failure.take()))?;
    let mut summary = Summary::of(&plan.scenario);
    summary.add(plan.seed, &result);
    let verdict = summary.verdict(plan.world.accept.iter().map(|(signature, _)| signature.as_str()));
    if arguments.trace || arguments.history {
        return Ok(verdict.judgement.exit_code());
    }
    let command = replay_command(&arguments.file, arguments.seed, arguments.workers, &arguments.deviation);
    let text = match arguments.format {
        Format::Json => format!("{}\n", json(&summary, &verdict, |_| command.clone())),
        Format::Text => {
            let mut text = report::text(&summary, &verdict, &plan.world.accept, elapsed);
            let unexpected = verdict.unexpected.iter().filter_map(|signature| summary.findings.get(signature));
            for group in unexpected.take(3) {
                let lines = campaign::story(&plan, &group.first);
                text.push('\n');
                text.push_str(&report::story(group, &lines, &command));
            }
            text
        }
    };
    super::print(&text)?;
    Ok(verdict.judgement.exit_code())
}
