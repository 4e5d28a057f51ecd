//! How many of the true pairs a graph found, measured on a sample of rows that are compared with all.

use std::sync::atomic::{AtomicUsize, Ordering};

use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use akin_index::recall::{SCORE_TOLERANCE, right_hits};
use akin_kernels::Embeddings;
use rayon::prelude::*;

use crate::compare::{BLOCK_COLUMNS, BLOCK_ROWS, PackedBlock, neighbors};

/// Rows that are compared with all others.
const SAMPLE: usize = 500;

/// The nearest others of a row that [`neighbor_recall`] looks for.
const NEAREST: usize = 10;

/// The share of the true pairs of a sample that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledRecall {
    /// Rows that were compared with all others.
    pub sampled: usize,
    /// True pairs of these rows.
    pub pairs: usize,
    /// How many of them were found.
    pub found: usize,
}

impl SampledRecall {
    /// The share that was found; none where the sample has no pair.
    pub fn share(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.found as f64 / self.pairs as f64)
    }
}

/// Rows, evenly.
fn sample(rows: usize) -> Vec<usize> {
    (0..SAMPLE.min(rows)).map(|at| at * rows / SAMPLE.min(rows)).collect()
}

/// The share of the true 10 nearest of a row, with a similarity of at least `threshold`, that a walk from the row finds.
/// A pair may still be found from its other end, so this is the least that was found.
pub(crate) fn neighbor_recall(graph: &Graph, embeddings: &Embeddings, threshold: f32) -> SampledRecall {
    let sample = sample(embeddings.rows());
    let counts = sample.par_iter().map(|row| {
        let other = |one: u32| one as usize != *row;
        let truth: Vec<f32> = exact_search(embeddings, embeddings.row(*row), NEAREST, &other)
            .into_iter()
            .map(|near| near.0)
            .take_while(|score| *score >= threshold)
            .collect();
        (truth.len(), right_hits(neighbors(graph, embeddings, *row).map(|near| near.0), &truth))
    });
    let (pairs, found) = counts.reduce(|| (0, 0), |one, other| (one.0 + other.0, one.1 + other.1));
    SampledRecall { sampled: sample.len(), pairs, found }
}

/// The share of the pairs of a sampled row and any other, with a similarity of at least `threshold`, that `is_found`.
/// Pairs at the threshold itself, where rounding decides, do not count.
pub(crate) fn pair_recall(
    embeddings: &Embeddings,
    threshold: f32,
    is_found: &(dyn Fn(usize, usize) -> bool + Sync),
) -> SampledRecall {
    let sample = sample(embeddings.rows());
    let mut sampled = Embeddings::empty(embeddings.dimension());
    sample.iter().for_each(|row| sampled.push(embeddings.row(*row)));
    let (pairs, found) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for first in (0..sampled.rows()).step_by(BLOCK_COLUMNS) {
        let block = PackedBlock::pack(&sampled, first);
        let rows = embeddings.rows();
        (0..rows.div_ceil(BLOCK_ROWS)).into_par_iter().for_each_init(Vec::new, |products, at| {
            let begin = at * BLOCK_ROWS;
            block.multiply(embeddings, begin, BLOCK_ROWS.min(rows - begin), products);
            let (mut true_pairs, mut right) = (0, 0);
            for (row, products) in (begin..).zip(products.chunks_exact(block.columns)) {
                for (one, score) in sample[first..].iter().zip(products) {
                    if *score >= threshold + SCORE_TOLERANCE && *one != row {
                        true_pairs += 1;
                        right += usize::from(is_found(*one, row));
                    }
                }
            }
            pairs.fetch_add(true_pairs, Ordering::Relaxed);
            found.fetch_add(right, Ordering::Relaxed);
        });
    }
    SampledRecall { sampled: sample.len(), pairs: pairs.into_inner(), found: found.into_inner() }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::random::clustered;

    use super::*;
    use crate::compare::by_graph;

    #[test]
    fn every_pair_of_a_sampled_row_counts_once() {
        // Rows r, r + 40, r + 80 … are around one center, well apart from the others.
        let embeddings = clustered(1200, 24, 40, 0.05, 3);
        let all = pair_recall(&embeddings, 0.9, &|_, _| true);
        assert_eq!((all.sampled, all.pairs, all.found), (500, 500 * 29, 500 * 29));
        let half = pair_recall(&embeddings, 0.9, &|one, other| (one + other) / 40 % 2 == 0);
        assert!(half.found > 0 && half.found < half.pairs, "{half:?}");
        assert_eq!(pair_recall(&embeddings, 1.0, &|_, _| true).share(), None);
    }

    #[test]
    fn a_graph_that_finds_the_neighbors_is_told_so() {
        let embeddings = clustered(1200, 24, 40, 0.05, 3);
        let graph = by_graph(&embeddings, &|| 2.0, &|_| ());
        let recall = neighbor_recall(&graph, &embeddings, 0.9);
        assert_eq!((recall.sampled, recall.pairs), (500, 5000));
        assert!(recall.share().is_some_and(|share| share > 0.95), "{recall:?}");
        assert_eq!(neighbor_recall(&graph, &embeddings, 1.1).pairs, 0);
    }
}
