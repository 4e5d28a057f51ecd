//! How many of the true pairs a graph found, measured on a sample of rows that are compared with all.

use std::sync::atomic::{AtomicUsize, Ordering};

use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use akin_index::recall::{SCORE_TOLERANCE, right_hits};
use akin_index::{Cancelled, Counter};
use akin_kernels::Embeddings;
use rayon::prelude::*;

use crate::compare::{BLOCK_COLUMNS, BLOCK_ROWS, MAX_EXACT_SENTENCES, PackedBlock, neighbors};

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

/// The work of a measurement among so many rows: a unit a row, or none where no graph chooses what is compared.
pub(crate) fn work(rows: usize) -> usize {
    if rows > MAX_EXACT_SENTENCES { rows } else { 0 }
}

/// The share of the true 10 nearest of a row, with a similarity of at least `threshold`, that a walk from the row finds.
/// A pair may still be found from its other end, so this is the least that was found.
pub(crate) fn neighbor_recall(
    graph: &Graph,
    embeddings: &Embeddings,
    threshold: f32,
    done: &Counter<'_>,
) -> Result<SampledRecall, Cancelled> {
    let rows = embeddings.rows();
    let sample = sample(rows);
    let counts = sample.par_iter().enumerate().map(|(at, row)| {
        let other = |one: u32| one as usize != *row;
        let truth: Vec<f32> = exact_search(embeddings, embeddings.row(*row), NEAREST, &other)
            .into_iter()
            .map(|near| near.0)
            .take_while(|score| *score >= threshold)
            .collect();
        done.add((at + 1) * rows / sample.len() - at * rows / sample.len())?;
        Ok((truth.len(), right_hits(neighbors(graph, embeddings, *row).map(|near| near.0), &truth)))
    });
    let sum = |one: (usize, usize), other: (usize, usize)| Ok((one.0 + other.0, one.1 + other.1));
    let (pairs, found) = counts.try_reduce(|| (0, 0), sum)?;
    Ok(SampledRecall { sampled: sample.len(), pairs, found })
}

/// The share of the pairs of a sampled row and any other, with a similarity of at least `threshold`, that `is_found`.
/// Pairs at the threshold itself, where rounding decides, do not count.
pub(crate) fn pair_recall(
    embeddings: &Embeddings,
    threshold: f32,
    is_found: &(dyn Fn(usize, usize) -> bool + Sync),
    done: &Counter<'_>,
) -> Result<SampledRecall, Cancelled> {
    let sample = sample(embeddings.rows());
    let mut sampled = Embeddings::empty(embeddings.dimension());
    sample.iter().for_each(|row| sampled.push(embeddings.row(*row)));
    let (pairs, found) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for first in (0..sampled.rows()).step_by(BLOCK_COLUMNS) {
        let block = PackedBlock::pack(&sampled, first);
        let rows = embeddings.rows();
        (0..rows.div_ceil(BLOCK_ROWS)).into_par_iter().try_for_each_init(Vec::new, |products, at| {
            let begin = at * BLOCK_ROWS;
            let count = BLOCK_ROWS.min(rows - begin);
            block.multiply(embeddings, begin, count, products);
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
            // The sample is a single block.
            done.add(count)
        })?;
    }
    Ok(SampledRecall { sampled: sample.len(), pairs: pairs.into_inner(), found: found.into_inner() })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use akin_fixtures::random::clustered;

    use super::*;
    use crate::compare::by_graph;

    fn go_on(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn every_pair_of_a_sampled_row_counts_once() {
        // Rows r, r + 40, r + 80 … are around one center, well apart from the others.
        let embeddings = clustered(1200, 24, 40, 0.05, 3);
        let done = Counter::begin(1200, &go_on).unwrap();
        let recall = |threshold, is_found: &(dyn Fn(usize, usize) -> bool + Sync)| {
            pair_recall(&embeddings, threshold, is_found, &done).unwrap()
        };
        let all = recall(0.9, &|_, _| true);
        assert_eq!((all.sampled, all.pairs, all.found), (500, 500 * 29, 500 * 29));
        let half = recall(0.9, &|one, other| (one + other) / 40 % 2 == 0);
        assert!(half.found > 0 && half.found < half.pairs, "{half:?}");
        assert_eq!(recall(1.0, &|_, _| true).share(), None);
    }

    #[test]
    fn a_graph_that_finds_the_neighbors_is_told_so() {
        let embeddings = clustered(1200, 24, 40, 0.05, 3);
        let done = Counter::begin(3600, &go_on).unwrap();
        let graph = by_graph(&embeddings, &|| 2.0, &|_| (), &done).unwrap();
        let recall = neighbor_recall(&graph, &embeddings, 0.9, &done).unwrap();
        assert_eq!((recall.sampled, recall.pairs), (500, 5000));
        assert!(recall.share().is_some_and(|share| share > 0.95), "{recall:?}");
        assert_eq!(neighbor_recall(&graph, &embeddings, 1.1, &done).unwrap().pairs, 0);
    }

    #[test]
    fn a_measurement_counts_every_row_and_can_be_stopped() {
        let embeddings = clustered(1250, 24, 40, 0.05, 3);
        let counted = AtomicUsize::new(0);
        let hear = |done, _| {
            counted.store(done, Ordering::Relaxed);
            if done > 3750 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let done = Counter::begin(3750, &hear).unwrap();
        let graph = by_graph(&embeddings, &|| 2.0, &|_| (), &done).unwrap();
        neighbor_recall(&graph, &embeddings, 0.9, &done).unwrap();
        assert_eq!(counted.load(Ordering::Relaxed), 3750);
        assert_eq!(neighbor_recall(&graph, &embeddings, 0.9, &done), Err(Cancelled));
        assert_eq!(pair_recall(&embeddings, 0.9, &|_, _| true, &done), Err(Cancelled));
    }
}
