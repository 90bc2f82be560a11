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

    use claimlab_valkey::Server;
    use serde::Serialize;

    use super::super::find::wanted_in;
    use super::super::kept::keep;
    use super::super::lockstep::{begins, deployment};
    use super::super::{print, under_own_clock};
    use super::{CommandError, ConfirmArguments, Format};
    use crate::judge::{Judgement, PLAN};
    use crate::live::record::Record;
    use crate::live::twin::{Error, Twin};
    use crate::live::unit::Unit;
    use crate::outcome::Wanted;
    use crate::plan::{self, Plan, What};
    use crate::run::run as run_plan;
    use crate::world::Options;

    /// What a real server says of a plan.
    #[derive(Debug, Serialize)]
    #[serde(tag = "result", rename_all = "snake_case")]
    enum OnServer {
        /// Everything was the same up to the violation.
        Confirmed {
            /// Messages that the shipped client sent.
            messages: u64,
        },
        /// The two parted, or the violation did not come.
        NotReproduced {
            /// Where, with both answers.
            why: String,
        },
        /// A real server cannot be brought into this.
        NotApplicable {
            /// Why.
            why: String,
        },
    }

    impl OnServer {
        fn judgement(&self) -> Judgement {
            match self {
                Self::Confirmed { .. } => Judgement::Held,
                Self::NotReproduced { .. } => Judgement::Violated,
                Self::NotApplicable { .. } => Judgement::Undecided,
            }
        }

        fn line(&self) -> String {
            match self {
                Self::Confirmed { messages } => {
                    format!("CONFIRMED       after {messages} messages, each the same on both")
                }
                Self::NotReproduced { why } => format!("NOT REPRODUCED  {why}"),
                Self::NotApplicable { why } => format!("NOT APPLICABLE  {why}"),
            }
        }
    }

    /// One plan's result.
    #[derive(Debug, Serialize)]
    struct Line {
        file: String,
        wanted: String,
        #[serde(flatten)]
        confirmed: OnServer,
    }

    /// What is looked for in a plan: what was asked, what its folder says, or what it breaks first.
    fn wanted(arguments: &ConfirmArguments, find: &Path, plan: &Arc<Plan>) -> Result<Option<Wanted>, CommandError> {
        if let Some(cause) = &arguments.cause {
            let refused = |accepted| CommandError::Flag { flag: "--cause", found: format!("{cause:?}"), accepted };
            return Wanted::parse(cause).map(Some).map_err(refused);
        }
        if let Some(wanted) = wanted_in(find) {
            return Ok(Some(wanted));
        }
        let outcome = run_plan(plan, Options::default());
        Ok(outcome.violations.first().map(|violation| Wanted::of(&violation.cause())))
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
        let mut lines = Vec::new();
        for find in &arguments.finds {
            let file = if find.is_dir() { find.join(PLAN) } else { find.clone() };
            let plan = Arc::new(plan::read(&file)?);
            let wanted = wanted(arguments, find, &plan)?;
            let confirmed = match (beyond(&plan), &wanted) {
                (Some(why), _) => OnServer::NotApplicable { why },
                (None, None) => OnServer::NotApplicable { why: "the plan breaks no promise any more".to_owned() },
                (None, Some(wanted)) => confirm(&plan, wanted, &arguments.server)?,
            };
            let wanted = wanted.as_ref().map_or_else(|| "-".to_owned(), Wanted::to_string);
            let line = Line { file: file.display().to_string(), wanted, confirmed };
            if find.is_dir() {
                let text = serde_json::to_string_pretty(&line).unwrap_or_default();
                keep(find, "confirmed.json", &format!("{text}\n"))?;
            }
            lines.push(line);
        }
        let worst = lines.iter().map(|line| line.confirmed.judgement()).max().unwrap_or(Judgement::Undecided);
        print(&match arguments.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&lines).unwrap_or_default()),
            Format::Text => {
                let mut text = String::new();
                for line in &lines {
                    let _ = writeln!(text, "{}\n    {}  {}", line.confirmed.line(), line.wanted, line.file);
                }
                text
            }
        })?;
        Ok(worst.exit_code())
    }

    fn confirm(plan: &Arc<Plan>, wanted: &Wanted, server: &str) -> Result<OnServer, CommandError> {
        let begins = begins(plan);
        let server = Server::named(server, begins.ms()).map_err(Error::from)?;
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
