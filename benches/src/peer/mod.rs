//! What a user would pick instead, doing the same work in the same harness: put in, taken by one of many
//! workers, done.
//!
//! None of them promises what FlowFabric does; what each promises stands beside what it costs, so that the
//! price of the difference is known. Behind the feature `peers`, because they bring their own drivers.

pub mod apalis;
pub mod blmove;
pub mod database;
pub mod flowfabric;
pub mod guarantees;
pub mod sidekiq;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use claimlab::stopwatch::Stopwatch;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::closed_loop::{histogram, record};
use crate::error::Error;
use crate::named::by_name;
use crate::results::{Latency, Peer};
use crate::statistics::Counter;
use crate::target::Target;

/// How many are put in one after the other, and then done.
const JOBS: u64 = 1_000;
/// How many go through alone.
const ALONE: u64 = 60;
/// How many are counted.
const COUNTED: u64 = 100;
/// What is acknowledged after a job's end is acknowledged by then.
const LAST_ACKNOWLEDGEMENTS: Duration = Duration::from_millis(100);
/// Whoever has not done its work by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// Jobs that are done.
#[derive(Debug, Default)]
pub struct Done {
    count: AtomicU64,
    changed: Notify,
    first: OnceLock<Stopwatch>,
}

impl Done {
    /// One more.
    pub fn one(&self) {
        self.first.get_or_init(Stopwatch::start);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Since the first one.
    fn elapsed(&self) -> Duration {
        self.first.get().map_or(Duration::ZERO, |first| first.elapsed())
    }

    async fn until(&self, count: u64) {
        loop {
            let changed = self.changed.notified();
            if self.count.load(Ordering::Relaxed) >= count {
                return;
            }
            changed.await;
        }
    }
}

/// Workers that run until this is dropped.
pub type Workers = JoinSet<Result<(), Error>>;

/// A queue with workers of its own kind.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Puts one job in.
    async fn put(&self, number: u64) -> Result<(), Error>;
    /// Starts so many workers, which tell of each job that they have done.
    async fn work(&self, workers: usize, done: Arc<Done>) -> Result<Workers, Error>;
}

/// The queues that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FlowFabric on Valkey through the shipped worker.
    FlowFabric,
    /// A list, `BLMOVE` and a lease key, written by hand.
    Blmove,
    /// `apalis-redis`.
    Apalis,
    /// `rusty-sidekiq`.
    Sidekiq,
    /// FlowFabric on SQLite in memory.
    Sqlite,
    /// FlowFabric on PostgreSQL.
    Postgres,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::FlowFabric, Self::Blmove, Self::Apalis, Self::Sidekiq, Self::Sqlite, Self::Postgres];

    /// Its name, as results carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlowFabric => "flowfabric",
            Self::Blmove => "blmove",
            Self::Apalis => "apalis-redis",
            Self::Sidekiq => "rusty-sidekiq",
            Self::Sqlite => "flowfabric-sqlite",
            Self::Postgres => "flowfabric-postgres",
        }
    }

    const fn is_on_target(self) -> bool {
        !matches!(self, Self::Sqlite | Self::Postgres)
    }

    /// Whether its library tells the server that a job is done only when the job's own code, which counts it here, has
    /// ended.
    const fn acknowledges_afterwards(self) -> bool {
        matches!(self, Self::Apalis | Self::Sidekiq)
    }

    /// An empty one.
    async fn open(self, target: &Arc<Target>) -> Result<Box<dyn Queue>, Error> {
        if self.is_on_target() {
            target.empty()?;
        }
        Ok(match self {
            Self::FlowFabric => Box::new(flowfabric::FlowFabric::open(target).await?),
            Self::Blmove => Box::new(blmove::Blmove::open(target).await?),
            Self::Apalis => Box::new(apalis::Apalis::open(target).await?),
            Self::Sidekiq => Box::new(sidekiq::Sidekiq::open(target).await?),
            Self::Sqlite => Box::new(database::Sqlite::open().await?),
            Self::Postgres => Box::new(database::Postgres::open().await?),
        })
    }

    /// Measures it with so many workers.
    ///
    /// # Errors
    /// Those of the queue.
    pub async fn measure(self, target: &Arc<Target>, workers: usize) -> Result<Peer, Error> {
        let queue = self.open(target).await?;
        let began = Stopwatch::start();
        for number in 0..JOBS {
            queue.put(number).await?;
        }
        let enqueue_ns = began.elapsed().as_nanos() as u64 / JOBS;
        let done = Arc::new(Done::default());
        let mut running = queue.work(workers, Arc::clone(&done)).await?;
        self.until(&done, JOBS, &mut running).await?;
        // Workers that open their connections first are not slower for it.
        let per_second = (JOBS - 1) as f64 / done.elapsed().as_secs_f64();
        // The same workers, with nothing to do but this one.
        let mut alone = histogram();
        for number in 0..ALONE {
            let began = Stopwatch::start();
            queue.put(JOBS + number).await?;
            self.until(&done, JOBS + number + 1, &mut running).await?;
            record(&mut alone, began.elapsed());
        }
        running.abort_all();
        let commands = if self.is_on_target() { Some(self.commands(target).await?) } else { None };
        Ok(Peer {
            name: self.name().to_owned(),
            guarantees: guarantees::of(self)
                .into_iter()
                .map(|(name, what)| (name.to_owned(), what.to_owned()))
                .collect::<BTreeMap<_, _>>(),
            workers: workers as u64,
            enqueue_ns,
            per_second,
            alone: Latency::of(&alone),
            commands,
        })
    }

    /// Counted with one worker that always finds something.
    async fn commands(self, target: &Arc<Target>) -> Result<crate::statistics::Commands, Error> {
        let queue = self.open(target).await?;
        let counter = Counter::begin(target).await?;
        for number in 0..COUNTED {
            queue.put(number).await?;
        }
        let done = Arc::new(Done::default());
        let mut running = queue.work(1, Arc::clone(&done)).await?;
        self.until(&done, COUNTED, &mut running).await?;
        if self.acknowledges_afterwards() {
            tokio::time::sleep(LAST_ACKNOWLEDGEMENTS).await;
        }
        let tally = counter.end().await?;
        running.abort_all();
        Ok(tally.each(COUNTED))
    }

    /// Waits for so many jobs, unless a worker fails first.
    async fn until(self, done: &Done, count: u64, running: &mut Workers) -> Result<(), Error> {
        let failed = |said: String| Error::Peer { peer: self.name(), said };
        tokio::select! {
            () = done.until(count) => Ok(()),
            Some(ended) = running.join_next() => {
                ended??;
                Err(failed("a worker has ended".to_owned()))
            }
            () = tokio::time::sleep(PATIENCE) => {
                let so_far = done.count.load(Ordering::Relaxed);
                Err(failed(format!("{so_far} of {count} jobs done within {} s", PATIENCE.as_secs())))
            }
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, "queue", Self::ALL, Self::name)
    }
}

/// How clients of Redis name the first server of a target.
fn url(target: &Target) -> String {
    target.primaries().first().map_or_else(String::new, |address| format!("redis://{}:{}/", address.host, address.port))
}
