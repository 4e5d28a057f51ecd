//! How well a layout keeps neighbors.

use akin_index::graph::exact::exact_search;
use akin_kernels::Embeddings;
use rayon::prelude::*;

/// Rows that are compared with all others.
const SAMPLE: usize = 500;

/// The share of the `k` nearest rows of a row that are among its `k` nearest in the plane: the mean over a sample of up to
/// 500 rows. Of no rows it is 1.
///
/// # Panics
/// If there is not a place for each row.
pub fn neighbors_kept(embeddings: &Embeddings, places: &[[f32; 2]], k: usize) -> f64 {
    assert_eq!(embeddings.rows(), places.len(), "places of other rows");
    let rows = places.len();
    let k = k.min(rows.saturating_sub(1));
    if k == 0 {
        return 1.0;
    }
    let sample = SAMPLE.min(rows);
    let kept: Vec<usize> = (0..sample)
        .into_par_iter()
        .map(|at| {
            let row = at * rows / sample;
            let truth = exact_search(embeddings, embeddings.row(row), k, &|other| other as usize != row);
            let near = nearest_in_plane(places, row, k);
            truth.iter().filter(|(_, other)| near.contains(other)).count()
        })
        .collect();
    kept.iter().sum::<usize>() as f64 / (sample * k) as f64
}

fn nearest_in_plane(places: &[[f32; 2]], row: usize, k: usize) -> Vec<u32> {
    let here = places[row];
    let distance = |place: &[f32; 2]| (place[0] - here[0]).powi(2) + (place[1] - here[1]).powi(2);
    let others = places.iter().zip(0u32..).filter(|(_, other)| *other as usize != row);
    let mut others: Vec<(f32, u32)> = others.map(|(place, other)| (distance(place), other)).collect();
    others.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    others.truncate(k);
    others.into_iter().map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_keeps_itself_and_a_shuffled_one_nearly_nothing() {
        // Rows on a quarter of a circle: their cosines and their distances have one order.
        let angle = |row: usize| (row as f32 / 300.0 * 1.5).sin_cos();
        let values: Vec<f32> = (0..300).flat_map(|row| [angle(row).1, angle(row).0]).collect();
        let embeddings = Embeddings::from_values(2, values);
        let places: Vec<[f32; 2]> = (0..300).map(|row| [angle(row).1, angle(row).0]).collect();
        assert!(neighbors_kept(&embeddings, &places, 5) > 0.9);
        let shuffled: Vec<[f32; 2]> = (0..300).map(|row| places[row * 7 % 300]).collect();
        assert!(neighbors_kept(&embeddings, &shuffled, 5) < 0.2);
        assert_eq!(neighbors_kept(&Embeddings::empty(2), &[], 5), 1.0);
    }
}
