//! Named random streams of one seed.
//!
//! Whatever draws has a stream of its own, named by purpose and key, so that drawing more or less in
//! one place leaves every other place as it was. ChaCha's output is fixed across versions and
//! machines; the arithmetic on top is integer only and ours, for the same reason.

use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Purpose {
    Work = 0,
    Workers = 1,
    Swarm = 2,
    Faults = 3,
    Operators = 4,
    Resampling = 5,
    Extras = 6,
}

/// What a stream of [`Purpose::Extras`] draws: what a plan has beside what its other streams draw, so that asking for
/// it moves none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Extra {
    OnPending = 0,
    Progress = 1,
    Childless = 2,
    Flow = 4,
    Clock = 5,
    Dependencies = 6,
    Admission = 7,
    Signals = 8,
    Later = 9,
    Habits = 10,
    Again = 11,
    Kept = 12,
}

/// One stream. Its generator is made when its first number is needed: a plan asks thousands of streams for what it does not
/// have.
#[derive(Clone, Debug)]
pub struct Stream {
    seed: u64,
    number: u64,
    /// Numbers that nobody needed to know, before the first that somebody did.
    skipped: u32,
    generator: Option<ChaCha8Rng>,
}

impl Stream {
    /// The stream of a purpose and a key under a seed.
    pub fn new(seed: u64, purpose: Purpose, key: u64) -> Self {
        Self { seed, number: (purpose as u64) << 56 | (key & ((1 << 56) - 1)), skipped: 0, generator: None }
    }

    /// The stream of an extra; `key` has at most 40 bits.
    pub fn of_extra(seed: u64, extra: Extra, key: u64) -> Self {
        Self::new(seed, Purpose::Extras, (extra as u64) << 40 | key)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let Self { seed, number, skipped, generator } = self;
        let made = || {
            let mut generator = ChaCha8Rng::seed_from_u64(*seed);
            generator.set_stream(*number);
            // A position counts words of 32 bits.
            generator.set_word_pos(u128::from(*skipped) * 2);
            generator
        };
        generator.get_or_insert_with(made).next_u64()
    }

    /// Leaves out the next number, whose value decides nothing.
    pub fn skip(&mut self) {
        match &mut self.generator {
            Some(generator) => _ = generator.next_u64(),
            None => self.skipped += 1,
        }
    }

    /// A number below `bound`; zero when the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            self.skip();
            return 0;
        }
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in a range, both ends included.
    pub fn within(&mut self, range: Range) -> i64 {
        let width = range.high.abs_diff(range.low);
        let offset = match width.checked_add(1) {
            Some(count) => self.below(count),
            None => self.bits(),
        };
        range.low.saturating_add_unsigned(offset)
    }

    /// A number in a range of durations or counts.
    pub fn within_unsigned(&mut self, range: Range) -> u64 {
        self.within(range).max(0).unsigned_abs()
    }

    /// Whether something with this probability happens.
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        if ratio.times == 0 || ratio.times >= ratio.of {
            self.skip();
            return ratio.times > 0;
        }
        self.below(ratio.of) < ratio.times
    }

    /// A fresh version-4 UUID.
    pub fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.bits()) << 64 | u128::from(self.bits());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// A probability as a ratio of integers, written `"1/200"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ratio {
    /// So often
    pub times: u64,
    /// out of so many.
    pub of: u64,
}

impl Default for Ratio {
    fn default() -> Self {
        Self::NEVER
    }
}

impl Ratio {
    /// Never.
    pub const NEVER: Self = Self { times: 0, of: 1 };
    /// Always.
    pub const ALWAYS: Self = Self { times: 1, of: 1 };
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("found \"{text}\", accepted is a ratio between 0 and 1 such as \"1/200\"");
        let (times, of) = text.split_once('/').ok_or_else(refused)?;
        let times = times.trim().parse().map_err(|_| refused())?;
        let of = of.trim().parse().map_err(|_| refused())?;
        if of == 0 || times > of { Err(refused()) } else { Ok(Self { times, of }) }
    }
}

impl TryFrom<String> for Ratio {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> Self {
        format!("{}/{}", ratio.times, ratio.of)
    }
}

/// Two ends, both included, written `[low, high]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[i64; 2]", into = "[i64; 2]")]
pub struct Range {
    /// Lowest.
    pub low: i64,
    /// Highest.
    pub high: i64,
}

impl Range {
    /// A single value.
    pub const fn just(value: i64) -> Self {
        Self { low: value, high: value }
    }
}

impl TryFrom<[i64; 2]> for Range {
    type Error = String;

    fn try_from([low, high]: [i64; 2]) -> Result<Self, String> {
        if low > high {
            return Err(format!("found [{low}, {high}], accepted is [low, high] with low at most high"));
        }
        Ok(Self { low, high })
    }
}

impl From<Range> for [i64; 2] {
    fn from(range: Range) -> Self {
        [range.low, range.high]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_and_independent() {
        let draw = |purpose, key| Stream::new(7, purpose, key).bits();
        assert_eq!(draw(Purpose::Work, 1), draw(Purpose::Work, 1));
        assert_ne!(draw(Purpose::Work, 1), draw(Purpose::Work, 2));
        assert_ne!(draw(Purpose::Work, 1), draw(Purpose::Faults, 1));
    }

    #[test]
    fn a_number_that_decides_nothing_leaves_the_next_ones_as_they_are() {
        for decided in 0..9 {
            let (mut skipping, mut drawing) = (Stream::new(5, Purpose::Work, 9), Stream::new(5, Purpose::Work, 9));
            for _ in 0..decided {
                assert!(!skipping.chance(Ratio::NEVER));
                drawing.bits();
            }
            assert_eq!(skipping.bits(), drawing.bits(), "after {decided}");
            assert_eq!((skipping.below(1), skipping.bits()), (0, (drawing.bits(), drawing.bits()).1));
        }
    }

    #[test]
    fn ranges_include_both_ends() {
        let mut stream = Stream::new(1, Purpose::Work, 0);
        let drawn: std::collections::BTreeSet<_> =
            (0..200).map(|_| stream.within(Range { low: -1, high: 1 })).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [-1, 0, 1]);
    }

    #[test]
    fn a_ratio_over_one_is_refused() {
        for text in ["2/1", "1/0", "half", "-1/2", "0.5"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
        assert_eq!("1/200".parse(), Ok(Ratio { times: 1, of: 200 }));
    }

    #[test]
    fn never_and_always_are_exact() {
        let mut stream = Stream::new(3, Purpose::Work, 0);
        assert!((0..100).all(|_| stream.chance(Ratio::ALWAYS) && !stream.chance(Ratio::NEVER)));
    }
}
