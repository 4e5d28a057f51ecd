//! The first places of the points: the two principal components, smoothed over the edges.

use akin_kernels::Embeddings;
use rayon::prelude::*;

use super::edges::Edges;
use super::random::Random;

/// Rounds of the power iteration.
const ROUNDS: usize = 12;
/// Rounds in which each point moves half the way to the mean of its neighbors.
const SMOOTHINGS: usize = 10;
/// The standard deviation of each coordinate.
const SPREAD: f32 = 5.0;
/// Rows that are summed together, whatever the number of threads, so that sums are the same.
const BLOCK: usize = 2048;

/// Coordinates along the two directions in which the rows vary most.
pub(super) fn principal(embeddings: &Embeddings, seed: u64) -> Vec<[f32; 2]> {
    let (rows, dimension) = (embeddings.rows(), embeddings.dimension());
    let mean: Vec<f32> =
        weighted_sum(embeddings, &|_| 1.0).iter().map(|sum| sum / rows.max(1) as f32).collect();
    let mut random = Random::of(seed, 0, 0);
    let mut draw = || (0..dimension).map(|_| random.unit() as f32 - 0.5).collect::<Vec<f32>>();
    let mut axes = [draw(), draw()];
    orthonormalize(&mut axes);
    for _ in 0..ROUNDS {
        let places = project(embeddings, &mean, &axes);
        axes = [0, 1].map(|axis| {
            let mut next = weighted_sum(embeddings, &|row| places[row][axis]);
            let sum: f32 = places.iter().map(|place| place[axis]).sum();
            next.iter_mut().zip(&mean).for_each(|(next, mean)| *next -= sum * mean);
            next
        });
        orthonormalize(&mut axes);
    }
    scaled(project(embeddings, &mean, &axes))
}

/// Draws each point to its neighbors, and scales the plane again: what varies slowly over the edges comes out.
pub(super) fn smoothed(mut places: Vec<[f32; 2]>, edges: &Edges) -> Vec<[f32; 2]> {
    for _ in 0..SMOOTHINGS {
        let next = (0..places.len()).into_par_iter().with_min_len(1024).map(|point| {
            let (here, mut sum) = (places[point], [0.0; 2]);
            for (other, weight) in edges.of_point(point) {
                let there = places[*other as usize];
                (0..2).for_each(|axis| sum[axis] += weight * there[axis]);
            }
            let weight = edges.sum(point);
            if weight == 0.0 { here } else { [0, 1].map(|axis| (here[axis] + sum[axis] / weight) / 2.0) }
        });
        places = next.collect();
    }
    scaled(places)
}

/// The sum of all rows, each times its weight.
fn weighted_sum(embeddings: &Embeddings, weight: &(dyn Fn(usize) -> f32 + Sync)) -> Vec<f32> {
    let rows = embeddings.rows();
    let parts: Vec<Vec<f32>> = (0..rows.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut sum = vec![0f32; embeddings.dimension()];
            for row in block * BLOCK..rows.min((block + 1) * BLOCK) {
                let weight = weight(row);
                sum.iter_mut().zip(embeddings.row(row)).for_each(|(sum, value)| *sum += weight * value);
            }
            sum
        })
        .collect();
    let mut whole = vec![0f32; embeddings.dimension()];
    for part in parts {
        whole.iter_mut().zip(part).for_each(|(whole, part)| *whole += part);
    }
    whole
}

fn project(embeddings: &Embeddings, mean: &[f32], axes: &[Vec<f32>; 2]) -> Vec<[f32; 2]> {
    let offset = [0, 1].map(|axis: usize| akin_kernels::dot(mean, &axes[axis]));
    let place =
        |row| [0, 1].map(|axis: usize| akin_kernels::dot(embeddings.row(row), &axes[axis]) - offset[axis]);
    (0..embeddings.rows()).into_par_iter().with_min_len(1024).map(place).collect()
}

/// Makes both axes of length one and perpendicular; one that vanishes becomes zero.
fn orthonormalize(axes: &mut [Vec<f32>; 2]) {
    let unit = |axis: &mut Vec<f32>| {
        let length = axis.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let scale = if length > 1e-12 { 1.0 / length } else { 0.0 };
        axis.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    };
    let [first, second] = axes;
    unit(first);
    for _ in 0..2 {
        let along: f32 = first.iter().zip(&*second).map(|(a, b)| a * b).sum();
        second.iter_mut().zip(&*first).for_each(|(second, first)| *second -= along * first);
    }
    unit(second);
}

/// Centered, each coordinate with the same spread. Points of one place are moved apart a little, by their numbers.
fn scaled(mut places: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    let count = places.len().max(1) as f64;
    for axis in 0..2 {
        let mean = places.iter().map(|place| f64::from(place[axis])).sum::<f64>() / count;
        let variance =
            places.iter().map(|place| (f64::from(place[axis]) - mean).powi(2)).sum::<f64>() / count;
        let scale = if variance > 1e-12 { f64::from(SPREAD) / variance.sqrt() } else { 0.0 };
        for (point, place) in places.iter_mut().enumerate() {
            let apart = (Random::of(axis as u64, 1, point as u64).unit() - 0.5) * 1e-3;
            place[axis] = ((f64::from(place[axis]) - mean) * scale + apart) as f32;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_places_are_along_the_directions_of_most_variance() {
        // The rows vary by 3 along the second axis, by 1 along the fourth, and hardly along the others.
        let mut embeddings = Embeddings::empty(5);
        for row in 0..400 {
            let mut random = Random::of(7, 0, row);
            let mut draw = |scale: f64| ((random.unit() - 0.5) * scale) as f32;
            embeddings.push(&[draw(0.01) + 5.0, draw(3.0), draw(0.01), draw(1.0), draw(0.01)]);
        }
        let places = principal(&embeddings, 1);
        let agreement = |axis: usize, dimension: usize| {
            let pairs = places.iter().zip(embeddings.iter()).map(|(place, row)| place[axis] * row[dimension]);
            let squares: f32 = embeddings.iter().map(|row| row[dimension].powi(2)).sum();
            pairs.sum::<f32>().abs()
                / (squares * places.iter().map(|place| place[axis].powi(2)).sum::<f32>()).sqrt()
        };
        assert!(agreement(0, 1) > 0.98 && agreement(1, 3) > 0.98, "{} {}", agreement(0, 1), agreement(1, 3));
    }
}
