//! What the command line changes in a scenario, and the flags that say so again.

use std::path::Path;

use claimlab_model::deviation::Deviation;
use clap::{Args, ValueEnum};

use super::CommandError;
use crate::scenario::{self, Player, Scenario};

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Changes {
    /// Workers instead of the scenario's number; with --lockstep as much less work too
    #[arg(long, value_name = "N")]
    pub(super) workers: Option<u32>,
    /// Who every worker is, instead of what the scenario says; `sdk` needs a build with --features sdk
    #[arg(long, value_enum, value_name = "PLAYER")]
    worker: Option<PlayerName>,
    /// Switch on a named deviation of the model; may be given again
    #[arg(long, value_name = "NAME", value_parser = parse_deviation)]
    pub(super) deviation: Vec<Deviation>,
}

/// Who plays a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlayerName {
    /// The native worker, for thousands
    Native,
    /// The shipped SDK's worker
    Sdk,
}

impl From<PlayerName> for Player {
    fn from(name: PlayerName) -> Self {
        match name {
            PlayerName::Native => Self::Native,
            PlayerName::Sdk => Self::Sdk,
        }
    }
}

pub(super) fn parse_deviation(name: &str) -> Result<Deviation, String> {
    let known = || Deviation::ALL.iter().map(|switch| switch.name()).collect::<Vec<_>>().join(", ");
    Deviation::parse(name).ok_or_else(|| format!("accepted are {}", known()))
}

impl Changes {
    /// The scenario of a file, changed.
    pub(super) fn load(&self, file: &Path) -> Result<Scenario, CommandError> {
        let mut scenario = scenario::read(file)?;
        if let Some(workers) = self.workers {
            if !(1..=200_000).contains(&workers) {
                let accepted = "1 to 200000".into();
                return Err(CommandError::Flag { flag: "--workers", found: workers.to_string(), accepted });
            }
            scenario.workers.count = workers;
        }
        self.cast(&mut scenario)?;
        for deviation in &self.deviation {
            if !scenario.deviations.contains(deviation) {
                scenario.deviations.push(*deviation);
            }
        }
        Ok(scenario)
    }

    /// The scenario of a file as a comparison with what is shipped runs it: with no switches of its own,
    /// and with less work where it has fewer workers.
    pub(super) fn load_for_comparison(&self, file: &Path) -> Result<Scenario, CommandError> {
        let mut scenario = scenario::read(file)?;
        self.cast(&mut scenario)?;
        scenario.deviations.clone_from(&self.deviation);
        Ok(scenario.with_workers(self.workers.unwrap_or(u32::MAX)))
    }

    /// Who plays the workers; a build without them says so.
    fn cast(&self, scenario: &mut Scenario) -> Result<(), CommandError> {
        if let Some(player) = self.worker {
            scenario.workers.worker = player.into();
            scenario.workers.kinds.iter_mut().for_each(|kind| kind.worker = None);
        }
        super::require_players(scenario.workers.players())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_none() && self.worker.is_none() && self.deviation.is_empty()
    }

    /// The same flags again.
    pub(super) fn flags(&self) -> String {
        let mut flags = String::new();
        if let Some(workers) = self.workers {
            flags.push_str(&format!(" --workers {workers}"));
        }
        if let Some(name) = self.worker.and_then(|player| player.to_possible_value()) {
            flags.push_str(&format!(" --worker {}", name.get_name()));
        }
        for deviation in &self.deviation {
            flags.push_str(&format!(" --deviation {}", deviation.name()));
        }
        flags
    }
}
