//! Pearson's and Spearman's correlation.

use crate::{Error, Result};

/// Pearson's correlation of two series, from -1 to 1.
///
/// # Errors
/// [`Error::Correlation`] where it is not defined: series of different lengths, fewer than two
/// values, a value that is not finite, or a series whose values are all the same.
pub fn pearson(xs: &[f64], ys: &[f64]) -> Result<f64> {
    if xs.len() != ys.len() {
        return Err(Error::Correlation("the series have different lengths"));
    }
    if xs.len() < 2 {
        return Err(Error::Correlation("it takes at least two pairs"));
    }
    if !xs.iter().chain(ys).all(|value| value.is_finite()) {
        return Err(Error::Correlation("a value is not a finite number"));
    }
    let constant = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    if constant(xs) || constant(ys) {
        return Err(Error::Correlation("all values of a series are the same"));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(xs), mean(ys));
    let (mut covariance, mut variance_x, mut variance_y) = (0.0, 0.0, 0.0);
    for (x, y) in xs.iter().zip(ys) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        covariance += dx * dy;
        variance_x += dx * dx;
        variance_y += dy * dy;
    }
    let correlation = covariance / (variance_x.sqrt() * variance_y.sqrt());
    if correlation.is_finite() {
        Ok(correlation.clamp(-1.0, 1.0))
    } else {
        Err(Error::Correlation("the values are too small or too large to compare"))
    }
}

/// Spearman's correlation: Pearson's of the ranks, where equal values share the mean of their ranks.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(xs: &[f64], ys: &[f64]) -> Result<f64> {
    if !xs.iter().chain(ys).all(|value| value.is_finite()) {
        return Err(Error::Correlation("a value is not a finite number"));
    }
    pearson(&average_ranks(xs), &average_ranks(ys))
}

/// The rank of each value, from 1; equal values share the mean of the ranks they take up.
fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let value = values[order[first]];
        let tied = order[first..].iter().take_while(|&&row| values[row] == value).count();
        let rank = first as f64 + (tied as f64 + 1.0) / 2.0;
        for &row in &order[first..first + tied] {
            ranks[row] = rank;
        }
        first += tied;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        assert_eq!(average_ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert_eq!(average_ranks(&[0.0, -0.0, 1.0]), [1.5, 1.5, 3.0]);
    }

    #[test]
    fn a_line_correlates_fully_and_its_mirror_inversely() {
        let xs = [1.0, 2.0, 3.0, 4.0];
        close(pearson(&xs, &[2.0, 4.0, 6.0, 8.0]).unwrap(), 1.0);
        close(pearson(&xs, &[8.0, 6.0, 4.0, 2.0]).unwrap(), -1.0);
    }

    #[test]
    fn known_values_come_out() {
        // By hand: dx = -2 -1 0 1 2, dy = -1 -2 1 0 2, 8 / 10.
        close(pearson(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 1.0, 4.0, 3.0, 5.0]).unwrap(), 0.8);
        // Ranks 1 2.5 2.5 4 against 1 2 3 4: 4.5 / sqrt(4.5 x 5).
        let tied = spearman(&[1.0, 2.0, 2.0, 9.0], &[0.1, 0.2, 0.3, 0.4]).unwrap();
        close(tied, 4.5 / 22.5_f64.sqrt());
    }

    #[test]
    fn spearman_sees_only_the_order() {
        let xs = [1.0_f64, 2.0, 3.0, 4.0];
        let ys = xs.map(|x| (10.0 * x).exp());
        close(spearman(&xs, &ys).unwrap(), 1.0);
        assert!(pearson(&xs, &ys).unwrap() < 0.95);
    }

    #[test]
    fn what_has_no_correlation_is_refused() {
        for (xs, ys) in [
            (vec![], vec![]),
            (vec![1.0], vec![1.0]),
            (vec![1.0, 2.0], vec![1.0]),
            (vec![1.0, 2.0], vec![3.0, 3.0]),
            (vec![1.0, f64::NAN], vec![1.0, 2.0]),
            (vec![1.0, 2.0], vec![f64::INFINITY, 2.0]),
        ] {
            assert!(pearson(&xs, &ys).is_err(), "{xs:?} {ys:?}");
            assert!(spearman(&xs, &ys).is_err(), "{xs:?} {ys:?}");
        }
    }
}
