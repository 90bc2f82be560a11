//! A shipped worker's own tokio runtime, kept in step with its party's timer.
//!
//! The runtime's clock stands still by itself. The host lets it run until nobody inside can go on, and
//! then asks it when its next timer is due, by letting it move on to that timer but no further: no task
//! sees that time before the world has reached it. So a worker that only waits costs nothing. While the
//! answer to a call is awaited, which may come at any time, the clock cannot be moved ahead; then the
//! host comes back every millisecond, which is how fine tokio's timers are.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::bridge::{Bridge, Ends, Outside, Request};
use crate::world::Party;

/// How often tasks are let run before the clock is moved: more often than they wake each other.
const ROUNDS: usize = 4;
/// Tokio's timers are as fine as this.
const GRAIN_US: u64 = 1_000;
/// How far the host looks ahead at most; a later timer is looked for again.
const AHEAD_US: u64 = 60_000_000;

/// A runtime with what its tasks wait for in the world.
pub(super) struct Host {
    party: Party,
    bridge: Bridge,
    waits: Vec<Request>,
    alarm: Option<(u64, Outside)>,
    // Dropped after what its tasks wait for.
    inner: Inner,
}

impl Host {
    /// A runtime in which a task runs; it ends with the host. So many tasks, with those that it starts for
    /// itself, wait for nothing but the world.
    ///
    /// # Errors
    /// When tokio cannot build one.
    pub(super) fn new(
        party: Party,
        bridge: Bridge,
        own_tasks: usize,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let inner = Inner::new(party.timer_us(), own_tasks)?;
        // It is never waited for: it ends with the runtime.
        drop(inner.runtime.spawn(task));
        Ok(Self { party, bridge, waits: Vec::new(), alarm: None, inner })
    }

    /// The time of the party's timer at which the runtime must be run again, if nobody acts before.
    fn next_due_us(&mut self, now_us: u64) -> Option<u64> {
        let unknown = self.waits.iter().any(|wait| wait.ends == Ends::Unknown);
        // The tasks that poll and register have no timers of tokio's.
        if self.inner.runtime.metrics().num_alive_tasks() <= self.inner.own_tasks {
            return None;
        }
        if unknown {
            return Some(self.inner.grain_us(now_us) + GRAIN_US);
        }
        let known = self.waits.iter().filter_map(|wait| match wait.ends {
            Ends::At(at_us) => Some(at_us),
            Ends::Unknown => None,
        });
        let limit_us = known.min().unwrap_or(u64::MAX).min(now_us.saturating_add(AHEAD_US));
        // No timer is due between a grain and the next.
        let limit_us = self.inner.grain_us(limit_us);
        (limit_us > now_us).then(|| self.inner.next_timer_us(limit_us))
    }
}

impl Future for Host {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let host = &mut *self;
        host.waits.retain_mut(|wait| wait.future.as_mut().poll(context).is_pending());
        let now_us = host.party.timer_us();
        host.inner.reach(now_us);
        loop {
            host.inner.run();
            let mut begun = host.bridge.take();
            if begun.is_empty() {
                break;
            }
            begun.retain_mut(|wait| wait.future.as_mut().poll(context).is_pending());
            host.waits.append(&mut begun);
        }
        match host.next_due_us(now_us) {
            Some(due_us) if host.alarm.as_ref().is_none_or(|(set_us, _)| *set_us != due_us) => {
                let party = host.party.clone();
                let mut alarm: Outside = Box::pin(async move { party.sleep_us(due_us.saturating_sub(now_us)).await });
                let _ = alarm.as_mut().poll(context);
                host.alarm = Some((due_us, alarm));
            }
            Some(_) => {}
            None => host.alarm = None,
        }
        Poll::Pending
    }
}

/// The runtime, and how its clock and the party's timer stand to each other.
struct Inner {
    runtime: Runtime,
    began: Instant,
    began_us: u64,
    own_tasks: usize,
    sentry: Arc<Sentry>,
}

/// Who is told that the runtime's clock has moved on.
#[derive(Default)]
struct Sentry(Mutex<Option<(Instant, Waker)>>);

impl Sentry {
    fn set(&self, watch: Option<(Instant, Waker)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = watch;
    }

    /// Called when the runtime has been idle, before any task that a timer woke goes on.
    fn look(&self) {
        let watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, waker)) = &*watch
            && Instant::now() > *since
        {
            waker.wake_by_ref();
        }
    }
}

impl Inner {
    fn new(now_us: u64, own_tasks: usize) -> std::io::Result<Self> {
        let sentry = Arc::<Sentry>::default();
        let looks = Arc::clone(&sentry);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_unpark(move || looks.look())
            .build()?;
        let began = runtime.block_on(async { Instant::now() });
        Ok(Self { runtime, began, began_us: now_us, own_tasks, sentry })
    }

    /// The runtime's time that stands for a time of the party's timer.
    fn instant(&self, timer_us: u64) -> Instant {
        self.began + Duration::from_micros(timer_us.saturating_sub(self.began_us))
    }

    fn timer_us(&self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.began).as_micros();
        self.began_us.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The last time until then at which one of the runtime's timers could be due.
    fn grain_us(&self, timer_us: u64) -> u64 {
        let passed = timer_us.saturating_sub(self.began_us);
        self.began_us + passed / GRAIN_US * GRAIN_US
    }

    /// Moves the runtime's clock up to a time of the party's timer, if it is not there yet.
    fn reach(&self, timer_us: u64) {
        let target = self.instant(timer_us);
        self.runtime.block_on(async {
            let missing = target.saturating_duration_since(Instant::now());
            if !missing.is_zero() {
                tokio::time::advance(missing).await;
            }
        });
    }

    /// Lets every task run that can, without moving the clock.
    fn run(&self) {
        self.runtime.block_on(async {
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Moves the clock to the next timer, at most to a limit, and tells where that is. The tasks that it
    /// wakes do not run yet.
    fn next_timer_us(&self, limit_us: u64) -> u64 {
        let limit = self.instant(limit_us);
        let reached = self.runtime.block_on(async {
            let began = Instant::now();
            let mut sentinel = std::pin::pin!(tokio::time::sleep_until(limit));
            poll_fn(|context| {
                if Instant::now() > began || sentinel.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Instant::now());
                }
                self.sentry.set(Some((began, context.waker().clone())));
                Poll::Pending
            })
            .await
        });
        self.sentry.set(None);
        self.timer_us(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_timer_is_found_before_its_task_runs() {
        let inner = Inner::new(500, 0).unwrap();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&ran);
        inner.runtime.spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(40));
            loop {
                tick.tick().await;
                notes.lock().unwrap().push(Instant::now());
            }
        });
        inner.run();
        assert_eq!(ran.lock().unwrap().len(), 1, "the first tick is at once");
        let due_us = inner.next_timer_us(1_000_500);
        assert!((40_500..=41_500).contains(&due_us), "{due_us}");
        assert_eq!(ran.lock().unwrap().len(), 1, "nobody has seen that time");
        inner.reach(due_us + 30_000);
        inner.run();
        let ran = ran.lock().unwrap();
        assert_eq!(ran.len(), 2);
        assert_eq!(inner.timer_us(ran[1]), due_us + 30_000, "a stalled process finds its timer late");
    }

    #[test]
    fn without_timers_the_limit_is_found() {
        let inner = Inner::new(0, 0).unwrap();
        inner.run();
        assert_eq!(inner.next_timer_us(5_000_000), 5_000_000);
    }

    #[test]
    fn running_moves_no_clock() {
        let inner = Inner::new(0, 0).unwrap();
        inner.runtime.spawn(tokio::time::sleep(Duration::from_secs(1)));
        inner.run();
        assert_eq!(inner.timer_us(inner.runtime.block_on(async { Instant::now() })), 0);
    }
}
