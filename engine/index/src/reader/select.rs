//! Selecting documents by a filter: once, before any number of searches among them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::Snapshot;
use super::snapshot::SegmentView;
use crate::document::DocumentRecord;
use crate::filter::pick::pick;
use crate::manifest::IndexId;
use crate::progress::{Counter, Progress};
use crate::segment::PassageSet;
use crate::{Filter, Metadata, Result, field};

/// Documents that one thread looks at at a time.
const BLOCK: usize = 4096;

/// The live documents of a snapshot that fit a [`Filter`]. Its clones share what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Arc<Selected>);

#[derive(Debug, PartialEq, Eq)]
struct Selected {
    index: IndexId,
    generation: u64,
    documents: usize,
    /// The passages of those documents, by segment.
    rows: Vec<PassageSet>,
    /// Fields of the filter that no document has.
    unknown: Vec<String>,
}

impl Selection {
    /// How many documents it has.
    pub fn len(&self) -> usize {
        self.0.documents
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it was made from this snapshot, or from another of the same commit.
    pub fn is_of(&self, snapshot: &Snapshot) -> bool {
        let Selected { index, generation, ref rows, .. } = *self.0;
        (index, generation, rows.len())
            == (snapshot.manifest.index, snapshot.generation(), snapshot.segments.len())
    }

    /// The fields that the filter asks for and no document has: misspelt, most likely.
    pub fn unknown_fields(&self) -> &[String] {
        &self.0.unknown
    }

    /// Documents of a snapshot, with their passages by segment.
    pub(super) fn new(
        snapshot: &Snapshot,
        documents: usize,
        rows: Vec<PassageSet>,
        unknown: Vec<String>,
    ) -> Self {
        let (index, generation) = (snapshot.manifest.index, snapshot.generation());
        Self(Arc::new(Selected { index, generation, documents, rows, unknown }))
    }

    /// The passages of the segment at a place.
    pub(super) fn rows(&self, segment: usize) -> &PassageSet {
        &self.0.rows[segment]
    }
}

impl Snapshot {
    /// The live documents that fit a filter, by the columns of their fields. Of segments without columns, which an earlier
    /// release wrote, and for fields of long texts the records of all documents are read, on all threads that search, so make
    /// one selection for many searches.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        self.select_with(filter, &|_, _| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how many documents are looked at and how many there are, deleted ones among them, and
    /// may stop it.
    ///
    /// # Errors
    /// As [`Snapshot::select`], and [`Error::Cancelled`](crate::Error::Cancelled) if `progress` stopped it.
    pub fn select_with(&self, filter: &Filter, progress: Progress<'_>) -> Result<Selection> {
        let fields = filter.fields();
        let known = Known::none_of(&fields);
        let fits = |json: &str| {
            let metadata = pick(json, &fields)?;
            known.see(&metadata);
            Ok(filter.matches(&metadata))
        };
        let documents = self.segments.iter().map(|view| view.segment.documents()).sum();
        let looked_at = Counter::begin(documents, progress)?;
        let select = |view: &SegmentView| -> Result<(usize, PassageSet)> {
            let Some((fitting, is_known)) = view.segment.select(filter).map_err(|fault| self.fault(fault))?
            else {
                return self.select_rows(view, &fits, &looked_at);
            };
            known.mark(&is_known);
            looked_at.add(view.segment.documents())?;
            let live = |document: &usize| view.is_live_document(*document).unwrap_or(true);
            self.passages_of(view, fitting.iter().filter(live))
        };
        let selected = self.pool.run(|| self.segments.iter().map(select).collect::<Result<Vec<_>>>())?;
        let documents = selected.iter().map(|(documents, _)| documents).sum();
        let rows = selected.into_iter().map(|(_, rows)| rows).collect();
        let unknown = if self.is_empty() { Vec::new() } else { known.unknown() };
        Ok(Selection::new(self, documents, rows, unknown))
    }

    /// How many live documents of a segment fit by their metadata, as JSON, and which passages are theirs.
    fn select_rows(
        &self,
        view: &SegmentView,
        fits: &(dyn Fn(&str) -> Result<bool, String> + Sync),
        looked_at: &Counter<'_>,
    ) -> Result<(usize, PassageSet)> {
        let segment = &view.segment;
        let blocks = (0..segment.documents().div_ceil(BLOCK)).into_par_iter().map(|block| {
            let begin = block * BLOCK;
            let documents = begin..segment.documents().min(begin + BLOCK);
            let count = documents.len();
            let mut fitting = Vec::new();
            let live = |document: usize| view.is_live_document(document).unwrap_or(true);
            let read = segment.each_record(documents, &live, &mut |document, record| {
                if fits(DocumentRecord::metadata(record)?)? {
                    fitting.push(document);
                }
                Ok(())
            });
            read.map_err(|fault| self.fault(fault))?;
            looked_at.add(count)?;
            Ok(fitting)
        });
        let fitting: Vec<Vec<usize>> = blocks.collect::<Result<_>>()?;
        self.passages_of(view, fitting.into_iter().flatten())
    }

    /// How many documents of a segment there are, and which passages are theirs.
    fn passages_of(
        &self,
        view: &SegmentView,
        fitting: impl Iterator<Item = usize>,
    ) -> Result<(usize, PassageSet)> {
        let segment = &view.segment;
        let mut words = vec![0u64; segment.passages().div_ceil(64)];
        let mut documents = 0;
        for document in fitting {
            documents += 1;
            for passage in segment.passages_of(document).map_err(|fault| self.fault(fault))? {
                words[passage / 64] |= 1 << (passage % 64);
            }
        }
        Ok((documents, PassageSet::of(words)))
    }
}

/// Which fields some document has.
struct Known<'a> {
    fields: Vec<(&'a str, AtomicBool)>,
}

impl<'a> Known<'a> {
    fn none_of(fields: &[&'a str]) -> Self {
        Self { fields: fields.iter().map(|field| (*field, AtomicBool::new(false))).collect() }
    }

    /// Looks at a document.
    fn see(&self, metadata: &Metadata) {
        for (name, known) in &self.fields {
            if !known.load(Ordering::Relaxed) && !field(metadata, name).is_empty() {
                known.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Takes it that some of the fields are there.
    fn mark(&self, is_known: &[bool]) {
        for ((_, known), is_known) in self.fields.iter().zip(is_known) {
            known.fetch_or(*is_known, Ordering::Relaxed);
        }
    }

    /// Those that none has.
    fn unknown(self) -> Vec<String> {
        let unknown = self.fields.into_iter().filter(|(_, known)| !known.load(Ordering::Relaxed));
        unknown.map(|(field, _)| field.to_owned()).collect()
    }
}
