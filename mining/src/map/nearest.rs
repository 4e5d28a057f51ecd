//! The nearest neighbors of each row.

use std::ops::ControlFlow;

use akin_index::graph::Graph;
use akin_index::{Cancelled, Counter};
use akin_kernels::Embeddings;
use rayon::prelude::*;

use crate::compare::{BLOCK_COLUMNS, BLOCK_ROWS, PackedBlock};

/// Up to this number of rows each is compared with all. Beyond it, a graph finds the neighbors.
pub const MAX_COMPARED: usize = 8_000;

/// The nearest neighbors of each row, as many for each: the nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    rows: usize,
    each: usize,
    /// `[rows, each]`.
    neighbors: Vec<(f32, u32)>,
}

impl Neighbors {
    /// Those of a list for each row, with cosines, the nearest first. All lists are as long as the shortest one.
    pub fn of(mut lists: Vec<Vec<(f32, u32)>>) -> Self {
        let each = lists.iter().map(Vec::len).min().unwrap_or(0);
        lists.iter_mut().for_each(|list| list.truncate(each));
        Self { rows: lists.len(), each, neighbors: lists.concat() }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many neighbors each row has.
    pub fn each(&self) -> usize {
        self.each
    }

    /// Those of a row: (cosine, other row).
    pub fn of_row(&self, row: usize) -> &[(f32, u32)] {
        &self.neighbors[row * self.each..][..self.each]
    }
}

/// Finds `each` neighbors of each row, or as many as there are others. Adds up to two units a row to `done`.
///
/// # Errors
/// [`Cancelled`] if the progress of `done` stopped it.
pub fn find(embeddings: &Embeddings, each: usize, done: &Counter<'_>) -> Result<Neighbors, Cancelled> {
    let each = each.min(embeddings.rows().saturating_sub(1));
    if each == 0 {
        return Ok(Neighbors { rows: embeddings.rows(), each: 0, neighbors: Vec::new() });
    }
    let lists = match embeddings.rows() {
        0..=MAX_COMPARED => by_products(embeddings, each, done)?,
        _ => by_graph(embeddings, each, done)?,
    };
    Ok(Neighbors::of(lists))
}

type Lists = Vec<Vec<(f32, u32)>>;

/// Compares every row with all.
fn by_products(embeddings: &Embeddings, each: usize, done: &Counter<'_>) -> Result<Lists, Cancelled> {
    let rows = embeddings.rows();
    let blocks: Vec<(usize, PackedBlock)> =
        (0..rows).step_by(BLOCK_COLUMNS).map(|first| (first, PackedBlock::pack(embeddings, first))).collect();
    let parts = (0..rows.div_ceil(BLOCK_ROWS)).into_par_iter().map_init(Vec::new, |products, at| {
        let begin = at * BLOCK_ROWS;
        let count = BLOCK_ROWS.min(rows - begin);
        let mut lists: Lists = vec![Vec::with_capacity(each + BLOCK_COLUMNS); count];
        for (first, block) in &blocks {
            block.multiply(embeddings, begin, count, products);
            for ((row, list), products) in (begin..).zip(&mut lists).zip(products.chunks_exact(block.columns))
            {
                // Rows come in ascending order, so that of equally near ones the first is kept.
                let least = if list.len() < each { f32::NEG_INFINITY } else { list[each - 1].0 };
                let before = list.len();
                let others = products.iter().zip(*first as u32..);
                list.extend(
                    others
                        .filter(|(score, other)| **score > least && *other as usize != row)
                        .map(|(score, other)| (*score, other)),
                );
                if list.len() > before {
                    keep_best(list, each);
                }
            }
        }
        done.add(2 * count)?;
        lists.iter_mut().for_each(|list| list.shrink_to_fit());
        Ok(lists)
    });
    Ok(parts.collect::<Result<Vec<Lists>, Cancelled>>()?.concat())
}

/// Keeps the best of a list, the nearest first; of equally near ones the first rows.
fn keep_best(list: &mut Vec<(f32, u32)>, each: usize) {
    let nearer = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if list.len() > each {
        list.select_nth_unstable_by(each, nearer);
        list.truncate(each);
    }
    list.sort_unstable_by(nearer);
}

/// Asks a graph for the neighbors of each row.
fn by_graph(embeddings: &Embeddings, each: usize, done: &Counter<'_>) -> Result<Lists, Cancelled> {
    let built = |linked, _| match done.reach(linked) {
        Ok(()) => ControlFlow::Continue(()),
        Err(Cancelled) => ControlFlow::Break(()),
    };
    let graph = Graph::build(embeddings, &built).ok_or(Cancelled)?;
    let rows = embeddings.rows();
    done.reach(rows)?;
    let parts = (0..rows.div_ceil(256)).into_par_iter().map(|at| {
        let part = at * 256..rows.min(at * 256 + 256);
        done.add(part.len())?;
        let of_row = |row: usize| {
            let found = graph.search(embeddings, embeddings.row(row), each + 1, 2 * each + 2, None);
            let mut list: Vec<(f32, u32)> =
                found.into_iter().filter(|(_, other)| *other as usize != row).collect();
            list.truncate(each);
            list
        };
        Ok(part.map(of_row).collect())
    });
    Ok(parts.collect::<Result<Vec<Lists>, Cancelled>>()?.concat())
}

#[cfg(test)]
mod tests {
    use akin_fixtures::random::clustered;
    use akin_kernels::dot;

    use super::*;

    fn go_on(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn products_find_what_plain_loops_find_and_a_graph_nearly_all() {
        let embeddings = clustered(900, 12, 30, 0.5, 9);
        let done = Counter::begin(9000, &go_on).unwrap();
        let found = find(&embeddings, 7, &done).unwrap();
        let mut kept = 0;
        let by_graph = by_graph(&embeddings, 7, &done).unwrap();
        for (row, walked) in by_graph.iter().enumerate() {
            let mut all: Vec<(f32, usize)> = (0..900)
                .filter(|other| *other != row)
                .map(|other| (dot(embeddings.row(row), embeddings.row(other)), other))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (near, true_near) in found.of_row(row).iter().zip(&all) {
                assert!((near.0 - true_near.0).abs() < 1e-5, "{near:?} {true_near:?}");
            }
            kept += walked.iter().filter(|near| near.0 >= all[6].0 - 1e-5).count();
        }
        assert!(kept > 900 * 7 * 98 / 100, "{kept}");
    }

    #[test]
    fn there_are_no_more_neighbors_than_others() {
        let done = Counter::begin(10, &go_on).unwrap();
        let few = find(&clustered(3, 4, 1, 0.1, 1), 15, &done).unwrap();
        assert_eq!((few.rows(), few.each()), (3, 2));
        assert_eq!(find(&clustered(1, 4, 1, 0.1, 1), 15, &done).unwrap().each(), 0);
    }
}
