//! Three clocks that must not be mixed: true time, the server's, and each party's own.
//!
//! True time is the counter of the world's own events and is nobody's to read: parties see their own
//! clock, scripts see the server's ([`claimlab_model::time::ServerTime`]). Drift is in parts per
//! million of true time; a step moves a wall clock at once and leaves timers alone, as stepping a
//! real machine's clock does.

use claimlab_model::time::ServerTime;
use ff_core::types::TimestampMs;
use serde::{Deserialize, Serialize};

/// Where every wall clock stands at true time zero, before its own offset: milliseconds since the epoch.
pub const EPOCH_MS: i64 = 1_700_000_000_000;

const MILLION: i128 = 1_000_000;

/// Microseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrueTime(u64);

impl TrueTime {
    /// A true time from its microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// A true time from its milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// Microseconds since the world began.
    pub const fn us(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the world began.
    pub const fn ms(self) -> u64 {
        self.0 / 1_000
    }

    /// This time and so many microseconds more.
    #[must_use]
    pub const fn plus_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// This time and so many milliseconds more.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        self.plus_us(ms.saturating_mul(1_000))
    }
}

/// Milliseconds since the epoch on one party's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerTime(i64);

impl WorkerTime {
    /// Milliseconds since the epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This time as the wire carries it.
    pub const fn to_wire(self) -> TimestampMs {
        TimestampMs(self.0)
    }

    /// This time and so many milliseconds more, by the same clock.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }
}

/// A clock's error: how far off, and how fast it runs away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    /// Wall clock minus true time at the start, in milliseconds.
    #[serde(default)]
    pub offset_ms: i64,
    /// Parts per million faster than true time.
    #[serde(default)]
    pub drift_ppm: i64,
}

/// One wall clock. The same arithmetic serves the server and every party.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    skew: Skew,
    stepped_ms: i64,
}

impl Clock {
    fn ms(&self, now: TrueTime) -> i64 {
        let elapsed_ms = match self.skew.drift_ppm {
            0 => i64::try_from(now.us() / 1_000).unwrap_or(i64::MAX),
            drift_ppm => {
                let elapsed_us = i128::from(now.us()) * (MILLION + i128::from(drift_ppm)) / MILLION;
                i64::try_from(elapsed_us / 1_000).unwrap_or(i64::MAX)
            }
        };
        EPOCH_MS.saturating_add(elapsed_ms).saturating_add(self.skew.offset_ms).saturating_add(self.stepped_ms)
    }
}

/// The server's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerClock(Clock);

impl ServerClock {
    /// A server clock with an error.
    pub fn new(skew: Skew) -> Self {
        Self(Clock { skew, stepped_ms: 0 })
    }

    /// What `TIME` answers.
    pub fn at(&self, now: TrueTime) -> ServerTime {
        ServerTime::from_ms(self.0.ms(now))
    }

    /// Moves the clock at once, backwards too.
    pub fn step_ms(&mut self, by_ms: i64) {
        self.0.stepped_ms += by_ms;
    }
}

/// One party's wall clock and its timers, which count on through every change of rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartyClock {
    wall: Clock,
    counted_us: u64,
    counted_at: TrueTime,
}

impl PartyClock {
    /// A party's clock with an error.
    pub fn new(skew: Skew) -> Self {
        Self { wall: Clock { skew, stepped_ms: 0 }, ..Self::default() }
    }

    /// What the party's wall clock shows.
    pub fn at(&self, now: TrueTime) -> WorkerTime {
        WorkerTime(self.wall.ms(now))
    }

    /// Moves the wall clock at once; timers under way are not affected.
    pub fn step_ms(&mut self, by_ms: i64) {
        self.wall.stepped_ms += by_ms;
    }

    /// From now on the wall clock shows true time plus `ahead_ms`, and timers count true time.
    pub fn make_honest(&mut self, now: TrueTime, ahead_ms: i64) {
        let counted_us = self.timer_us(now);
        *self = Self { wall: Clock { skew: Skew::default(), stepped_ms: ahead_ms }, counted_us, counted_at: now };
    }

    fn rate(&self) -> i128 {
        (MILLION + i128::from(self.wall.skew.drift_ppm)).max(1)
    }

    /// What a timer of this party has counted since the world began, in microseconds.
    pub fn timer_us(&self, now: TrueTime) -> u64 {
        let since = i128::from(now.us().saturating_sub(self.counted_at.us()));
        self.counted_us.saturating_add(u64::try_from(since * self.rate() / MILLION).unwrap_or(u64::MAX))
    }

    /// The first true time at which the timer of this party reads so many microseconds.
    pub fn when_timer_reads(&self, timer_us: u64) -> TrueTime {
        self.counted_at.plus_us(self.true_us_of(timer_us.saturating_sub(self.counted_us)))
    }

    /// How much true time passes until a timer of this party has counted so many microseconds more.
    pub fn true_us_of(&self, timer_us: u64) -> u64 {
        let rate = self.rate();
        let us = (i128::from(timer_us) * MILLION + rate - 1) / rate;
        u64::try_from(us).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_accumulates_on_the_wall_and_shortens_timers() {
        let clock = PartyClock::new(Skew { offset_ms: -40, drift_ppm: 10_000 });
        assert_eq!(clock.at(TrueTime::from_ms(0)).ms(), EPOCH_MS - 40);
        assert_eq!(clock.at(TrueTime::from_ms(100_000)).ms(), EPOCH_MS - 40 + 101_000);
        assert_eq!(clock.true_us_of(1_010_000), 1_000_000);
    }

    #[test]
    fn a_time_of_the_timer_is_one_true_time_from_wherever_it_is_asked() {
        let mut clock = PartyClock::new(Skew { offset_ms: 0, drift_ppm: -333 });
        for timer_us in [1, 999, 1_000, 123_457, 7_000_001] {
            let at = clock.when_timer_reads(timer_us);
            assert!(clock.timer_us(at) >= timer_us);
            assert!(clock.timer_us(TrueTime::from_us(at.us() - 1)) < timer_us);
        }
        let healed = TrueTime::from_ms(2_000);
        clock.make_honest(healed, 0);
        assert_eq!(clock.when_timer_reads(clock.timer_us(healed) + 5), healed.plus_us(5));
    }

    #[test]
    fn timers_count_on_when_the_clock_becomes_honest() {
        let mut clock = PartyClock::new(Skew { offset_ms: 9, drift_ppm: 500_000 });
        let healed = TrueTime::from_ms(1_000);
        assert_eq!(clock.timer_us(healed), 1_500_000);
        clock.make_honest(healed, 7);
        assert_eq!(clock.timer_us(healed), 1_500_000, "no jump back");
        assert_eq!(clock.timer_us(healed.plus_ms(10)), 1_510_000);
        assert_eq!(clock.at(healed).ms(), EPOCH_MS + 1_000 + 7);
    }

    #[test]
    fn a_step_moves_the_wall_but_no_timer() {
        let mut clock = PartyClock::default();
        clock.step_ms(-5_000);
        assert_eq!(clock.at(TrueTime::from_ms(7)).ms(), EPOCH_MS + 7 - 5_000);
        assert_eq!(clock.true_us_of(100_000), 100_000);
        let mut server = ServerClock::default();
        server.step_ms(3);
        assert_eq!(server.at(TrueTime::from_ms(7)), ServerTime::from_ms(EPOCH_MS + 10));
    }
}
