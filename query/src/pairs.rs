//! The most similar pairs among many sentences: the task with which Sentence-BERT begins (Reimers &
//! Gurevych 2019, section 1), where 10,000 sentences took BERT 65 hours.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use akin_engine::Embeddings;
use akin_engine::index::graph::FrozenGraph;
use akin_engine::kernels::cpu;
use akin_engine::kernels::gemm::{PackedLinear, Then};
use akin_engine::kernels::rows::{Precision, Rows};
use rayon::prelude::*;

/// Up to so many sentences every pair is looked at; beyond, each sentence and its nearest in a graph.
pub const EXACT_SENTENCES: usize = 100_000;

/// Neighbors of each sentence that are looked at beyond [`EXACT_SENTENCES`].
pub const NEIGHBORS: usize = 32;

/// Candidates of those searches.
const EF: usize = 96;
/// Sentences that are packed to be multiplied by all before them; a megabyte or two.
const COLUMNS: usize = 768;
/// Sentences that one thread multiplies by those at a time.
const ROWS: usize = 96;

/// Two sentences, and how similar they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Cosine similarity, from -1 to 1.
    pub score: f32,
    /// The row of one.
    pub first: usize,
    /// The row of the other, which comes later.
    pub second: usize,
}

/// The `top` most similar pairs of `embeddings` with a similarity of at least `threshold`, best first; of
/// equally similar ones that of earlier rows comes first. The rows have length one.
///
/// Looks at every pair of up to [`EXACT_SENTENCES`], in memory for a small part of them. Of more it looks
/// at the [`NEIGHBORS`] of each that a graph finds: a pair is missed where a search misses it from both
/// sides, or where so many others are nearer to both.
pub fn most_similar(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<Pair> {
    match embeddings.rows() {
        0..=EXACT_SENTENCES => by_products(embeddings, top, threshold),
        _ => by_graph(embeddings, top, threshold),
    }
}

/// Every pair: blocks of rows times packed blocks of those after them.
fn by_products(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<Pair> {
    let (rows, dimension) = (embeddings.rows(), embeddings.dimension());
    let mut best = Best::new(top, threshold);
    for first in (0..rows).step_by(COLUMNS) {
        let columns = COLUMNS.min(rows - first);
        let column = |column| embeddings.row(first + column);
        let packed = PackedLinear::pack(cpu::isa(), Precision::F32, dimension, columns, column, &[]);
        let until = first + columns;
        // What is no better than the best so far is not even collected.
        let least = best.least();
        let found = (0..until.div_ceil(ROWS))
            .into_par_iter()
            .map_init(Vec::new, |products, block| {
                let begin = block * ROWS;
                let count = ROWS.min(until - begin);
                let input = &embeddings.as_slice()[begin * dimension..][..count * dimension];
                products.resize(count * columns, 0.0);
                packed.apply(Rows::floats(input), count, Then::Store, products);
                let mut best = Best::new(top, least);
                for (row, products) in products.chunks_exact(columns).enumerate() {
                    best.take_row(begin + row, first, products);
                }
                best
            })
            .reduce(|| Best::new(top, least), Best::join);
        best = best.join(found);
    }
    best.into_pairs()
}

/// Each row and its neighbors.
fn by_graph(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<Pair> {
    let graph = FrozenGraph::build(embeddings, &|_, _| ());
    let best = (0..embeddings.rows())
        .into_par_iter()
        .with_min_len(256)
        // Most pairs are found from both sides.
        .fold(
            || Best::new(top.saturating_mul(2), threshold),
            |mut best, row| {
                for (score, other) in graph.search(embeddings, embeddings.row(row), NEIGHBORS + 1, EF, None) {
                    if other as usize != row {
                        best.take(score, row, other as usize);
                    }
                }
                best
            },
        )
        .reduce(|| Best::new(top.saturating_mul(2), threshold), Best::join);
    let mut pairs = best.into_pairs();
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    pairs.truncate(top);
    pairs
}

/// The best pairs so far.
struct Best {
    limit: usize,
    threshold: f32,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Ranked>>,
}

impl Best {
    fn new(limit: usize, threshold: f32) -> Self {
        Self { limit, threshold, heap: BinaryHeap::new() }
    }

    /// What a similarity must at least be to be among them.
    fn least(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.limit => worst.0.0.max(self.threshold),
            _ => self.threshold,
        }
    }

    /// Takes the products of `row` with the rows from `first` on that come after it.
    fn take_row(&mut self, row: usize, first: usize, products: &[f32]) {
        let mut least = self.least();
        let skipped = (row + 1).saturating_sub(first).min(products.len());
        for (column, product) in products.iter().enumerate().skip(skipped) {
            if *product >= least {
                self.take(*product, row, first + column);
                least = self.least();
            }
        }
    }

    fn take(&mut self, score: f32, one: usize, other: usize) {
        if score < self.threshold || self.limit == 0 || score.is_nan() {
            return;
        }
        let pair = Reverse(Ranked(score, one.min(other), one.max(other)));
        if self.heap.len() < self.limit {
            self.heap.push(pair);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && pair < *worst
        {
            *worst = pair;
        }
    }

    fn join(mut self, other: Self) -> Self {
        for Reverse(Ranked(score, one, two)) in other.heap {
            self.take(score, one, two);
        }
        self
    }

    fn into_pairs(self) -> Vec<Pair> {
        let mut ranked: Vec<Ranked> = self.heap.into_iter().map(|ranked| ranked.0).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let pair = |Ranked(score, first, second)| Pair { score: score.clamp(-1.0, 1.0), first, second };
        ranked.into_iter().map(pair).collect()
    }
}

/// Greater is better: the score, then the earlier rows.
#[derive(Clone, Copy, PartialEq)]
struct Ranked(f32, usize, usize);

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then_with(|| (other.1, other.2).cmp(&(self.1, self.2)))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of length one; every seventh repeats the one before, a little moved.
    fn rows(count: usize) -> Embeddings {
        let mut state = 3u64;
        let mut embeddings = Embeddings::empty(16);
        let mut row = vec![0f32; 16];
        for number in 0..count {
            for value in &mut row {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let random = (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
                *value = if number % 7 == 6 { *value + random * 0.01 } else { random };
            }
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter_mut().for_each(|value| *value /= length);
            embeddings.push(&row);
        }
        embeddings
    }

    /// The scores of the best pairs, by a plain double loop.
    fn plain(embeddings: &Embeddings, top: usize, threshold: f32) -> Vec<f32> {
        let pairs = (0..embeddings.rows()).flat_map(|second| (0..second).map(move |first| (first, second)));
        let mut scores: Vec<f32> = pairs.map(|(first, second)| score(embeddings, first, second)).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.into_iter().filter(|score| *score >= threshold).take(top).collect()
    }

    fn score(embeddings: &Embeddings, first: usize, second: usize) -> f32 {
        embeddings.row(first).iter().zip(embeddings.row(second)).map(|(a, b)| a * b).sum()
    }

    fn places(pairs: &[Pair]) -> Vec<(usize, usize)> {
        pairs.iter().map(|pair| (pair.first, pair.second)).collect()
    }

    #[test]
    fn every_pair_counts_across_all_borders_of_blocks() {
        let embeddings = rows(COLUMNS + ROWS + 5);
        for (top, threshold) in [(40, -1.0), (100, 0.7), (1, 0.0)] {
            let pairs = by_products(&embeddings, top, threshold);
            let scores = plain(&embeddings, top, threshold);
            assert_eq!(pairs.len(), scores.len());
            for (pair, best) in pairs.iter().zip(scores) {
                // Sums in another order may differ in their last bits.
                let own = score(&embeddings, pair.first, pair.second);
                assert!((pair.score - best).abs() < 1e-5 && (pair.score - own).abs() < 1e-5);
                assert!(pair.first < pair.second && pair.score >= threshold);
            }
            let mut places = places(&pairs);
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), pairs.len());
        }
    }

    #[test]
    fn the_graph_finds_the_pairs_that_products_find() {
        let embeddings = rows(3000);
        let exact = by_products(&embeddings, 300, -1.0);
        let found = places(&by_graph(&embeddings, 300, -1.0));
        assert_eq!(found.len(), 300);
        let right = places(&exact).iter().filter(|pair| found.contains(pair)).count();
        assert!(right >= 297, "{right} of 300");
    }

    #[test]
    fn few_sentences_have_few_pairs() {
        for count in 0..4 {
            let pairs = most_similar(&rows(count), 10, -1.0);
            assert_eq!(pairs.len(), count * count.saturating_sub(1) / 2);
        }
        assert_eq!(most_similar(&rows(30), 0, -1.0), []);
        assert_eq!(most_similar(&rows(5), 10, 0.9999999), []);
    }
}
