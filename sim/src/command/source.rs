//! Where a plan comes from: a stored one, or a scenario with a seed.

use std::path::PathBuf;

use clap::Args;

use super::changes::Changes;
use super::{CommandError, replay_command};
use crate::judge::{self, Finding};
use crate::plan::{self, Plan, draw};
use crate::scenario::Bounds;

#[derive(Debug, Args)]
pub(super) struct Source {
    /// A stored plan (.json), or a scenario together with --seed
    pub(super) file: PathBuf,
    /// The seed, where the file is a scenario
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    #[command(flatten)]
    changes: Changes,
    /// The folder of known findings, instead of the nearest one
    #[arg(long, value_name = "DIR")]
    findings: Option<PathBuf>,
}

/// A plan with what is known of it.
pub(super) struct Sourced {
    pub(super) plan: Plan,
    /// Of a scenario what it accepts; of a stored plan everything that the nearest findings know.
    pub(super) known: Vec<Finding>,
    /// The bounds that the scenario sets; a stored plan sets none.
    pub(super) bounds: Bounds,
}

impl Source {
    /// The plan. What a scenario promises to look at is a campaign's: one seed need not keep it.
    pub(super) fn plan(&self) -> Result<Sourced, CommandError> {
        let is_plan = self.file.extension().is_some_and(|extension| extension == "json");
        let flag = |flag, found: &str, accepted: &str| CommandError::Flag {
            flag,
            found: found.into(),
            accepted: accepted.into(),
        };
        if is_plan {
            if self.seed.is_some() || !self.changes.is_empty() {
                let accepted = "a plan alone, which holds its seed, workers and deviations";
                return Err(flag("--seed, --workers, --worker, --deviation", "a plan beside them", accepted));
            }
            let plan = plan::read(&self.file)?;
            super::require_players(plan.workers.iter().map(|worker| worker.player))?;
            let named = self.findings.clone().or_else(|| judge::nearest_folder(&self.file));
            let folder = judge::named_or_nearest(named.as_deref());
            let known = folder.map(|folder| judge::read_folder(&folder)).transpose()?.unwrap_or_default();
            return Ok(Sourced { plan, known: known.into_values().collect(), bounds: Bounds::default() });
        }
        let scenario = self.changes.load(&self.file)?;
        let seed = self.seed.ok_or_else(|| flag("--seed", "nothing", "a seed, where the file is a scenario"))?;
        let known = judge::accepted(&scenario, &self.file, self.findings.as_deref())?;
        Ok(Sourced { plan: draw(&scenario, seed), known, bounds: scenario.bounds })
    }

    /// The command that replays it.
    pub(super) fn replay_command(&self) -> String {
        replay_command(&self.file, self.seed, &self.changes)
    }
}
