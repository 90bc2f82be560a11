//! `claimlab measure`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use claimlab_model::deviation::Deviation;
use clap::Args;

use super::bar::bar;
use super::{CommandError, EXIT_INTERRUPTED, Format, stop_on_interrupt};
use crate::judge::{self, Judgement};
use crate::measure::{Options, Row, Subject, measure, unbroken};
use crate::scenario;

pub(super) const EXAMPLES: &str = "Examples:
  claimlab measure                                              every planted defect, in the worlds of scenarios/
  claimlab measure --defect bug-ignore-fence --trials 20
  claimlab measure scenarios/flows.toml --workers 40 --format json";

#[derive(Debug, Args)]
pub(super) struct MeasureArguments {
    /// Scenarios whose worlds the defects are planted into [default: scenarios/*.toml]
    scenarios: Vec<PathBuf>,
    /// Plant this defect only; may be given again
    #[arg(long, value_name = "NAME")]
    defect: Vec<String>,
    /// Trials of each defect, each with seeds of its own
    #[arg(long, value_name = "N", default_value_t = 3)]
    trials: u64,
    /// Workers of each world, with as much less work
    #[arg(long, value_name = "N", default_value_t = 24)]
    workers: u32,
    /// A trial ends unseen after so much time, such as 60s
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60s")]
    time: Duration,
    /// A trial ends unseen after so many worlds [default: as many as the time allows]
    #[arg(long, value_name = "N")]
    worlds: Option<u64>,
    /// Go on to the end of a round of scenarios after the first sight, to name more of the invariants that see a defect
    #[arg(long)]
    whole_rounds: bool,
    /// Trials at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn defects(names: &[String]) -> Result<Vec<Deviation>, CommandError> {
    let planted: Vec<Deviation> =
        Deviation::ALL.iter().copied().filter(|deviation| deviation.name().starts_with("bug-")).collect();
    if names.is_empty() {
        return Ok(planted);
    }
    let of = |name: &String| {
        planted.iter().copied().find(|deviation| deviation.name() == name).ok_or_else(|| {
            let accepted: Vec<&str> = planted.iter().map(|deviation| deviation.name()).collect();
            CommandError::Flag { flag: "--defect", found: format!("{name:?}"), accepted: accepted.join(", ") }
        })
    };
    names.iter().map(of).collect()
}

fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let listed = std::fs::read_dir("scenarios").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        listed.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    let accepted = "at least one scenario, or a folder scenarios/ here that has some".to_owned();
    if files.is_empty() {
        return Err(CommandError::Flag { flag: "SCENARIO", found: "none".into(), accepted });
    }
    Ok(files)
}

pub(super) fn run(arguments: &MeasureArguments) -> Result<u8, CommandError> {
    let defects = defects(&arguments.defect)?;
    let mut subjects = Vec::new();
    for file in files(&arguments.scenarios)? {
        let scenario = scenario::read(&file)?;
        super::require_players(scenario.workers.players())?;
        let accepted = judge::accepted(&scenario, &file, None)?;
        subjects.push(Subject { scenario: scenario.with_workers(arguments.workers), accepted });
    }
    for (flag, given) in [("--trials", Some(arguments.trials)), ("--worlds", arguments.worlds)] {
        if given == Some(0) {
            return Err(CommandError::Flag { flag, found: "0".into(), accepted: "1 or more".to_owned() });
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let stop = stop_on_interrupt();
    let options = Options {
        trials: arguments.trials,
        time: arguments.time,
        worlds: arguments.worlds.unwrap_or(u64::MAX),
        whole_rounds: arguments.whole_rounds,
        jobs: arguments.jobs.unwrap_or(cores),
        stop: Arc::clone(&stop),
    };
    let template = "{bar:30} {pos}/{len} defects  {elapsed}  {msg}";
    let bar = bar(Some(defects.len() as u64 + 1), template, arguments.format);
    let rows = measure(&subjects, &defects, &options, |row| {
        bar.inc(1);
        bar.set_message(row.defect.map_or("the control", Deviation::name));
    });
    bar.finish_and_clear();
    let is_control_clean =
        rows.first().is_some_and(|control| control.trials.iter().all(|trial| trial.shown_by.is_none()));
    let is_all_seen = rows.iter().skip(1).all(Row::is_seen);
    let judgement = if is_control_clean && is_all_seen { Judgement::Held } else { Judgement::Violated };
    super::print(&match arguments.format {
        Format::Text => text(&rows, judgement),
        Format::Json => {
            let unbroken: Vec<&str> = unbroken(&rows).iter().map(|invariant| invariant.id()).collect();
            let object = serde_json::json!({ "judgement": judgement, "rows": rows, "unbroken": unbroken });
            format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
        }
    })?;
    Ok(if stop.load(Ordering::Relaxed) { EXIT_INTERRUPTED } else { judgement.exit_code() })
}

fn text(rows: &[Row], judgement: Judgement) -> String {
    let mut out = format!("{}  {} planted defects\n", judgement.name().to_uppercase(), rows.len() - 1);
    let _ = writeln!(out, "  {:<34} {:>13} {:>15}  seen by", "", "worlds", "seconds");
    let _ = writeln!(out, "  {:<34} {:>13} {:>15}", "defect", "median   p95", "median     p95");
    for row in rows {
        let name = row.defect.map_or("the control, which has none", Deviation::name);
        let seen = row.trials.iter().filter(|trial| trial.shown_by.is_some()).count();
        let (worlds, ms) = (row.spread(|trial| trial.worlds), row.spread(|trial| trial.ms));
        let mut by: Vec<(&str, usize)> = row.seen_by().into_iter().collect();
        by.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let by: Vec<&str> = by.into_iter().map(|(invariant, _)| invariant).collect();
        let by = match seen {
            0 => "nothing".to_owned(),
            _ if seen < row.trials.len() => format!("{} ({seen} of {} trials)", by.join(" "), row.trials.len()),
            _ => by.join(" "),
        };
        let seconds = |ms: u64| format!("{}.{}", ms / 1_000, ms % 1_000 / 100);
        let _ = writeln!(
            out,
            "  {name:<34} {:>7} {:>5} {:>8} {:>6}  {by}",
            worlds.0,
            worlds.1,
            seconds(ms.0),
            seconds(ms.1)
        );
    }
    let unbroken: Vec<&str> = unbroken(rows).iter().map(|invariant| invariant.id()).collect();
    let _ = writeln!(out, "  broken by no planted defect: {}", unbroken.join(", "));
    out
}
