//! Weighted edges between neighbors: the fuzzy graph of UMAP (section 3.1).

use rayon::prelude::*;

use super::nearest::Neighbors;

/// The edges of each point, to both ends.
pub(super) struct Edges {
    /// Where the edges of each point begin, and where those of the last one end.
    begins: Vec<usize>,
    /// (other point, weight up to 1).
    edges: Vec<(u32, f32)>,
    /// The sum of the weights of each point.
    sums: Vec<f32>,
}

impl Edges {
    /// Weighs neighbors by their distance, on the scale of each point, and joins both directions: `a + b - ab`.
    pub(super) fn of(neighbors: &Neighbors) -> Self {
        let (rows, each) = (neighbors.rows(), neighbors.each());
        let weights: Vec<Vec<f32>> =
            (0..rows).into_par_iter().map(|row| weights_of(neighbors.of_row(row))).collect();
        // A pair is kept with its lower point first, so that both directions meet after sorting.
        let mut pairs: Vec<(u32, u32, f32)> = Vec::with_capacity(rows * each);
        for (row, weights) in (0u32..).zip(&weights) {
            for ((_, other), weight) in neighbors.of_row(row as usize).iter().zip(weights) {
                pairs.push((row.min(*other), row.max(*other), *weight));
            }
        }
        pairs.par_sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        pairs.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2 - kept.2 * next.2;
            }
            same
        });
        Self::of_pairs(rows, &pairs)
    }

    fn of_pairs(rows: usize, pairs: &[(u32, u32, f32)]) -> Self {
        let mut begins = vec![0; rows + 1];
        for (one, other, _) in pairs {
            begins[*one as usize + 1] += 1;
            begins[*other as usize + 1] += 1;
        }
        (0..rows).for_each(|row| begins[row + 1] += begins[row]);
        let mut next = begins.clone();
        let mut edges = vec![(0, 0.0); begins[rows]];
        for (one, other, weight) in pairs {
            for (from, to) in [(one, other), (other, one)] {
                edges[next[*from as usize]] = (*to, *weight);
                next[*from as usize] += 1;
            }
        }
        let sums = (0..rows)
            .map(|row| edges[begins[row]..begins[row + 1]].iter().map(|edge| edge.1).sum())
            .collect();
        Self { begins, edges, sums }
    }

    /// The edges of a point: (other point, weight).
    #[inline]
    pub(super) fn of_point(&self, point: usize) -> &[(u32, f32)] {
        &self.edges[self.begins[point]..self.begins[point + 1]]
    }

    /// The sum of the weights of a point's edges.
    #[inline]
    pub(super) fn sum(&self, point: usize) -> f32 {
        self.sums[point]
    }
}

/// The weights of the neighbors of one row: 1 for the nearest, less for others, such that they sum to the logarithm of
/// their number.
fn weights_of(neighbors: &[(f32, u32)]) -> Vec<f32> {
    let distances: Vec<f32> = neighbors.iter().map(|near| (2.0 - 2.0 * near.0).max(0.0).sqrt()).collect();
    let nearest = distances.iter().copied().find(|distance| *distance > 0.0).unwrap_or(0.0);
    let weight = |distance: f32, scale: f32| (-(distance - nearest).max(0.0) / scale).exp();
    let wanted = (neighbors.len() as f32).log2().max(1.0);
    let (mut low, mut high) = (1e-6f32, 1e3f32);
    for _ in 0..48 {
        let middle = (low * high).sqrt();
        let sum: f32 = distances.iter().map(|distance| weight(*distance, middle)).sum();
        if sum > wanted { high = middle } else { low = middle }
    }
    // Equal vectors leave no scale: a thousandth of the mean distance is the least, as in UMAP's own code.
    let mean = distances.iter().sum::<f32>() / distances.len().max(1) as f32;
    let scale = high.max(1e-3 * mean).max(1e-6);
    distances.iter().map(|distance| weight(*distance, scale)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_a_pair_are_one_edge() {
        // 0 and 1 are neighbors of each other; 2 has 0 as a neighbor, which has not 2.
        let neighbors = Neighbors::of(vec![vec![(0.9, 1)], vec![(0.9, 0)], vec![(0.2, 0)]]);
        let edges = Edges::of(&neighbors);
        assert_eq!(edges.of_point(0), [(1, 1.0), (2, 1.0)]);
        assert_eq!(edges.of_point(1), [(0, 1.0)]);
        assert_eq!(edges.of_point(2), [(0, 1.0)]);
        assert_eq!(edges.sum(0), 2.0);
    }

    #[test]
    fn weights_fall_with_the_distance_and_sum_to_the_logarithm() {
        let near: Vec<(f32, u32)> = (0..16).map(|at| (0.95 - 0.02 * at as f32, at)).collect();
        let weights = weights_of(&near);
        assert_eq!(weights[0], 1.0);
        assert!(weights.is_sorted_by(|a, b| a > b), "{weights:?}");
        assert!((weights.iter().sum::<f32>() - 4.0).abs() < 1e-3, "{weights:?}");
        assert_eq!(weights_of(&[(1.0, 1), (1.0, 2)]), [1.0, 1.0]);
    }
}
