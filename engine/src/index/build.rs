//! Building a graph: `hnsw_rs` inserts the points, and what it has built is copied into flat arrays.

use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;

use super::graph::{Adjacency, FrozenGraph, Layer, NONE};
use crate::Embeddings;
use crate::kernels::dot;

/// Neighbors of a point on an upper layer, half of those on the base: `M` of the paper.
const NEIGHBORS: usize = 16;
/// Candidates among which a new point chooses its neighbors: `efConstruction` of the paper.
const EF_CONSTRUCTION: usize = 200;
/// Layers that `hnsw_rs` can have at most, the base included.
const LAYERS: usize = 16;
/// Points inserted one by one before the others come in parallel: points that are inserted at the
/// same time do not see each other, which matters as long as there are few.
const FIRST: usize = 500;
/// Points between two reports of progress.
const BLOCK: usize = 2048;

/// What `hnsw_rs` calls a distance: not negative, and smaller for a greater dot product.
struct Distant {
    /// No dot product of two rows is greater (Cauchy-Schwarz).
    greatest: f32,
}

impl Distance<f32> for Distant {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        // Rounding may push it below 0, and 0 is what `max` makes of NaN.
        (self.greatest - dot(a, b)).max(0.0)
    }
}

impl FrozenGraph {
    /// Builds the graph of `vectors` for nearness by dot product, in parallel. Reports to `progress`
    /// (points done, points in all) now and then and at the end. While it builds it takes the memory of
    /// the vectors once more, and about 1.5 kB a point. Two builds of the same vectors may differ in a
    /// few edges. Every point of the base layer is reached from the entry.
    ///
    /// # Panics
    /// If there are 2^32 - 1 rows or more.
    pub fn build(vectors: &Embeddings, progress: &(dyn Fn(usize, usize) + Sync)) -> Self {
        let rows = vectors.rows();
        assert!(rows < NONE as usize, "a graph has less than 2^32 - 1 points");
        let greatest = vectors.iter().map(|row| dot(row, row)).fold(0.0, f32::max);
        let hnsw = Hnsw::new(NEIGHBORS, rows, LAYERS, EF_CONSTRUCTION, Distant { greatest });
        for row in 0..rows.min(FIRST) {
            hnsw.insert_slice((vectors.row(row), row));
        }
        for first in (FIRST..rows).step_by(BLOCK) {
            progress(first, rows);
            let block = first..rows.min(first + BLOCK);
            hnsw.parallel_insert_slice(&block.map(|row| (vectors.row(row), row)).collect());
        }
        let mut graph = freeze(&hnsw, rows);
        drop(hnsw);
        connect(&mut graph, vectors);
        progress(rows, rows);
        graph
    }
}

/// Copies the layers. Left out is what no walk can use: `hnsw_rs` also notes neighbors on layers that
/// one of the two points is not on.
fn freeze(hnsw: &Hnsw<f32, Distant>, rows: usize) -> FrozenGraph {
    let points = hnsw.get_point_indexation();
    let mut highest = vec![0usize; rows];
    for layer in 0..LAYERS {
        for point in points.get_layer_iterator(layer) {
            highest[point.get_origin_id()] = layer;
        }
    }
    let top = highest.iter().copied().max().unwrap_or(0);
    let entry = highest.iter().position(|highest| *highest == top).unwrap_or(0) as u32;
    let mut base = Adjacency::new(2 * NEIGHBORS, rows);
    let mut upper: Vec<Layer> = (1..=top)
        .map(|layer| {
            let rows: Vec<u32> = (0..rows as u32).filter(|row| highest[*row as usize] >= layer).collect();
            let neighbors = Adjacency::new(NEIGHBORS, rows.len());
            Layer { rows, neighbors }
        })
        .collect();
    for point in (0..=top).flat_map(|layer| points.get_layer_iterator(layer)) {
        let row = point.get_origin_id() as u32;
        for (layer, mut neighbors) in point.get_neighborhood_id().into_iter().enumerate() {
            if layer > highest[row as usize] {
                break;
            }
            neighbors.retain(|other| other.d_id as u32 != row && highest[other.d_id] >= layer);
            neighbors.sort_unstable_by_key(|other| other.d_id);
            neighbors.dedup_by_key(|other| other.d_id);
            neighbors.sort_by(|a, b| a.distance.total_cmp(&b.distance));
            let neighbors = neighbors.into_iter().map(|other| other.d_id as u32);
            match layer.checked_sub(1).map(|above| &mut upper[above]) {
                None => base.set(row, neighbors),
                Some(Layer { rows, neighbors: lists }) => {
                    let slot = |row: u32| rows.binary_search(&row).expect("a row of this layer") as u32;
                    lists.set(slot(row), neighbors.map(slot));
                }
            }
        }
    }
    FrozenGraph { entry, base, upper }
}

impl Adjacency {
    /// Writes the list of `point`, as far as there is room.
    fn set(&mut self, point: u32, neighbors: impl Iterator<Item = u32>) {
        let place = &mut self.targets[point as usize * self.width..][..self.width];
        place.iter_mut().zip(neighbors).for_each(|(target, neighbor)| *target = neighbor);
    }
}

/// Links each point that cannot be reached from the entry on the base layer with a near point that
/// can: `hnsw_rs` drops the farthest neighbor of a full list, and with it maybe the last edge to a
/// point.
fn connect(graph: &mut FrozenGraph, vectors: &Embeddings) {
    if graph.points() == 0 {
        return;
    }
    let width = graph.base.width;
    let mut tree = Tree {
        reached: vec![false; graph.points()],
        edges: vec![false; graph.base.targets.len()],
        order: Vec::with_capacity(graph.points()),
    };
    tree.grow(&graph.base, graph.entry);
    for row in 0..graph.points() as u32 {
        if tree.reached[row as usize] {
            continue;
        }
        let near = graph.search(vectors, vectors.row(row as usize), NEIGHBORS, 2 * NEIGHBORS, &|other| {
            tree.reached[other as usize]
        });
        // The point that was reached last leads nowhere yet in the tree, so that it has a place.
        let hosts = near.iter().map(|hit| hit.1).chain(tree.order.iter().rev().copied());
        let (host, place) = hosts
            .filter_map(|host| Some((host, tree.place(&graph.base, host)?)))
            .next()
            .expect("the point reached last has room for an edge");
        graph.base.targets[place] = row;
        tree.edges[place] = true;
        let back = &mut graph.base.targets[row as usize * width..][..width];
        if !back.contains(&host)
            && let Some(free) = back.iter_mut().find(|target| **target == NONE)
        {
            *free = host;
        }
        tree.grow(&graph.base, row);
    }
}

/// The points that are reached from the entry, and over which edges.
struct Tree {
    reached: Vec<bool>,
    /// Which of the base layer's places hold the edge over which its target was first reached: as long
    /// as those stay, everything reached stays so.
    edges: Vec<bool>,
    /// The points as they were reached.
    order: Vec<u32>,
}

impl Tree {
    /// Takes in `root` and all that it leads to.
    fn grow(&mut self, base: &Adjacency, root: u32) {
        let mut next = self.order.len();
        self.reached[root as usize] = true;
        self.order.push(root);
        while let Some(&point) = self.order.get(next) {
            next += 1;
            for (at, target) in base.of(point).enumerate() {
                if !self.reached[target as usize] {
                    self.reached[target as usize] = true;
                    self.edges[point as usize * base.width + at] = true;
                    self.order.push(target);
                }
            }
        }
    }

    /// A place of `point` for another edge: a free one, or that of its farthest neighbor that is
    /// reached over another edge.
    fn place(&self, base: &Adjacency, point: u32) -> Option<usize> {
        let first = point as usize * base.width;
        let listed = base.of(point).count();
        if listed < base.width {
            return Some(first + listed);
        }
        (first..first + base.width).rev().find(|place| !self.edges[*place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::exact::exact_search;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn graph(vectors: &Embeddings) -> FrozenGraph {
        FrozenGraph::build(vectors, &|_, _| {})
    }

    /// Rows of length 1, spread evenly over the sphere by a simple generator.
    fn spread(rows: usize, dimension: usize) -> Embeddings {
        let mut state = 1u64;
        let mut vectors = Embeddings::empty(dimension);
        for _ in 0..rows {
            let mut row: Vec<f32> = (0..dimension)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
                })
                .collect();
            let length = dot(&row, &row).sqrt();
            row.iter_mut().for_each(|value| *value /= length);
            vectors.push(&row);
        }
        vectors
    }

    fn reached_from_the_entry(graph: &FrozenGraph) -> usize {
        let mut seen = vec![false; graph.points()];
        let mut ahead = vec![graph.entry];
        seen[graph.entry as usize] = true;
        while let Some(point) = ahead.pop() {
            for target in graph.base.of(point) {
                if !std::mem::replace(&mut seen[target as usize], true) {
                    ahead.push(target);
                }
            }
        }
        seen.iter().filter(|seen| **seen).count()
    }

    #[test]
    fn the_smallest_graphs_find_all_they_have() {
        assert_eq!(
            graph(&Embeddings::empty(3)).search(&Embeddings::empty(3), &[0.0; 3], 5, 5, &|_| true),
            []
        );
        for rows in 1..=5 {
            let vectors = spread(rows, 3);
            let graph = graph(&vectors);
            assert_eq!(graph.points(), rows);
            for row in 0..rows {
                let query = vectors.row(row);
                let hits = graph.search(&vectors, query, 10, 10, &|_| true);
                assert_eq!(hits, exact_search(&vectors, query, 10, &|_| true));
            }
        }
    }

    #[test]
    fn identical_rows_and_rows_of_zeros_are_all_reached() {
        for value in [0.5, 0.0] {
            let vectors = Embeddings::from_values(4, vec![value; 4 * 3000]);
            let graph = graph(&vectors);
            assert_eq!(reached_from_the_entry(&graph), 3000);
            assert_eq!(graph.search(&vectors, &[1.0; 4], 3000, 1, &|_| true).len(), 3000);
            assert_eq!(graph.search(&vectors, &[1.0; 4], 7, 1, &|row| row >= 2990).len(), 7);
        }
    }

    #[test]
    fn rows_of_any_length_are_ranked_by_their_dot_product() {
        let mut vectors = spread(2000, 8);
        for (at, value) in vectors.as_mut_slice().iter_mut().enumerate() {
            *value *= 1.0 + (at / 8 % 5) as f32;
        }
        let graph = graph(&vectors);
        let found: usize = (0..50)
            .map(|row| {
                let exact = exact_search(&vectors, vectors.row(row), 10, &|_| true);
                let hits = graph.search(&vectors, vectors.row(row), 10, 100, &|_| true);
                hits.iter().filter(|hit| exact.contains(hit)).count()
            })
            .sum();
        assert!(found >= 475, "{found} of 500");
    }

    #[test]
    fn every_point_is_reached_and_no_list_has_a_point_twice_or_itself() {
        // Few directions, many copies: the lists of hnsw_rs fill with copies and lose the way out.
        let few = spread(20, 8);
        let mut vectors = Embeddings::empty(8);
        for row in 0..6000 {
            vectors.push(few.row(row * row % 20));
        }
        let graph = graph(&vectors);
        assert_eq!(reached_from_the_entry(&graph), 6000);
        for point in 0..6000 {
            let mut targets: Vec<u32> = graph.base.of(point).collect();
            let listed = targets.len();
            targets.sort_unstable();
            targets.dedup();
            assert_eq!(targets.len(), listed);
            assert!(!targets.contains(&point));
        }
    }

    #[test]
    fn as_many_live_rows_come_back_as_are_asked_for_however_many_are_dead() {
        let vectors = spread(3000, 16);
        let graph = graph(&vectors);
        for one_in in [2, 10, 300] {
            let live = |row: u32| row % one_in == 1;
            for row in 0..20 {
                let hits = graph.search(&vectors, vectors.row(row), 10, 10, &live);
                assert_eq!(hits.len(), 10);
                assert!(hits.iter().all(|hit| live(hit.1)));
                assert!(hits.is_sorted_by(|a, b| a.0 >= b.0));
            }
        }
        assert_eq!(graph.search(&vectors, vectors.row(0), 10, 10, &|_| false), []);
    }

    #[test]
    fn a_filter_may_search_the_same_graph() {
        let vectors = spread(300, 8);
        let graph = graph(&vectors);
        let nearest = |row: u32| graph.search(&vectors, vectors.row(row as usize), 1, 10, &|_| true)[0].1;
        let hits = graph.search(&vectors, vectors.row(0), 5, 20, &|row| nearest(row) == row);
        assert_eq!(hits.len(), 5);
    }

    #[test]
    fn vectors_that_are_not_numbers_do_no_harm_to_the_others() {
        let mut vectors = spread(1500, 8);
        vectors.as_mut_slice()[80] = f32::NAN;
        vectors.as_mut_slice()[160] = f32::INFINITY;
        let graph = graph(&vectors);
        assert_eq!(graph.search(&vectors, vectors.row(0), 10, 50, &|_| true).len(), 10);
        assert_eq!(graph.search(&vectors, &[f32::NAN; 8], 10, 50, &|_| true).len(), 10);
    }

    #[test]
    fn progress_ends_at_the_number_of_points() {
        let last = AtomicUsize::new(0);
        FrozenGraph::build(&spread(3000, 4), &|done, all| {
            assert!(done >= last.swap(done, Ordering::Relaxed) && all == 3000);
        });
        assert_eq!(last.into_inner(), 3000);
    }
}
