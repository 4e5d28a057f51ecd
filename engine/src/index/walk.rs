//! The walk through a graph: greedy down the upper layers, then best first through the base (Malkov &
//! Yashunin 2018, algorithms 2 and 5).

use std::cell::Cell;
use std::collections::BinaryHeap;

use super::graph::{FrozenGraph, NONE};
use super::nearest::{Nearest, Ranked};
use crate::Embeddings;
use crate::kernels::{dot, prefetch};

impl FrozenGraph {
    /// The `k` live rows nearest to `query` that a walk with `ef` candidates meets, as (dot product,
    /// row), best first. `ef` below `k` counts as `k`.
    ///
    /// Rows that are not live are walked through all the same, and only live ones count against `ef`:
    /// `k` live rows come back wherever there are so many.
    ///
    /// # Panics
    /// If `vectors` is not the matrix that the graph was built from, as far as its shape tells.
    pub fn search(
        &self,
        vectors: &Embeddings,
        query: &[f32],
        k: usize,
        ef: usize,
        live: &dyn Fn(u32) -> bool,
    ) -> Vec<(f32, u32)> {
        assert_eq!(vectors.rows(), self.points(), "a graph of other embeddings");
        if k == 0 || self.points() == 0 {
            return Vec::new();
        }
        // Taken out, not borrowed: `live` may search, too.
        let mut walk = WALK.take().unwrap_or_default();
        walk.begin(self.points(), ef.max(k));
        let nearest = self.descend(vectors, query);
        walk.base(self, vectors, query, nearest, live);
        if !walk.found.is_full() {
            // The base is reached from the entry as a whole, but maybe not from each of its points.
            walk.base(self, vectors, query, self.entry, live);
        }
        let hits = walk.found.drain_best(k);
        WALK.set(Some(walk));
        hits
    }

    /// The row of layer 1 (or the entry, where there is none) from which no step leads nearer.
    fn descend(&self, vectors: &Embeddings, query: &[f32]) -> u32 {
        let mut row = self.entry;
        let mut score = dot(query, vectors.row(row as usize));
        for layer in self.upper.iter().rev() {
            let mut slot = layer.slot(row).expect("each layer has the rows of the one above");
            loop {
                let mut better = slot;
                for neighbor in layer.neighbors.of(slot) {
                    let its = dot(query, vectors.row(layer.rows[neighbor as usize] as usize));
                    if its > score {
                        (better, score) = (neighbor, its);
                    }
                }
                if better == slot {
                    break;
                }
                slot = better;
            }
            row = layer.rows[slot as usize];
        }
        row
    }
}

thread_local! {
    /// What the last walk of this thread leaves to the next: its memory.
    static WALK: Cell<Option<Box<Walk>>> = const { Cell::new(None) };
}

/// The state of a walk.
#[derive(Default)]
struct Walk {
    visited: Visited,
    /// Rows whose neighbors are still to be seen, the best on top.
    ahead: BinaryHeap<Ranked>,
    /// The best live rows so far.
    found: Nearest,
    /// Neighbors of one row that are seen for the first time.
    fresh: Vec<u32>,
}

impl Walk {
    fn begin(&mut self, points: usize, ef: usize) {
        self.visited.clear(points);
        self.ahead.clear();
        self.found.clear(ef);
    }

    /// Goes through the base layer from `start` until no row ahead is better than the worst found.
    fn base(
        &mut self,
        graph: &FrozenGraph,
        vectors: &Embeddings,
        query: &[f32],
        start: u32,
        live: &dyn Fn(u32) -> bool,
    ) {
        if self.visited.insert(start) {
            self.meet(Ranked::new(dot(query, vectors.row(start as usize)), start), live);
        }
        while let Some(best) = self.ahead.pop() {
            if !self.found.admits(best) {
                break;
            }
            self.fresh.clear();
            for neighbor in graph.base.of(best.row()) {
                if self.visited.insert(neighbor) {
                    self.fresh.push(neighbor);
                }
            }
            if let Some(first) = self.fresh.first() {
                prefetch(vectors.row(*first as usize));
            }
            for at in 0..self.fresh.len() {
                let row = self.fresh[at];
                if let Some(next) = self.fresh.get(at + 1) {
                    prefetch(vectors.row(*next as usize));
                }
                self.meet(Ranked::new(dot(query, vectors.row(row as usize)), row), live);
            }
            if let Some(next) = self.ahead.peek() {
                prefetch(graph.base.place(next.row()));
            }
        }
    }

    /// Takes a row that was not met before into the walk, if it is good enough.
    #[inline]
    fn meet(&mut self, hit: Ranked, live: &dyn Fn(u32) -> bool) {
        if self.found.admits(hit) {
            self.ahead.push(hit);
            if live(hit.row()) {
                self.found.offer(hit);
            }
        }
    }
}

/// Rows that a walk has met: a bit each, few enough to stay in the nearest cache and to be wiped in
/// a microsecond.
#[derive(Default)]
struct Visited(Vec<u64>);

impl Visited {
    fn clear(&mut self, points: usize) {
        self.0.clear();
        self.0.resize(points.div_ceil(64), 0);
    }

    /// Marks `row`; false if it was marked.
    #[inline]
    fn insert(&mut self, row: u32) -> bool {
        debug_assert_ne!(row, NONE);
        let word = &mut self.0[row as usize / 64];
        let bit = 1 << (row % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
