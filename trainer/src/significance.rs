//! How sure a mean over queries is, and a difference of two means.

use crate::random::Random;

/// Samples of a bootstrap, and of a randomisation test.
const SAMPLES: usize = 10_000;

/// The seed of all samples: the same figures have the same interval in every run.
const SEED: u64 = 42;

/// The bounds between which a mean lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Two settings compared query by query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The mean of the first less that of the second.
    pub difference: f64,
    /// The bounds of the difference.
    pub interval: Interval,
    /// How likely so large a difference, of either sign, is between settings that are equally good.
    pub p: f64,
    /// Queries for which the first is better.
    pub better: usize,
    /// Queries for which it is worse.
    pub worse: usize,
}

/// The mean of some values; 0 of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The interval of a mean by the percentile bootstrap (Efron 1979): queries are drawn again and again with replacement.
pub fn interval(values: &[f64]) -> Interval {
    if values.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut random = Random::new(SEED);
    let mut means: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let drawn = (0..values.len()).map(|_| values[(random.bits() % values.len() as u64) as usize]);
            drawn.sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Interval { low: means[SAMPLES / 40], high: means[SAMPLES - 1 - SAMPLES / 40] }
}

/// Compares two series of values, one for each query. The significance is that of a paired randomisation test (Fisher 1935;
/// Smucker, Allan & Carterette 2007): were both settings equally good, each query's difference could as well have the other
/// sign.
pub fn compare(first: &[f64], second: &[f64]) -> Comparison {
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    let sum: f64 = differences.iter().sum();
    // Sums of the same numbers in another order differ in their last bits.
    let least = sum.abs() - 1e-9;
    let changed: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let mut random = Random::new(SEED);
    let as_large = (0..SAMPLES)
        .filter(|_| {
            let flipped = changed.chunks(64).map(|chunk| {
                let signs = random.bits();
                let signed = chunk.iter().enumerate();
                signed.map(|(bit, x)| if signs >> bit & 1 == 1 { *x } else { -x }).sum::<f64>()
            });
            flipped.sum::<f64>().abs() >= least
        })
        .count();
    Comparison {
        difference: mean(&differences),
        interval: interval(&differences),
        // The assignment that was seen is one of those that are possible.
        p: (as_large + 1) as f64 / (SAMPLES + 1) as f64,
        better: differences.iter().filter(|difference| **difference > 0.0).count(),
        worse: differences.iter().filter(|difference| **difference < 0.0).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_has_the_width_of_its_error() {
        let mut random = Random::new(1);
        let values: Vec<f64> = (0..400).map(|_| 0.5 + 0.2 * random.normal()).collect();
        let Interval { low, high } = interval(&values);
        // Twice 1.96 deviations of the mean, 0.01 each.
        assert!((high - low - 0.0392).abs() < 0.005, "{low} to {high}");
        assert!(low < mean(&values) && mean(&values) < high);
        assert_eq!(interval(&[0.3]), Interval { low: 0.3, high: 0.3 });
        assert_eq!(interval(&[]), Interval { low: 0.0, high: 0.0 });
    }

    #[test]
    fn a_difference_in_every_query_is_significant_and_one_of_chance_is_not() {
        let second: Vec<f64> = (0..30).map(|query| f64::from(query) / 60.0).collect();
        let first: Vec<f64> = second.iter().map(|value| value + 0.1).collect();
        let better = compare(&first, &second);
        assert!((better.difference - 0.1).abs() < 1e-9 && better.p < 0.001, "{better:?}");
        assert_eq!((better.better, better.worse), (30, 0));
        let worse = compare(&second, &first);
        assert!((worse.difference + 0.1).abs() < 1e-9 && worse.p < 0.001, "{worse:?}");
        let mixed: Vec<f64> = second.iter().enumerate().map(|(at, x)| x + [0.1, -0.1][at % 2]).collect();
        let chance = compare(&mixed, &second);
        assert!(chance.p > 0.5 && chance.interval.low < 0.0 && chance.interval.high > 0.0, "{chance:?}");
        assert!((compare(&first, &first).p - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_significance_of_few_queries_is_that_of_all_signs() {
        // Of the 16 ways to sign four equal differences two are as large.
        let p = compare(&[1.0; 4], &[0.0; 4]).p;
        assert!((p - 0.125).abs() < 0.01, "{p}");
    }
}
