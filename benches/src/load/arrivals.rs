//! When executions are due, and what has become of each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ff_core::contracts::CreateExecutionArgs;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::Shared;
use crate::closed_loop::{histogram, record};
use crate::error::{Error, engine_error};

/// Every execution of a load by its number.
pub(super) struct Arrivals {
    interval_ns: u64,
    /// Nanoseconds from the beginning until each was created; zero before.
    created: Vec<AtomicU64>,
    /// The same until it was claimed.
    claimed: Vec<AtomicU64>,
    /// The same until it was completed.
    completed: Vec<AtomicU64>,
    sums: (AtomicU64, AtomicU64),
    latencies: Mutex<(Histogram<u64>, Histogram<u64>)>,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Arrivals {
    /// So many in each second, for so long.
    pub(super) fn new(rate: u64, lasts: Duration) -> Self {
        let count = nanos(lasts).saturating_mul(rate) / 1_000_000_000;
        let times = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            interval_ns: 1_000_000_000 / rate.max(1),
            created: times(),
            claimed: times(),
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

    /// Notes that one is completed, and when it was claimed.
    pub(super) fn complete(&self, number: u64, claimed: Duration, at: Duration) {
        let number = number as usize;
        if let (Some(claim), Some(complete)) = (self.claimed.get(number), self.completed.get(number)) {
            claim.store(nanos(claimed).max(1), Ordering::Relaxed);
            complete.store(nanos(at).max(1), Ordering::Relaxed);
            self.sums.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From created to claimed; no time where a worker had it before its creator heard of it.
    pub(super) fn claims(&self) -> Histogram<u64> {
        let mut claims = histogram();
        for (created, claimed) in self.created.iter().zip(&self.claimed) {
            let (created, claimed) = (created.load(Ordering::Relaxed), claimed.load(Ordering::Relaxed));
            if created > 0 && claimed > 0 {
                record(&mut claims, Duration::from_nanos(claimed.saturating_sub(created)));
            }
        }
        claims
    }

    /// How many are created and completed.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.sums.0.load(Ordering::Relaxed), self.sums.1.load(Ordering::Relaxed))
    }

    pub(super) fn all_done(&self) -> bool {
        self.progress().1 == self.count()
    }

    /// How many were completed at most so long after they were due.
    pub(super) fn completed_within(&self, limit: Duration) -> u64 {
        let is_in_time = |(number, time): &(u64, &AtomicU64)| {
            let at = time.load(Ordering::Relaxed);
            at > 0 && at <= nanos(self.due(*number) + limit)
        };
        (0..).zip(&self.completed).filter(is_in_time).count() as u64
    }

    /// From due to completed, by the second in which each was due. What is not completed has waited until the end at
    /// least: left out, it would make an overloaded deployment look fast.
    pub(super) fn completions(&self, end: Duration) -> Vec<Histogram<u64>> {
        let mut seconds: Vec<Histogram<u64>> = Vec::new();
        for (number, time) in (0..).zip(&self.completed) {
            let due = self.due(number);
            let at = match time.load(Ordering::Relaxed) {
                0 => end,
                nanos => Duration::from_nanos(nanos),
            };
            let second = due.as_secs() as usize;
            if seconds.len() <= second {
                seconds.resize_with(second + 1, histogram);
            }
            record(&mut seconds[second], at.saturating_sub(due));
        }
        seconds
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
            match shared.lab.backend.create_execution(args).await {
                Ok(_) => shared.arrivals.created(number, sent, shared.began.elapsed()),
                Err(error) => shared.failures.of_create(&engine_error("create_execution")(error)),
            }
        });
        while let Some(ended) = running.try_join_next() {
            ended?;
        }
    }
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Arrivals {
        Arrivals::new(2, Duration::from_secs(1))
    }

    #[test]
    fn each_is_due_an_interval_after_the_last() {
        assert_eq!((two().count(), two().due(0), two().due(1)), (2, Duration::ZERO, Duration::from_millis(500)));
    }

    #[test]
    fn what_is_never_completed_waits_until_the_end() {
        let (arrivals, at) = (Arrivals::new(2, Duration::from_secs(2)), Duration::from_millis);
        arrivals.complete(0, at(5), at(10));
        arrivals.complete(1, at(505), at(510));
        arrivals.complete(2, at(1_900), at(2_900));
        let seconds = arrivals.completions(at(9_500));
        let of = |second: usize| (seconds[second].len(), seconds[second].max() / 100_000_000);
        assert_eq!([of(0), of(1)], [(2, 0), (2, 80)]);
        assert_eq!([arrivals.completed_within(at(10)), arrivals.completed_within(at(2_000))], [2, 3]);
    }

    #[test]
    fn a_claim_before_its_creator_heard_of_it_took_no_time() {
        let (arrivals, at) = (two(), Duration::from_millis);
        arrivals.complete(0, at(5), at(7));
        arrivals.created(0, at(1), at(6));
        arrivals.created(1, at(501), at(502));
        arrivals.complete(1, at(510), at(511));
        let claims = arrivals.claims();
        assert_eq!((claims.len(), claims.min()), (2, 1));
        assert!(claims.max().abs_diff(8_000_000) < 8_000, "{}", claims.max());
    }
}
