//! From pairs of times to a verdict: the ratio head to base with an interval by bootstrap.
//!
//! A pair is two turns of the same minute. Ratios are averaged on the logarithm, without the most
//! extreme fifth on either side: one turn that another process disturbed must not decide. The whole
//! interval has to lie beyond the threshold for a regression, and below it for the opposite.

use claimlab::stream::{Purpose, Stream};

use crate::results::Verdict;

/// How often the pairs are drawn anew at least.
const RESAMPLES: u32 = 4_000;
/// So many of these lie outside the interval: fewer would make its ends those of a few draws.
const OUTSIDE: u32 = 12;
/// The share of the ratios that is left out on either side.
const TRIMMED: f64 = 0.2;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// By how much the head may cost more, in ppm.
    pub threshold_ppm: u32,
    /// The chance that the interval misses the truth, in ppm.
    pub risk_ppm: u32,
}

/// What the pairs say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// How much the head costs in units of the base.
    pub ratio: f64,
    /// The interval.
    pub low: f64,
    /// Its other end.
    pub high: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// Judges pairs of base and head. The same pairs are always judged the same.
pub fn judge(pairs: &[(f64, f64)], question: Question) -> Judged {
    let logs: Vec<f64> = pairs.iter().map(|(base, head)| (head / base).ln()).collect();
    let mut draws = Stream::new(0, Purpose::Resampling, 0);
    let resamples = RESAMPLES.max(OUTSIDE * 1_000_000 / question.risk_ppm.max(1));
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            trimmed_mean(&mut logs.iter().map(|_| logs[draws.below(logs.len() as u64) as usize]).collect::<Vec<_>>())
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(f64::from(resamples - 1) * share).round() as usize].exp();
    let outside = f64::from(question.risk_ppm) / 2e6;
    let (low, high) = (at(outside), at(1.0 - outside));
    let limit = 1.0 + f64::from(question.threshold_ppm) / 1e6;
    let verdict = match (low > limit, high < limit) {
        (true, _) => Verdict::Regressed,
        (_, true) => Verdict::Held,
        _ => Verdict::Undecided,
    };
    Judged { ratio: trimmed_mean(&mut logs.clone()).exp(), low, high, verdict }
}

fn trimmed_mean(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let left_out = (values.len() as f64 * TRIMMED) as usize;
    let kept = &values[left_out..values.len() - left_out];
    kept.iter().sum::<f64>() / kept.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question = Question { threshold_ppm: 50_000, risk_ppm: 10_000 };

    /// Pairs whose ratios scatter by ten per cent around a factor.
    fn pairs(count: usize, factor: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut stream = Stream::new(seed, Purpose::Resampling, 1);
        let mut noise = || 0.9 + stream.below(200_000) as f64 / 1e6;
        (0..count).map(|_| (100.0 * noise(), 100.0 * factor * noise())).collect()
    }

    #[test]
    fn ten_per_cent_more_is_a_regression_and_nothing_more_is_held() {
        assert_eq!(judge(&pairs(60, 1.10, 1), QUESTION).verdict, Verdict::Regressed);
        assert_eq!(judge(&pairs(60, 1.00, 1), QUESTION).verdict, Verdict::Held);
    }

    #[test]
    fn noise_wider_than_the_question_is_undecided() {
        assert_eq!(judge(&pairs(12, 1.05, 1), QUESTION).verdict, Verdict::Undecided);
    }

    #[test]
    fn one_disturbed_turn_decides_nothing() {
        let mut disturbed = pairs(60, 1.00, 1);
        disturbed[7].1 *= 50.0;
        assert_eq!(judge(&disturbed, QUESTION).verdict, Verdict::Held);
    }

    #[test]
    fn looking_after_each_pair_raises_no_alarm_where_nothing_changed() {
        let alarms = (0..40).filter(|seed| {
            let all = pairs(40, 1.00, *seed);
            (12..=40).any(|count| judge(&all[..count], QUESTION).verdict == Verdict::Regressed)
        });
        assert_eq!(alarms.count(), 0);
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let misses = (0..200).filter(|seed| {
            let Judged { low, high, .. } = judge(&pairs(30, 1.02, *seed), Question { risk_ppm: 50_000, ..QUESTION });
            !(low..=high).contains(&1.02)
        });
        let misses = misses.count();
        // 5 % of 200 are 10; a bootstrap of 30 pairs is a little too narrow.
        assert!((2..=24).contains(&misses), "{misses} of 200 intervals miss the truth");
    }
}
