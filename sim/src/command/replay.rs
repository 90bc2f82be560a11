//! `claimlab replay`.

use std::io::stdout;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::out::Folder;
use super::run::{STORIES, json};
use super::source::{Source, Sourced};
use super::{CommandError, Format, printed};
use crate::campaign::{self, Summary};
use crate::history::{Observer, Recorder, Trace};
use crate::outcome::Violation;
use crate::report;
use crate::run;
use crate::stopwatch::Stopwatch;
use crate::world::{Checks, Options};

pub(super) const EXAMPLES: &str = "Examples:
  claimlab replay scenarios/crash-and-skew.toml --seed 7
  claimlab replay scenarios/crash-and-skew.toml --seed 7 --trace | less
  claimlab replay scenarios/lost-replies.toml --seed 7 --out plans
  claimlab replay runs/crash-and-skew/plan-7.json --history > history.jsonl";

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    source: Source,
    /// Print one line for each transition instead of the summary
    #[arg(long)]
    trace: bool,
    /// Print the whole history as lines of JSON instead of the summary
    #[arg(long, conflicts_with = "trace")]
    history: bool,
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

pub(super) fn replay(arguments: &ReplayArguments) -> Result<u8, CommandError> {
    let Sourced { plan, known, bounds } = arguments.source.plan()?;
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
    let command = arguments.source.replay_command();
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
            let unexpected = verdict.unexpected.iter().filter_map(|cause| summary.causes.get(cause)).take(STORIES);
            let violations: Vec<&Violation> = unexpected.map(|group| &group.first).collect();
            let stories = campaign::stories(&plan, &violations, &Checks::default());
            for (violation, story) in violations.into_iter().zip(&stories) {
                text.push('\n');
                text.push_str(&report::story(violation, story, &command));
            }
            text
        }
    };
    super::print(&text)?;
    Ok(verdict.judgement.exit_code())
}
