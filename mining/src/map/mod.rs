//! A map of a corpus: a place in the plane for each document, near those that mean nearly the same.
//!
//! The layout follows UMAP (McInnes, Healy & Melville 2018) with the kernel of t-SNE: the nearest neighbors of each row
//! ([`nearest`]) become weighted edges (`edges`), the first places are the two principal components (`start`), and a
//! descent with negative sampling moves the points (`descent`). Each epoch computes all new places from those of
//! the epoch before, so the same seed gives the same map on any number of threads.
//!
//! [`regions`] divides the plane, [`labels`] names the regions by their words, and [`quality`] measures how many
//! neighbors the plane keeps.

mod descent;
mod edges;
pub mod labels;
pub mod nearest;
pub mod quality;
mod random;
pub mod regions;
mod start;

use std::ops::ControlFlow;

use akin_index::{Cancelled, Counter, Progress};
use akin_kernels::Embeddings;

use self::edges::Edges;
pub use self::nearest::Neighbors;

/// How a layout is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutOptions {
    /// The nearest neighbors of each row that draw it.
    pub neighbors: usize,
    /// How often all points move; 500 times if no number is given.
    pub epochs: Option<usize>,
    /// The seed of the random numbers.
    pub seed: u64,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self { neighbors: 15, epochs: None, seed: 1 }
    }
}

impl LayoutOptions {
    fn epochs(&self) -> usize {
        self.epochs.unwrap_or(500)
    }
}

/// The place of each row in the plane. The rows have length one; a row of zeros lies anywhere.
pub fn layout(embeddings: &Embeddings, options: &LayoutOptions) -> Vec<[f32; 2]> {
    layout_with(embeddings, options, &|_, _| ControlFlow::Continue(())).expect("nothing stops it")
}

/// The same. `progress` hears how much of the work is done and how much there is, and may stop it.
///
/// # Errors
/// [`Cancelled`] if `progress` stopped it.
pub fn layout_with(
    embeddings: &Embeddings,
    options: &LayoutOptions,
    progress: Progress<'_>,
) -> Result<Vec<[f32; 2]>, Cancelled> {
    let rows = embeddings.rows();
    let done = Counter::begin(3 * rows, progress)?;
    let neighbors = nearest::find(embeddings, options.neighbors, &done)?;
    done.reach(2 * rows)?;
    place(embeddings, &neighbors, options, &|part| done.reach(2 * rows + (part * rows as f64) as usize))
}

/// The same where the neighbors of each row are known.
///
/// # Errors
/// [`Cancelled`] if `progress` stopped it.
///
/// # Panics
/// If `neighbors` are of another number of rows.
pub fn layout_of(
    embeddings: &Embeddings,
    neighbors: &Neighbors,
    options: &LayoutOptions,
    progress: Progress<'_>,
) -> Result<Vec<[f32; 2]>, Cancelled> {
    assert_eq!(embeddings.rows(), neighbors.rows(), "neighbors of other rows");
    let rows = embeddings.rows();
    let done = Counter::begin(rows, progress)?;
    place(embeddings, neighbors, options, &|part| done.reach((part * rows as f64) as usize))
}

/// Moves the points from their first places. `tell` hears the share of the epochs that are done.
fn place(
    embeddings: &Embeddings,
    neighbors: &Neighbors,
    options: &LayoutOptions,
    tell: &dyn Fn(f64) -> Result<(), Cancelled>,
) -> Result<Vec<[f32; 2]>, Cancelled> {
    let edges = Edges::of(neighbors);
    let start = start::smoothed(start::principal(embeddings, options.seed), &edges);
    descent::descend(start, &edges, options.epochs(), options.seed, tell)
}

#[cfg(test)]
mod tests {
    use akin_fixtures::on_threads;
    use akin_fixtures::random::clustered;

    use super::*;

    #[test]
    fn rows_of_one_cluster_lie_together() {
        let embeddings = clustered(600, 24, 6, 0.2, 3);
        let places = layout(&embeddings, &LayoutOptions::default());
        let nearest_is_kin = (0..600).filter(|row| {
            let distance = |other: &usize| {
                let (a, b) = (places[*row], places[*other]);
                (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
            };
            let others = (0..600).filter(|other| other != row);
            others.min_by(|a, b| distance(a).total_cmp(&distance(b))).is_some_and(|near| near % 6 == row % 6)
        });
        let share = nearest_is_kin.count() as f64 / 600.0;
        assert!(share > 0.99, "{share}");
    }

    #[test]
    fn a_seed_gives_the_same_layout_on_any_number_of_threads() {
        let embeddings = clustered(1200, 16, 10, 0.4, 5);
        let options = LayoutOptions { epochs: Some(40), ..LayoutOptions::default() };
        let on = |threads: usize| on_threads(threads, || layout(&embeddings, &options));
        assert_eq!(on(1), on(3));
        assert_ne!(on(1), layout(&embeddings, &LayoutOptions { seed: 2, ..options }));
    }

    #[test]
    fn few_rows_copies_and_rows_of_zeros_have_finite_places() {
        let options = LayoutOptions { epochs: Some(20), ..LayoutOptions::default() };
        assert!(layout(&Embeddings::empty(4), &options).is_empty());
        for embeddings in [
            Embeddings::from_values(2, vec![1.0, 0.0]),
            Embeddings::from_values(2, [1.0, 0.0].repeat(50)),
            Embeddings::from_values(3, vec![0.0; 90]),
            Embeddings::from_values(1, vec![1.0, -1.0, 1.0]),
            clustered(5, 8, 2, 0.1, 1),
        ] {
            let places = layout(&embeddings, &options);
            assert_eq!(places.len(), embeddings.rows());
            assert!(places.iter().flatten().all(|value| value.is_finite()), "{places:?}");
        }
    }
}
