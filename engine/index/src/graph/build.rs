//! Building a graph: HNSW (Malkov & Yashunin 2018) over codes, a batch of points at a time.
//!
//! The points of a batch look for their neighbors in parallel, in the graph as it was before the batch;
//! then all edges are entered, list by list (as in ParlayANN: Manohar et al. 2024). No thread ever waits
//! for another, and the graph does not depend on how many there are.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::beam::{Beam, Candidate};
use super::codes::{Codes, CodesView};
use super::connect::connect;
use super::lists::{Adjacency, NONE};
use super::mend::mend;
use super::order::put_regions_first;
use super::select::NeighborSelection;
use super::{Graph, Matrix, NEIGHBORS, POINT_LIMIT, Trusted};
use crate::Embeddings;

/// Candidates among which a new point chooses its neighbors: `efConstruction` of the paper.
const EF_CONSTRUCTION: usize = 200;
/// Candidates with which a walk goes from one layer to the next.
const STARTS: usize = 4;
/// The greatest batch; points of one batch do not see each other.
const BATCH: usize = 2048;
/// A batch is one in so many of the points before it.
const GROWTH: usize = 16;
/// Why walks through a graph under construction succeed.
const IN_MEMORY: &str = "lists in memory have no faults";
/// How much longer than at the end a list may become before it is pruned.
const SLACK: usize = 2;

/// Hears how many points are in the graph and how many there will be, and may stop the build.
pub type BuildProgress<'a> = &'a (dyn Fn(usize, usize) -> ControlFlow<()> + Sync);

impl Graph {
    /// Builds the graph of `vectors` for nearness by dot product, in parallel; the same vectors have the
    /// same graph on any number of threads. While it builds it takes a byte a number for codes and about 600
    /// bytes a point. Every point of the base layer is reached from the entry. None if `progress` stopped it.
    ///
    /// # Panics
    /// If there are 2^31 rows or more.
    pub fn build(vectors: &Embeddings, progress: BuildProgress<'_>) -> Option<Self> {
        Self::build_of(vectors, progress)
    }

    /// The same of rows that may be mapped, and were checked.
    pub(crate) fn build_of(vectors: &impl Matrix, progress: BuildProgress<'_>) -> Option<Self> {
        let rows = vectors.rows();
        assert!(rows < POINT_LIMIT, "a graph has less than 2^31 points");
        // Neighbors in the corpus are often neighbors in meaning, and would miss each other in a batch.
        let mut order = shuffled(rows as u32);
        let mut codes = Codes::of(vectors, &order);
        let regions = put_regions_first(&mut order, &mut codes);
        let mut layers: Vec<Growing> = layer_sizes(rows)
            .enumerate()
            .map(|(layer, points)| Growing::new(points, if layer == 0 { 2 * NEIGHBORS } else { NEIGHBORS }))
            .collect();
        let mut done = rows.min(1);
        while done < rows {
            if progress(done, rows).is_break() {
                return None;
            }
            let batch = done..rows.min(done + (done / GROWTH).clamp(1, BATCH));
            let chosen: Vec<Vec<Vec<Candidate>>> = batch
                .clone()
                .into_par_iter()
                .map_init(Workspace::default, |workspace, point| {
                    workspace.choose(&layers, codes.view(), point as u32)
                })
                .collect();
            for (layer, growing) in layers.iter_mut().enumerate() {
                let lists = (batch.start as u32..).zip(&chosen);
                growing
                    .enter(codes.view(), lists.filter_map(|(point, lists)| Some((point, lists.get(layer)?))));
            }
            done = batch.end;
        }
        let mut layers: Vec<Adjacency> = layers.into_iter().map(|layer| layer.finish(codes.view())).collect();
        let mut tree = connect(&mut layers[0], codes.view());
        mend(&mut layers, &mut tree, codes.view(), &regions);
        drop((codes, tree));
        let graph = Self::freeze(&order, &layers, vectors);
        let _ = progress(rows, rows);
        Some(graph)
    }
}

/// How many points each layer has, the base first: on average as many as the paper draws, and always the
/// first ones.
fn layer_sizes(rows: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(rows), |points| Some(points / NEIGHBORS).filter(|points| *points > 1))
}

/// The numbers below `count` in an order without order, always the same.
fn shuffled(count: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..order.len()).rev() {
        // Xorshift (Marsaglia 2003), and the high bits of a product instead of a remainder.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = ((state >> 32) * (at as u64 + 1)) >> 32;
        order.swap(at, other as usize);
    }
    order
}

/// What one thread needs to insert points.
#[derive(Default)]
struct Workspace {
    beam: Beam,
    selection: NeighborSelection,
}

impl Workspace {
    /// The neighbors of `point` on each of its layers, the base first (algorithm 1).
    fn choose(&mut self, layers: &[Growing], codes: CodesView<'_>, point: u32) -> Vec<Vec<Candidate>> {
        let beam = &mut self.beam;
        beam.query.set_codes(codes.row(point));
        let mut starts = vec![Candidate::new(beam.nearness(codes, 0), 0)];
        let mut chosen = Vec::new();
        for layer in layers.iter().rev() {
            let lists = layer.lists.lists();
            let is_on = (point as usize) < layer.points();
            let limit = if is_on { EF_CONSTRUCTION } else { STARTS };
            let met = beam.walk(&Trusted, lists, codes, &starts, limit, 0).expect(IN_MEMORY);
            starts.clear();
            starts.extend(met.iter().take(STARTS).map(|near| near.ahead()));
            if is_on {
                chosen.push(self.selection.select(codes, met, NEIGHBORS).to_vec());
            }
        }
        chosen.reverse();
        chosen
    }
}

/// A layer while points enter it.
struct Growing {
    /// Neighbors of a point in the end, at most.
    width: usize,
    /// Lists with room for more than `width`, in no order.
    lists: Adjacency,
    /// How near the neighbors are, place for place.
    nearness: Vec<i32>,
}

impl Growing {
    fn new(points: usize, width: usize) -> Self {
        let lists = Adjacency::new(SLACK * width, points);
        Self { width, nearness: vec![0; lists.targets.len()], lists }
    }

    fn points(&self) -> usize {
        self.lists.points()
    }

    /// Enters edges from each point to those chosen for it, and back.
    fn enter<'a>(&mut self, codes: CodesView<'_>, chosen: impl Iterator<Item = (u32, &'a Vec<Candidate>)>) {
        let mut back = Vec::new();
        for (point, neighbors) in chosen {
            self.set(point, neighbors);
            back.extend(neighbors.iter().map(|near| (near.point(), Candidate::new(near.nearness(), point))));
        }
        back.par_sort_unstable();
        let mut crowded = Vec::new();
        for edges in back.chunk_by(|a, b| a.0 == b.0) {
            let (point, room) = (edges[0].0, self.lists.width);
            let listed = self.lists.of(point).count();
            if listed + edges.len() > room {
                crowded.push(edges);
                continue;
            }
            let first = point as usize * room + listed;
            for (place, (_, edge)) in (first..).zip(edges) {
                self.lists.targets[place] = edge.point();
                self.nearness[place] = edge.nearness();
            }
        }
        let pruned: Vec<(u32, Vec<Candidate>)> = crowded
            .into_par_iter()
            .map_init(NeighborSelection::default, |selection, edges| {
                let point = edges[0].0;
                let mut all = self.candidates(point);
                all.extend(edges.iter().map(|edge| edge.1));
                all.sort_unstable_by(|a, b| b.cmp(a));
                (point, selection.select(codes, &all, self.width).to_vec())
            })
            .collect();
        pruned.iter().for_each(|(point, neighbors)| self.set(*point, neighbors));
    }

    /// The neighbors of a point, and how near they are.
    fn candidates(&self, point: u32) -> Vec<Candidate> {
        let nearness = &self.nearness[point as usize * self.lists.width..];
        self.lists
            .of(point)
            .zip(nearness)
            .map(|(target, nearness)| Candidate::new(*nearness, target))
            .collect()
    }

    /// Replaces the list of a point.
    fn set(&mut self, point: u32, neighbors: &[Candidate]) {
        let first = point as usize * self.lists.width;
        let targets = &mut self.lists.targets[first..][..self.lists.width];
        targets.fill(NONE);
        let places = targets.iter_mut().zip(&mut self.nearness[first..]);
        for ((target, nearness), neighbor) in places.zip(neighbors) {
            (*target, *nearness) = (neighbor.point(), neighbor.nearness());
        }
    }

    /// The lists as they stay: no longer than their width, nearest first.
    fn finish(self, codes: CodesView<'_>) -> Adjacency {
        let mut lists = Adjacency::new(self.width, self.points());
        let places = lists.targets.par_chunks_exact_mut(self.width).enumerate().with_min_len(64);
        places.for_each_init(NeighborSelection::default, |selection, (point, place)| {
            let mut all = self.candidates(point as u32);
            all.sort_unstable_by(|a, b| b.cmp(a));
            let kept = if all.len() > self.width { selection.select(codes, &all, self.width) } else { &all };
            place.iter_mut().zip(kept).for_each(|(target, kept)| *target = kept.point());
        });
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::exact::exact_search;
    use akin_fixtures::random::unit_vectors;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn graph(vectors: &Embeddings) -> Graph {
        Graph::build(vectors, &|_, _| ControlFlow::Continue(())).unwrap()
    }

    fn reached_from_the_entry(graph: &Graph) -> usize {
        let mut seen = vec![false; graph.points()];
        let mut ahead = vec![0];
        seen[0] = true;
        while let Some(point) = ahead.pop() {
            for target in graph.view().base().of(point) {
                if !std::mem::replace(&mut seen[target as usize], true) {
                    ahead.push(target);
                }
            }
        }
        seen.iter().filter(|seen| **seen).count()
    }

    #[test]
    fn the_smallest_graphs_find_all_they_have() {
        assert_eq!(graph(&Embeddings::empty(3)).search(&Embeddings::empty(3), &[0.0; 3], 5, 5, None), []);
        for rows in 1..=5 {
            let vectors = unit_vectors(rows, 3, 1);
            let graph = graph(&vectors);
            assert_eq!(graph.points(), rows);
            for row in 0..rows {
                let query = vectors.row(row);
                let hits = graph.search(&vectors, query, 10, 10, None);
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
            assert_eq!(graph.search(&vectors, &[1.0; 4], 3000, 1, None).len(), 3000);
            assert_eq!(graph.search(&vectors, &[1.0; 4], 7, 1, Some(&|row| row >= 2990)).len(), 7);
        }
    }

    #[test]
    fn rows_of_any_length_are_ranked_by_their_dot_product() {
        let mut vectors = unit_vectors(2000, 8, 1);
        for (at, value) in vectors.as_mut_slice().iter_mut().enumerate() {
            *value *= 1.0 + (at / 8 % 5) as f32;
        }
        let graph = graph(&vectors);
        let found: usize = (0..50)
            .map(|row| {
                let exact = exact_search(&vectors, vectors.row(row), 10, &|_| true);
                let hits = graph.search(&vectors, vectors.row(row), 10, 100, None);
                hits.iter().filter(|hit| exact.contains(hit)).count()
            })
            .sum();
        assert!(found >= 475, "{found} of 500");
    }

    #[test]
    fn every_point_is_reached_and_no_list_has_a_point_twice_or_itself() {
        // Few directions, many copies: lists fill with copies and lose the way out.
        let few = unit_vectors(20, 8, 1);
        let mut vectors = Embeddings::empty(8);
        for row in 0..6000 {
            vectors.push(few.row(row * row % 20));
        }
        let graph = graph(&vectors);
        assert_eq!(reached_from_the_entry(&graph), 6000);
        for point in 0..6000 {
            let mut targets: Vec<u32> = graph.view().base().of(point).collect();
            let listed = targets.len();
            targets.sort_unstable();
            targets.dedup();
            assert_eq!(targets.len(), listed);
            assert!(!targets.contains(&point));
        }
    }

    #[test]
    fn as_many_live_rows_come_back_as_are_asked_for_however_many_are_dead() {
        let vectors = unit_vectors(3000, 16, 1);
        let graph = graph(&vectors);
        for one_in in [2, 10, 300] {
            let live = |row: u32| row % one_in == 1;
            for row in 0..20 {
                let hits = graph.search(&vectors, vectors.row(row), 10, 10, Some(&live));
                assert_eq!(hits.len(), 10);
                assert!(hits.iter().all(|hit| live(hit.1)));
                assert!(hits.is_sorted_by(|a, b| a.0 >= b.0));
            }
        }
        assert_eq!(graph.search(&vectors, vectors.row(0), 10, 10, Some(&|_| false)), []);
    }

    #[test]
    fn a_filter_may_search_the_same_graph() {
        let vectors = unit_vectors(300, 8, 1);
        let graph = graph(&vectors);
        let nearest = |row: u32| graph.search(&vectors, vectors.row(row as usize), 1, 10, None)[0].1;
        let hits = graph.search(&vectors, vectors.row(0), 5, 20, Some(&|row| nearest(row) == row));
        assert_eq!(hits.len(), 5);
    }

    #[test]
    fn vectors_that_are_not_numbers_do_no_harm_to_the_others() {
        let mut vectors = unit_vectors(1500, 8, 1);
        vectors.as_mut_slice()[80] = f32::NAN;
        vectors.as_mut_slice()[160] = f32::INFINITY;
        let graph = graph(&vectors);
        assert_eq!(graph.search(&vectors, vectors.row(0), 10, 50, None).len(), 10);
        assert_eq!(graph.search(&vectors, &[f32::NAN; 8], 10, 50, None).len(), 10);
    }

    #[test]
    fn the_same_vectors_have_the_same_graph_on_any_number_of_threads() {
        let vectors = unit_vectors(3000, 8, 1);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| graph(&vectors))
        };
        let alone = on(1);
        assert_eq!(on(3), alone);
    }

    #[test]
    fn each_upper_layer_has_a_sixteenth_of_the_points_below() {
        let graph = graph(&unit_vectors(5000, 4, 1));
        assert_eq!(graph.shape.upper, [312, 19]);
        let mut rows = graph.rows.to_vec();
        rows.sort_unstable();
        assert!(rows.iter().copied().eq(0..5000));
    }

    #[test]
    fn progress_ends_at_the_number_of_points() {
        let last = AtomicUsize::new(0);
        Graph::build(&unit_vectors(3000, 4, 1), &|done, all| {
            assert!(done >= last.swap(done, Ordering::Relaxed) && all == 3000);
            ControlFlow::Continue(())
        });
        assert_eq!(last.into_inner(), 3000);
    }

    #[test]
    fn a_build_that_is_told_to_stop_gives_no_graph() {
        let stop = |done: usize, _: usize| {
            if done > 1000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert_eq!(Graph::build(&unit_vectors(3000, 4, 1), &stop), None);
    }
}
