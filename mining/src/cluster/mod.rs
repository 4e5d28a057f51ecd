//! Clustering by cosine similarity: sentences grouped by topic.
//!
//! [`kmeans`] takes any number of sentences. [`agglomerative`] takes some thousands, and needs no number of
//! clusters. Both give the same clusters on any number of threads.

mod agglomerative;
mod kmeans;

use akin_kernels::Embeddings;
use akin_kernels::dot;

pub use self::agglomerative::{AGGLOMERATIVE_MAX_SENTENCES, Cut, agglomerative, agglomerative_with};
pub use self::kmeans::{KMEANS_MAX_ROUNDS, KMEANS_MIN_GAIN, KmeansStep, kmeans};

/// The cluster of each sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The cluster of each row. Clusters are numbered from 0 by falling size; of equal size, by their first row.
    /// None is empty.
    pub cluster: Vec<usize>,
    /// Cosine similarity of each row to the mean of its cluster.
    pub score: Vec<f32>,
    /// The rows of each cluster, the most similar to its mean first.
    pub members: Vec<Vec<usize>>,
}

impl Clustering {
    /// Makes a cluster of each set of rows with the same label. Labels are below `labels`.
    fn of(embeddings: &Embeddings, label: &[usize], labels: usize) -> Self {
        let mut members = vec![Vec::new(); labels];
        label.iter().enumerate().for_each(|(row, label)| members[*label].push(row));
        members.retain(|rows| !rows.is_empty());
        members.sort_by_key(|rows| (std::cmp::Reverse(rows.len()), rows[0]));
        let (mut cluster, mut score) = (vec![0; label.len()], vec![0.0; label.len()]);
        for (number, rows) in members.iter_mut().enumerate() {
            let mean = direction(embeddings, rows);
            for row in rows.iter() {
                cluster[*row] = number;
                let cosine = mean.as_ref().map_or(0.0, |mean| dot(mean, embeddings.row(*row)));
                score[*row] = cosine.clamp(-1.0, 1.0);
            }
            rows.sort_by(|a, b| score[*b].total_cmp(&score[*a]).then(a.cmp(b)));
        }
        Self { cluster, score, members }
    }

    /// The mean of all scores: a measure of how compact the clusters are.
    pub fn mean_score(&self) -> f64 {
        self.score.iter().map(|score| f64::from(*score)).sum::<f64>() / self.score.len().max(1) as f64
    }
}

/// The sum of the rows, scaled to length one; `None` if they cancel out.
fn direction(embeddings: &Embeddings, rows: &[usize]) -> Option<Vec<f32>> {
    let mut sum = vec![0f64; embeddings.dimension()];
    for row in rows {
        sum.iter_mut().zip(embeddings.row(*row)).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    (length > 1e-9).then(|| sum.iter().map(|value| (value / length) as f32).collect())
}

#[cfg(test)]
mod testing {
    //! Random data and comparisons for the tests of both methods.

    use super::*;

    /// `rows` unit vectors of 24 numbers around random centers, row `r` around center `r % centers`.
    pub fn planted(rows: usize, centers: usize, spread: f32) -> Embeddings {
        akin_fixtures::random::clustered(rows, 24, centers, spread, 11)
    }

    /// The clusters as sets of rows, to compare two clusterings whatever they call them.
    pub fn sets(clustering: &Clustering) -> Vec<Vec<usize>> {
        let mut sets = clustering.members.clone();
        sets.iter_mut().for_each(|rows| rows.sort_unstable());
        sets.sort();
        sets
    }
}
