//! Finds all pairs of sentences above a similarity.
//!
//! Up to [`MAX_EXACT_SENTENCES`] sentences, every pair is compared by blocked matrix products. Beyond that, each
//! sentence is compared with its nearest neighbors in an HNSW graph.

use std::ops::ControlFlow;

use akin_index::graph::Graph;
use akin_index::{Cancelled, Counter};
use akin_kernels::Embeddings;
use akin_kernels::cpu;
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::rows::{InputRows, Precision};
use rayon::prelude::*;

/// Up to this number of sentences every pair is compared. Beyond it, a graph chooses the pairs.
pub const MAX_EXACT_SENTENCES: usize = 100_000;

/// Beyond [`MAX_EXACT_SENTENCES`], the number of nearest neighbors that each sentence is compared with.
pub const GRAPH_NEIGHBORS: usize = 32;

/// `ef` of the graph searches.
const GRAPH_EF: usize = 96;
/// Sentences in a packed block: one or two megabytes of weights for usual dimensions.
pub(crate) const BLOCK_COLUMNS: usize = 768;
/// Sentences that one thread multiplies with a packed block at a time.
pub(crate) const BLOCK_ROWS: usize = 96;

/// Two sentences and their similarity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Cosine similarity, from -1 to 1.
    pub score: f32,
    /// The row of the earlier sentence.
    pub first: usize,
    /// The row of the later sentence.
    pub second: usize,
}

/// Calls `show` with batches of all pairs whose similarity is at least `least()`. The rows have length one.
///
/// `show` is called from several threads, in no fixed order. `least` is read once for each batch; it may rise
/// during the run, so that a search for the best pairs skips the others early.
///
/// Up to [`MAX_EXACT_SENTENCES`] rows, each such pair is shown exactly once. Beyond, only pairs of a row with its
/// [`GRAPH_NEIGHBORS`] nearest in a graph are shown: a pair comes twice if each is a neighbor of the other, and is
/// missed if neither is. Returns the graph where there is one, so that what it misses can be
/// [measured](crate::sampled).
///
/// Adds [`work`] to `done` in all.
///
/// # Errors
/// [`Cancelled`] if the progress of `done` stopped it.
pub fn each_pair(
    embeddings: &Embeddings,
    least: &(dyn Fn() -> f32 + Sync),
    show: &(dyn Fn(&[Pair]) + Sync),
    done: &Counter<'_>,
) -> Result<Option<Graph>, Cancelled> {
    match embeddings.rows() {
        0..=MAX_EXACT_SENTENCES => by_products(embeddings, least, show, done).map(|()| None),
        _ => by_graph(embeddings, least, show, done).map(Some),
    }
}

/// The work of [`each_pair`] for so many rows: comparisons, or with a graph two units a row.
pub fn work(rows: usize) -> usize {
    match rows {
        0..=MAX_EXACT_SENTENCES => (0..rows)
            .step_by(BLOCK_COLUMNS)
            .map(|first| {
                let until = rows.min(first + BLOCK_COLUMNS);
                until * (until - first)
            })
            .sum(),
        _ => 2 * rows,
    }
}

/// Compares every pair: multiplies each packed block with the rows up to its end, so each pair is met once.
pub(crate) fn by_products(
    embeddings: &Embeddings,
    least: &(dyn Fn() -> f32 + Sync),
    show: &(dyn Fn(&[Pair]) + Sync),
    done: &Counter<'_>,
) -> Result<(), Cancelled> {
    let rows = embeddings.rows();
    for first in (0..rows).step_by(BLOCK_COLUMNS) {
        let block = PackedBlock::pack(embeddings, first);
        let until = first + block.columns;
        let parts = (0..until.div_ceil(BLOCK_ROWS)).into_par_iter();
        parts.try_for_each_init(Workspace::default, |workspace, at| {
            let Workspace { products, pairs } = workspace;
            let begin = at * BLOCK_ROWS;
            let count = BLOCK_ROWS.min(until - begin);
            block.multiply(embeddings, begin, count, products);
            pairs.clear();
            let least = least();
            for (row, products) in (begin..).zip(products.chunks_exact(block.columns)) {
                let skipped = (row + 1).saturating_sub(first).min(products.len());
                for (column, score) in products.iter().enumerate().skip(skipped) {
                    if *score >= least {
                        pairs.push(Pair { score: score.min(1.0), first: row, second: first + column });
                    }
                }
            }
            show(pairs);
            done.add(count * block.columns)
        })?;
    }
    Ok(())
}

/// Compares each row with its neighbors in a graph.
pub(crate) fn by_graph(
    embeddings: &Embeddings,
    least: &(dyn Fn() -> f32 + Sync),
    show: &(dyn Fn(&[Pair]) + Sync),
    done: &Counter<'_>,
) -> Result<Graph, Cancelled> {
    let rows = embeddings.rows();
    let built = |linked, _| match done.reach(linked) {
        Ok(()) => ControlFlow::Continue(()),
        Err(Cancelled) => ControlFlow::Break(()),
    };
    let graph = Graph::build(embeddings, &built).ok_or(Cancelled)?;
    done.reach(rows)?;
    (0..rows).into_par_iter().with_min_len(256).try_for_each_init(Vec::new, |pairs, row| {
        pairs.clear();
        let least = least();
        for (score, other) in neighbors(&graph, embeddings, row) {
            if score >= least {
                pairs.push(Pair { score: score.min(1.0), first: row.min(other), second: row.max(other) });
            }
        }
        show(pairs);
        done.add(1)
    })?;
    Ok(graph)
}

/// The neighbors of a row that the graph finds, beside itself: (score, row), best first.
pub(crate) fn neighbors(
    graph: &Graph,
    embeddings: &Embeddings,
    row: usize,
) -> impl Iterator<Item = (f32, usize)> {
    let found = graph.search(embeddings, embeddings.row(row), GRAPH_NEIGHBORS + 1, GRAPH_EF, None);
    found.into_iter().map(|(score, other)| (score, other as usize)).filter(move |(_, other)| *other != row)
}

#[derive(Default)]
struct Workspace {
    products: Vec<f32>,
    pairs: Vec<Pair>,
}

/// A block of rows, packed as the weights of a matrix product.
pub(crate) struct PackedBlock {
    packed: PackedLinear,
    pub(crate) columns: usize,
}

impl PackedBlock {
    /// Packs [`BLOCK_COLUMNS`] rows from `first` on, or the rest if fewer are left.
    pub(crate) fn pack(embeddings: &Embeddings, first: usize) -> Self {
        let columns = BLOCK_COLUMNS.min(embeddings.rows() - first);
        let column = |column| embeddings.row(first + column);
        let packed =
            PackedLinear::pack(cpu::isa(), Precision::F32, embeddings.dimension(), columns, column, &[]);
        Self { packed, columns }
    }

    /// Fills `products`, `[count, columns]`, with the products of this block and rows `begin..begin + count`.
    pub(crate) fn multiply(
        &self,
        embeddings: &Embeddings,
        begin: usize,
        count: usize,
        products: &mut Vec<f32>,
    ) {
        let dimension = embeddings.dimension();
        let input = &embeddings.as_slice()[begin * dimension..][..count * dimension];
        products.resize(count * self.columns, 0.0);
        self.packed.apply(InputRows::floats(input), count, Epilogue::Store, products);
    }
}
