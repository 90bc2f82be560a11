//! `claimlab findings`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::changes::Changes;
use super::kept::keep;
use super::{CommandError, find, replay_command};
use crate::campaign;
use crate::judge::{self, Confirmation, Finding, Findings, Judgement, Registered};
use crate::outcome::Violation;
use crate::plan;
use crate::report;
use crate::run;
use crate::shrink::Size;
use crate::world::{Checks, Options};

pub(super) const EXAMPLES: &str = "Examples:
  claimlab findings                          what is known, one line each
  claimlab findings show F133                a finding's reason, and the story of its smallest plan
  claimlab findings verify                   run every plan, and say which show nothing any more
  claimlab findings keep hunted/*            take over the plans of finds that a finding knows, where they are smaller
  claimlab findings html register            one page for each finding that has a plan, and an index";

#[derive(Debug, Args)]
pub(super) struct FindingsArguments {
    /// The folder of findings, instead of the nearest one
    #[arg(long, value_name = "DIR", global = true)]
    findings: Option<PathBuf>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what is known
    List,
    /// Tell one finding
    Show {
        /// Its id, such as F133
        id: String,
    },
    /// Run every plan, and say which show nothing any more
    Verify,
    /// Take over the plans of finds that a finding knows
    Keep {
        /// Folders that `hunt` or `shrink` wrote
        #[arg(required = true)]
        finds: Vec<PathBuf>,
    },
    /// Write an index and a page for each finding that has a plan
    Html {
        /// The folder of the pages
        folder: PathBuf,
    },
}

pub(super) fn run(arguments: &FindingsArguments) -> Result<u8, CommandError> {
    let folder = judge::named_or_nearest(arguments.findings.as_deref()).ok_or_else(|| CommandError::Flag {
        flag: "--findings",
        found: "nothing, and no folder findings here or above".into(),
        accepted: "a folder of findings".into(),
    })?;
    let findings = judge::read_folder(&folder)?;
    let registered = judge::registered(&folder, &findings)?;
    match arguments.what.as_ref().unwrap_or(&What::List) {
        What::List => list(&findings, &registered),
        What::Show { id } => show(id, &findings, &registered),
        What::Verify => verify(&registered),
        What::Keep { finds } => take_over(&folder, finds, &findings, &registered),
        What::Html { folder } => html(folder, &registered),
    }
}

fn list(findings: &Findings, registered: &[Registered]) -> Result<u8, CommandError> {
    let mut text = String::new();
    for finding in findings.values() {
        let plan = registered.iter().find(|registered| registered.finding.id == finding.id);
        let size = plan.map_or_else(|| "no plan".to_owned(), |registered| Size::of(&registered.plan).to_string());
        let _ = writeln!(text, "{}  {} {}: {}", finding.id, finding.invariant, finding.case, finding.title);
        let confirmed = plan.and_then(|registered| registered.confirmed.as_ref());
        let confirmed = confirmed.map_or_else(String::new, |known| format!("; {}", known.text()));
        let _ = writeln!(text, "      {size}{confirmed}");
    }
    let _ = writeln!(text, "{} findings, {} of them with a plan", findings.len(), registered.len());
    super::print(&text)?;
    Ok(Judgement::Held.exit_code())
}

fn show(id: &str, findings: &Findings, registered: &[Registered]) -> Result<u8, CommandError> {
    let finding = findings.get(id).ok_or_else(|| CommandError::Flag {
        flag: "ID",
        found: format!("{id:?}"),
        accepted: findings.keys().cloned().collect::<Vec<_>>().join(", "),
    })?;
    let mut text = format!("{}  {}\n", finding.id, finding.title);
    let _ = writeln!(text, "  promise     {} {}", finding.invariant, finding.case);
    let _ = writeln!(text, "  broken by   {}", finding.script.join(", "));
    let _ = writeln!(text, "  reason      {}", finding.reason);
    if let Some(repair) = finding.repaired_by {
        let _ = writeln!(text, "  repaired by {}", repair.name());
    }
    let _ = writeln!(text, "  at most     {}/{}", finding.at_most.times, finding.at_most.of);
    if let Some(registered) = registered.iter().find(|registered| registered.finding.id == id) {
        if let Some(confirmed) = &registered.confirmed {
            let _ = writeln!(text, "  on a server {}", confirmed.text());
        }
        let command = replay_command(&registered.file, None, &Changes::default());
        match registered.shown() {
            Some(violation) => {
                let story = campaign::story(&registered.plan, &violation, &Checks::default());
                let _ = write!(text, "\n{}", report::story(&violation, &story, &command));
            }
            None => text.push_str("\n  its plan shows nothing any more\n"),
        }
    }
    super::print(&text)?;
    Ok(Judgement::Held.exit_code())
}

fn verify(registered: &[Registered]) -> Result<u8, CommandError> {
    let silent: Vec<&Registered> = registered.iter().filter(|registered| registered.shown().is_none()).collect();
    let mut text = format!("{} plans run, {} of them show nothing any more\n", registered.len(), silent.len());
    for registered in &silent {
        let _ =
            writeln!(text, "  {}  {}  {}", registered.finding.id, registered.finding.title, registered.file.display());
    }
    super::print(&text)?;
    let judgement = match (registered.is_empty(), silent.is_empty()) {
        (true, _) => Judgement::Undecided,
        (false, true) => Judgement::Held,
        (false, false) => Judgement::Violated,
    };
    Ok(judgement.exit_code())
}

/// Which finding knows what a find is of.
fn known_by<'f>(findings: &'f Findings, violation: &Violation) -> Option<&'f Finding> {
    findings.values().find(|finding| finding.knows(&violation.cause()))
}

fn take_over(
    folder: &Path,
    finds: &[PathBuf],
    findings: &Findings,
    registered: &[Registered],
) -> Result<u8, CommandError> {
    let mut text = String::new();
    let mut sizes: BTreeMap<&str, usize> =
        registered.iter().map(|known| (known.finding.id.as_str(), known.plan.elements().len())).collect();
    for find in finds {
        let file = if find.is_dir() { find.join(judge::PLAN) } else { find.clone() };
        let plan = Arc::new(plan::read(&file)?);
        let outcome = run::run(&plan, Options::default());
        let wanted = find::wanted_in(find)?;
        let violation =
            outcome.violations.iter().find(|violation| wanted.as_ref().is_none_or(|wanted| wanted.is(violation)));
        let Some(finding) = violation.and_then(|violation| known_by(findings, violation)) else {
            let _ = writeln!(text, "  -     nobody knows it yet: {}", find.display());
            continue;
        };
        let size = plan.elements().len();
        let is_smaller = sizes.get(finding.id.as_str()).is_none_or(|known| size < *known);
        if is_smaller {
            sizes.insert(&finding.id, size);
            let own = folder.join(&finding.id);
            keep(&own, judge::PLAN, &plan.text())?;
            // What a server said was of the plan before.
            let _ = std::fs::remove_file(own.join(judge::CONFIRMED));
        }
        let word = if is_smaller { "kept" } else { "no smaller than what is there" };
        let _ = writeln!(text, "  {}  {word}: {}", finding.id, Size::of(&plan));
    }
    super::print(&text)?;
    Ok(Judgement::Held.exit_code())
}

fn html(folder: &Path, registered: &[Registered]) -> Result<u8, CommandError> {
    let mut entries = Vec::new();
    for registered in registered {
        let Some(violation) = registered.shown() else { continue };
        let finding = &registered.finding;
        find::write(&folder.join(&finding.id), &registered.plan, &violation, std::slice::from_ref(finding))?;
        entries.push(claimlab_timeline::Entry {
            id: finding.id.clone(),
            promise: format!("{} {}", finding.invariant, finding.case),
            title: finding.title.clone(),
            reason: finding.reason.clone(),
            size: Size::of(&registered.plan).to_string(),
            confirmed: registered.confirmed.as_ref().map_or_else(String::new, Confirmation::text),
            page: format!("{}/timeline.html", finding.id),
        });
    }
    let file = keep(folder, "index.html", &claimlab_timeline::index(&entries))?;
    super::print(&format!("{} findings in {}\n", entries.len(), file.display()))?;
    Ok(Judgement::Held.exit_code())
}
