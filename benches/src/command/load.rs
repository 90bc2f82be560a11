//! `load`: work at a fixed rate, or at one rate after the other.

use std::fmt::Write as _;
use std::time::Duration;

use claimlab_benches::cores::Placement;
use claimlab_benches::error::Error;
use claimlab_benches::load::{self, Options, logs};
use claimlab_benches::results::{Latency, Load, Results};
use clap::Args;

use super::{Common, block_on, progress, us};

/// What of each arrival is remembered fits into memory.
const MOST_ARRIVALS: u128 = 100_000_000;

/// A time that can be added to another.
fn within_a_day(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= Duration::from_secs(86_400) => Ok(time),
        Ok(_) => Err("accepted are times up to a day, like 90s or 10m".to_owned()),
        Err(error) => Err(format!("{error}; accepted are times up to a day, like 90s or 10m")),
    }
}

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Arrivals in each second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// One rate after the other instead, to find the knee
    #[arg(long, value_name = "N,…", value_delimiter = ',', conflicts_with = "rate",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sweep: Vec<u64>,
    /// How long work arrives, at each rate
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = within_a_day)]
    lasts: Duration,
    /// Shipped workers, each running one task at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// Partitions of the deployment
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    partitions: u16,
    /// How long each task runs
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = within_a_day)]
    run: Duration,
    /// How long each lease lives
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(3..))]
    lease_ttl_ms: u64,
    /// How long a worker sleeps that found nothing
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = within_a_day)]
    poll: Duration,
    /// How long the rest is waited for after the last arrival
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = within_a_day)]
    drain: Duration,
    /// A rate is sustained while its 99th percentile, from due to completed, is below this
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = within_a_day)]
    limit_p99: Duration,
    #[command(flatten)]
    common: Common,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Error> {
        let rates = self.rates()?;
        let target = self.common.target(Placement::Anywhere)?;
        let mut results = Results::new(&target, "load")?;
        let mut files = Vec::new();
        for rate in rates {
            let options = self.options(rate);
            let bar = progress((options.lasts.as_secs_f64() * rate as f64) as u64);
            let loading = load::run(&target, options, |created, completed| {
                bar.set_position(created);
                bar.set_message(format!("{rate}/s, {} waiting", created.saturating_sub(completed)));
            });
            let loaded = block_on(loading)?;
            bar.finish_and_clear();
            files.push((rate, loaded.seconds));
            results.loads.push(loaded.load);
        }
        if let Some(folder) = &self.common.out {
            let date: String = results.date.chars().filter(char::is_ascii_alphanumeric).collect();
            for (rate, seconds) in &files {
                logs::write(&folder.join(format!("{date}-load-{rate}.hlog")), seconds)?;
            }
        }
        self.common.give(&results, "load", || table(&results.loads))?;
        Ok(0)
    }

    /// Each rate once, and each with something to do.
    fn rates(&self) -> Result<Vec<u64>, Error> {
        let rates = if self.sweep.is_empty() { vec![self.rate] } else { self.sweep.clone() };
        for (position, rate) in rates.iter().enumerate() {
            if rates[..position].contains(rate) {
                let accepted = "each rate once".to_owned();
                return Err(Error::Flag { flag: "sweep", found: format!("{rate} twice"), accepted });
            }
            let due = self.lasts.as_nanos() * u128::from(*rate) / 1_000_000_000;
            if !(1..=MOST_ARRIVALS).contains(&due) {
                let found = format!("{} at {rate}/s, {due} arrivals", humantime::format_duration(self.lasts));
                return Err(Error::Flag { flag: "for", found, accepted: format!("1 to {MOST_ARRIVALS} arrivals") });
            }
        }
        Ok(rates)
    }

    fn options(&self, rate: u64) -> Options {
        Options {
            rate,
            lasts: self.lasts,
            workers: usize::from(self.workers),
            partitions: self.partitions,
            run: self.run,
            lease_ttl_ms: self.lease_ttl_ms,
            poll: self.poll,
            drain: self.drain,
            limit_p99: self.limit_p99,
        }
    }
}

fn table(loads: &[Load]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:>7} {:>8} {:>8} {:>8}  {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "rate", "due", "done", "in time", "p50", "p99", "p99.9", "most", "renewals", "fairness"
    );
    for load in loads {
        let Latency { p50_ns, p99_ns, p999_ns, max_ns, .. } = load.complete;
        let renewals = match load.renewals_due {
            0 => "-".to_owned(),
            due => format!("{} of {due}", due - load.renewals_missed),
        };
        let _ = writeln!(
            out,
            "{:>7} {:>8} {:>8} {:>8}  {:>10} {:>10} {:>10} {:>10} {renewals:>9} {:>9.3}{}",
            load.rate,
            load.due,
            load.completed,
            load.completed_in_time,
            us(p50_ns),
            us(p99_ns),
            us(p999_ns),
            us(max_ns),
            load.fairness,
            if load.sustained { "" } else { "  not sustained" }
        );
    }
    for load in loads.iter().take(1).filter(|_| loads.len() == 1) {
        for (name, latency) in load.ways() {
            let (p50, p99, most) = (us(latency.p50_ns), us(latency.p99_ns), us(latency.max_ns));
            let _ = writeln!(out, "  {name:24} p50 {p50:>10}  p99 {p99:>10}  most {most:>10}");
        }
    }
    for load in loads.iter().filter(|load| load.first_failure.is_some()) {
        let Load { rate, failed_creates, failed_calls_of_workers, first_failure, .. } = load;
        let first = first_failure.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "  at {rate}/s {failed_creates} could not be created, {failed_calls_of_workers} calls of workers failed; the first: {first}"
        );
    }
    if loads.len() > 1 {
        let knee = load::knee(loads).map_or_else(|| "below the lowest rate".to_owned(), |rate| format!("{rate}/s"));
        let _ = writeln!(out, "\nthe knee: sustained up to {knee}");
    }
    out
}
