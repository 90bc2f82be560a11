//! A closed loop: so many callers, each begins its next operation when its last has ended.

use std::time::Duration;

use claimlab::stopwatch::Stopwatch;
use hdrhistogram::Histogram;
use quanta::Instant;
use tokio::task::JoinSet;

use crate::error::Error;

/// What a loop showed.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Latencies in nanoseconds.
    pub latencies: Histogram<u64>,
    /// From the first beginning to the last end.
    pub took: Duration,
}

impl Measured {
    /// Operations that ended.
    pub fn count(&self) -> u64 {
        self.latencies.len()
    }

    /// Operations for each second.
    pub fn per_second(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// An empty histogram, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new(3).unwrap_or_else(|_| unreachable!("three digits are allowed"))
}

/// Performs each item once, with so many callers. A latency is from the end of a caller's last operation to
/// the end of this one: with one look at the clock for each, and at one that waits for no instruction before it,
/// the harness adds next to nothing.
///
/// # Errors
/// The first of any caller.
pub async fn run<T, F, Fut>(items: Vec<T>, concurrency: usize, perform: F) -> Result<Measured, Error>
where
    T: Send + 'static,
    F: Fn(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), Error>> + Send,
{
    spread(items, concurrency, |share| {
        let perform = perform.clone();
        async move {
            let mut latencies = Vec::with_capacity(share.len());
            let mut last = Instant::now();
            for item in share {
                perform(item).await?;
                let now = Instant::now();
                latencies.push(now - last);
                last = now;
            }
            Ok(latencies)
        }
    })
    .await
}

/// The same where the work itself tells how long it took, because not all of it counts; the loop took what counts.
///
/// # Errors
/// The first of any caller.
pub async fn run_timed<T, F, Fut>(items: Vec<T>, concurrency: usize, perform: F) -> Result<Measured, Error>
where
    T: Send + 'static,
    F: Fn(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Duration, Error>> + Send,
{
    let measured = spread(items, concurrency, |share| {
        let perform = perform.clone();
        async move {
            let mut latencies = Vec::with_capacity(share.len());
            for item in share {
                latencies.push(perform(item).await?);
            }
            Ok(latencies)
        }
    })
    .await?;
    let mean = Duration::from_nanos(measured.latencies.mean() as u64);
    Ok(Measured { took: mean.mul_f64(measured.count() as f64 / concurrency.max(1) as f64), ..measured })
}

/// Deals the items out to callers, and starts them together.
async fn spread<T, F, Fut>(items: Vec<T>, concurrency: usize, caller: F) -> Result<Measured, Error>
where
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<Duration>, Error>> + Send + 'static,
{
    let callers = concurrency.max(1);
    let mut shares: Vec<Vec<T>> = (0..callers).map(|_| Vec::new()).collect();
    for (position, item) in items.into_iter().enumerate() {
        shares[position % callers].push(item);
    }
    let mut running = JoinSet::new();
    let began = Stopwatch::start();
    for share in shares {
        running.spawn(caller(share));
    }
    join(running, began).await
}

/// What callers showed that began together.
///
/// # Errors
/// The first of any caller.
pub async fn join(mut running: JoinSet<Result<Vec<Duration>, Error>>, began: Stopwatch) -> Result<Measured, Error> {
    let mut shares = Vec::new();
    while let Some(ended) = running.join_next().await {
        shares.push(ended??);
    }
    // Adding them up is no part of the work.
    let took = began.elapsed();
    let mut latencies = histogram();
    for latency in shares.into_iter().flatten() {
        record(&mut latencies, latency);
    }
    Ok(Measured { latencies, took })
}

/// Notes a latency.
pub fn record(latencies: &mut Histogram<u64>, took: Duration) {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    // It resizes as far as 64 bits go.
    let _ = latencies.record(nanos.max(1));
}

/// Adds one histogram to another.
pub fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other).unwrap_or_else(|_| unreachable!("both resize"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_item_is_performed_once() {
        let measured = run((0..10).collect(), 3, |_: u32| async { Ok(()) }).await.unwrap();
        assert_eq!(measured.count(), 10);
    }

    #[tokio::test]
    async fn what_does_not_count_takes_no_time() {
        let perform = |_: u32| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Duration::from_millis(1))
        };
        let measured = run_timed((0..4).collect(), 2, perform).await.unwrap();
        assert!(measured.took.abs_diff(Duration::from_millis(2)) < Duration::from_micros(10), "{:?}", measured.took);
    }

    #[tokio::test]
    async fn an_error_of_one_caller_is_that_of_the_loop() {
        let few = || Error::TooFew { what: "runs".into(), found: 1, wanted: 2 };
        let refused = run(vec![1, 2], 2, move |item| async move { if item == 2 { Err(few()) } else { Ok(()) } }).await;
        assert!(refused.is_err());
    }
}
