//! When executions are due, and what has become of each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ff_core::contracts::CreateExecutionArgs;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::{Options, Shared};
use crate::closed_loop::{histogram, record};
use crate::error::{Error, engine_error};

/// Every execution of a load by its number.
pub(super) struct Arrivals {
    interval_ns: u64,
    /// Nanoseconds from the beginning until each was created; zero before.
    created: Vec<AtomicU64>,
    /// The same until it was completed.
    completed: Vec<AtomicU64>,
    sums: (AtomicU64, AtomicU64),
    latencies: Mutex<(Histogram<u64>, Histogram<u64>)>,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Arrivals {
    pub(super) fn new(options: &Options) -> Self {
        let count = nanos(options.lasts).saturating_mul(options.rate) / 1_000_000_000;
        let times = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            interval_ns: 1_000_000_000 / options.rate.max(1),
            created: times(),
            completed: times(),
            sums: Default::default(),
            latencies: Mutex::new((histogram(), histogram())),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.created.len() as u64
    }

    /// When one is due, from the beginning.
    pub(super) fn due(&self, number: u64) -> Duration {
        Duration::from_nanos(number.saturating_mul(self.interval_ns))
    }

    /// When one was created.
    pub(super) fn created_at(&self, number: u64) -> Duration {
        Duration::from_nanos(self.created.get(number as usize).map_or(0, |time| time.load(Ordering::Relaxed)))
    }

    /// Notes that one is completed.
    pub(super) fn complete(&self, number: u64, at: Duration) {
        if let Some(time) = self.completed.get(number as usize) {
            time.store(nanos(at).max(1), Ordering::Relaxed);
            self.sums.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many are created and completed.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.sums.0.load(Ordering::Relaxed), self.sums.1.load(Ordering::Relaxed))
    }

    pub(super) fn all_done(&self) -> bool {
        self.progress().1 == self.count()
    }

    /// How many were completed before a time.
    pub(super) fn completed_before(&self, end: Duration) -> u64 {
        let end = nanos(end);
        let in_time = |time: &&AtomicU64| (1..=end).contains(&time.load(Ordering::Relaxed));
        self.completed.iter().filter(in_time).count() as u64
    }

    /// From due to sent, and from due to created.
    pub(super) fn latencies(&self) -> (Histogram<u64>, Histogram<u64>) {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn created(&self, number: u64, sent: Duration, at: Duration) {
        self.created[number as usize].store(nanos(at).max(1), Ordering::Relaxed);
        self.sums.0.fetch_add(1, Ordering::Relaxed);
        let due = self.due(number);
        let (sends, creates) = &mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        record(sends, sent.saturating_sub(due));
        record(creates, at.saturating_sub(due));
    }
}

/// Creates each when it is due, whatever became of the others.
pub(super) async fn create_all(shared: Arc<Shared>) -> Result<(), Error> {
    let mut running = JoinSet::new();
    for number in 0..shared.arrivals.count() {
        let due = shared.arrivals.due(number);
        let ahead = due.saturating_sub(shared.began.elapsed());
        if !ahead.is_zero() {
            // The runtime's timers have a grain of a millisecond; a thread that sleeps does not.
            let slept = tokio::task::spawn_blocking(move || std::thread::sleep(ahead));
            slept.await?;
        }
        let shared = Arc::clone(&shared);
        running.spawn(async move {
            let sent = shared.began.elapsed();
            let id = shared.lab.execution();
            let args = shared.lab.create_args(&id);
            let args = CreateExecutionArgs { input_payload: number.to_string().into_bytes(), ..args };
            let created = shared.lab.backend.create_execution(args).await;
            created.map_err(engine_error("create_execution"))?;
            shared.arrivals.created(number, sent, shared.began.elapsed());
            Ok::<_, Error>(())
        });
        while let Some(ended) = running.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
