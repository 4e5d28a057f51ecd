//! Agglomerative clustering with average linkage, by the nearest-neighbor chain algorithm (Murtagh 1983).

use std::ops::ControlFlow;

use akin_index::{Cancelled, Counter, Progress};
use akin_kernels::Embeddings;
use rayon::prelude::*;

use super::Clustering;
use crate::compare::{BLOCK_COLUMNS, BLOCK_ROWS, PackedBlock};

/// The most sentences that [`agglomerative`] takes: their similarity matrix has 1 GiB.
pub const AGGLOMERATIVE_MAX_SENTENCES: usize = 16_384;

/// When to stop joining clusters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// When this number of clusters is left.
    Clusters(usize),
    /// When no two clusters have a mean similarity of at least this.
    Similarity(f32),
}

/// Clusters by average linkage. The rows have length one.
///
/// Each row begins as a cluster. Again and again, the two clusters with the greatest mean similarity between their
/// rows are joined, until `cut`. Takes `4 * rows²` bytes, and time proportional to `rows²`.
///
/// # Panics
/// If there are more than [`AGGLOMERATIVE_MAX_SENTENCES`] rows.
pub fn agglomerative(embeddings: &Embeddings, cut: Cut) -> Clustering {
    agglomerative_with(embeddings, cut, &|_, _| ControlFlow::Continue(())).expect("nothing stops it")
}

/// The same. `progress` hears how many rows are compared and joined, and how many there are, each counted twice; it may
/// stop the work.
///
/// # Errors
/// [`Cancelled`] if `progress` stopped it.
///
/// # Panics
/// As [`agglomerative`].
pub fn agglomerative_with(
    embeddings: &Embeddings,
    cut: Cut,
    progress: Progress<'_>,
) -> Result<Clustering, Cancelled> {
    let rows = embeddings.rows();
    assert!(rows <= AGGLOMERATIVE_MAX_SENTENCES, "the similarities of so many rows take too much memory");
    let done = Counter::begin(2 * rows, progress)?;
    let mut joins = Linkage::new(embeddings, &done)?.join_all(&done)?;
    done.reach(2 * rows)?;
    // Chains do not join in order of similarity. A join is never more similar than those that made its parts,
    // so sorting keeps parts before wholes.
    joins.sort_by(|a, b| b.score.total_cmp(&a.score));
    let joined = match cut {
        Cut::Clusters(clusters) => rows.saturating_sub(clusters.max(1)),
        Cut::Similarity(least) => joins.partition_point(|join| join.score >= least),
    };
    let mut label: Vec<usize> = (0..rows).collect();
    // A union-find whose roots are the first rows of the clusters.
    for join in &joins[..joined] {
        let (one, other) = (first_of(&label, join.one), first_of(&label, join.other));
        label[one.max(other)] = one.min(other);
    }
    let label: Vec<usize> = (0..rows).map(|row| first_of(&label, row)).collect();
    Ok(Clustering::of(embeddings, &label, rows))
}

fn first_of(label: &[usize], mut row: usize) -> usize {
    while label[row] != row {
        row = label[row];
    }
    row
}

/// Two clusters that were joined, each named by one of its rows, and their mean similarity.
struct Join {
    one: usize,
    other: usize,
    score: f32,
}

/// The clusters so far. Each is kept at the place of one of its rows.
struct Linkage {
    rows: usize,
    /// Mean similarities, `[rows, rows]`, symmetric. Entries of places without a cluster are stale.
    scores: Vec<f32>,
    /// Rows of the cluster at each place; 0 if it was joined to another.
    sizes: Vec<u32>,
    /// The score of the join that made each cluster. A later join is capped by it, against rounding.
    least: Vec<f32>,
}

impl Linkage {
    fn new(embeddings: &Embeddings, done: &Counter<'_>) -> Result<Self, Cancelled> {
        let rows = embeddings.rows();
        let scores = similarities(embeddings, done)?;
        Ok(Self { rows, scores, sizes: vec![1; rows], least: vec![f32::INFINITY; rows] })
    }

    /// Joins clusters until one is left. A chain leads from a cluster to its most similar one, and so on, until
    /// two clusters are each other's most similar. These two can be joined at once: under average linkage no other
    /// join can make a third cluster more similar to them (reducibility).
    fn join_all(mut self, done: &Counter<'_>) -> Result<Vec<Join>, Cancelled> {
        let mut joins = Vec::with_capacity(self.rows.saturating_sub(1));
        let mut chain: Vec<usize> = Vec::new();
        let mut begin = 0;
        while joins.len() + 1 < self.rows {
            while chain.is_empty() && self.sizes[begin] == 0 {
                begin += 1;
            }
            let last = *chain.last().unwrap_or(&begin);
            if chain.is_empty() {
                chain.push(last);
            }
            let before = chain.len().checked_sub(2).map(|at| chain[at]);
            let next = self.most_similar(last, before);
            if Some(next) == before {
                chain.truncate(chain.len() - 2);
                joins.push(self.join(last, next));
                done.add(1)?;
            } else {
                chain.push(next);
            }
        }
        Ok(joins)
    }

    /// The cluster most similar to the one at `place`. At equal similarity, `preferred` wins, then the first.
    fn most_similar(&self, place: usize, preferred: Option<usize>) -> usize {
        let scores = &self.scores[place * self.rows..][..self.rows];
        let mut best = preferred.map(|other| (other, scores[other]));
        for (other, score) in scores.iter().enumerate() {
            let is_better = best.is_none_or(|(_, best)| *score > best);
            if is_better && self.sizes[other] > 0 && other != place {
                best = Some((other, *score));
            }
        }
        best.expect("more than one cluster is left").0
    }

    /// Joins two clusters and keeps the result at the place of `one`.
    fn join(&mut self, one: usize, other: usize) -> Join {
        let score = self.scores[one * self.rows + other].min(self.least[one]).min(self.least[other]);
        let (m, n) = (self.sizes[one] as f32, self.sizes[other] as f32);
        for third in 0..self.rows {
            if third == one || third == other || self.sizes[third] == 0 {
                continue;
            }
            let [to_one, to_other] = [one, other].map(|place| self.scores[place * self.rows + third]);
            let mean = (to_one * m + to_other * n) / (m + n);
            self.scores[one * self.rows + third] = mean;
            self.scores[third * self.rows + one] = mean;
        }
        self.sizes[one] += self.sizes[other];
        self.sizes[other] = 0;
        self.least[one] = score;
        Join { one, other, score }
    }
}

/// The similarities of all rows with all rows, symmetric. NaN becomes -1.
fn similarities(embeddings: &Embeddings, done: &Counter<'_>) -> Result<Vec<f32>, Cancelled> {
    let rows = embeddings.rows();
    let mut scores = vec![0f32; rows * rows];
    if rows == 0 {
        return Ok(scores);
    }
    for first in (0..rows).step_by(BLOCK_COLUMNS) {
        let columns = PackedBlock::pack(embeddings, first);
        let blocks = scores.par_chunks_mut(BLOCK_ROWS * rows).enumerate();
        blocks.for_each_init(Vec::new, |products, (block, scores)| {
            columns.multiply(embeddings, block * BLOCK_ROWS, scores.len() / rows, products);
            for (scores, products) in
                scores.chunks_exact_mut(rows).zip(products.chunks_exact(columns.columns))
            {
                let scores = &mut scores[first..][..products.len()];
                scores.iter_mut().zip(products).for_each(|(score, product)| *score = product.max(-1.0));
            }
        });
        done.add(columns.columns)?;
    }
    // The two halves may differ by rounding: copy one to the other.
    for row in 0..rows {
        for column in 0..row {
            scores[row * rows + column] = scores[column * rows + row];
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use akin_fixtures::random::unit_vectors;
    use akin_kernels::dot;

    use super::super::testing::{planted, sets};
    use super::*;

    /// The same by the definition: the two clusters of the greatest mean similarity, found anew each time.
    fn plain(embeddings: &Embeddings, cut: Cut) -> Vec<Vec<usize>> {
        let mut clusters: Vec<Vec<usize>> = (0..embeddings.rows()).map(|row| vec![row]).collect();
        let mean = |a: &[usize], b: &[usize]| {
            let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (*x, *y)));
            let sum: f64 = pairs.map(|(x, y)| f64::from(dot(embeddings.row(x), embeddings.row(y)))).sum();
            sum / (a.len() * b.len()) as f64
        };
        loop {
            let pairs = (0..clusters.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
            let scored = pairs.map(|(a, b)| (mean(&clusters[a], &clusters[b]), a, b));
            let Some((score, a, b)) = scored.max_by(|x, y| x.0.total_cmp(&y.0)) else { break };
            let go_on = match cut {
                Cut::Clusters(left) => clusters.len() > left,
                Cut::Similarity(least) => score >= f64::from(least),
            };
            if !go_on {
                break;
            }
            let joined = clusters.remove(b);
            clusters[a].extend(joined);
        }
        clusters.iter_mut().for_each(|rows| rows.sort_unstable());
        clusters.sort();
        clusters
    }

    #[test]
    fn chains_come_to_what_the_definition_says() {
        for embeddings in [unit_vectors(70, 6, 5), planted(60, 7, 0.5)] {
            for clusters in [1, 2, 3, 7, 20, 59, 70, 100] {
                let cut = Cut::Clusters(clusters);
                assert_eq!(sets(&agglomerative(&embeddings, cut)), plain(&embeddings, cut), "{clusters}");
            }
            for least in [-1.0, 0.05, 0.31, 0.62, 0.9, 1.1] {
                let cut = Cut::Similarity(least);
                assert_eq!(sets(&agglomerative(&embeddings, cut)), plain(&embeddings, cut), "{least}");
            }
        }
    }

    #[test]
    fn planted_clusters_are_found_across_all_borders_of_blocks() {
        let embeddings = planted(BLOCK_COLUMNS + BLOCK_ROWS + 5, 6, 0.2);
        let found = agglomerative(&embeddings, Cut::Clusters(6));
        assert!((6..embeddings.rows()).all(|row| found.cluster[row] == found.cluster[row % 6]));
        assert_eq!(sets(&found), sets(&agglomerative(&embeddings, Cut::Similarity(0.6))));
    }

    #[test]
    fn none_one_and_copies_have_clusters() {
        assert_eq!(agglomerative(&Embeddings::empty(2), Cut::Clusters(3)).members.len(), 0);
        assert_eq!(agglomerative(&planted(1, 1, 0.1), Cut::Similarity(2.0)).members, [[0]]);
        let copies = Embeddings::from_values(2, [1.0, 0.0].repeat(50));
        assert_eq!(agglomerative(&copies, Cut::Similarity(0.99)).members.len(), 1);
        assert_eq!(agglomerative(&copies, Cut::Clusters(3)).members.len(), 3);
    }
}
