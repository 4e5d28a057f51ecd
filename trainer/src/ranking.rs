//! Figures of a query's ranked hits, by the documents that were judged relevant.

use std::collections::HashMap;

/// How relevant documents are, by their rows; those that are not in it are not relevant.
pub(crate) type Grades = HashMap<usize, u32>;

/// The sum of each hit's gain divided by the logarithm of its rank, divided by the greatest possible sum (Järvelin &
/// Kekäläinen 2002).
pub(crate) fn ndcg(hits: &[usize], grades: &Grades, k: usize) -> f64 {
    let sum = |gains: &mut dyn Iterator<Item = u32>| -> f64 {
        gains.take(k).enumerate().map(|(place, gain)| f64::from(gain) / (place as f64 + 2.0).log2()).sum()
    };
    let mut best: Vec<u32> = grades.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let most = sum(&mut best.into_iter());
    if most > 0.0 {
        sum(&mut hits.iter().map(|hit| grades.get(hit).copied().unwrap_or(0))) / most
    } else {
        0.0
    }
}

/// The share of the relevant documents that is among the first `k` hits.
pub(crate) fn recall(hits: &[usize], grades: &Grades, k: usize) -> f64 {
    let found = hits.iter().take(k).filter(|hit| grades.contains_key(hit)).count();
    found as f64 / grades.len().max(1) as f64
}

/// One over the rank of the first relevant hit, 0 where none is among the first `k`.
pub(crate) fn reciprocal_rank(hits: &[usize], grades: &Grades, k: usize) -> f64 {
    let place = hits.iter().take(k).position(|hit| grades.contains_key(hit));
    place.map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
}

/// The mean over the relevant documents of the share of relevant ones among the hits up to theirs; 0 for one that is
/// not among the first `k`.
pub(crate) fn average_precision(hits: &[usize], grades: &Grades, k: usize) -> f64 {
    let (mut found, mut sum) = (0.0, 0.0);
    for (place, hit) in hits.iter().take(k).enumerate() {
        if grades.contains_key(hit) {
            found += 1.0;
            sum += found / (place as f64 + 1.0);
        }
    }
    sum / grades.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_definitions() {
        let grades = HashMap::from([(7, 2), (8, 1)]);
        // 1 / log2(3) + 2 / log2(4), of 2 / log2(2) + 1 / log2(3).
        let expected = (1.0 / 3f64.log2() + 1.0) / (2.0 + 1.0 / 3f64.log2());
        assert!((ndcg(&[1, 8, 7], &grades, 10) - expected).abs() < 1e-12);
        assert_eq!(ndcg(&[1, 8, 7], &grades, 1), 0.0);
        assert_eq!(recall(&[1, 8, 7], &grades, 2), 0.5);
        assert_eq!(reciprocal_rank(&[1, 8, 7], &grades, 10), 0.5);
        assert_eq!(reciprocal_rank(&[1, 2], &grades, 10), 0.0);
        // The second hit of two relevant ones is right, and the third: (1/2 + 2/3) / 2.
        assert!((average_precision(&[1, 8, 7], &grades, 100) - (0.5 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!(average_precision(&[1, 8, 7], &grades, 2), 0.25);
    }
}
