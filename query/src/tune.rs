//! Chooses the `ef` of an index: the least with which searches reach a given recall in every region of the index.
//!
//! A sample of the documents is divided into regions. Half of the pivots are taken evenly from the sample, so that
//! large groups have many regions; the others are the documents farthest from all pivots so far (Gonzalez 1985,
//! k-center), so that a small group has regions of its own. Each region is asked with equally many of its documents. So
//! 300 glossary entries among 10,000 log lines count as much as the log lines.

use std::ops::ControlFlow;

use akin_index::recall::right_hits;
use akin_index::{DEFAULT_EF, DocId, Embeddings, Neighbor, SearchOptions, Snapshot};
use akin_kernels::dot;
use rayon::prelude::*;

use crate::Result;
use crate::progress::{Progress, SEARCHED_AT_ONCE, Searched, report, search_all};

/// The values of `ef` that are tried, least first.
const TRIED: [usize; 15] = [12, 16, 24, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024];

/// Documents that are divided into regions. Of a million documents, a group of a hundred has three in the sample.
const SAMPLE: usize = 32_768;

/// Regions at most. Half of the pivots are taken evenly, half are the farthest documents.
const REGIONS: usize = 48;

/// Queries of a region, at most and at least: regions of fewer documents are joined. With 10 neighbors each, one
/// neighbor that is missed takes 0.003 off the recall of a region.
const REGION_QUERIES: usize = 32;

/// The neighbors that a search is to find, not counting the document that is the query.
const NEIGHBORS: usize = 10;

/// An `ef` below the default is chosen only if the recall of each region is this many standard errors above the one
/// asked for: nine of ten such regions then have that recall (one-sided normal quantile of 0.9).
const PROOF_ERRORS: f64 = 1.28;

/// How far the worst region may be below the best that any `ef` gave, where no `ef` reaches the recall.
const GIVEN_UP: f64 = 0.001;

/// The greatest `ef` that is tried.
pub const MOST: usize = TRIED[TRIED.len() - 1];

/// An `ef`, and the recall that it was measured to have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// The candidates that searches must keep: the least number that reaches the recall. Where none reaches it, the
    /// least whose worst region is within 0.001 of the best that any number of candidates gave: more candidates would
    /// take more time and find next to nothing more.
    pub ef: usize,
    /// The mean recall of all regions, each with the same weight. Recall is the share of the 10 nearest other documents
    /// that a search finds.
    pub recall: f64,
    /// The recall of the worst region.
    pub worst: f64,
    /// How many regions there are.
    pub regions: usize,
    /// Whether mean and worst region reach the recall that was asked for.
    pub reached: bool,
}

/// Finds the least `ef` with which searches find the share `recall` of the true 10 nearest, on average and in the worst
/// region. Documents of the index are the queries, and do not count as their own neighbors. An `ef` below
/// [`DEFAULT_EF`] is chosen only where every region proves it. None where there is no graph. The same index gives
/// the same answer.
///
/// # Errors
/// What the index reports.
pub fn tune(index: &Snapshot, recall: f64) -> Result<Option<Tuning>> {
    tune_with(index, recall, &|_, _| ControlFlow::Continue(()))
}

/// The same. `progress` hears how many searches are done and how many there may be, and may stop it. There are none yet
/// while the documents are divided into regions.
///
/// # Errors
/// What the index reports, [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
pub fn tune_with(index: &Snapshot, recall: f64, progress: Progress<'_>) -> Result<Option<Tuning>> {
    let docs = index.docs()?;
    if docs.is_empty() || index.stat()?.segments.is_empty() {
        return Ok(None);
    }
    let sample = sample(index, &docs, progress)?;
    let regions = regions(&sample.vectors);
    let mut queries = Queries::new(index.model().dimension);
    regions.iter().enumerate().for_each(|(region, rows)| queries.take(&sample, region, rows));
    let count = queries.docs.len();
    let total = count * (1 + TRIED.len());
    queries.truth = queries.true_scores(index, &|done| report(progress, done, total))?;
    let mut all = Vec::new();
    for (tried, ef) in (1..).zip(TRIED) {
        let before = tried * count;
        let found =
            queries.recalls(index, ef, regions.len(), &|done| report(progress, before + done, total))?;
        let worst = found.iter().map(|region| region.mean).fold(1.0, f64::min);
        let mean = found.iter().map(|region| region.mean).sum::<f64>() / found.len() as f64;
        let reached = mean >= recall && worst >= recall;
        tracing::info!("ef {ef}: recall {mean:.4} (worst region {worst:.4})");
        let tuning = Tuning { ef, recall: mean, worst, regions: regions.len(), reached };
        if reached && (ef >= DEFAULT_EF || found.iter().all(|region| region.proves(recall))) {
            report(progress, total, total)?;
            return Ok(Some(tuning));
        }
        all.push(tuning);
    }
    report(progress, total, total)?;
    Ok(cheapest_of_the_best(&all))
}

/// Of those that do not reach the recall, the one with the least `ef` whose worst region is about as good as any; not
/// below [`DEFAULT_EF`].
fn cheapest_of_the_best(tried: &[Tuning]) -> Option<Tuning> {
    let allowed = || tried.iter().filter(|tuning| tuning.ef >= DEFAULT_EF);
    let best = allowed().map(|tuning| tuning.worst).fold(0.0, f64::max);
    allowed().find(|tuning| tuning.worst >= best - GIVEN_UP).copied()
}

/// Documents, and the vector of one passage of each.
struct Sample {
    docs: Vec<DocId>,
    vectors: Embeddings,
}

/// Takes documents at even distances, and of the n-th of them its n-th passage (modulo how many it has).
fn sample(index: &Snapshot, docs: &[DocId], progress: Progress<'_>) -> Result<Sample> {
    let docs: Vec<DocId> = docs.iter().copied().step_by(docs.len().div_ceil(SAMPLE)).collect();
    let mut vectors = Embeddings::empty(index.model().dimension);
    for (at, doc) in docs.iter().enumerate() {
        if at % SEARCHED_AT_ONCE == 0 {
            report(progress, 0, 0)?;
        }
        let passages = index.vectors(*doc)?;
        vectors.push(&passages[at % passages.len()]);
    }
    Ok(Sample { docs, vectors })
}

/// Divides rows of length one into regions: the rows of each.
fn regions(vectors: &Embeddings) -> Vec<Vec<usize>> {
    let mut cells = Cells::new(vectors);
    let even = (REGIONS / 2).min(vectors.rows());
    (0..even).for_each(|pivot| cells.divide(pivot * vectors.rows() / even));
    while cells.pivots < REGIONS {
        match cells.farthest() {
            Some(row) => cells.divide(row),
            None => break,
        }
    }
    joined(cells.rows(), &cells.loneliest())
}

/// Rows and their most similar pivot.
struct Cells<'a> {
    vectors: &'a Embeddings,
    pivots: usize,
    /// Of each row: the similarity of its pivot, and which it is. Of equally similar ones the first.
    nearest: Vec<(f32, usize)>,
}

/// Similarities above this are those of equal vectors.
const EQUAL: f32 = 1.0 - 1e-5;

impl<'a> Cells<'a> {
    fn new(vectors: &'a Embeddings) -> Self {
        Self { vectors, pivots: 0, nearest: vec![(f32::NEG_INFINITY, 0); vectors.rows()] }
    }

    /// Makes a row a pivot, unless it equals one.
    fn divide(&mut self, pivot: usize) {
        if self.nearest[pivot].0 > EQUAL {
            return;
        }
        let (vectors, number) = (self.vectors, self.pivots);
        self.nearest.par_iter_mut().enumerate().with_min_len(1024).for_each(|(row, nearest)| {
            let score = dot(vectors.row(pivot), vectors.row(row));
            if score > nearest.0 {
                *nearest = (score, number);
            }
        });
        // A vector of zeros is not even similar to itself.
        self.nearest[pivot] = (1.0, number);
        self.pivots += 1;
    }

    /// The first of the rows that are least similar to their pivot; none where all rows equal theirs.
    fn farthest(&self) -> Option<usize> {
        let rows = self.nearest.iter().enumerate();
        let (row, nearest) = rows.min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0))?;
        (nearest.0 <= EQUAL).then_some(row)
    }

    /// The rows that are least similar to their pivots, as many as a region has queries.
    fn loneliest(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.nearest.len()).collect();
        rows.sort_by(|a, b| self.nearest[*a].0.total_cmp(&self.nearest[*b].0));
        rows.truncate(REGION_QUERIES);
        rows
    }

    /// The rows of each pivot.
    fn rows(&self) -> Vec<Vec<usize>> {
        let mut rows = vec![Vec::new(); self.pivots];
        self.nearest.iter().enumerate().for_each(|(row, (_, pivot))| rows[*pivot].push(row));
        rows
    }
}

/// Joins cells of fewer than [`REGION_QUERIES`] rows with each other, so that each region can be measured and no small
/// group is lost in a large one. Where all of them together are too few, the `loneliest` rows are added, which stay in
/// their own regions as well.
fn joined(cells: Vec<Vec<usize>>, loneliest: &[usize]) -> Vec<Vec<usize>> {
    let is_large = |cell: &Vec<usize>| cell.len() >= REGION_QUERIES;
    let (mut regions, small): (Vec<_>, Vec<_>) = cells.into_iter().partition(is_large);
    let mut open = Vec::new();
    let first_joined = regions.len();
    for cell in small {
        open.extend(cell);
        if is_large(&open) {
            regions.push(std::mem::take(&mut open));
        }
    }
    if regions.len() > first_joined {
        regions.last_mut().into_iter().for_each(|last| last.append(&mut open));
    }
    if !open.is_empty() {
        let missing = REGION_QUERIES.saturating_sub(open.len());
        let more: Vec<usize> =
            loneliest.iter().filter(|row| !open.contains(row)).take(missing).copied().collect();
        open.extend(more);
        regions.push(open);
    }
    regions
}

/// The documents that are the queries.
struct Queries {
    docs: Vec<DocId>,
    /// The region of each.
    region: Vec<usize>,
    vectors: Embeddings,
    /// The scores of the true nearest others of each, best first.
    truth: Vec<Vec<f32>>,
}

impl Queries {
    fn new(dimension: usize) -> Self {
        let vectors = Embeddings::empty(dimension);
        Self { docs: Vec::new(), region: Vec::new(), vectors, truth: Vec::new() }
    }

    /// Adds rows of a region, evenly.
    fn take(&mut self, sample: &Sample, region: usize, rows: &[usize]) {
        let count = rows.len().min(REGION_QUERIES);
        for row in (0..count).map(|at| rows[at * rows.len() / count]) {
            self.docs.push(sample.docs[row]);
            self.region.push(region);
            self.vectors.push(sample.vectors.row(row));
        }
    }

    /// The scores of the true nearest others of each, best first.
    fn true_scores(&self, index: &Snapshot, searched: Searched<'_>) -> Result<Vec<Vec<f32>>> {
        let exact = SearchOptions { k: NEIGHBORS + 1, exact: true, ..SearchOptions::default() };
        let found = search_all(index, &self.vectors, &exact, searched)?;
        let others = |(doc, found): (&DocId, &Vec<Neighbor>)| others(found, *doc).take(NEIGHBORS).collect();
        Ok(self.docs.iter().zip(&found).map(others).collect())
    }

    /// The recall of each region with `ef` candidates.
    fn recalls(
        &self,
        index: &Snapshot,
        ef: usize,
        regions: usize,
        searched: Searched<'_>,
    ) -> Result<Vec<RegionRecall>> {
        let options = SearchOptions { k: NEIGHBORS + 1, ef: Some(ef), ..SearchOptions::default() };
        let found = search_all(index, &self.vectors, &options, searched)?;
        let mut recalls = vec![Vec::new(); regions];
        for (at, found) in found.iter().enumerate() {
            let truth = &self.truth[at];
            if !truth.is_empty() {
                let right = right_hits(others(found, self.docs[at]), truth);
                recalls[self.region[at]].push(right as f64 / truth.len() as f64);
            }
        }
        Ok(recalls.iter().map(|recalls| RegionRecall::of(recalls)).collect())
    }
}

/// The scores of what was found, without the document that is the query.
fn others(found: &[Neighbor], own: DocId) -> impl Iterator<Item = f32> {
    found.iter().filter(move |near| near.doc != own).map(|near| near.score)
}

/// The recall of the queries of a region.
struct RegionRecall {
    mean: f64,
    /// The standard error of the mean.
    error: f64,
    queries: usize,
}

impl RegionRecall {
    fn of(recalls: &[f64]) -> Self {
        let queries = recalls.len();
        if queries == 0 {
            return Self { mean: 1.0, error: 0.0, queries };
        }
        let mean = recalls.iter().sum::<f64>() / queries as f64;
        let squares: f64 = recalls.iter().map(|recall| (recall - mean).powi(2)).sum();
        let error = (squares / queries as f64 / queries.saturating_sub(1).max(1) as f64).sqrt();
        Self { mean, error, queries }
    }

    /// Whether it has this recall with some certainty, whichever documents of the region are the queries.
    fn proves(&self, recall: f64) -> bool {
        self.queries >= REGION_QUERIES && self.mean - PROOF_ERRORS * self.error >= recall
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::random::{clustered, unit_vectors};

    use super::*;

    #[test]
    fn a_small_group_has_regions_of_its_own() {
        // Rows 0..3000 lie around one center, 3000..3060 anywhere.
        let mut vectors = clustered(3000, 32, 1, 0.1, 5);
        unit_vectors(60, 32, 6).iter().for_each(|row| vectors.push(row));
        let regions = regions(&vectors);
        assert!(regions.len() > 2 && regions.len() <= REGIONS, "{}", regions.len());
        assert_eq!(regions.iter().map(Vec::len).sum::<usize>(), 3060, "each row is in one region");
        assert!(regions.iter().all(|region| region.len() >= REGION_QUERIES));
        let is_rare = |region: &&Vec<usize>| region.iter().filter(|row| **row >= 3000).count() >= 20;
        assert!(regions.iter().any(|region| is_rare(&region)), "{regions:?}");
    }

    #[test]
    fn where_no_ef_reaches_the_recall_none_is_chosen_that_finds_next_to_nothing_more() {
        let tried = |ef: usize, worst: f64| Tuning { ef, recall: 0.99, worst, regions: 3, reached: false };
        let all = [(48, 0.968), (64, 0.95), (96, 0.9665), (128, 0.9672), (512, 0.968), (1024, 0.967)];
        let all: Vec<Tuning> = all.into_iter().map(|(ef, worst)| tried(ef, worst)).collect();
        assert_eq!(cheapest_of_the_best(&all), Some(all[3]));
        assert_eq!(cheapest_of_the_best(&all[..3]), Some(all[2]), "no ef below the default");
    }

    #[test]
    fn equal_rows_are_one_region() {
        let vectors = Embeddings::from_values(2, [1.0, 0.0].repeat(500));
        assert_eq!(regions(&vectors).len(), 1);
    }

    #[test]
    fn few_rows_are_one_region() {
        for rows in 1..5 {
            assert_eq!(regions(&unit_vectors(rows, 8, 3)).iter().map(Vec::len).collect::<Vec<_>>(), [rows]);
        }
    }

    #[test]
    fn a_recall_that_chance_explains_proves_nothing() {
        let mut recalls = vec![1.0; REGION_QUERIES];
        assert!(RegionRecall::of(&recalls).proves(1.0));
        recalls[0] = 0.5;
        let region = RegionRecall::of(&recalls);
        assert!(region.mean > 0.98 && region.proves(0.95) && !region.proves(0.98));
        assert!(!RegionRecall::of(&[1.0; 8]).proves(0.5), "eight queries are too few");
    }
}
