//! Keeps the best few of many scored rows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A score and a row in one integer that compares as a hit does: the higher score is greater, of two
/// equal scores the lower row is, and NaN is below every number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ranked(u64);

impl Ranked {
    pub(crate) fn new(score: f32, row: u32) -> Self {
        let bits = (score + 0.0).to_bits(); // -0.0 becomes 0.0
        let ordered = match () {
            _ if score.is_nan() => 0,
            _ if bits >> 31 == 1 => !bits,
            _ => bits | 1 << 31,
        };
        Self(u64::from(ordered) << 32 | u64::from(!row))
    }

    pub(crate) fn row(self) -> u32 {
        !(self.0 as u32)
    }

    pub(crate) fn score(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }
}

/// The greatest `limit` of what was offered.
pub(crate) struct Nearest<T> {
    limit: usize,
    /// The least of them on top.
    heap: BinaryHeap<Reverse<T>>,
}

impl<T: Ord + Copy> Nearest<T> {
    /// None yet. Memory is taken as rows come, so that `limit` may be any number.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.heap.len() >= self.limit
    }

    /// Whether `hit` would be kept if it were offered now.
    #[inline]
    pub(crate) fn admits(&self, hit: T) -> bool {
        !self.is_full() || self.heap.peek().is_some_and(|worst| hit > worst.0)
    }

    #[inline]
    pub(crate) fn offer(&mut self, hit: T) {
        if !self.is_full() {
            self.heap.push(Reverse(hit));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit > worst.0
        {
            *worst = Reverse(hit);
        }
    }

    /// What was kept, best first; it is gone afterwards.
    pub(crate) fn drain_best(&mut self) -> impl Iterator<Item = T> + use<T> {
        let mut best: Vec<T> = self.heap.drain().map(|hit| hit.0).collect();
        best.sort_unstable_by(|a, b| b.cmp(a));
        best.into_iter()
    }
}

impl Nearest<Ranked> {
    /// What was kept as (score, row), best first; it is gone afterwards.
    pub(crate) fn drain_hits(&mut self) -> Vec<(f32, u32)> {
        self.drain_best().map(|hit| (hit.score(), hit.row())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_equal_scores_the_lower_row_is_better() {
        assert!(Ranked::new(0.5, 3) > Ranked::new(0.5, 4));
        assert!(Ranked::new(-0.0, 3) > Ranked::new(0.0, 4));
        assert!(Ranked::new(0.0, 3) > Ranked::new(-0.0, 4));
    }

    #[test]
    fn not_a_number_is_worse_than_any_number() {
        for nan in [f32::NAN, -f32::NAN] {
            assert!(Ranked::new(nan, 0) < Ranked::new(f32::NEG_INFINITY, u32::MAX));
        }
    }

    proptest! {
        #[test]
        fn ranks_compare_as_scores_do_and_give_them_back(a in any::<f32>(), b in any::<f32>(), row: u32) {
            let (x, y) = (Ranked::new(a, row), Ranked::new(b, row));
            if let Some(order) = (a + 0.0).partial_cmp(&(b + 0.0)) {
                prop_assert_eq!(x.cmp(&y), order);
                prop_assert_eq!(x.score(), a);
            }
            prop_assert_eq!(x.row(), row);
        }

        #[test]
        fn the_best_are_kept_in_order(scores in prop::collection::vec(-1.0f32..1.0, 0..80), k in 0usize..20) {
            let mut nearest = Nearest::new(k);
            for (row, score) in scores.iter().enumerate() {
                nearest.offer(Ranked::new(*score, row as u32));
            }
            let mut expected: Vec<(f32, u32)> = scores.iter().copied().zip(0..).collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            expected.truncate(k);
            prop_assert_eq!(nearest.drain_hits(), expected);
        }
    }
}
