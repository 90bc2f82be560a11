//! `claimlab replay`.

use std::io::stdout;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::changes::Changes;
use super::run::json;
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
    #[command(flatten)]
    changes: Changes,
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
        if arguments.seed.is_some() || !arguments.changes.is_empty() {
            let accepted = "a plan alone, which holds its seed, workers and deviations";
            return Err(flag("--seed, --workers, --worker, --deviation", "a plan beside them", accepted));
        }
        let plan = plan::read(&arguments.file)?;
        super::require_players(plan.workers.iter().map(|worker| worker.player))?;
        return Ok(plan);
    }
    let scenario = arguments.changes.load(&arguments.file)?;
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
    let command = replay_command(&arguments.file, arguments.seed, &arguments.changes);
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
