//! Measures the searches of an index: recall, queries a second and latency at each `ef`.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use akin_index::recall::right_hits;
use akin_index::{Embeddings, Neighbor, SearchOptions, Snapshot};
use rayon::prelude::*;
use serde::Serialize;

use crate::progress::{Progress, SEARCHED_AT_ONCE, report, search_all};
use crate::{Error, Result};

/// How long the queries are repeated for each `ef`.
const WHILE: Duration = Duration::from_secs(1);

/// Recall and speed of searches with one `ef`. As JSON it is one line:
/// `{"ef":…,"recall":…,"recall_p1":…,"recall_p10":…,"qps":…,"p50_ms":…,"p99_ms":…}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measurement {
    /// The candidates that each walk kept.
    pub ef: usize,
    /// The share of the true k nearest that were found, over all queries. A document as near as the true k-th counts
    /// as one of them.
    pub recall: f64,
    /// The 1st percentile of the recall of single queries: one query of a hundred has less.
    pub recall_p1: f64,
    /// The 10th percentile of the recall of single queries: one query of ten has less.
    pub recall_p10: f64,
    /// Queries answered a second, by all threads together.
    pub qps: f64,
    /// The time of one query, in milliseconds: the median.
    pub p50_ms: f64,
    /// The time that one query of a hundred exceeds, in milliseconds: the 99th percentile.
    pub p99_ms: f64,
}

/// An index, queries, and the true answers to them.
pub struct Bench<'a> {
    index: &'a Snapshot,
    queries: &'a Embeddings,
    options: SearchOptions,
    /// The scores of the true nearest of each query, best first.
    truth: Vec<Vec<f32>>,
}

impl<'a> Bench<'a> {
    /// Finds the true nearest documents of each query by exact search, on all processors: `options.k` of the documents
    /// in `options.among`. The `ef` of the options is not used: each [run](Self::run) has its own.
    ///
    /// # Errors
    /// [`Error::NoQueries`] if `queries` has no rows; what the index reports of queries of another dimension.
    pub fn new(index: &'a Snapshot, queries: &'a Embeddings, options: SearchOptions) -> Result<Self> {
        Self::new_with(index, queries, options, &|_, _| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how many exact searches are done and how many there are, and may stop it.
    ///
    /// # Errors
    /// As [`Bench::new`], and [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
    pub fn new_with(
        index: &'a Snapshot,
        queries: &'a Embeddings,
        options: SearchOptions,
        progress: Progress<'_>,
    ) -> Result<Self> {
        if queries.rows() == 0 {
            return Err(Error::NoQueries);
        }
        report(progress, 0, queries.rows())?;
        index.load();
        let exact = SearchOptions { exact: true, ..options.clone() };
        let truth = search_all(index, queries, &exact, &|done| report(progress, done, queries.rows()))?;
        let truth = truth.iter().map(|found| scores(found).collect()).collect();
        Ok(Self { index, queries, options, truth })
    }

    /// Searches for all queries with `ef` candidates on `threads` threads: once for the recall and to warm up, then
    /// again and again for a second for the time. The texts of the documents are not read.
    ///
    /// # Errors
    /// [`Error::Threads`] if the threads cannot be started; what the index reports.
    pub fn run(&self, ef: usize, threads: usize) -> Result<Measurement> {
        self.run_with(ef, threads, &|_, _| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how many searches of the first pass are done and how many there are. It is asked
    /// throughout, also while the time is taken, and may stop the measurement.
    ///
    /// # Errors
    /// As [`Bench::run`], and [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
    pub fn run_with(&self, ef: usize, threads: usize, progress: Progress<'_>) -> Result<Measurement> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::Threads)?;
        let options = SearchOptions { ef: Some(ef), ..self.options.clone() };
        let (searched, rows) = (AtomicUsize::new(0), self.queries.rows());
        let search = |row: usize| {
            let before = searched.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(SEARCHED_AT_ONCE) {
                report(progress, before.min(rows), rows)?;
            }
            let begun = Instant::now();
            let found = self.index.nearest(self.queries.row(row), &options)?;
            Ok((found, begun.elapsed()))
        };
        let pass = || -> Result<Vec<_>> {
            // Not through rayon: one thread must do all the work.
            match threads {
                1 => (0..rows).map(search).collect(),
                _ => (0..rows).into_par_iter().with_min_len(16).map(search).collect(),
            }
        };
        pool.install(|| {
            let found = pass()?;
            let answers = found.iter().zip(&self.truth);
            let right: Vec<usize> =
                answers.map(|((found, _), truth)| right_hits(scores(found), truth)).collect();
            let possible: usize = self.truth.iter().map(Vec::len).sum();
            let mut recalls: Vec<f64> =
                right.iter().zip(&self.truth).map(|(right, truth)| share(*right, truth.len())).collect();
            recalls.sort_unstable_by(f64::total_cmp);
            let mut times = Vec::new();
            let begun = Instant::now();
            while begun.elapsed() < WHILE {
                times.extend(pass()?.into_iter().map(|(_, time)| time));
            }
            let seconds = begun.elapsed().as_secs_f64();
            times.sort_unstable();
            let milliseconds = |share: f64| percentile(&times, share).as_secs_f64() * 1e3;
            Ok(Measurement {
                ef,
                recall: share(right.iter().sum(), possible),
                recall_p1: percentile(&recalls, 0.01),
                recall_p10: percentile(&recalls, 0.1),
                qps: times.len() as f64 / seconds,
                p50_ms: milliseconds(0.5),
                p99_ms: milliseconds(0.99),
            })
        })
    }
}

fn scores(found: &[Neighbor]) -> impl Iterator<Item = f32> {
    found.iter().map(|near| near.score)
}

/// The share that was found. Where there was nothing to find, nothing was missed.
fn share(right: usize, possible: usize) -> f64 {
    if possible == 0 { 1.0 } else { right as f64 / possible as f64 }
}

/// The value of `sorted` (ascending, not empty) that the share `share` of its values do not exceed.
fn percentile<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}
