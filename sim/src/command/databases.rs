//! `claimlab run --backend`: a scenario's worlds over a shipped database.

use std::path::Path;

use clap::ValueEnum;

#[cfg(not(feature = "databases"))]
use super::CommandError;
use super::Format;
use crate::campaign::Seeds;
use crate::judge::Finding;
#[cfg(not(feature = "databases"))]
use crate::scenario::Scenario;

/// A shipped backend over a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BackendName {
    /// In memory
    Sqlite,
    /// On a private PostgreSQL server
    Postgres,
}

impl BackendName {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// How to run and to print.
#[cfg_attr(not(feature = "databases"), allow(dead_code))]
pub(super) struct How<'a> {
    pub(super) backend: BackendName,
    pub(super) seeds: Seeds,
    pub(super) file: &'a Path,
    pub(super) accepted: &'a [Finding],
    pub(super) strict: bool,
    pub(super) format: Format,
}

#[cfg(not(feature = "databases"))]
pub(super) fn run(_: &Scenario, how: &How<'_>) -> Result<u8, CommandError> {
    Err(CommandError::NoDatabases { backend: how.backend.name() })
}

#[cfg(feature = "databases")]
pub(super) use with_databases::run;

#[cfg(feature = "databases")]
mod with_databases {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::sync::Arc;

    use super::super::run::progress_bar;
    use super::super::{CommandError, Format, in_dev_mode, left_out, print, under_own_clock};
    use super::{BackendName, How};
    use crate::databases::{Backend, Host, run_plan};
    use crate::judge::{Evidence, Known, Verdict, judge};
    use crate::outcome::{Cause, End, Violation};
    use crate::plan::draw;
    use crate::report::grouped;
    use crate::scenario::Scenario;

    /// How many causes that nobody knows are told as stories.
    const STORIES: usize = 3;

    /// One cause over all seeds.
    struct Group {
        count: u64,
        seed: u64,
        first: Violation,
        story: Vec<String>,
    }

    /// What all seeds came to.
    #[derive(Default)]
    struct Summary {
        evidence: Evidence,
        groups: BTreeMap<Cause, Group>,
        seeds: u64,
        calls: u64,
        faults: BTreeMap<&'static str, u64>,
    }

    pub(in super::super) fn run(scenario: &Scenario, how: &How<'_>) -> Result<u8, CommandError> {
        if let Some(code) = left_out(how.backend.name())? {
            return Ok(code);
        }
        if let Some(code) = in_dev_mode()? {
            return Ok(code);
        }
        if let Some(code) = under_own_clock()? {
            return Ok(code);
        }
        let shipped = match how.backend {
            BackendName::Sqlite => Backend::Sqlite,
            BackendName::Postgres => Backend::Postgres,
        };
        let failed = |error| CommandError::from(crate::matrix::subject::Error::Database(error));
        let host = Arc::new(Host::start(shipped).map_err(failed)?);
        let count = how.seeds.count.unwrap_or(1);
        let bar = progress_bar(how.seeds.count, how.format);
        let mut summary = Summary::default();
        for seed in (0..count).filter_map(|offset| how.seeds.first.checked_add(offset)) {
            let (outcome, judged) = run_plan(&Arc::new(draw(scenario, seed)), &host).map_err(failed)?;
            summary.add(seed, &outcome, judged);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let verdict = judge(&summary.evidence, how.accepted, &scenario.must_exercise, how.strict);
        print(&match how.format {
            Format::Text => summary.text(scenario, how, &verdict),
            Format::Json => {
                let object = serde_json::json!({
                    "verdict": verdict, "seeds": summary.seeds, "scripts": summary.evidence.scripts,
                    "looks": summary.evidence.looks, "executions": summary.evidence.executions,
                });
                format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
            }
        })?;
        Ok(verdict.judgement.exit_code())
    }

    impl Summary {
        fn add(&mut self, seed: u64, outcome: &crate::outcome::Outcome, judged: crate::databases::judge::Judge) {
            self.seeds += 1;
            if let End::Panicked(message) = &outcome.end {
                self.evidence.undecided.push(format!("the run panicked (seed {seed}): {message}"));
            }
            for (fault, count) in &outcome.counts.faults {
                *self.faults.entry(fault).or_default() += count;
            }
            for ((method, result), count) in &judged.calls {
                *self.evidence.scripts.entry(format!("{method}={result}")).or_default() += count;
                self.calls += count;
            }
            for (invariant, count) in &judged.looks {
                *self.evidence.looks.entry((*invariant).to_owned()).or_default() += count;
            }
            self.evidence.executions += judged.created;
            for (violation, story) in judged.violations {
                let cause = violation.cause();
                *self.evidence.causes.entry(cause).or_default() += 1;
                let fresh = || Group { count: 0, seed, first: violation, story };
                self.groups.entry(cause).or_insert_with(fresh).count += 1;
            }
        }

        fn text(&self, scenario: &Scenario, how: &How<'_>, verdict: &Verdict) -> String {
            let Evidence { looks, executions, .. } = &self.evidence;
            let mut out = format!(
                "{}  {}  {} seeds over {}\n",
                verdict.judgement.name().to_uppercase(),
                scenario.name,
                self.seeds,
                how.backend.name(),
            );
            let _ = writeln!(out, "  executions  {} created", grouped(*executions));
            let faults: Vec<String> =
                self.faults.iter().map(|(fault, count)| format!("{fault} {}", grouped(*count))).collect();
            let _ = writeln!(out, "  faults      {}", faults.join(", "));
            let looks: Vec<String> = looks.iter().map(|(id, count)| format!("{id} {}", grouped(*count))).collect();
            let _ = writeln!(out, "  calls       {}, each followed by a look at its execution", grouped(self.calls));
            let _ = writeln!(out, "  checked     {}", looks.join(", "));
            for Known { id, count, of, is_too_often } in &verdict.known {
                let finding = how.accepted.iter().find(|finding| finding.id == *id);
                let title = finding.map_or("", |finding| finding.title.as_str());
                let often = if *is_too_often { ", which is more often than it may" } else { "" };
                let _ = writeln!(out, "  known       {id}: {} of {}{often}: {title}", grouped(*count), grouped(*of));
            }
            for reason in &verdict.undecided {
                let _ = writeln!(out, "  undecided   {reason}");
            }
            for cause in &verdict.unexpected {
                let Some(group) = self.groups.get(cause) else { continue };
                let _ = writeln!(
                    out,
                    "  violated    {} times, first in seed {}: {cause}",
                    grouped(group.count),
                    group.seed
                );
            }
            for cause in verdict.unexpected.iter().take(STORIES) {
                let Some(group) = self.groups.get(cause) else { continue };
                let _ =
                    writeln!(out, "\n{} {}\n  cause     {cause}", cause.invariant.id(), cause.invariant.statement());
                let _ = writeln!(out, "  execution {}", group.first.execution);
                for line in &group.story {
                    let _ = writeln!(out, "{line}");
                }
                let _ = writeln!(out, "  BROKEN    {}", group.first.detail);
                let _ = writeln!(
                    out,
                    "  replay    claimlab run {} --backend {} --seed {}",
                    how.file.display(),
                    how.backend.name(),
                    group.seed
                );
            }
            out
        }
    }
}
