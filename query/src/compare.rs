//! Every two of many sentences, compared: by products of blocks or, of very many, by a graph.

use akin_index::graph::FrozenGraph;
use akin_kernels::Embeddings;
use akin_kernels::cpu;
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::rows::{InputRows, Precision};
use rayon::prelude::*;

/// Up to so many sentences every pair is looked at; beyond, each sentence and its nearest in a graph.
pub const EXACT_SENTENCES: usize = 100_000;

/// Neighbors of each sentence that are looked at beyond [`EXACT_SENTENCES`].
pub const NEIGHBORS: usize = 32;

/// Candidates of those searches.
const EF: usize = 96;
/// Sentences that are packed to be multiplied by others; a megabyte or two.
pub(crate) const COLUMNS: usize = 768;
/// Sentences that one thread multiplies by those at a time.
pub(crate) const ROWS: usize = 96;

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

/// Shows the pairs of `embeddings` that are at least as similar as `least` says, some at a time, on many
/// threads and in no order. The rows have length one.
///
/// `least` is asked now and then and may rise meanwhile. Up to [`EXACT_SENTENCES`] each such pair is shown
/// once. Of more sentences only the [`NEIGHBORS`] of each that a graph finds are looked at: a pair is shown
/// from one side, from both, or not at all where so many others are nearer to both.
pub fn each_pair(embeddings: &Embeddings, least: &(dyn Fn() -> f32 + Sync), show: &(dyn Fn(&[Pair]) + Sync)) {
    match embeddings.rows() {
        0..=EXACT_SENTENCES => by_products(embeddings, least, show),
        _ => by_graph(embeddings, least, show),
    }
}

/// Every pair: blocks of rows times packed blocks of those after them.
pub(crate) fn by_products(
    embeddings: &Embeddings,
    least: &(dyn Fn() -> f32 + Sync),
    show: &(dyn Fn(&[Pair]) + Sync),
) {
    let rows = embeddings.rows();
    for first in (0..rows).step_by(COLUMNS) {
        let block = Columns::pack(embeddings, first);
        let until = first + block.columns;
        (0..until.div_ceil(ROWS)).into_par_iter().for_each_init(Workspace::default, |workspace, at| {
            let Workspace { products, pairs } = workspace;
            let begin = at * ROWS;
            block.multiply(embeddings, begin, ROWS.min(until - begin), products);
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
        });
    }
}

/// Each row and its neighbors.
pub(crate) fn by_graph(
    embeddings: &Embeddings,
    least: &(dyn Fn() -> f32 + Sync),
    show: &(dyn Fn(&[Pair]) + Sync),
) {
    let graph = FrozenGraph::build(embeddings, &|_, _| ());
    (0..embeddings.rows()).into_par_iter().with_min_len(256).for_each_init(Vec::new, |pairs, row| {
        pairs.clear();
        let least = least();
        for (score, other) in graph.search(embeddings, embeddings.row(row), NEIGHBORS + 1, EF, None) {
            let other = other as usize;
            if other != row && score >= least {
                pairs.push(Pair { score: score.min(1.0), first: row.min(other), second: row.max(other) });
            }
        }
        show(pairs);
    });
}

#[derive(Default)]
struct Workspace {
    products: Vec<f32>,
    pairs: Vec<Pair>,
}

/// Some rows of a matrix, packed to be multiplied by any.
pub(crate) struct Columns {
    packed: PackedLinear,
    pub(crate) columns: usize,
}

impl Columns {
    /// [`COLUMNS`] rows from `first` on, or as many as there are.
    pub(crate) fn pack(embeddings: &Embeddings, first: usize) -> Self {
        let columns = COLUMNS.min(embeddings.rows() - first);
        let column = |column| embeddings.row(first + column);
        let packed =
            PackedLinear::pack(cpu::isa(), Precision::F32, embeddings.dimension(), columns, column, &[]);
        Self { packed, columns }
    }

    /// Makes `products` those of `count` rows of `embeddings` from `begin` on, `[count, columns]`.
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
