//! `claimlab run`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use super::bar::bar;
use super::changes::Changes;
use super::databases::{BackendName, How};
use super::lockstep::UnitName;
use super::out::Folder;
use super::{CommandError, EXIT_INTERRUPTED, Format, replay_command, stop_on_interrupt};
use crate::campaign::{self, Options, Seeds, Summary};
use crate::history::Recorder;
use crate::judge::{self, Verdict};
use crate::outcome::Violation;
use crate::plan::draw;
use crate::report;
use crate::scenario::Scenario;
use crate::stopwatch::Stopwatch;
use crate::world::Checks;

pub(super) const EXAMPLES: &str = "Examples:
  claimlab run scenarios/crash-and-skew.toml
  claimlab run scenarios/crash-and-skew.toml --seeds 200 --jobs 2
  claimlab run scenarios/lost-replies.toml --seed 7 --out runs
  claimlab run scenarios/steady.toml --for 60s --format json
  claimlab run scenarios/crash-and-skew.toml --deviation bug-ignore-fence
  claimlab run scenarios/reclaim-storm.toml --workers 16 --seeds 20 --lockstep valkey --calls 2000
  claimlab run scenarios/lost-replies.toml --workers 16 --lockstep valkey --unit message
                                  each call on a real server too; needs a build with --features live
  claimlab run scenarios/databases/sqlite.toml --backend sqlite
                                  each call on a shipped database; needs a build with --features databases";

/// Seeds of a run without flags.
const DEFAULT_SEEDS: u64 = 10;

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The scenario's file
    scenario: PathBuf,
    /// How many seeds to run [default: 10, or as many as --for allows]
    #[arg(long, value_name = "N", conflicts_with = "seed")]
    seeds: Option<u64>,
    /// Run this seed only; with --out its history is written whatever the verdict
    #[arg(long, value_name = "N", conflicts_with_all = ["seed_from", "time"])]
    seed: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed_from: u64,
    #[command(flatten)]
    changes: Changes,
    /// Runs at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Start no new seed after so much real time, such as 60s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// The folder of known findings, instead of the one nearest to the scenario
    #[arg(long, value_name = "DIR")]
    findings: Option<PathBuf>,
    /// Known findings are red too
    #[arg(long)]
    strict: bool,
    /// Write summary, plans and histories of red seeds into a new folder below this one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Perform each call on a real server too, and compare: `valkey` starts a private one,
    /// valkey://HOST:PORT?clock=FILE takes one that runs under claimlab's clock, and empties it
    #[arg(long, value_name = "SERVER", conflicts_with_all = ["out", "jobs", "time", "format"])]
    pub(super) lockstep: Option<String>,
    /// With --lockstep: what is delivered to both sides as one piece
    #[arg(long, value_enum, default_value_t = UnitName::Call, requires = "lockstep")]
    unit: UnitName,
    /// With --lockstep: end each seed after so many compared calls that ran a script
    #[arg(long, value_name = "N", requires = "lockstep")]
    pub(super) calls: Option<u64>,
    /// Perform each call on this shipped database instead of the model, and judge calls and answers alone
    #[arg(long, value_enum, value_name = "BACKEND", conflicts_with_all = ["out", "jobs", "time", "lockstep", "deviation"])]
    backend: Option<BackendName>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn seeds(arguments: &RunArguments) -> Result<Seeds, CommandError> {
    if let Some(seed) = arguments.seed {
        return Ok(Seeds { first: seed, count: Some(1) });
    }
    let flag = |flag, found: String, accepted: &str| CommandError::Flag { flag, found, accepted: accepted.into() };
    if arguments.seeds == Some(0) {
        return Err(flag("--seeds", "0".into(), "1 or more"));
    }
    let count = arguments.seeds.or(if arguments.time.is_some() { None } else { Some(DEFAULT_SEEDS) });
    let first = arguments.seed_from;
    if count.is_some_and(|count| first.checked_add(count - 1).is_none()) {
        let found = format!("{first} with {} seeds", count.unwrap_or(0));
        return Err(flag("--seed-from", found, "a range of seeds below 18446744073709551616"));
    }
    Ok(Seeds { first, count })
}

pub(super) fn run(arguments: &RunArguments) -> Result<u8, CommandError> {
    let scenario = arguments.changes.load(&arguments.scenario)?;
    if let Some(server) = &arguments.lockstep {
        let scenario = arguments.changes.load_for_comparison(&arguments.scenario)?;
        return super::lockstep::run(&scenario, seeds(arguments)?, server, arguments.calls, arguments.unit);
    }
    let accepted = judge::accepted(&scenario, &arguments.scenario, arguments.findings.as_deref())?;
    if let Some(backend) = arguments.backend {
        let (seeds, file, strict, format) =
            (seeds(arguments)?, &*arguments.scenario, arguments.strict, arguments.format);
        return super::databases::run(&scenario, &How { backend, seeds, file, accepted: &accepted, strict, format });
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or(cores);
    if !(1..=1_024).contains(&jobs) {
        let accepted = "1 to 1024".into();
        return Err(CommandError::Flag { flag: "--jobs", found: jobs.to_string(), accepted });
    }
    let seeds = seeds(arguments)?;
    let folder = arguments.out.as_deref().map(|parent| Folder::create(parent, &scenario.name)).transpose()?;
    let stop = stop_on_interrupt();
    let options = Options { seeds, jobs, time: arguments.time, stop: Arc::clone(&stop), checks: Checks::default() };
    let stopwatch = Stopwatch::start();
    let bar = progress_bar(seeds.count, arguments.format);
    let summary = campaign::run(&scenario, &options, |summary| {
        bar.set_position(summary.seeds);
        bar.set_message(format!(
            "{} calls, {} seeds with violations",
            report::grouped(summary.calls),
            summary.seeds_with_violations
        ));
    });
    bar.finish_and_clear();
    let verdict = summary.verdict(&accepted, &scenario.must_exercise, &scenario.bounds, arguments.strict);
    let interrupted = stop.load(Ordering::Relaxed);
    let stories = if interrupted { String::new() } else { stories(arguments, &scenario, &summary, &verdict) };
    let text = report::text(&summary, &verdict, &accepted, &scenario.bounds, stopwatch.elapsed());
    if let Some(folder) = folder {
        write_out(folder, arguments, &scenario, &summary, &verdict, &format!("{text}\n{stories}"))?;
    }
    super::print(&match arguments.format {
        Format::Text => format!("{text}{}{stories}", if stories.is_empty() { "" } else { "\n" }),
        Format::Json => format!("{}\n", json(&summary, &verdict, |seed| replay_of(arguments, seed))),
    })?;
    Ok(if interrupted { EXIT_INTERRUPTED } else { verdict.judgement.exit_code() })
}

/// Verdict, summary, and for each unexpected cause its statement and the command that replays it.
pub(super) fn json(summary: &Summary, verdict: &Verdict, command: impl Fn(u64) -> String) -> String {
    let unexpected = verdict.unexpected.iter().filter_map(|cause| summary.causes.get(cause));
    let violations: Vec<_> = unexpected
        .map(|group| {
            serde_json::json!({
                "cause": group.first.cause(),
                "invariant": group.first.invariant.id(),
                "case": group.first.case,
                "statement": group.first.invariant.statement(),
                "execution": group.first.execution,
                "seen": group.first.detail,
                "count": group.count,
                "replay": command(group.smallest_seed),
            })
        })
        .collect();
    let object = serde_json::json!({ "verdict": verdict, "violations": violations, "summary": summary });
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

/// How far a campaign is, on a terminal.
pub(super) fn progress_bar(count: Option<u64>, format: Format) -> ProgressBar {
    let template = if count.is_some() {
        "{bar:30} {pos}/{len} seeds  {elapsed}  {msg}"
    } else {
        "{spinner} {pos} seeds  {elapsed}  {msg}"
    };
    bar(count, template, format)
}

/// The command that replays one seed of a run.
fn replay_of(arguments: &RunArguments, seed: u64) -> String {
    replay_command(&arguments.scenario, Some(seed), &arguments.changes)
}

/// How many unexpected signatures are told as stories.
pub(super) const STORIES: usize = 3;

fn stories(arguments: &RunArguments, scenario: &Scenario, summary: &Summary, verdict: &Verdict) -> String {
    let told = verdict.unexpected.iter().take(STORIES).filter_map(|cause| summary.causes.get(cause));
    let mut by_seed: BTreeMap<u64, Vec<&Violation>> = BTreeMap::new();
    for group in told {
        by_seed.entry(group.smallest_seed).or_default().push(&group.first);
    }
    let of_seed = |(seed, violations): (u64, Vec<&Violation>)| {
        let plan = Arc::new(draw(scenario, seed));
        let stories = campaign::stories(&plan, &violations, &Checks::default());
        let told = violations.into_iter().zip(stories);
        told.map(|(violation, story)| report::story(violation, &story, &replay_of(arguments, seed))).collect::<Vec<_>>()
    };
    by_seed.into_iter().flat_map(of_seed).collect::<Vec<_>>().join("\n")
}

/// Summary, and plan and history of each seed that a reader will want.
fn write_out(
    mut folder: Folder,
    arguments: &RunArguments,
    scenario: &Scenario,
    summary: &Summary,
    verdict: &Verdict,
    text: &str,
) -> Result<(), CommandError> {
    folder.write("summary.json", json(summary, verdict, |seed| replay_of(arguments, seed)).as_bytes())?;
    folder.write("summary.txt", anstream::adapter::strip_str(text).to_string().as_bytes())?;
    let red = verdict.unexpected.iter().take(STORIES).filter_map(|cause| summary.causes.get(cause));
    let mut wanted: Vec<u64> = red.map(|group| group.smallest_seed).chain(arguments.seed).collect();
    wanted.sort_unstable();
    wanted.dedup();
    for seed in wanted {
        let plan = Arc::new(draw(scenario, seed));
        folder.write(&format!("plan-{seed}.json"), plan.text().as_bytes())?;
        let name = format!("history-{seed}.jsonl");
        let (recorder, failure) = Recorder::new(folder.open(&name)?);
        campaign::replay(&plan, vec![Box::new(recorder)]);
        folder.check(&name, failure.take())?;
    }
    folder.finish()
}
