//! Searching a snapshot: each segment by itself, then the best of all, by document.

use std::collections::HashSet;

use rayon::prelude::*;

use super::Snapshot;
use super::snapshot::SegmentView;
use crate::document::stored;
use crate::graph::Fault;
use crate::segment::search::Wanted;
use crate::{DocId, Embeddings, Error, Hit, Neighbor, Result, SearchOptions, Selection, Similarity};

/// A search that compares with more passages, or walks more segments, shares the work among threads.
const ALONE: usize = 16_384;

impl Snapshot {
    /// The documents nearest to `query` by the [similarity](crate::ModelIdentity::similarity) of the index's model, best
    /// first; of equal ones the older comes first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the query has another dimension than the index or is not finite,
    /// [`Error::Stale`] if the documents to search among were selected from another snapshot;
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn search(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Hit>> {
        self.nearest(query, options)?.into_iter().map(|near| self.hit(near)).collect()
    }

    /// The same for many queries, each row by itself, in their order, on all threads that search.
    ///
    /// # Errors
    /// As [`Snapshot::search`].
    pub fn search_all(&self, queries: &Embeddings, options: &SearchOptions) -> Result<Vec<Vec<Hit>>> {
        match queries.rows() {
            0 => Ok(Vec::new()),
            1 => Ok(vec![self.search(queries.row(0), options)?]),
            rows => self.pool.run(|| {
                (0..rows).into_par_iter().map(|row| self.search(queries.row(row), options)).collect()
            }),
        }
    }

    /// The same without their texts.
    ///
    /// # Errors
    /// As [`Snapshot::search`].
    pub fn nearest_all(&self, queries: &Embeddings, options: &SearchOptions) -> Result<Vec<Vec<Neighbor>>> {
        match queries.rows() {
            0 => Ok(Vec::new()),
            1 => Ok(vec![self.nearest(queries.row(0), options)?]),
            rows => self.pool.run(|| {
                (0..rows).into_par_iter().map(|row| self.nearest(queries.row(row), options)).collect()
            }),
        }
    }

    /// The nearest documents without their texts.
    ///
    /// # Errors
    /// As [`Snapshot::search`].
    pub fn nearest(&self, query: &[f32], options: &SearchOptions) -> Result<Vec<Neighbor>> {
        let query = self.checked(query)?;
        if let Some(selection) = &options.among {
            selection.require(self)?;
        }
        let live = |view: &SegmentView| view.live_passages();
        let (segments, work) = (self.segments.len(), self.segments.iter().map(live).sum::<usize>());
        let scans = options.exact || options.among.is_some() || options.k.saturating_mul(8) > work;
        // A thread of a pool has company already: the caller spreads queries over threads, or wants only one.
        let is_alone = rayon::current_thread_index().is_none();
        let shared = work > ALONE && (scans || segments > 1) && is_alone;
        let found = match shared {
            true => self.pool.run(|| self.collect(&query, options, true)),
            false => self.collect(&query, options, false),
        };
        found.map_err(|fault| self.fault(fault))
    }

    /// How similar a query is to passages that this snapshot named.
    ///
    /// # Errors
    /// As [`Snapshot::search`]; [`Error::Stale`] if another snapshot named them.
    pub fn similarities(&self, query: &[f32], passages: &[Neighbor]) -> Result<Vec<f32>> {
        let query = self.checked(query)?;
        let similarity = self.model().similarity;
        let of = |near: &Neighbor| {
            let view = self.segments.get(near.doc.segment as usize);
            let view = view.filter(|view| (near.passage as usize) < view.segment.passages());
            let vector = view
                .ok_or(Error::Stale("the passage is one of another snapshot"))?
                .segment
                .vector(near.passage as usize);
            Ok(similarity.of(&query, &vector.map_err(|fault| self.fault(fault))?))
        };
        passages.iter().map(of).collect()
    }

    pub(super) fn checked<'a>(&self, query: &'a [f32]) -> Result<std::borrow::Cow<'a, [f32]>> {
        let dimension = self.model().dimension;
        if query.len() != dimension {
            return Err(Error::Invalid(format!(
                "the query has {} dimensions, and the index has {dimension}",
                query.len(),
            )));
        }
        if !query.iter().all(|x| x.is_finite()) {
            return Err(Error::Invalid("the query is not finite".into()));
        }
        Ok(stored(self.model().similarity, query))
    }

    /// Asks for as many passages as there are documents wanted, and for more where several of them are of one
    /// document.
    fn collect(
        &self,
        query: &[f32],
        options: &SearchOptions,
        parallel: bool,
    ) -> Result<Vec<Neighbor>, Fault> {
        let mut passages = options.k;
        loop {
            let search = |(at, view): (usize, &SegmentView)| -> Result<Vec<Neighbor>, Fault> {
                let wanted = Wanted {
                    query,
                    k: passages,
                    ef: options.ef.unwrap_or(self.default_ef()),
                    exact: options.exact,
                    among: options.among.as_ref().map(|selection| selection.rows(at)),
                    deleted: view.deleted.as_deref(),
                };
                let found = view.segment.nearest(&wanted)?.into_iter();
                found.map(|(score, passage)| neighbor(at, view, score, passage)).collect()
            };
            let segments = self.segments.iter().enumerate().filter(|(_, view)| view.live() > 0);
            let found: Vec<Vec<Neighbor>> = match parallel {
                true => segments.collect::<Vec<_>>().into_par_iter().map(search).collect::<Result<_, _>>()?,
                false => segments.map(search).collect::<Result<_, _>>()?,
            };
            // What a segment may have beside what it gave is no nearer than the last of that.
            let given_up = found.iter().filter(|found| found.len() == passages);
            let nearest_left = given_up.filter_map(|found| found.last()).map(|last| last.score);
            let nearest_left = nearest_left.max_by(f32::total_cmp);
            let best = best_documents(found.concat(), options.k, self.has_passages());
            let is_full = best.len() >= options.k;
            let worst = best.last().map_or(f32::NEG_INFINITY, |worst| worst.score);
            let complete = nearest_left.is_none_or(|left| is_full && worst >= left);
            if complete || !self.has_passages() {
                return Ok(best);
            }
            passages = passages.saturating_mul(4);
        }
    }

    /// Whether some document has more than one passage.
    fn has_passages(&self) -> bool {
        self.segments.iter().any(|view| view.segment.has_passages())
    }

    pub(super) fn hit(&self, near: Neighbor) -> Result<Hit> {
        let document = self.document(near.doc)?;
        let segment = &self.segments[near.doc.segment as usize].segment;
        let passage = segment.span(near.passage as usize).map_err(|fault| self.fault(fault))?;
        let within =
            |span: &crate::Passage| document.text.get(span.start as usize..span.end as usize).is_some();
        if !passage.as_ref().is_none_or(within) {
            let why = format!("a passage of document {:?} is outside of its text", document.id);
            return Err(Error::damaged(&*self.storage, why));
        }
        let whole = passage.is_none_or(|span| (span.start, span.end as usize) == (0, document.text.len()));
        Ok(Hit { score: near.score, document, passage: passage.filter(|_| !whole) })
    }
}

fn neighbor(at: usize, view: &SegmentView, score: f32, passage: u32) -> Result<Neighbor, Fault> {
    let document = view.segment.document_of(passage as usize)? as u32;
    let score = match view.segment.similarity() {
        // Rounding takes the product of unit vectors a little beyond one.
        Similarity::Cosine => score.clamp(-1.0, 1.0),
        _ => score,
    };
    Ok(Neighbor { score, doc: DocId { segment: at as u32, document }, passage })
}

/// The `k` nearest documents, each by its nearest passage. `has_passages` if one may have been found by several.
fn best_documents(mut found: Vec<Neighbor>, k: usize, has_passages: bool) -> Vec<Neighbor> {
    let passage = |near: &Neighbor| (near.doc.segment, near.passage);
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(passage(a).cmp(&passage(b))));
    if !has_passages {
        found.truncate(k);
        return found;
    }
    let mut seen = HashSet::with_capacity(found.len().min(k));
    found.retain(|near| seen.len() < k && seen.insert(near.doc));
    found
}

impl Selection {
    /// Refuses a selection of another snapshot.
    pub(super) fn require(&self, snapshot: &Snapshot) -> Result<()> {
        match self.is_of(snapshot) {
            true => Ok(()),
            false => Err(Error::Stale("the documents were selected from another snapshot of the index")),
        }
    }
}
