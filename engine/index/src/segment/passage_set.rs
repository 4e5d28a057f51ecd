//! A set of rows of a segment: a bit each.

use std::ops::Range;

use crate::graph::walk::VISIT;

/// A set of rows of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PassageSet {
    words: Vec<u64>,
    count: usize,
}

impl PassageSet {
    /// Those whose bits are set: row `r` is bit `r % 64` of word `r / 64`.
    pub(crate) fn of(words: Vec<u64>) -> Self {
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, count }
    }

    /// Those of a range.
    pub(crate) fn of_range(rows: Range<usize>) -> Self {
        let mut words = vec![0u64; rows.end.div_ceil(64)];
        rows.for_each(|row| words[row / 64] |= 1 << (row % 64));
        Self::of(words)
    }

    /// What `combine` makes of this set and another of the same segment, 64 rows at a time.
    pub(crate) fn with(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let word = |words: &[u64], at: usize| words.get(at).copied().unwrap_or(0);
        let words = 0..self.words.len().max(other.words.len());
        Self::of(words.map(|at| combine(word(&self.words, at), word(&other.words, at))).collect())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(crate) fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Whether a walk with `ef` candidates through the graph of all `rows` costs less than comparing with each
    /// row of the set. A walk visits some `ef * rows / count` points until it has met `ef` of the set.
    pub(crate) fn favors_walk(&self, rows: usize, ef: usize) -> bool {
        let visited = ef as f64 * rows as f64 / self.count.max(1) as f64;
        self.count as f64 > VISIT as f64 * visited
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let words = (0u32..).step_by(64).zip(&self.words);
        words.flat_map(|(first, word)| ones(*word).map(move |bit| first + bit))
    }
}

/// The bits of a word that are set.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros());
        word &= word.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_those_whose_bits_are_set(words in prop::collection::vec(any::<u64>(), 0..150)) {
            let rows = PassageSet::of(words.clone());
            let expected: Vec<u32> =
                (0..words.len() as u32 * 64).filter(|row| words[*row as usize / 64] >> (row % 64) & 1 == 1).collect();
            prop_assert_eq!(rows.count(), expected.len());
            prop_assert!(rows.iter().eq(expected.iter().copied()));
            prop_assert!(expected.iter().all(|row| rows.contains(*row)));
        }
    }
}
