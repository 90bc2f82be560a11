//! `claimlab confirm`.

use std::path::PathBuf;

use clap::Args;

use super::{CommandError, Format};

pub(super) const EXAMPLES: &str = "Examples:
  claimlab confirm hunted/S31-misplaced-change_priority-changed
  claimlab confirm shrunk/*/plan.json --server valkey://127.0.0.1:6390?clock=/tmp/clock

The plan's messages are sent to a real server by the shipped client, one by one; after each the answer and the keys are
laid beside the model's. Confirmed means that they were the same up to the message that breaks the promise, so that the
check that looks at the model's state would say the same of the server's keys.";

#[derive(Debug, Args)]
pub(super) struct ConfirmArguments {
    /// Folders of finds, or plans (.json)
    #[arg(required = true)]
    finds: Vec<PathBuf>,
    /// What is looked for, such as "S04 expired" [default: what the find's folder says, or what the plan breaks first]
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// `valkey` starts a private one, valkey://HOST:PORT?clock=FILE takes one that runs under claimlab's clock
    #[arg(long, value_name = "SERVER", default_value = "valkey")]
    server: String,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[cfg(not(feature = "live"))]
pub(super) fn run(_: &ConfirmArguments) -> Result<u8, CommandError> {
    Err(CommandError::NotLive { what: "confirm" })
}

#[cfg(feature = "live")]
pub(super) use live::run;

#[cfg(feature = "live")]
mod live {
    use std::fmt::Write as _;
    use std::path::Path;
    use std::sync::Arc;

    use claimlab_model::invariant::{Invariant, Scope};
    use claimlab_valkey::Server;
    use serde::Serialize;

    use super::super::find::wanted_in;
    use super::super::kept::keep;
    use super::super::lockstep::{begins, deployment};
    use super::super::{print, under_own_clock};
    use super::{CommandError, ConfirmArguments, Format};
    use crate::judge::{self, CONFIRMED, Confirmation, Finding, Judgement, OnServer, PLAN};
    use crate::live::record::Record;
    use crate::live::twin::{Error, Twin};
    use crate::live::unit::Unit;
    use crate::outcome::{Cause, Violation, Wanted};
    use crate::plan::{self, Plan, What};
    use crate::run::run as run_plan;
    use crate::scenario::Player;
    use crate::world::Options;

    /// One plan's result.
    #[derive(Debug, Serialize)]
    struct Line {
        file: String,
        #[serde(flatten)]
        confirmation: Confirmation,
    }

    /// What is looked for in a plan: what was asked, what its folder says, what the finding beside its folder knows, or what
    /// it breaks first.
    fn wanted(arguments: &ConfirmArguments, find: &Path, plan: &Arc<Plan>) -> Result<Option<Wanted>, CommandError> {
        if let Some(cause) = &arguments.cause {
            let refused = |accepted| CommandError::Flag { flag: "--cause", found: format!("{cause:?}"), accepted };
            return Wanted::parse(cause).map(Some).map_err(refused);
        }
        if let Some(wanted) = wanted_in(find)? {
            return Ok(Some(wanted));
        }
        let finding = finding_of(find)?;
        let is_it = |cause: &Cause| finding.as_ref().is_none_or(|finding| finding.knows(cause));
        let outcome = run_plan(plan, Options::default());
        let mut causes = outcome.violations.iter().map(Violation::cause);
        Ok(causes.find(is_it).map(|cause| Wanted::of(&cause)))
    }

    /// The finding whose folder it is, where a folder of findings has it.
    fn finding_of(find: &Path) -> Result<Option<Finding>, CommandError> {
        let (Some(folder), Some(id)) = (find.parent(), find.file_name().and_then(|name| name.to_str())) else {
            return Ok(None);
        };
        let is_one = find.is_dir() && folder.join(format!("{id}.toml")).is_file();
        Ok(if is_one { judge::read_folder(folder)?.remove(id) } else { None })
    }

    /// The day on which somebody asks. No run sees it: each has a clock of its own, which is not set yet.
    #[allow(clippy::disallowed_types)]
    fn today() -> String {
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        now.split('T').next().unwrap_or_default().to_owned()
    }

    /// Whether a plan shows it when ff-sdk's own worker plays its workers; none where the promise is no worker's, or the build
    /// has no such worker.
    fn shows_on_shipped_worker(plan: &Plan, wanted: &Wanted) -> Option<bool> {
        let is_workers = wanted.breach.invariant.scope() == Scope::Worker || wanted.breach.invariant == Invariant::L11;
        if !(cfg!(feature = "sdk") && is_workers) {
            return None;
        }
        let mut shipped = plan.clone();
        for worker in &mut shipped.workers {
            worker.player = Player::Sdk;
            // Its claims set no timeout of the attempt.
            worker.attempt_timeout_ms = None;
        }
        let outcome = run_plan(&Arc::new(shipped), Options::default());
        Some(outcome.violations.iter().any(|violation| wanted.is(violation)))
    }

    /// Why a real server cannot be brought into what a plan says.
    fn beyond(plan: &Plan) -> Option<String> {
        let forgets = |what: &What| matches!(what, What::FailOver { lose_ms, .. } if *lose_ms > 0);
        let fails_over = plan.faults.iter().any(|fault| forgets(&fault.what));
        fails_over.then(|| "a fail-over: the server that stands beside the model cannot be made to forget".to_owned())
    }

    pub(in super::super) fn run(arguments: &ConfirmArguments) -> Result<u8, CommandError> {
        if let Some(code) = under_own_clock()? {
            return Ok(code);
        }
        let on = today();
        let mut lines = Vec::new();
        for find in &arguments.finds {
            let file = if find.is_dir() { find.join(PLAN) } else { find.clone() };
            let plan = Arc::new(plan::read(&file)?);
            let wanted = wanted(arguments, find, &plan)?;
            let begins = begins(&plan);
            let server = Server::named(&arguments.server, begins.ms()).map_err(Error::from)?;
            let version = server.version().map_err(Error::from)?;
            let result = match (beyond(&plan), &wanted) {
                (Some(why), _) => OnServer::NotApplicable { why },
                (None, None) => OnServer::NotApplicable { why: "the plan does not show it any more".to_owned() },
                (None, Some(wanted)) => confirm(&plan, wanted, server)?,
            };
            let on_shipped_worker = wanted.as_ref().and_then(|wanted| shows_on_shipped_worker(&plan, wanted));
            let wanted = wanted.as_ref().map_or_else(|| "-".to_owned(), Wanted::to_string);
            let (library, server) = (ff_script::LIBRARY_VERSION.to_owned(), format!("Valkey {version}"));
            let confirmation = Confirmation { wanted, result, on_shipped_worker, library, server, on: on.clone() };
            if find.is_dir() {
                let text = serde_json::to_string_pretty(&confirmation).unwrap_or_default();
                keep(find, CONFIRMED, &format!("{text}\n"))?;
            }
            lines.push(Line { file: file.display().to_string(), confirmation });
        }
        let worst = lines.iter().map(|line| line.confirmation.result.judgement()).max().unwrap_or(Judgement::Undecided);
        print(&match arguments.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&lines).unwrap_or_default()),
            Format::Text => {
                let mut text = String::new();
                for line in &lines {
                    let Line { file, confirmation } = line;
                    let (line, worker) = (confirmation.result.line(), confirmation.of_worker());
                    let _ = writeln!(text, "{line}{worker}\n    {}  {file}", confirmation.wanted);
                }
                text
            }
        })?;
        Ok(worst.exit_code())
    }

    fn confirm(plan: &Arc<Plan>, wanted: &Wanted, server: Server) -> Result<OnServer, CommandError> {
        let begins = begins(plan);
        let twin = Twin::start(server, &deployment(plan), begins)?;
        let unit = Unit::messages(twin, None)?;
        let asks_scheduler =
            plan.workers.iter().any(|worker| worker.entry == Some(crate::scenario::Entry::ClaimViaServer));
        match unit.next_world(&deployment(plan), begins, asks_scheduler) {
            Err(error @ Error::Rotation { .. }) => return Ok(OnServer::NotApplicable { why: error.to_string() }),
            other => other?,
        }
        let options =
            Options { beside: Some(Arc::new(unit.clone())), ends_with: Some(wanted.clone()), ..Options::default() };
        let outcome = run_plan(plan, options);
        let messages = unit.record(|record| record.messages());
        if let Some(end) = unit.record(Record::take_end) {
            return Ok(OnServer::NotReproduced { why: end?.to_string() });
        }
        let is_shown = outcome.violations.iter().any(|violation| wanted.is(violation));
        Ok(match is_shown && messages > 0 {
            true => OnServer::Confirmed { messages },
            false => OnServer::NotReproduced { why: format!("{messages} messages were the same, and it did not come") },
        })
    }
}
