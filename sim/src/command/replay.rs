//! `claimlab replay`.

use std::io::stdout;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::changes::Changes;
use super::out::Folder;
use super::run::json;
use super::{CommandError, Format, printed, replay_command};
use crate::campaign::{self, Summary};
use crate::history::{Observer, Recorder, Trace};
use crate::judge::{self, Finding};
use crate::plan::{self, Plan, draw};
use crate::report;
use crate::run;
use crate::scenario::Bounds;
use crate::stopwatch::Stopwatch;
use crate::world::{Checks, Options};

pub(super) const EXAMPLES: &str = "Examples:
  claimlab replay scenarios/crash-and-skew.toml --seed 7
  claimlab replay scenarios/crash-and-skew.toml --seed 7 --trace | less
  claimlab replay scenarios/lost-replies.toml --seed 7 --out plans
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
    /// The folder of known findings, instead of the nearest one
    #[arg(long, value_name = "DIR")]
    findings: Option<PathBuf>,
    /// Known findings are red too
    #[arg(long)]
    strict: bool,
    /// Write the plan into a new folder below this one, as it was drawn and with every struck message named
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print the summary
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The plan, what is known, and the bounds that the scenario sets; a stored plan sets none, and of it everything is known
/// that the nearest findings know. What a scenario promises to look at is a campaign's: one seed need not keep it.
fn plan_of(arguments: &ReplayArguments) -> Result<(Plan, Vec<Finding>, Bounds), CommandError> {
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
        let named = arguments.findings.clone().or_else(|| judge::nearest_folder(&arguments.file));
        let folder = judge::named_or_nearest(named.as_deref());
        let known = folder.map(|folder| judge::read_folder(&folder)).transpose()?.unwrap_or_default();
        return Ok((plan, known.into_values().collect(), Bounds::default()));
    }
    let scenario = arguments.changes.load(&arguments.file)?;
    let seed = arguments.seed.ok_or_else(|| flag("--seed", "nothing", "a seed, where the file is a scenario"))?;
    let known = judge::accepted(&scenario, &arguments.file, arguments.findings.as_deref())?;
    Ok((draw(&scenario, seed), known, scenario.bounds))
}

pub(super) fn replay(arguments: &ReplayArguments) -> Result<u8, CommandError> {
    let (plan, known, bounds) = plan_of(arguments)?;
    let plan = Arc::new(plan);
    let folder = arguments.out.as_deref().map(|parent| Folder::create(parent, &plan.scenario)).transpose()?;
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
    let stopwatch = Stopwatch::start();
    let outcome = run::run(&plan, Options { observers, keep_struck: folder.is_some(), ..Options::default() });
    let elapsed = stopwatch.elapsed();
    printed(failure.and_then(|failure| failure.take()))?;
    let mut summary = Summary::of(&plan.scenario);
    summary.add(plan.seed, &outcome);
    let verdict = summary.verdict(&known, &[], &bounds, arguments.strict);
    if let Some(mut folder) = folder {
        folder.write(&format!("plan-{}.json", plan.seed), plan.text().as_bytes())?;
        let explicit = plan.concretise(&outcome.struck);
        folder.write(&format!("plan-{}-explicit.json", plan.seed), explicit.text().as_bytes())?;
        folder.finish()?;
    }
    if arguments.trace || arguments.history {
        return Ok(verdict.judgement.exit_code());
    }
    let command = replay_command(&arguments.file, arguments.seed, &arguments.changes);
    let text = match arguments.format {
        Format::Json => format!("{}\n", json(&summary, &verdict, |_| command.clone())),
        Format::Text => {
            let mut text = report::text(&summary, &verdict, &known, &bounds, elapsed);
            for key in outcome.unstruck.iter().take(6) {
                text.push_str(&format!("  struck nobody  {key}\n"));
            }
            if outcome.unstruck.len() > 6 {
                text.push_str(&format!("  struck nobody  and {} more faults\n", outcome.unstruck.len() - 6));
            }
            let unexpected = verdict.unexpected.iter().filter_map(|cause| summary.causes.get(cause));
            for group in unexpected.take(3) {
                let story = campaign::story(&plan, &group.first, &Checks::default());
                text.push('\n');
                text.push_str(&report::story(group, &story, &command));
            }
            text
        }
    };
    super::print(&text)?;
    Ok(verdict.judgement.exit_code())
}
