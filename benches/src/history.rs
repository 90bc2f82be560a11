//! Many runs beside each other, and where what they measured changed for good.

use std::collections::BTreeMap;

use augurs_changepoint::{Detector as _, NormalGammaDetector};

use crate::results::{Kind, Results};

/// Fewer runs have no history.
pub const FEWEST_RUNS: usize = 8;

/// One thing through many runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What.
    pub name: String,
    /// The runs that measured it, and its median in each as a multiple of the floor.
    pub values: Vec<(usize, f64)>,
    /// The runs with which something new begins.
    pub changes: Vec<usize>,
}

/// Every operation and path that enough of the runs measured, at one caller.
pub fn of(runs: &[Results]) -> Vec<Series> {
    let mut series: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
    for (run, results) in runs.iter().enumerate() {
        for one in results.measurements.iter().filter(|one| one.concurrency == 1 && one.kind != Kind::Floor) {
            let name = match one.kind {
                Kind::Path => format!("{}, {} partitions", one.name, one.partitions),
                _ => one.name.clone(),
            };
            series.entry(name).or_default().push((run, one.floors));
        }
    }
    series.retain(|_, values| values.len() >= FEWEST_RUNS);
    let with_changes = |(name, values): (String, Vec<(usize, f64)>)| {
        let floors: Vec<f64> = values.iter().map(|(_, floors)| *floors).collect();
        let changes = changes(&floors).into_iter().map(|position| values[position].0).collect();
        Series { name, values, changes }
    };
    series.into_iter().map(with_changes).collect()
}

/// Where a series changes for good.
pub fn changes(values: &[f64]) -> Vec<usize> {
    if values.len() < FEWEST_RUNS {
        return Vec::new();
    }
    // In units of the first half's own spread, because the detector's prior knows nothing of ours.
    let (middle, spread) = centre(&values[..values.len() / 2]);
    let scaled: Vec<f64> = values.iter().map(|value| (value.ln() - middle) / spread).collect();
    let mut found = NormalGammaDetector::default().detect_changepoints(&scaled);
    found.retain(|position| (1..values.len()).contains(position));
    found
}

/// Mean and spread of the logarithms.
fn centre(values: &[f64]) -> (f64, f64) {
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let squares: f64 = logs.iter().map(|log| (log - mean) * (log - mean)).sum();
    (mean, (squares / count).sqrt().max(0.005))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(level: f64, count: usize, seed: u64) -> Vec<f64> {
        let mut stream = claimlab::stream::Stream::new(seed, claimlab::stream::Purpose::Resampling, 0);
        (0..count).map(|_| level * (0.98 + stream.below(40_000) as f64 / 1e6)).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let values = [noisy(2.0, 20, 1), noisy(2.6, 20, 2)].concat();
        let found = changes(&values);
        assert!(found.iter().any(|position| (18..=22).contains(position)), "{found:?}");
    }

    #[test]
    fn noise_alone_changes_nothing() {
        assert_eq!(changes(&noisy(2.0, 40, 3)), Vec::<usize>::new());
    }

    #[test]
    fn a_few_runs_have_no_history() {
        assert_eq!(changes(&[1.0, 1.0, 9.0, 9.0]), Vec::<usize>::new());
    }
}
