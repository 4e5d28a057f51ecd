//! Where a point lies in memory: near those that a walk meets with it.

use rayon::prelude::*;

use super::codes::Codes;
use super::lists::{Adjacency, NONE};
use super::{Graph, Matrix, Pages, Shape};

impl Graph {
    /// The graph of these layers, the base first, over the rows `order` of `vectors`, with its points in
    /// the order in which they are kept: those of each layer before those that are only below it, as they
    /// were, and otherwise breadth first from the entry.
    pub(super) fn freeze(order: &[u32], layers: &[Adjacency], vectors: &impl Matrix) -> Self {
        let (base, upper) = layers.split_first().expect("the base is always there");
        let points = breadth_first(base);
        let mut kept = Vec::with_capacity(points.len());
        let mut first = 0;
        for end in layers.iter().rev().map(Adjacency::points) {
            kept.extend(points.iter().filter(|point| (first..end).contains(&(**point as usize))));
            first = end;
        }
        let mut place_of = vec![NONE; kept.len()];
        for (place, point) in kept.iter().enumerate() {
            place_of[*point as usize] = place as u32;
        }
        let order: Vec<u32> = kept.iter().map(|point| order[*point as usize]).collect();
        let upper: Vec<Adjacency> =
            upper.iter().map(|layer| layer.reordered(&kept[..layer.points()], &place_of)).collect();
        let codes = Codes::of(vectors, &order);
        Self {
            shape: Shape {
                points: order.len() as u32,
                base_width: base.width as u32,
                upper_width: upper.first().map_or(1, |layer| layer.width as u32),
                upper: upper.iter().map(|layer| layer.points() as u32).collect(),
                stride: codes.stride as u32,
                square: codes.square,
            },
            rows: Pages::of(&order),
            base: base.reordered(&kept, &place_of).targets,
            upper: Pages::joined(upper.iter().map(|layer| &layer.targets[..])),
            codes: codes.bytes,
        }
    }
}

impl Adjacency {
    /// The lists with point `order[n]` as point n, and its neighbors renamed likewise.
    fn reordered(&self, order: &[u32], place_of: &[u32]) -> Self {
        let rename = |target: u32| if target == NONE { NONE } else { place_of[target as usize] };
        let mut lists = Self::new(self.width, order.len());
        let places = lists.targets.par_chunks_exact_mut(self.width).zip(order).with_min_len(512);
        places.for_each(|(place, point)| {
            place.iter_mut().zip(self.place(*point)).for_each(|(new, old)| *new = rename(*old));
        });
        lists
    }
}

/// All points as they are reached from the first, which all of them are.
fn breadth_first(base: &Adjacency) -> Vec<u32> {
    let mut reached = vec![false; base.points()];
    let mut points = Vec::with_capacity(base.points());
    if let Some(first) = reached.first_mut() {
        *first = true;
        points.push(0);
    }
    let mut next = 0;
    while let Some(&point) = points.get(next) {
        next += 1;
        for target in base.of(point) {
            if !std::mem::replace(&mut reached[target as usize], true) {
                points.push(target);
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embeddings;

    /// A list for each point, of the width that the first one has.
    fn lists<const WIDTH: usize>(places: &[[u32; WIDTH]]) -> Adjacency {
        let mut lists = Adjacency::new(WIDTH, places.len());
        lists.targets.copy_from_slice(places.as_flattened());
        lists
    }

    #[test]
    fn points_come_by_layer_and_then_breadth_first() {
        // 0 leads to 3 and 2, 3 to 1; points 0 and 1 are on the upper layer.
        let base = lists(&[[3, 2], [0, NONE], [NONE, NONE], [1, NONE]]);
        let upper = lists(&[[1], [0]]);
        let vectors = Embeddings::from_values(1, vec![0.0, 0.1, 0.2, 0.3]);
        let graph = Graph::freeze(&[1, 2, 3, 0], &[base, upper.clone()], &vectors);
        assert_eq!(graph.rows[..], [1, 2, 0, 3]);
        assert_eq!(graph.base, lists(&[[2, 3], [0, NONE], [1, NONE], [NONE, NONE]]).targets);
        assert_eq!(graph.upper, upper.targets);
    }
}
