//! `claimlab shrink`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::bar::bar;
use super::changes::Changes;
use super::kept::keep;
use super::source::{Source, Sourced};
use super::{CommandError, EXIT_INTERRUPTED, Format, find, replay_command, stop_on_interrupt};
use crate::judge::{Judgement, PLAN};
use crate::outcome::{Violation, Wanted};
use crate::report;
use crate::run;
use crate::shrink::{NotShrunk, Options, Over, Shrunk, Size, shrink};
use crate::stopwatch::Stopwatch;
use crate::world;

pub(super) const EXAMPLES: &str = "Examples:
  claimlab shrink scenarios/lost-replies.toml --seed 6
  claimlab shrink scenarios/crash-and-skew.toml --seed 0 --cause \"S04 marked\" --for 60s
  claimlab shrink runs/lost-replies/plan-6.json --out small

The smallest plan is written while it shrinks; `claimlab replay PLAN` runs it.";

#[derive(Debug, Args)]
pub(super) struct ShrinkArguments {
    #[command(flatten)]
    source: Source,
    /// What is looked for: an invariant and its case, such as "S04 expired", and a script and its answer where only that
    /// one counts [default: the first that nobody knows]
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Start no new candidate after so much real time
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60s")]
    time: Duration,
    /// Write the smallest plan into a folder of its own below this one
    #[arg(long, value_name = "DIR", default_value = "shrunk")]
    out: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What to shrink for: what was asked, or the first violation that no known finding explains.
fn wanted(arguments: &ShrinkArguments, sourced: &Sourced) -> Result<Wanted, CommandError> {
    let refused = |flag, found: String, accepted: String| CommandError::Flag { flag, found, accepted };
    if let Some(cause) = &arguments.cause {
        return Wanted::parse(cause).map_err(|accepted| refused("--cause", format!("{cause:?}"), accepted));
    }
    let outcome = run::run(&Arc::new(sourced.plan.clone()), world::Options::default());
    let is_known = |violation: &Violation| sourced.known.iter().any(|finding| finding.knows(&violation.cause()));
    if let Some(found) = outcome.violations.iter().find(|violation| !is_known(violation)) {
        return Ok(Wanted::of(&found.cause()));
    }
    let seen: BTreeSet<Wanted> = outcome.violations.iter().map(|violation| Wanted::of(&violation.cause())).collect();
    Err(match seen.is_empty() {
        true => refused("FILE", "a plan that holds".into(), "a plan that breaks a promise".into()),
        false => refused("--cause", "nothing, and only known findings".into(), format!("one of {}", listed(&seen))),
    })
}

fn listed(wanted: &BTreeSet<Wanted>) -> String {
    wanted.iter().map(|wanted| format!("\"{wanted}\"")).collect::<Vec<_>>().join(", ")
}

pub(super) fn run(arguments: &ShrinkArguments) -> Result<u8, CommandError> {
    let stop = stop_on_interrupt();
    let stopwatch = Stopwatch::start();
    let sourced = arguments.source.plan()?;
    let wanted = wanted(arguments, &sourced)?;
    let plan = &sourced.plan;
    let name = format!("{}-{}-{}", plan.scenario, plan.seed, wanted.breach).replace(' ', "-");
    let folder = arguments.out.join(name);
    let bar = bar(None, "{spinner} shrinking  {elapsed}  {msg}", arguments.format);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut written = Ok(PathBuf::new());
    let options = Options { time: arguments.time, stop };
    let shrunk = shrink(plan, &wanted, &options, &mut |smaller| {
        bar.set_message(Size::of(smaller).to_string());
        if written.is_ok() {
            written = keep(&folder, PLAN, &smaller.text());
        }
    });
    bar.finish_and_clear();
    written?;
    let refused = |found: String, accepted: String| CommandError::Flag { flag: "--cause", found, accepted };
    let shrunk = shrunk.map_err(|not| match not {
        NotShrunk::NotShown(seen) if seen.is_empty() => {
            refused(format!("\"{wanted}\", but the plan holds"), "a promise that it breaks".into())
        }
        NotShrunk::NotShown(seen) => {
            refused(format!("\"{wanted}\""), format!("what the plan breaks: {}", listed(&seen)))
        }
        NotShrunk::Over(_) => CommandError::Flag {
            flag: "--for",
            found: "too little time to run the plan once".into(),
            accepted: "more time".into(),
        },
    })?;
    let (story, file) = find::write(&folder, &shrunk.plan, &shrunk.violation, &sourced.known)?;
    let command = replay_command(&file, None, &Changes::default());
    super::print(&match arguments.format {
        Format::Json => format!("{}\n", json(&shrunk, &file)),
        Format::Text => {
            let from = arguments.source.replay_command();
            report::shrunk(&shrunk, stopwatch.elapsed(), &story, (&from, &command))
        }
    })?;
    Ok(if shrunk.over == Some(Over::Stopped) { EXIT_INTERRUPTED } else { Judgement::Violated.exit_code() })
}

fn json(shrunk: &Shrunk, file: &Path) -> String {
    let met: Vec<String> = shrunk.met.keys().map(Wanted::to_string).collect();
    let object = serde_json::json!({
        "violation": shrunk.violation,
        "before": shrunk.before,
        "after": shrunk.after,
        "runs": shrunk.runs,
        "shown": shrunk.shown,
        "is_minimal": shrunk.over.is_none(),
        "replays": shrunk.replays,
        "met": met,
        "plan": file,
    });
    serde_json::to_string_pretty(&object).unwrap_or_default()
}
