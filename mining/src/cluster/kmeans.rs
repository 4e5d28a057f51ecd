//! Spherical k-means (Dhillon & Modha 2001) with k-means++ initialisation (Arthur & Vassilvitskii 2007).

use std::ops::ControlFlow;

use akin_index::Cancelled;
use akin_kernels::Embeddings;
use akin_kernels::dot;
use rayon::prelude::*;

use super::{Clustering, direction};
use crate::compare::{BLOCK_COLUMNS, BLOCK_ROWS, PackedBlock};

/// The most rounds that [`kmeans`] makes.
pub const KMEANS_MAX_ROUNDS: usize = 100;

/// [`kmeans`] stops when a round raises the mean similarity to the centers by less than this.
pub const KMEANS_MIN_GAIN: f64 = 1e-5;

/// What [`kmeans`] has done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KmeansStep {
    /// First centers were drawn.
    Drawn {
        /// How many there are.
        centers: usize,
        /// How many there will be.
        of: usize,
    },
    /// All rows were compared with some of the centers, within a round.
    Compared {
        /// With how many centers.
        centers: usize,
        /// How many centers there are.
        of: usize,
    },
    /// A round is done.
    Round {
        /// Its number, from 1.
        number: usize,
        /// The mean similarity of the rows to their centers.
        mean: f64,
    },
}

/// Hears what was done, and may stop the call.
type Observer<'a> = &'a mut dyn FnMut(KmeansStep) -> ControlFlow<()>;

/// Makes `clusters` clusters, or fewer if there are fewer distinct rows. The rows have length one. The same `seed`
/// gives the same clusters on any number of threads.
///
/// Each round assigns every row to its most similar center, and moves every center to the mean direction of its
/// rows. A center without rows moves to the row that is least similar to its own center. The run ends when a round
/// changes no cluster, or by [`KMEANS_MIN_GAIN`] or [`KMEANS_MAX_ROUNDS`]. `observer` hears of each [`KmeansStep`], and
/// may stop the run.
///
/// # Errors
/// [`Cancelled`] if `observer` stopped it.
pub fn kmeans(
    embeddings: &Embeddings,
    clusters: usize,
    seed: u64,
    observer: Observer<'_>,
) -> Result<Clustering, Cancelled> {
    let clusters = clusters.min(embeddings.rows());
    if clusters == 0 {
        return Ok(Clustering::of(embeddings, &[], 0));
    }
    let mut centers = first_centers(embeddings, clusters, seed, observer)?;
    let mut nearest = Vec::new();
    let mut mean = f64::NEG_INFINITY;
    for round in 1..=KMEANS_MAX_ROUNDS {
        let before = std::mem::replace(&mut nearest, nearest_centers(embeddings, &centers, observer)?);
        let now = nearest.iter().map(|(_, score)| f64::from(*score)).sum::<f64>() / nearest.len() as f64;
        tell(observer, KmeansStep::Round { number: round, mean: now })?;
        let same = before.iter().map(|near| near.0).eq(nearest.iter().map(|near| near.0));
        if same || now - mean < KMEANS_MIN_GAIN {
            break;
        }
        mean = now;
        centers = moved(embeddings, &nearest, &centers);
    }
    let label: Vec<usize> = nearest.iter().map(|near| near.0).collect();
    Ok(Clustering::of(embeddings, &label, clusters))
}

fn tell(observer: Observer<'_>, step: KmeansStep) -> Result<(), Cancelled> {
    match observer(step) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Cancelled),
    }
}

/// Draws rows as k-means++ does: each with a probability proportional to its squared distance from the nearest
/// center so far.
fn first_centers(
    embeddings: &Embeddings,
    clusters: usize,
    seed: u64,
    observer: Observer<'_>,
) -> Result<Embeddings, Cancelled> {
    let rows = embeddings.rows();
    let mut random = Random(seed);
    let mut centers = Embeddings::empty(embeddings.dimension());
    // For unit vectors this is half the squared distance.
    let mut distance = vec![f32::INFINITY; rows];
    let mut chosen = (random.next() * rows as f64) as usize;
    loop {
        let center = embeddings.row(chosen.min(rows - 1));
        centers.push(center);
        tell(observer, KmeansStep::Drawn { centers: centers.rows(), of: clusters })?;
        if centers.rows() == clusters {
            return Ok(centers);
        }
        distance.par_iter_mut().enumerate().with_min_len(1024).for_each(|(row, distance)| {
            *distance = distance.min((1.0 - dot(center, embeddings.row(row))).max(0.0));
        });
        // Rounding leaves tiny distances between equal rows: they count as zero.
        let weight = |distance: &f32| if *distance > 1e-6 { f64::from(*distance) } else { 0.0 };
        let mut left = random.next() * distance.iter().map(weight).sum::<f64>();
        let found = distance.iter().position(|distance| {
            left -= weight(distance);
            weight(distance) > 0.0 && left < 0.0
        });
        // None is found if all rows equal a center, or if rounding made the sum too large.
        chosen = found.unwrap_or(rows - 1);
    }
}

/// The most similar center of each row and its similarity. At equal similarity the first center wins.
fn nearest_centers(
    embeddings: &Embeddings,
    centers: &Embeddings,
    observer: Observer<'_>,
) -> Result<Vec<(usize, f32)>, Cancelled> {
    let mut nearest = vec![(0, f32::NEG_INFINITY); embeddings.rows()];
    for first in (0..centers.rows()).step_by(BLOCK_COLUMNS) {
        let columns = PackedBlock::pack(centers, first);
        nearest.par_chunks_mut(BLOCK_ROWS).enumerate().for_each_init(
            Vec::new,
            |products, (block, nearest)| {
                columns.multiply(embeddings, block * BLOCK_ROWS, nearest.len(), products);
                for (nearest, products) in nearest.iter_mut().zip(products.chunks_exact(columns.columns)) {
                    for (center, score) in (first..).zip(products) {
                        if *score > nearest.1 {
                            *nearest = (center, *score);
                        }
                    }
                }
            },
        );
        let compared = first + columns.columns;
        tell(observer, KmeansStep::Compared { centers: compared, of: centers.rows() })?;
    }
    Ok(nearest)
}

/// Moves each center to the mean direction of its rows, and each center without rows to the row that is least
/// similar to its own center.
fn moved(embeddings: &Embeddings, nearest: &[(usize, f32)], centers: &Embeddings) -> Embeddings {
    let mut members = vec![Vec::new(); centers.rows()];
    nearest.iter().enumerate().for_each(|(row, near)| members[near.0].push(row));
    let directions: Vec<Option<Vec<f32>>> =
        members.par_iter().map(|rows| direction(embeddings, rows)).collect();
    let mut furthest: Vec<usize> = Vec::new();
    if members.iter().any(Vec::is_empty) {
        furthest = (0..nearest.len()).collect();
        furthest.sort_by(|a, b| nearest[*b].1.total_cmp(&nearest[*a].1).then(b.cmp(a)));
    }
    let mut next = Embeddings::empty(centers.dimension());
    for (center, direction) in directions.iter().enumerate() {
        match direction {
            Some(direction) => next.push(direction),
            None if members[center].is_empty() => {
                let row = furthest.pop().expect("no more centers than rows");
                next.push(embeddings.row(row));
            }
            None => next.push(centers.row(center)),
        }
    }
    next
}

/// Numbers from 0 to below 1 (SplitMix64: Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::on_threads;

    use super::super::testing::{planted, sets};
    use super::*;

    fn clusters(embeddings: &Embeddings, clusters: usize, seed: u64) -> Clustering {
        kmeans(embeddings, clusters, seed, &mut go_on).unwrap()
    }

    fn go_on(_: KmeansStep) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The same by plain loops, from the same first centers.
    fn plain(embeddings: &Embeddings, clusters: usize, seed: u64) -> Clustering {
        let mut centers = first_centers(embeddings, clusters, seed, &mut go_on).unwrap();
        let mut label = vec![usize::MAX; embeddings.rows()];
        for _ in 0..KMEANS_MAX_ROUNDS {
            let scored: Vec<(usize, f32)> =
                embeddings
                    .iter()
                    .map(|row| {
                        let scores =
                            centers.iter().map(|center| center.iter().zip(row).map(|(a, b)| a * b).sum());
                        scores.enumerate().fold((0, f32::NEG_INFINITY), |best, next: (usize, f32)| {
                            if next.1 > best.1 { next } else { best }
                        })
                    })
                    .collect();
            let next: Vec<usize> = scored.iter().map(|near| near.0).collect();
            if next == label {
                break;
            }
            label = next;
            centers = moved(embeddings, &scored, &centers);
        }
        Clustering::of(embeddings, &label, clusters)
    }

    #[test]
    fn plain_loops_come_to_the_same_clusters() {
        for (rows, k, seed) in [(200, 5, 1), (333, 9, 2), (90, 30, 3)] {
            let embeddings = planted(rows, k, 0.3);
            assert_eq!(sets(&clusters(&embeddings, k, seed)), sets(&plain(&embeddings, k, seed)));
        }
    }

    #[test]
    fn planted_clusters_are_found() {
        // Well apart, k-means++ hardly ever begins twice in one.
        let embeddings = planted(2000, 8, 0.15);
        let found = clusters(&embeddings, 8, 1);
        assert_eq!(found.members.len(), 8);
        for row in 8..2000 {
            assert_eq!(found.cluster[row], found.cluster[row % 8]);
        }
        assert!(found.mean_score() > 0.95, "{}", found.mean_score());
        let central = &found.members[0];
        assert!(central.is_sorted_by(|a, b| found.score[*a] >= found.score[*b]));
    }

    #[test]
    fn a_seed_gives_the_same_clusters_on_any_number_of_threads() {
        let embeddings = planted(1500, 40, 0.8);
        let on = |threads: usize| on_threads(threads, || clusters(&embeddings, 40, 5));
        assert_eq!(on(1), on(3));
        assert_ne!(sets(&on(1)), sets(&clusters(&embeddings, 40, 6)));
    }

    #[test]
    fn centers_without_rows_are_put_to_use() {
        let embeddings = planted(100, 10, 0.1);
        // All centers but one begin in the same place, and have no rows.
        let mut centers = Embeddings::empty(24);
        (0..10).for_each(|_| centers.push(embeddings.row(0)));
        for _ in 0..20 {
            centers =
                moved(&embeddings, &nearest_centers(&embeddings, &centers, &mut go_on).unwrap(), &centers);
        }
        let used: std::collections::HashSet<usize> =
            nearest_centers(&embeddings, &centers, &mut go_on).unwrap().iter().map(|near| near.0).collect();
        assert!(used.len() >= 9, "{} of 10", used.len());
    }

    #[test]
    fn a_run_can_be_stopped_at_each_of_its_steps() {
        let embeddings = planted(600, 8, 0.3);
        let mut steps = Vec::new();
        kmeans(&embeddings, 8, 1, &mut |step| {
            steps.push(step);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(steps[7], KmeansStep::Drawn { centers: 8, of: 8 });
        assert_eq!(steps[8], KmeansStep::Compared { centers: 8, of: 8 });
        assert!(matches!(steps[9], KmeansStep::Round { number: 1, .. }), "{steps:?}");
        for until in 0..steps.len() {
            let mut heard = 0;
            let stopped = kmeans(&embeddings, 8, 1, &mut |_| {
                heard += 1;
                if heard > until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!((stopped, heard), (Err(Cancelled), until + 1));
        }
    }

    #[test]
    fn few_rows_copies_and_rows_of_zeros_have_clusters() {
        assert_eq!(clusters(&Embeddings::empty(3), 4, 1).members.len(), 0);
        assert_eq!(clusters(&planted(3, 3, 0.1), 10, 1).members.len(), 3);
        let copies = Embeddings::from_values(2, [1.0, 0.0].repeat(50));
        assert_eq!(clusters(&copies, 5, 1).cluster, [0; 50]);
        let zeros = Embeddings::from_values(2, vec![0.0; 40]);
        assert_eq!(clusters(&zeros, 2, 1).score, [0.0; 20]);
    }
}
