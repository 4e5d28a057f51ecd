//! Exact search: the query against every row.

use rayon::prelude::*;

use super::nearest::{Nearest, Ranked};
use super::{Fault, Matrix};
use crate::{Embeddings, Similarity};
use akin_kernels::prefetch;

/// Rows that one thread scans at a time: some megabytes of vectors.
const BLOCK: usize = 4096;

/// The `k` live rows with the greatest dot product with `query`, as (score, row), best first, the
/// lower row first where scores are equal. Scans in parallel where there is more than a block of rows.
///
/// # Panics
/// If `query` has another dimension than `vectors`.
pub fn exact_search(
    vectors: &Embeddings,
    query: &[f32],
    k: usize,
    live: &(dyn Fn(u32) -> bool + Sync),
) -> Vec<(f32, u32)> {
    scan(vectors, Similarity::Dot, query, k, &|row| Ok(live(row))).expect("rows in memory have no faults")
}

/// The same by any similarity, for rows that may have to be checked.
///
/// # Errors
/// What the matrix reports of its rows.
pub(crate) fn scan(
    vectors: &impl Matrix,
    similarity: Similarity,
    query: &[f32],
    k: usize,
    live: &(dyn Fn(u32) -> Result<bool, Fault> + Sync),
) -> Result<Vec<(f32, u32)>, Fault> {
    assert_eq!(query.len(), vectors.dimension(), "a query of another dimension");
    let rows = vectors.rows();
    let scan = |block: usize| {
        let range = block * BLOCK..rows.min((block + 1) * BLOCK);
        vectors.check(range.clone())?;
        let mut nearest = Nearest::new(k);
        for row in range {
            let hit = Ranked::new(similarity.of(query, vectors.row(row)), row as u32);
            // The score first: it is at hand, and only few rows are good enough to ask whether they live.
            if nearest.admits(hit) && live(row as u32)? {
                nearest.offer(hit);
            }
        }
        Ok(nearest.drain_hits())
    };
    match rows.div_ceil(BLOCK) {
        0 | 1 => scan(0),
        blocks => {
            let found: Vec<_> = (0..blocks).into_par_iter().map(scan).collect::<Result<_, Fault>>()?;
            Ok(best_of(k, found))
        }
    }
}

/// The same among `rows` alone, ascending.
///
/// # Errors
/// What the matrix reports of its rows.
pub(crate) fn scan_among(
    vectors: &impl Matrix,
    similarity: Similarity,
    query: &[f32],
    k: usize,
    rows: &[u32],
) -> Result<Vec<(f32, u32)>, Fault> {
    let scan = |rows: &[u32]| {
        let mut nearest = Nearest::new(k);
        for (at, row) in rows.iter().enumerate() {
            let row = *row as usize;
            vectors.check(row..row + 1)?;
            if let Some(next) = rows.get(at + 1) {
                prefetch(vectors.row(*next as usize));
            }
            nearest.offer(Ranked::new(similarity.of(query, vectors.row(row)), row as u32));
        }
        Ok(nearest.drain_hits())
    };
    match rows.len() {
        0..=BLOCK => scan(rows),
        _ => Ok(best_of(k, rows.par_chunks(BLOCK).map(scan).collect::<Result<_, Fault>>()?)),
    }
}

/// The best `k` of what several scans found.
fn best_of(k: usize, found: Vec<Vec<(f32, u32)>>) -> Vec<(f32, u32)> {
    let mut nearest = Nearest::new(k);
    for (score, row) in found.into_iter().flatten() {
        nearest.offer(Ranked::new(score, row));
    }
    nearest.drain_hits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of (row % 7, 1), so that there are many equal scores.
    fn ties(rows: usize) -> Embeddings {
        Embeddings::from_values(2, (0..rows).flat_map(|row| [(row % 7) as f32, 1.0]).collect())
    }

    #[test]
    fn equal_scores_come_in_the_order_of_their_rows_however_many_threads_scan() {
        for rows in [100, 3 * BLOCK + 5] {
            let hits = exact_search(&ties(rows), &[1.0, 0.0], 5, &|_| true);
            assert_eq!(hits, [6, 13, 20, 27, 34].map(|row| (6.0, row)));
        }
    }

    #[test]
    fn dead_rows_are_left_out() {
        let hits = exact_search(&ties(2 * BLOCK), &[1.0, 0.0], 3, &|row| row % 7 < 3 && row > 10);
        assert_eq!(hits, [(2.0, 16), (2.0, 23), (2.0, 30)]);
    }

    #[test]
    fn fewer_rows_than_asked_for_all_come_back() {
        assert_eq!(exact_search(&ties(2), &[1.0, 0.0], 10, &|_| true), [(1.0, 1), (0.0, 0)]);
        assert_eq!(exact_search(&ties(2), &[1.0, 0.0], usize::MAX, &|_| true).len(), 2);
        assert_eq!(exact_search(&Embeddings::empty(2), &[1.0, 0.0], 10, &|_| true), []);
        assert_eq!(exact_search(&ties(2), &[1.0, 0.0], 0, &|_| true), []);
    }
}
