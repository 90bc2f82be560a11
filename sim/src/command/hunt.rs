//! `claimlab hunt`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use claimlab_model::deviation::Deviation;
use claimlab_model::invariant::Scope;
use clap::Args;

use super::bar::bar;
use super::changes::parse_deviation;
use super::kept::keep;
use super::{CommandError, EXIT_INTERRUPTED, Format, find, stop_on_interrupt};
use crate::hunt::{Base, Find, Options, everything, hunt};
use crate::input::read_text;
use crate::judge::{self, Finding, Judgement, PLAN, Registered};
use crate::outcome::{Cause, Wanted};
use crate::report;
use crate::scenario;
use crate::shrink::{self, Shrunk};

pub(super) const EXAMPLES: &str = "Examples:
  claimlab hunt --for 10m                                 worlds of every kind; what nobody knows is shrunk
  claimlab hunt scenarios/flows.toml scenarios/signals.toml --for 2m
  claimlab hunt --until-plateau --strict                  known findings are news too
  claimlab hunt --until-found --deviation bug-ignore-fence

Each find has a folder of its own with the smallest plan, its story and the world that showed it.";

/// So many worlds in a row without anything new are a plateau.
const PLATEAU: u64 = 20_000;
/// How long one find is shrunk at most.
const SHRINK_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct HuntArguments {
    /// Scenarios that worlds are drawn from [default: one that has everything]
    scenarios: Vec<PathBuf>,
    /// Start no new world after so much real time
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10m")]
    time: Duration,
    /// End when nothing new is reached any more
    #[arg(long)]
    until_plateau: bool,
    /// End with the first find
    #[arg(long)]
    until_found: bool,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed_from: u64,
    /// Worlds at once [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Switch on a named deviation of the model; may be given again
    #[arg(long, value_name = "NAME", value_parser = parse_deviation)]
    deviation: Vec<Deviation>,
    /// The folder of known findings, instead of the nearest one
    #[arg(long, value_name = "DIR")]
    findings: Option<PathBuf>,
    /// Known findings are news too
    #[arg(long)]
    strict: bool,
    /// Write each find into a folder of its own below this one
    #[arg(long, value_name = "DIR", default_value = "hunted")]
    out: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The scenarios' tables; each is a scenario as it stands.
fn bases(files: &[PathBuf]) -> Result<Vec<Base>, CommandError> {
    if files.is_empty() {
        return Ok(vec![("everything".to_owned(), everything())]);
    }
    let of = |file: &PathBuf| {
        let scenario = scenario::read(file)?;
        let text = read_text(file, "scenario", "a scenario in TOML")?;
        // What has been read as a scenario is a table.
        Ok((scenario.name, text.parse().unwrap_or_default()))
    };
    files.iter().map(of).collect()
}

/// What became of one find.
struct Kept {
    find: Find,
    folder: PathBuf,
    shrunk: Option<Shrunk>,
    /// The finding that knows what the smallest plan shows: what a script has done last in a large world, another does in
    /// the smallest.
    known_as: Option<String>,
}

/// Shrinks one find and writes what it comes to, at once and after each step.
fn shrink_find(find: Find, out: &Path, known: &[Finding], stop: &Arc<AtomicBool>) -> Result<Kept, CommandError> {
    let wanted = Wanted::of(&find.cause);
    let folder = out.join(find::name_of(&wanted));
    keep(&folder, "world.toml", &find.world)?;
    keep(&folder, PLAN, &find.plan.text())?;
    let options = shrink::Options { time: SHRINK_FOR, stop: Arc::clone(stop) };
    let mut written = Ok(PathBuf::new());
    let shrunk = shrink::shrink(&find.plan, &wanted, &options, &mut |smaller| {
        if written.is_ok() {
            written = keep(&folder, PLAN, &smaller.text());
        }
    });
    written?;
    let Ok(shrunk) = shrunk else { return Ok(Kept { find, folder, shrunk: None, known_as: None }) };
    find::write(&folder, &shrunk.plan, &shrunk.violation, known)?;
    let cause = shrunk.violation.cause();
    let known_as = known.iter().find(|finding| finding.knows(&cause)).map(|finding| finding.id.clone());
    Ok(Kept { find, folder, shrunk: Some(shrunk), known_as })
}

/// What is known, with the plans that show it.
fn known(arguments: &HuntArguments) -> Result<(Vec<Finding>, Vec<Registered>), CommandError> {
    let Some(folder) = judge::named_or_nearest(arguments.findings.as_deref()) else { return Ok(Default::default()) };
    let findings = judge::read_folder(&folder)?;
    let registered = judge::registered(&folder, &findings)?;
    Ok((findings.into_values().collect(), registered))
}

pub(super) fn run(arguments: &HuntArguments) -> Result<u8, CommandError> {
    let bases = bases(&arguments.scenarios)?;
    let (all_known, registered) = known(arguments)?;
    let accepted: &[Finding] = if arguments.strict { &[] } else { &all_known };
    let stop = stop_on_interrupt();
    // What was found before is looked at first.
    let silent: Vec<String> = registered
        .iter()
        .filter(|registered| !stop.load(Ordering::Relaxed) && registered.shown().is_none())
        .map(|registered| registered.finding.id.clone())
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        first: arguments.seed_from,
        jobs: arguments.jobs.unwrap_or(cores).max(1),
        time: arguments.time,
        plateau: arguments.until_plateau.then_some(PLATEAU),
        enough: Arc::default(),
        deviations: arguments.deviation.clone(),
        stop: Arc::clone(&stop),
    };
    let bar = bar(None, "{spinner} {elapsed}  {msg}", arguments.format);
    bar.enable_steady_tick(Duration::from_millis(200));
    let (send, receive) = mpsc::channel::<Find>();
    let receive = Mutex::new(receive);
    let shrink_all = || -> Result<Vec<Kept>, CommandError> {
        let next = || receive.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let told = |find| {
            let kept = shrink_find(find, &arguments.out, &all_known, &stop)?;
            if arguments.until_found && (arguments.strict || kept.known_as.is_none()) {
                options.enough.store(true, Ordering::Relaxed);
            }
            Ok(kept)
        };
        std::iter::from_fn(next).map(told).collect()
    };
    let (progress, kept) = std::thread::scope(|scope| {
        let shrinkers: Vec<_> = (0..options.jobs).map(|_| scope.spawn(shrink_all)).collect();
        let mut finds = 0_u64;
        let found = |find: Find| {
            finds += 1;
            bar.println(format!("found  {}  seed {}, after {}", find.cause, find.seed, report::seconds(find.ms)));
            // Which script was last says little of work that does not end: whether it is known its smallest plan shows.
            if arguments.until_found && find.cause.invariant.scope() != Scope::Liveness {
                options.enough.store(true, Ordering::Relaxed);
            }
            // The shrinkers listen until the hunt is over.
            let _ = send.send(find);
        };
        let is_known = |cause: &Cause| accepted.iter().any(|finding| finding.knows(cause));
        let progress = hunt(&bases, &options, is_known, found, |progress| {
            if progress.worlds.is_multiple_of(64) {
                bar.set_message(format!(
                    "{} worlds, {} points reached",
                    report::grouped(progress.worlds),
                    report::grouped(progress.reached)
                ));
            }
        });
        drop(send);
        bar.set_message("shrinking what was found");
        let joined = shrinkers
            .into_iter()
            .map(|shrinker| shrinker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let kept: Result<Vec<Vec<Kept>>, CommandError> = joined.collect();
        (progress, kept)
    });
    bar.finish_and_clear();
    let mut kept: Vec<Kept> = kept?.into_iter().flatten().collect();
    kept.sort_by_key(|kept| (kept.find.worlds, kept.find.cause));
    let lines: Vec<report::FindLine> = kept
        .iter()
        .map(|kept| report::FindLine {
            known_as: kept.known_as.clone(),
            is_news: arguments.strict || kept.known_as.is_none(),
            cause: kept.find.cause,
            seed: kept.find.seed,
            worlds: kept.find.worlds,
            ms: kept.find.ms,
            size: kept.shrunk.as_ref().map(|shrunk| shrunk.after),
            runs: kept.shrunk.as_ref().map_or(0, |shrunk| shrunk.runs),
            folder: kept.folder.display().to_string(),
        })
        .collect();
    let is_interrupted = stop.load(Ordering::Relaxed);
    super::print(&match arguments.format {
        Format::Json => {
            let causes: BTreeMap<String, u64> =
                progress.causes.iter().map(|(cause, count)| (cause.to_string(), *count)).collect();
            let object = serde_json::json!({
                "worlds": progress.worlds, "messages": progress.messages, "red": progress.red,
                "undecided": progress.undecided, "panicked": progress.panicked, "reached": progress.reached,
                "over_time": progress.over_time, "never_checked": progress.never_checked(), "causes": causes,
                "ended": progress.ended, "finds": lines, "register": { "run": registered.len(), "silent": silent },
            });
            format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
        }
        Format::Text => report::hunted(&progress, &lines, (registered.len(), &silent)),
    })?;
    let has_news = lines.iter().any(|line| line.is_news) || !silent.is_empty() || !progress.panicked.is_empty();
    Ok(match (is_interrupted, !has_news) {
        (true, _) => EXIT_INTERRUPTED,
        (false, false) => Judgement::Violated.exit_code(),
        (false, true) if progress.worlds == 0 => Judgement::Undecided.exit_code(),
        (false, true) => Judgement::Held.exit_code(),
    })
}
