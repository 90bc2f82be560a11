//! `run`: every operation and path beside the floor.

use std::fmt::Write as _;

use claimlab_benches::cores::Placement;
use claimlab_benches::error::Error;
use claimlab_benches::results::{Kind, Results};
use claimlab_benches::suite::{self, CONCURRENCIES, Profile, Subject};
use clap::Args;

use super::{Common, ProfileName, block_on, progress, us};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// How much is measured
    #[arg(long, value_enum, default_value = "quick")]
    profile: ProfileName,
    /// Only what has one of these names; the floors are measured always
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Run {
    pub(super) fn run(self) -> Result<u8, Error> {
        let profile: Profile = self.profile.into();
        let subjects = chosen(&self.only)?;
        let target = self.common.target(Placement::Apart)?;
        let bar = progress((CONCURRENCIES.len() * (subjects.len() + 2)) as u64);
        let measured = suite::run(&target, profile, &subjects, |what| {
            bar.set_message(what.to_owned());
            bar.inc(1);
        });
        let results = block_on(measured)?;
        bar.finish_and_clear();
        self.common.give(&results, "run", || table(&results))?;
        Ok(0)
    }
}

fn chosen(only: &[String]) -> Result<Vec<Subject>, Error> {
    let all = Subject::all();
    for name in only {
        if !all.iter().any(|subject| subject.name() == name) {
            let mut names: Vec<&str> = all.iter().map(|subject| subject.name()).collect();
            names.dedup();
            return Err(Error::Flag { flag: "only", found: name.clone(), accepted: names.join(", ") });
        }
    }
    let is_chosen = |subject: &Subject| {
        only.is_empty() || matches!(subject, Subject::Floor(_)) || only.iter().any(|name| subject.name() == name)
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn table(results: &Results) -> String {
    let mut out = String::new();
    let server = &results.server;
    let _ = writeln!(
        out,
        "Valkey {}{}, library {}, {} on {} x {}\n",
        server.valkey,
        if server.settings.get("server-cpulist").is_some_and(|cores| !cores.is_empty()) {
            " on its own core"
        } else {
            ""
        },
        server.library,
        results.profile,
        results.machine.cpus,
        results.machine.cpu_model
    );
    let _ = writeln!(out, "floor           at once   harness       bare   harness/bare");
    for overhead in &results.overheads {
        let (harness, bare) = (us(overhead.harness_ns), us(overhead.bare_ns));
        let _ = writeln!(
            out,
            "{:15} {:>7} {harness:>9} {bare:>10} {:>14.3}  {:.3} to {:.3}",
            overhead.name, overhead.concurrency, overhead.ratio, overhead.low, overhead.high
        );
    }
    if let Some(nanos) = results.valkey_benchmark_ns {
        let _ = writeln!(out, "valkey-benchmark      1 {:>9}", us(nanos));
    }
    for concurrency in CONCURRENCIES {
        let _ = writeln!(
            out,
            "\n{concurrency} at once\n{:27} {:>5} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "", "parts", "commands", "in functions", "floors", "p50", "p99", "per s"
        );
        let of_this = results.measurements.iter().filter(|one| one.concurrency == *concurrency as u64);
        for one in of_this {
            let parts = if one.kind == Kind::Path { one.partitions.to_string() } else { String::new() };
            let _ = writeln!(
                out,
                "{:27} {parts:>5} {:>8.1} {:>12.1} {:>9.2} {:>9} {:>9} {:>9.0}",
                one.name,
                one.commands.client,
                one.commands.script,
                one.floors,
                us(one.latency.p50_ns),
                us(one.latency.p99_ns),
                one.per_second,
            );
        }
    }
    out
}
