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

use claimlab_model::invariant::WorkerFact;
use tokio::runtime::{RngSeed, Runtime};
use tokio::time::Instant;

use super::RuntimeSeed;
use super::bridge::{Bridge, Ends, Outside, Request};
use super::ward::Wards;
use crate::world::Party;

/// One round lets every task run until none can go on, or so many have been polled.
const POLLS_IN_ROUND: usize = 32;
/// Tokio's timers are as fine as this.
const GRAIN_US: u64 = 1_000;
/// Timers of the next so many grains are sorted one by one, later ones in slots of as many.
const SLOTS: u64 = 64;
/// So close to a grain is on it: a timer that drifts does not end on the microsecond.
const CLOSE_US: u64 = 2;
/// How far the host looks ahead at most; a later timer is looked for again.
const AHEAD_US: u64 = 60_000_000;

/// When the host comes back by itself.
struct Alarm {
    due: Due,
    rings: Outside,
}

/// What is due, in microseconds of the party's timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// A timer of the runtime, up to which its clock was moved already.
    Timer(u64),
    /// A grain, from which the next timer can be looked for.
    Grain(u64),
}

impl Due {
    const fn us(self) -> u64 {
        match self {
            Self::Timer(us) | Self::Grain(us) => us,
        }
    }
}

/// A runtime with what its tasks wait for in the world.
pub(super) struct Host {
    party: Party,
    bridge: Bridge,
    wards: Wards,
    /// Whether its worker ran anything when it was last looked at.
    was_busy: bool,
    waits: Vec<Request>,
    alarm: Option<Alarm>,
    /// Whether the first task has been run.
    began: bool,
    /// When the worker last set a timer.
    armed_us: u64,
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
        wards: Wards,
        own_tasks: usize,
        seed: RuntimeSeed,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let inner = Inner::new(party.timer_us(), own_tasks, seed)?;
        // It is never waited for: it ends with the runtime.
        drop(inner.runtime.spawn(task));
        Ok(Self {
            party,
            bridge,
            wards,
            was_busy: false,
            waits: Vec::new(),
            alarm: None,
            began: false,
            armed_us: 0,
            inner,
        })
    }

    /// Lets every task run that can, at a time of the party's timer or at the one reached, and begins what
    /// they hand out.
    fn run(&mut self, at_us: Option<u64>, context: &mut Context<'_>) {
        loop {
            self.inner.run(at_us);
            let mut begun = self.bridge.take();
            let handed_out = begun.len();
            begun.retain_mut(|wait| wait.future.as_mut().poll(context).is_pending());
            let all_wait = begun.len() == handed_out;
            self.waits.append(&mut begun);
            if all_wait {
                return;
            }
        }
    }

    /// When the runtime, which has come to a time of the party's timer, must be run again if nobody acts
    /// before.
    fn next_due(&mut self, now_us: u64) -> Option<Due> {
        // The tasks that poll and register have no timers of tokio's.
        if self.inner.runtime.metrics().num_alive_tasks() <= self.inner.own_tasks {
            return None;
        }
        let grain_us = self.inner.grain_us(now_us);
        if self.awaits_answers() {
            return Some(Due::Grain(grain_us + GRAIN_US));
        }
        let ahead_us = now_us.saturating_add(AHEAD_US);
        let sleep = self.sleeps().min_by_key(|(at_us, _)| *at_us);
        let first_us = match sleep {
            // Of two that are due together, the one that was set first comes first.
            Some((at_us, began_us)) if began_us <= self.armed_us => at_us.saturating_sub(1).min(ahead_us),
            Some((at_us, _)) => at_us.min(ahead_us),
            None => ahead_us,
        };
        // No timer is due between a grain and the next.
        let limit_us = self.inner.grain_us(first_us);
        if limit_us <= now_us {
            return None;
        }
        // Tokio moves on by whole grains, so it finds a timer's own time only from a grain on.
        if now_us - grain_us > CLOSE_US {
            return Some(Due::Grain(grain_us + GRAIN_US));
        }
        Some(match self.inner.next_timer_us(limit_us) {
            due_us if due_us < limit_us && !self.inner.is_between_slots(due_us) => Due::Timer(due_us),
            // There may be one right there.
            due_us => Due::Grain(due_us),
        })
    }

    /// When the last task has ended, nothing of it may go on.
    fn look_for_remains(&mut self) {
        let is_busy = self.party.hub().running(self.party.number()) > 0;
        if std::mem::replace(&mut self.was_busy, is_busy) && !is_busy {
            let left = self.inner.runtime.metrics().num_alive_tasks().saturating_sub(self.inner.own_tasks);
            self.party.hub().told(WorkerFact::LastTaskEnded { left: left as u64 });
        }
    }

    fn awaits_answers(&self) -> bool {
        self.waits.iter().any(|wait| matches!(wait.ends, Ends::Unknown { .. }))
    }

    /// When the waits end whose ends are known, and when they began.
    fn sleeps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.waits.iter().filter_map(|wait| match wait.ends {
            Ends::At { us, began_us } => Some((us, began_us)),
            Ends::Unknown { .. } | Ends::News => None,
        })
    }
}

impl Future for Host {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let host = &mut *self;
        let mut told_us: Option<u64> = None;
        let (mut armed_us, actual_us) = (host.armed_us, host.party.timer_us());
        // Of a timer and a sleep that end together, the one that was set first goes first, whatever tokio's
        // queues would do.
        let is_due = host.alarm.as_ref().is_some_and(|alarm| alarm.due.us() == actual_us);
        if is_due && host.sleeps().any(|(at_us, began_us)| at_us == actual_us && began_us > armed_us) {
            host.run(Some(actual_us), context);
        }
        let waited = host.waits.len();
        host.waits.retain_mut(|wait| {
            let pending = wait.future.as_mut().poll(context).is_pending();
            match wait.ends {
                _ if pending => {}
                Ends::At { us, .. } => told_us = told_us.max(Some(us)),
                Ends::Unknown { arms: true } => armed_us = actual_us,
                Ends::Unknown { arms: false } | Ends::News => {}
            }
            pending
        });
        host.armed_us = armed_us;
        let slept = told_us.is_some();
        let rung = host.alarm.take_if(|alarm| alarm.rings.as_mut().poll(context).is_ready());
        // A message of a call was answered, and the call goes on: nobody inside has heard of it.
        if host.began && rung.is_none() && host.waits.len() == waited {
            return Poll::Pending;
        }
        host.began = true;
        let mut now_us = actual_us;
        // A stalled process finds several times reached, and its host is told of one after the other: a sleep
        // that ends here was due before those timers that have not been told yet.
        if slept {
            host.run(None, context);
        }
        let timer_due = matches!(rung, Some(Alarm { due: Due::Timer(_), .. }));
        told_us = told_us.max(rung.map(|alarm| alarm.due.us()));
        if let Some(told_us) = told_us.filter(|_| !timer_due)
            && host.sleeps().any(|(at_us, _)| at_us <= now_us)
        {
            now_us = told_us;
        }
        let due = loop {
            host.run(Some(now_us), context);
            match host.next_due(now_us) {
                // A timer before such a sleep comes before it, and sees how late it is.
                Some(Due::Timer(due_us)) if due_us <= actual_us => now_us = actual_us,
                Some(Due::Grain(grain_us)) if grain_us <= actual_us && !host.awaits_answers() => {
                    now_us = grain_us;
                }
                due => break due,
            }
        };
        host.wards.look(&host.party);
        host.look_for_remains();
        if due != host.alarm.as_ref().map(|alarm| alarm.due) {
            host.alarm = due.map(|due| {
                let party = host.party.clone();
                let wait_us = due.us().saturating_sub(party.timer_us());
                let mut rings: Outside = Box::pin(async move { party.sleep_us(wait_us).await });
                let _ = rings.as_mut().poll(context);
                Alarm { due, rings }
            });
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
    fn new(now_us: u64, own_tasks: usize, seed: RuntimeSeed) -> std::io::Result<Self> {
        let sentry = Arc::<Sentry>::default();
        let looks = Arc::clone(&sentry);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_unpark(move || looks.look())
            // Without a seed of its own a runtime's random choices depend on how many the process has made before.
            .rng_seed(RngSeed::from_bytes(&seed.bytes()))
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

    /// Whether tokio stops there to sort its later timers, due or not.
    fn is_between_slots(&self, timer_us: u64) -> bool {
        (timer_us.saturating_sub(self.began_us) / GRAIN_US).is_multiple_of(SLOTS)
    }

    /// Lets every task run that can; before, moves the runtime's clock up to a time of the party's timer, if
    /// it is not there yet.
    fn run(&self, at_us: Option<u64>) {
        let target = at_us.map(|at_us| self.instant(at_us));
        // Timers wake their tasks at the end of a round.
        let timed = self.runtime.metrics().num_alive_tasks().saturating_sub(self.own_tasks);
        let rounds = 1 + timed.div_ceil(POLLS_IN_ROUND);
        self.runtime.block_on(async {
            let missing = target.map(|target| target.saturating_duration_since(Instant::now())).unwrap_or_default();
            let mut left = rounds;
            if !missing.is_zero() {
                // A round as well.
                tokio::time::advance(missing).await;
                left -= 1;
            }
            for _ in 0..left {
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
        self.grain_us(self.timer_us(reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_timer_is_found_before_its_task_runs() {
        let inner = Inner::new(500, 0, RuntimeSeed { seed: 1, party: 0, life: 0 }).unwrap();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&ran);
        inner.runtime.spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(40));
            loop {
                tick.tick().await;
                notes.lock().unwrap().push(Instant::now());
            }
        });
        inner.run(None);
        assert_eq!(ran.lock().unwrap().len(), 1, "the first tick is at once");
        let due_us = inner.next_timer_us(1_000_500);
        assert!((40_500..=41_500).contains(&due_us), "{due_us}");
        assert_eq!(ran.lock().unwrap().len(), 1, "nobody has seen that time");
        inner.run(Some(due_us + 30_000));
        let ran = ran.lock().unwrap();
        assert_eq!(ran.len(), 2);
        assert_eq!(inner.timer_us(ran[1]), due_us + 30_000, "a stalled process finds its timer late");
    }

    #[test]
    fn without_timers_the_limit_is_found() {
        let inner = Inner::new(0, 0, RuntimeSeed { seed: 1, party: 0, life: 0 }).unwrap();
        inner.run(None);
        let mut stops = vec![inner.next_timer_us(5_000_000)];
        while stops.last().is_some_and(|stop_us| *stop_us < 5_000_000) {
            stops.push(inner.next_timer_us(5_000_000));
        }
        assert_eq!(stops.pop(), Some(5_000_000));
        assert!(stops.iter().all(|stop_us| inner.is_between_slots(*stop_us)), "{stops:?}");
    }

    #[test]
    fn running_moves_no_clock() {
        let inner = Inner::new(0, 0, RuntimeSeed { seed: 1, party: 0, life: 0 }).unwrap();
        inner.runtime.spawn(async { tokio::time::sleep(Duration::from_secs(1)).await });
        inner.run(None);
        assert_eq!(inner.timer_us(inner.runtime.block_on(async { Instant::now() })), 0);
    }
}
