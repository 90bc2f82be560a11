//! The doubles of the shipped scripts, bit for bit.
//!
//! Lua 5.1 knows one number type. Where a script's arithmetic can leave the integers (index scores,
//! exponential backoff) the model must round as it rounds. This is the only module
//! that touches floating point; everything else passes [`Score`] around unopened.

#![allow(clippy::float_arithmetic)]

use ff_core::policy::BackoffStrategy;

/// A whole number for people, by thousands: `-998 300 000 000 000`. So written, a score is not taken for a time.
pub fn by_thousands(number: impl Into<i128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, letter) in digits.char_indices() {
        let is_within = position > 0 && !digits[..position].ends_with('-');
        if is_within && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(letter);
    }
    text
}

/// A sorted set's score: an IEEE double with the total order of its set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score(f64);

impl Score {
    /// The score of a member placed at a time in milliseconds.
    pub fn at_ms(ms: i64) -> Self {
        Self(ms as f64)
    }

    /// A score as the server prints it.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// The score of an eligible execution: `-(priority * 10^12) + created_at`
    /// (`ff-script/src/flowfabric.lua`, `ff_create_execution` and every path back to eligible).
    ///
    /// With priorities clamped to 0..=9000 and times of this century the sum stays within 53 bits,
    /// so no digit of `created_at` is lost and equal scores mean equal milliseconds.
    pub fn eligible(priority: i32, created_at_ms: i64) -> Self {
        Self(0.0 - (f64::from(priority) * 1_000_000_000_000.0) + created_at_ms as f64)
    }

    /// A count as a script's number.
    pub fn count(count: u64) -> Self {
        Self(count as f64)
    }

    /// A time in milliseconds plus a delay, added as a script adds them.
    pub fn after(ms: i64, delay_ms: u64) -> Self {
        Self(ms as f64 + delay_ms as f64)
    }

    /// Whether this is more than 0.
    pub fn is_positive(self) -> bool {
        self.0 > 0.0
    }

    /// Whether this is less than `ms`.
    pub fn is_before(self, ms: i64) -> bool {
        self.0 < ms as f64
    }

    /// Whether this score is at most `ms`, as `ZRANGEBYSCORE -inf ms` decides it.
    pub fn is_due(self, ms: i64) -> bool {
        self.0 <= ms as f64
    }

    /// The score cut to whole milliseconds, for reports.
    pub fn whole(self) -> i64 {
        self.0 as i64
    }

    /// Whether the score has no fraction; a reply parsed as an integer fails otherwise.
    pub fn is_whole(self) -> bool {
        self.0.fract() == 0.0
    }

    /// The score as `tostring` prints it in Lua 5.1: `%.14g`.
    pub fn to_lua_string(self) -> String {
        lua_tostring(self.0)
    }

    /// The number that reading back [`Self::to_lua_string`] gives: at most 14 significant digits.
    pub fn rounded_as_text(self) -> Self {
        Self(self.to_lua_string().parse().unwrap_or(self.0))
    }

    /// A key whose integer order is the order of the scores.
    pub fn order_key(self) -> u64 {
        let bits = (self.0 + 0.0).to_bits();
        if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.order_key() == other.order_key()
    }
}

impl Eq for Score {}

/// When a failed attempt's retry becomes due (`ff_fail_execution`).
///
/// Fixed gives the delay; exponential gives `min(initial * multiplier ^ retry_count, max)` in
/// doubles, without jitter; a policy without a known backoff waits 1000 ms.
pub fn retry_due(now_ms: i64, backoff: Option<&BackoffStrategy>, retry_count: u32) -> Score {
    let backoff_ms = match backoff {
        None => 1000.0,
        Some(BackoffStrategy::Fixed { delay_ms }) => *delay_ms as f64,
        Some(BackoffStrategy::Exponential { initial_delay_ms, max_delay_ms, multiplier, .. }) => {
            let grown = *initial_delay_ms as f64 * libm::pow(*multiplier, f64::from(retry_count));
            let max = *max_delay_ms as f64;
            if max < grown { max } else { grown }
        }
    };
    Score(now_ms as f64 + backoff_ms)
}

/// A number as a script holds it: Lua 5.1 has doubles only.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Double(f64);

impl Double {
    /// `tonumber` of a count's text.
    pub fn from_count(count: u64) -> Self {
        Self(count as f64)
    }

    /// `tonumber` of a time's text, or an integer reply.
    pub fn from_integer(integer: i64) -> Self {
        Self(integer as f64)
    }

    /// `tonumber` of a decimal text; none where it is no number.
    pub fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }

    /// The difference, or zero where it is negative.
    #[must_use]
    pub fn minus_to_zero(self, other: Self) -> Self {
        let rest = self.0 - other.0;
        Self(if rest < 0.0 { 0.0 } else { rest })
    }

    /// Seconds as milliseconds.
    #[must_use]
    pub fn seconds_to_ms(self) -> Self {
        Self(self.0 * 1000.0)
    }

    /// Whether it is above zero.
    pub fn is_positive(self) -> bool {
        self.0 > 0.0
    }

    /// As `tostring` prints it: `%.14g`.
    pub fn to_lua_string(self) -> String {
        lua_tostring(self.0)
    }

    /// As an integer argument of a command. The server writes whole doubles out only up to half the
    /// highest integer; beyond, its shortest spelling is scientific, which no command takes for an integer.
    pub fn to_integer_argument(self) -> Option<i64> {
        const HALF: f64 = (i64::MAX / 2) as f64;
        (self.0.fract() == 0.0 && self.0.abs() <= HALF).then_some(self.0 as i64)
    }

    /// As a score.
    pub fn to_score(self) -> Score {
        Score(self.0)
    }

    /// `math.random(0, highest)` of the server's own generator, from its next 31 bits.
    ///
    /// None where the interval is empty: a bound beyond 31 bits wraps around as C's `int` does.
    pub fn random_up_to(bits: u32, highest: Self) -> Option<Self> {
        const MAX: u32 = i32::MAX as u32;
        let fraction = f64::from(bits % MAX) / f64::from(MAX);
        let highest = highest.0 as i64 as i32;
        (highest >= 0).then(|| Self((fraction * f64::from(highest.wrapping_add(1))).floor()))
    }
}

impl Score {
    /// The score as a number that a script computes with.
    pub fn to_double(self) -> Double {
        Double(self.0)
    }
}

/// `%.14g`: Lua 5.1's default number format.
fn lua_tostring(value: f64) -> String {
    const DIGITS: usize = 14;
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{value:.*e}", DIGITS - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= DIGITS as i32 {
        let mantissa = trim_fraction(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let decimals = (DIGITS as i32 - 1 - exponent).max(0) as usize;
    trim_fraction(&format!("{value:.decimals$}")).to_owned()
}

fn trim_fraction(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_keeps_every_millisecond_of_created_at() {
        assert_eq!(Score::eligible(9000, 1_795_410_402_881).whole(), -8_998_204_589_597_119);
        assert_ne!(Score::eligible(9000, 1_795_410_402_881), Score::eligible(9000, 1_795_410_402_880));
    }

    #[test]
    fn a_score_is_told_by_thousands() {
        assert_eq!(by_thousands(Score::at_ms(1_700_000_000_000).whole()), "1 700 000 000 000");
        assert_eq!(by_thousands(Score::eligible(999, 0).whole()), "-999 000 000 000 000");
        assert_eq!(by_thousands(Score::at_ms(7).whole()), "7");
    }

    #[test]
    fn scores_order_as_their_doubles_do() {
        let ordered = [
            Score::eligible(9000, 5),
            Score::eligible(1, 5),
            Score::eligible(0, -3),
            Score::eligible(0, 0),
            Score::at_ms(7),
        ];
        assert!(ordered.is_sorted_by_key(|score| score.order_key()));
    }

    #[test]
    fn exponential_backoff_keeps_its_fraction_to_fourteen_digits() {
        let backoff = BackoffStrategy::Exponential {
            initial_delay_ms: 333,
            max_delay_ms: 60_000,
            multiplier: 1.5,
            jitter: false,
        };
        assert_eq!(retry_due(1_000_000_000_000, Some(&backoff), 0).to_lua_string(), "1000000000333");
        let second = retry_due(1_000_000_000_000, Some(&backoff), 1);
        assert_eq!(second.to_lua_string(), "1000000000499.5");
        assert!(!second.is_whole());
    }

    #[test]
    fn an_integer_argument_ends_at_half_the_highest_integer() {
        assert_eq!(Double::from_count(1_000_000_000_000_000).to_integer_argument(), Some(1_000_000_000_000_000));
        assert_eq!(Double::from_count(i64::MAX as u64).to_integer_argument(), None);
    }

    #[test]
    fn the_jitter_of_a_wide_interval_wraps_to_an_int() {
        let jitter =
            |highest| Double::random_up_to(851_401_618, Double::from_count(highest)).map(Double::to_lua_string);
        assert_eq!(jitter(1000).as_deref(), Some("396"));
        assert_eq!(jitter(3_000_000_000), None, "the interval is empty");
    }

    #[test]
    fn numbers_print_as_lua_prints_them() {
        for (value, text) in [(0.1, "0.1"), (1e14, "1e+14"), (123.0, "123"), (-2.5, "-2.5"), (1e-5, "1e-05")] {
            assert_eq!(lua_tostring(value), text);
        }
    }
}
