//! Measures the searches of an index: recall, queries a second and latency at each `ef`; and chooses an `ef`.

use std::time::{Duration, Instant};

use akin_index::{DocId, Embeddings, SearchOptions, Snapshot};
use rayon::prelude::*;
use serde::Serialize;

use crate::{Error, Result};

/// How long the queries are asked again and again for each `ef`.
const WHILE: Duration = Duration::from_secs(1);

/// What the searches with one `ef` came to. As JSON it is one line:
/// `{"ef":…,"recall":…,"qps":…,"p50_ms":…,"p99_ms":…}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measurement {
    /// The candidates that each walk kept.
    pub ef: usize,
    /// The share of the true k nearest that were found.
    pub recall: f64,
    /// Queries answered a second, by all threads together.
    pub qps: f64,
    /// The time of one query, in milliseconds: the median.
    pub p50_ms: f64,
    /// And what one of a hundred exceeds.
    pub p99_ms: f64,
}

/// An index, queries, and the true answers to them.
pub struct Bench<'a> {
    index: &'a Snapshot,
    queries: &'a Embeddings,
    options: SearchOptions,
    truth: Vec<Vec<DocId>>,
}

impl<'a> Bench<'a> {
    /// Finds the true nearest documents of each query by exact search, on all processors: `k` of those
    /// `among` which `options` has the search go on; its `ef` is that of each [run](Self::run).
    ///
    /// # Errors
    /// [`Error::NoQueries`] if `queries` has no rows; what the index reports of queries of another dimension.
    pub fn new(index: &'a Snapshot, queries: &'a Embeddings, options: SearchOptions) -> Result<Self> {
        if queries.rows() == 0 {
            return Err(Error::NoQueries);
        }
        let exact = SearchOptions { exact: true, ..options.clone() };
        let truth = index.nearest_all(queries, &exact)?;
        let truth = truth.into_iter().map(|found| found.iter().map(|near| near.doc).collect()).collect();
        Ok(Self { index, queries, options, truth })
    }

    /// Asks all queries with `ef` candidates on `threads` threads: once for the recall and to warm up, then
    /// for a second for the time. A search finds documents by id and score; their texts are not read.
    ///
    /// # Errors
    /// [`Error::Threads`] if they cannot be had.
    pub fn run(&self, ef: usize, threads: usize) -> Result<Measurement> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::Threads)?;
        let options = SearchOptions { ef: Some(ef), ..self.options.clone() };
        let search = |row: usize| {
            let begun = Instant::now();
            let found = self.index.nearest(self.queries.row(row), &options)?;
            Ok((found, begun.elapsed()))
        };
        let pass = || -> Result<Vec<_>> {
            // On one thread without any help of another.
            match threads {
                1 => (0..self.queries.rows()).map(search).collect(),
                _ => (0..self.queries.rows()).into_par_iter().with_min_len(16).map(search).collect(),
            }
        };
        self.index.load();
        pool.install(|| {
            let found = pass()?;
            let answers = found.iter().zip(&self.truth);
            let right: usize = answers
                .map(|((found, _), truth)| found.iter().filter(|near| truth.contains(&near.doc)).count())
                .sum();
            let possible: usize = self.truth.iter().map(Vec::len).sum();
            let mut times = Vec::new();
            let begun = Instant::now();
            while begun.elapsed() < WHILE {
                times.extend(pass()?.into_iter().map(|(_, time)| time));
            }
            let seconds = begun.elapsed().as_secs_f64();
            times.sort_unstable();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            Ok(Measurement {
                ef,
                recall: right as f64 / possible.max(1) as f64,
                qps: times.len() as f64 / seconds,
                p50_ms: at(0.5),
                p99_ms: at(0.99),
            })
        })
    }
}

/// Candidates that a tuned index may keep, fewest first.
const TUNED: [usize; 12] = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];

/// Documents that stand in for queries.
const SAMPLE: usize = 500;

/// The neighbors that a tuned search is to find.
const NEIGHBORS: usize = 10;

/// How many candidates a search must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// The least number of candidates that reaches the recall, or the greatest that was tried.
    pub ef: usize,
    /// The share of the 10 nearest others of a sample of documents that it finds.
    pub recall: f64,
}

/// Finds how many candidates searches must keep to find the share `recall` of the true 10 nearest. Documents
/// of the index are the queries, and do not count as their own neighbors. None where there is no graph.
///
/// # Errors
/// What the index reports.
pub fn tune(index: &Snapshot, recall: f64) -> Result<Option<Tuning>> {
    let docs = index.docs()?;
    if docs.is_empty() || index.stat()?.segments.is_empty() {
        return Ok(None);
    }
    let sample: Vec<DocId> = docs.iter().copied().step_by(docs.len().div_ceil(SAMPLE).max(1)).collect();
    let mut queries = Embeddings::empty(index.model().dimension);
    for doc in &sample {
        queries.push(&index.vectors(*doc)?[0]);
    }
    let bench = Bench::new(index, &queries, SearchOptions { k: NEIGHBORS + 1, ..SearchOptions::default() })?;
    let mut tuning = Tuning { ef: 0, recall: 0.0 };
    for ef in TUNED {
        tuning = Tuning { ef, recall: bench.recall_of_others(ef, &sample)? };
        if tuning.recall >= recall {
            break;
        }
    }
    Ok(Some(tuning))
}

impl Bench<'_> {
    /// The share of the neighbors found with `ef` candidates, not counting the documents asked with.
    fn recall_of_others(&self, ef: usize, own: &[DocId]) -> Result<f64> {
        let options = SearchOptions { ef: Some(ef), ..self.options.clone() };
        let found = (0..self.queries.rows()).into_par_iter().map(|row| -> Result<(usize, usize)> {
            let found = self.index.nearest(self.queries.row(row), &options)?;
            let others = self.truth[row].iter().filter(|doc| **doc != own[row]).take(self.options.k - 1);
            let right = |doc: &&DocId| found.iter().any(|near| near.doc == **doc);
            Ok((others.clone().filter(right).count(), others.count()))
        });
        let sums: (usize, usize) =
            found.try_reduce(|| (0, 0), |one, other| Ok((one.0 + other.0, one.1 + other.1)))?;
        Ok(sums.0 as f64 / sums.1.max(1) as f64)
    }
}
