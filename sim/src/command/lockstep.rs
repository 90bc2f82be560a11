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
pub(super) use live::{begins, deployment, run};

#[cfg(feature = "live")]
mod live {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::sync::Arc;

    use claimlab_model::time::ServerTime;
    use claimlab_valkey::Server;
    use ff_core::partition::PartitionConfig;
    use ff_core::types::LaneId;
    use indicatif::ProgressBar;

    use super::super::{print, under_own_clock, unless_nothing};
    use super::{CommandError, Scenario, Seeds, UnitName};
    use crate::clock::{ServerClock, TrueTime};
    use crate::live::client::Deployment;
    use crate::live::record::Record;
    use crate::live::twin::{Error, Twin};
    use crate::live::unit::Unit;
    use crate::outcome::Cause;
    use crate::plan::{Plan, draw, secret_of};
    use crate::report::grouped;
    use crate::run::run as run_plan;
    use crate::stopwatch::Stopwatch;
    use crate::world::Options;

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
        let stopwatch = Stopwatch::start();
        let mut calls = 0;
        let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
        for seed in (0..count).filter_map(|offset| seeds.first.checked_add(offset)) {
            let plan = Arc::new(draw(scenario, seed));
            let asks_scheduler =
                plan.workers.iter().any(|worker| worker.entry == Some(crate::scenario::Entry::ClaimViaServer));
            unit.next_world(&deployment(&plan), self::begins(&plan), asks_scheduler)?;
            let outcome = run_plan(&plan, Options { beside: Some(Arc::new(unit.clone())), ..Options::default() });
            for violation in &outcome.violations {
                *causes.entry(violation.cause()).or_default() += 1;
            }
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
        let rate =
            calls.saturating_mul(1_000) / u64::try_from(stopwatch.elapsed().as_millis().max(1)).unwrap_or(u64::MAX);
        let _ = writeln!(
            text,
            "{}  {}  {count} seeds in lockstep, {} calls compared ({}/s), no difference",
            unless_nothing(calls).name().to_uppercase(),
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
        // What the worlds broke is what 0.15.0 breaks on both sides alike; `run` without --lockstep judges it.
        for (cause, count) in causes {
            let _ = writeln!(text, "on both sides alike: {cause}, {} times", grouped(count));
        }
        print(&text)?;
        Ok(unless_nothing(calls).exit_code())
    }

    /// The server's time when a plan begins.
    pub(in super::super) fn begins(plan: &Plan) -> ServerTime {
        ServerClock::new(plan.world.server).at(TrueTime::default())
    }

    /// What a plan's world runs on.
    pub(in super::super) fn deployment(plan: &Plan) -> Deployment {
        Deployment {
            secret: secret_of(plan.seed),
            lanes: plan.world.lanes.iter().map(|lane| LaneId::new(lane.as_str())).collect(),
            partitions: PartitionConfig { num_flow_partitions: plan.world.partitions, ..PartitionConfig::default() },
        }
    }
}
