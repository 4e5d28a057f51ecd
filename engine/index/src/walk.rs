//! Searching a graph: greedy down the upper layers, then best first through the base over codes (Malkov
//! & Yashunin 2018, algorithm 5), and the best few ranked again by their vectors.

use std::cell::Cell;

use super::beam::{Beam, Candidate};
use super::codes::set_query;
use super::graph::FrozenGraph;
use super::nearest::{Nearest, Ranked};
use crate::Embeddings;
use akin_kernels::{dot, prefetch};

thread_local! {
    /// What the last walk of this thread leaves to the next: its memory.
    static BEAM: Cell<Option<Box<Beam>>> = const { Cell::new(None) };
}

impl FrozenGraph {
    /// The `k` rows nearest to `query` that a walk with `ef` candidates meets, as (dot product, row),
    /// best first. `ef` below `k` counts as `k`.
    ///
    /// With `live` only rows that it approves of are found. The others are walked through all the same,
    /// and do not count against `ef`: `k` live rows come back wherever there are so many.
    ///
    /// # Panics
    /// If `vectors` is not the matrix that the graph was built from, as far as its shape tells.
    pub fn search(
        &self,
        vectors: &Embeddings,
        query: &[f32],
        k: usize,
        ef: usize,
        live: Option<&dyn Fn(u32) -> bool>,
    ) -> Vec<(f32, u32)> {
        self.search_within(vectors, query, k, ef, live, usize::MAX).expect("no walk meets so many points")
    }

    /// The same, given up where a walk among `live` rows meets more than `most` points: the filter leads away
    /// from the query then, and a comparison with each live row costs less.
    pub(super) fn search_within(
        &self,
        vectors: &Embeddings,
        query: &[f32],
        k: usize,
        ef: usize,
        live: Option<&dyn Fn(u32) -> bool>,
        most: usize,
    ) -> Option<Vec<(f32, u32)>> {
        assert_eq!(vectors.rows(), self.points(), "a graph of other embeddings");
        if k == 0 || self.points() == 0 {
            return Some(Vec::new());
        }
        // Taken out, not borrowed: `live` may search, too.
        let mut beam = BEAM.take().unwrap_or_default();
        set_query(&mut beam.query, query);
        let mut start = Candidate::new(beam.nearness(&self.codes, 0), 0);
        for layer in self.upper.iter().rev() {
            start = beam.descend(layer, &self.codes, start);
        }
        let error = self.codes.error(&beam.query);
        let met = match live {
            None => Some(beam.walk(&self.base, &self.codes, start, ef.max(k))),
            Some(live) => {
                let live = |point: u32| live(self.order[point as usize]);
                beam.walk_live(&self.base, &self.codes, start, ef.max(k), &live, most)
            }
        };
        let hits = met.map(|met| self.rank_again(vectors, query, k, met, error));
        BEAM.set(Some(beam));
        hits
    }

    /// The best `k` of `met` by their vectors; `met` comes in the order of the codes, whose products are
    /// wrong by `error` at most. What cannot be among the best is not looked at.
    fn rank_again(
        &self,
        vectors: &Embeddings,
        query: &[f32],
        k: usize,
        met: &[Candidate],
        error: i32,
    ) -> Vec<(f32, u32)> {
        let enough = match met.get(k - 1) {
            Some(last) => {
                met.partition_point(|near| near.nearness() >= last.nearness().saturating_sub(2 * error))
            }
            None => met.len(),
        };
        let rows = met[..enough].iter().map(|near| self.order[near.point() as usize]);
        for row in rows.clone() {
            prefetch(vectors.row(row as usize));
        }
        let mut nearest = Nearest::new(k);
        for row in rows {
            nearest.offer(Ranked::new(dot(query, vectors.row(row as usize)), row));
        }
        nearest.drain_hits()
    }
}
