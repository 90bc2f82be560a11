//! `claimlab run --lockstep`: a scenario's calls, each performed on a real server too.

use super::CommandError;
use crate::campaign::Seeds;
use crate::scenario::Scenario;

/// What is delivered as one piece to both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum UnitName {
    /// A call with everything that it asks of the server
    Call,
    /// One command or function call: others' slip between a read and its script, replies are lost
    Message,
}

#[cfg(not(feature = "live"))]
pub(super) fn run(_: &Scenario, _: Seeds, _: &str, _: Option<u64>, _: UnitName) -> Result<u8, CommandError> {
    Err(CommandError::NotLive { what: "--lockstep" })
}

#[cfg(feature = "live")]
pub(super) use live::run;

#[cfg(feature = "live")]
mod live {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use claimlab_model::time::ServerTime;
    use claimlab_valkey::Server;
    use ff_core::partition::PartitionConfig;
    use ff_core::types::LaneId;
    use indicatif::ProgressBar;

    use super::super::{print, under_own_clock};
    use super::{CommandError, Scenario, Seeds, UnitName};
    use crate::campaign::run_plan;
    use crate::clock::{ServerClock, TrueTime};
    use crate::live::client::Deployment;
    use crate::live::record::Record;
    use crate::live::twin::{Error, Twin};
    use crate::live::unit::Unit;
    use crate::plan::{Plan, draw};
    use crate::report::grouped;
    use crate::stopwatch::Stopwatch;
    use crate::world::{Watch, secret_of};

    pub(in super::super) fn run(
        scenario: &Scenario,
        seeds: Seeds,
        server: &str,
        limit: Option<u64>,
        by: UnitName,
    ) -> Result<u8, CommandError> {
        if let Some(code) = under_own_clock()? {
            return Ok(code);
        }
        let count = seeds.count.unwrap_or(1);
        let first = draw(scenario, seeds.first);
        let begins = begins(&first);
        let server = Server::named(server, begins.ms()).map_err(Error::from)?;
        let twin = Twin::start(server, &deployment(&first), begins)?;
        let unit = match by {
            UnitName::Call => Unit::calls(twin, limit),
            UnitName::Message => Unit::messages(twin, limit)?,
        };
        let bar = ProgressBar::new(count);
        let watch = Stopwatch::start();
        let mut calls = 0;
        for seed in (0..count).filter_map(|offset| seeds.first.checked_add(offset)) {
            let plan = Arc::new(draw(scenario, seed));
            let asks_scheduler =
                plan.workers.iter().any(|worker| worker.entry == Some(crate::scenario::Entry::ClaimViaServer));
            unit.next_world(&deployment(&plan), self::begins(&plan), asks_scheduler)?;
            run_plan(&plan, Watch { unit: Some(unit.clone()), ..Watch::default() });
            let of_seed = unit.record(|record| record.calls());
            calls += of_seed;
            if let Some(end) = unit.record(Record::take_end) {
                bar.finish_and_clear();
                let end = end?;
                print(&format!("VIOLATED  seed {seed}: the model and the server differ at call {of_seed}\n\n{end}\n"))?;
                return Ok(1);
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let mut text = String::new();
        let rate = calls.saturating_mul(1_000) / u64::try_from(watch.elapsed().as_millis().max(1)).unwrap_or(u64::MAX);
        let _ = writeln!(
            text,
            "HELD  {}  {count} seeds in lockstep, {} calls compared ({}/s), no difference",
            scenario.name,
            grouped(calls),
            grouped(rate)
        );
        unit.record(|record| {
            let (of_calls, of_messages) = record.coverage();
            let _ = writeln!(
                text,
                "{} messages, {} pairs of message and outcome\n{}",
                grouped(record.messages()),
                of_messages.pairs(),
                of_calls.table()
            );
        });
        print(&text)?;
        Ok(0)
    }

    /// The server's time when a plan begins.
    fn begins(plan: &Plan) -> ServerTime {
        ServerClock::new(plan.world.server).at(TrueTime::default())
    }

    fn deployment(plan: &Plan) -> Deployment {
        Deployment {
            secret: secret_of(plan.seed),
            lanes: plan.world.lanes.iter().map(|lane| LaneId::new(lane.as_str())).collect(),
            partitions: PartitionConfig { num_flow_partitions: plan.world.partitions, ..PartitionConfig::default() },
        }
    }
}
