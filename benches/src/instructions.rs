//! Instructions for each round of work, as callgrind counts them: the half of the gate that no noise reaches.
//!
//! A program runs some work under valgrind twice, with fewer and with more rounds; the difference is what
//! the rounds cost, without start and end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;

use claimlab::clock::TrueTime;
use claimlab::world::Options;
use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::port::Immediate;
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use claimlab_model::token::Secret;
use ff_core::partition::PartitionConfig;

use crate::cores::Placement;
use crate::error::{Error, io_error};
use crate::interrupt;
use crate::lab::{Deployed, Lab};
use crate::named::by_name;
use crate::operation::{Item, Operation};
use crate::plant::Plant;
use crate::suite::USUAL_PARTITIONS;
use crate::target::Target;
use crate::wall;
use crate::world::bench_plan;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// The shipped client and backend, from create to complete, on a real server.
    Client,
    /// The same calls on the model.
    Model,
    /// A simulated second of a world of twenty workers.
    Simulator,
}

/// The operations of a round.
const ROUND: &[Operation] =
    &[Operation::Create, Operation::IssueGrant, Operation::Claim, Operation::Renew, Operation::Complete];

impl Work {
    /// All of it.
    pub const ALL: &[Self] = &[Self::Client, Self::Model, Self::Simulator];

    /// Its name, as results carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Model => "model",
            Self::Simulator => "simulator",
        }
    }

    /// Fewer and more rounds.
    const fn rounds(self) -> (u64, u64) {
        match self {
            Self::Client => (20, 120),
            Self::Model => (100, 1_100),
            Self::Simulator => (2, 7),
        }
    }

    /// Does so many rounds; with `flush`, on a server that may hold anything.
    ///
    /// # Errors
    /// Those of the server and the backends.
    pub async fn run(self, rounds: u64, flush: bool) -> Result<(), Error> {
        match self {
            Self::Client => {
                let target = Arc::new(Target::from_environment(flush, Placement::Anywhere)?);
                rounds_on(&*Deployed::on(&target, USUAL_PARTITIONS, Plant::default()).await?, rounds).await
            }
            Self::Model => {
                let partitions =
                    PartitionConfig { num_flow_partitions: USUAL_PARTITIONS, ..PartitionConfig::default() };
                let store = Store::new(Secret::new("k1", vec![7; 32]), Deviations::default());
                let server = Immediate::new(store, ServerTime::from_ms(wall::now().0));
                let backend = Arc::new(ModelBackend::new(Arc::new(server), partitions));
                rounds_on(&Lab::over(backend, partitions, Plant::default()), rounds).await
            }
            Self::Simulator => {
                let plan = bench_plan(20);
                let until = Some(TrueTime::from_ms(rounds * 1_000));
                claimlab::run::run(&plan, Options { until, ..Options::default() });
                Ok(())
            }
        }
    }
}

async fn rounds_on(lab: &Lab, rounds: u64) -> Result<(), Error> {
    for _ in 0..rounds {
        let mut item = Item::new(lab.execution());
        for operation in ROUND {
            item = operation.once(lab, item).await?;
        }
    }
    Ok(())
}

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "work", Self::ALL, Self::name)
    }
}

/// Instructions for each round of each work, of a program.
///
/// # Errors
/// When valgrind is missing, or the program fails under it.
pub fn count(program: &Path, works: &[Work], target: &Target) -> Result<BTreeMap<String, u64>, Error> {
    let mut counted = BTreeMap::new();
    for work in works {
        let (fewer, more) = work.rounds();
        let (low, high) = (collected(program, *work, fewer, target)?, collected(program, *work, more, target)?);
        let each = high.saturating_sub(low) / (more - fewer);
        if each == 0 {
            let found = format!("{low} instructions for {fewer} rounds, {high} for {more}");
            return Err(Error::Unexpected { what: "callgrind", found });
        }
        counted.insert(work.name().to_owned(), each);
    }
    Ok(counted)
}

fn collected(program: &Path, work: Work, rounds: u64, target: &Target) -> Result<u64, Error> {
    interrupt::check()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["rounds", work.name(), &rounds.to_string(), "--flush"])
        .env(crate::target::VARIABLE, target.url())
        .stdin(Stdio::null())
        .output()
        .map_err(io_error("valgrind (on Debian: apt-get install valgrind)"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match collected {
        Some(collected) if output.status.success() => Ok(collected),
        _ => Err(Error::Unexpected { what: "a round under valgrind", found: text.trim().to_owned() }),
    }
}
