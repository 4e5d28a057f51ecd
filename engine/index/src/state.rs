//! What an index holds at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::segment::{Segment, unit};
use super::selection::Rows;
use super::tombstones::{Burial, Tombstones};
use super::{DEFAULT_EF, DocId, Neighbor, SearchOptions};
use crate::store::Store;
use crate::store::records::Manifest;
use crate::{Document, Error, Result};

/// The segments and what of them is deleted: a search sees one state from beginning to end.
pub(super) struct State {
    pub(super) manifest: Manifest,
    /// In the order of the manifest; the last one is pending. A merge shares those that it reads.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) tombstones: Tombstones,
    /// The live documents from `ids_through` on by their ids, which the store does not have yet.
    pub(super) recent: HashMap<String, u64>,
}

impl State {
    /// How many live documents there are.
    pub(super) fn live(&self) -> usize {
        self.segments.iter().map(|segment| segment.live()).sum()
    }

    pub(super) fn pending(&self) -> &Segment {
        self.segments.last().expect("an index has a pending segment")
    }

    pub(super) fn pending_mut(&mut self) -> &mut Segment {
        let pending = self.segments.last_mut().expect("an index has a pending segment");
        Arc::get_mut(pending).expect("only sealed segments are shared")
    }

    /// The segments that were sealed.
    pub(super) fn sealed(&self) -> &[Arc<Segment>] {
        &self.segments[..self.segments.len() - 1]
    }

    /// The live documents, oldest first.
    pub(super) fn docs(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().flat_map(|segment| segment.docs()).filter(|doc| !self.tombstones.contains(*doc))
    }

    /// The segment and row of a document, deleted or not.
    pub(super) fn locate(&self, doc: u64) -> Option<(&Segment, usize)> {
        let at = self.segments.partition_point(|segment| segment.record.end_doc <= doc);
        let segment = self.segments.get(at)?;
        Some((segment, segment.row(doc)?))
    }

    /// A document by its internal id.
    pub(super) fn document(&self, store: &Store, doc: u64) -> Result<Document> {
        match self.locate(doc) {
            Some((segment, row)) => segment.document(store, row),
            None => Err(store.damaged(format!("document {doc} is not there"))),
        }
    }

    /// The internal id of a document by its external one, if it is live.
    pub(super) fn live_doc(&self, store: &Store, id: &str) -> Result<Option<u64>> {
        if let Some(doc) = self.recent.get(id) {
            return Ok(Some(*doc));
        }
        match store.doc_of(id)? {
            // Entries of deleted documents may outlive them in a crash.
            Some(doc) if self.tombstones.contains(doc) => Ok(None),
            Some(doc) if self.locate(doc).is_none() => {
                Err(store.damaged(format!("id {id:?} leads to document {doc}, which was never committed")))
            }
            found => Ok(found),
        }
    }

    /// A live document, which must have the id that led to it.
    pub(super) fn document_of(&self, store: &Store, doc: u64, id: &str) -> Result<Document> {
        let document = self.document(store, doc)?;
        if id != document.id {
            return Err(
                store.damaged(format!("id {id:?} leads to document {doc}, whose id is {:?}", document.id))
            );
        }
        Ok(document)
    }

    /// The documents nearest to `query`, best first.
    pub(super) fn nearest(&self, query: &[f32], options: &SearchOptions<'_>) -> Result<Vec<Neighbor>> {
        let dimension = self.pending().vectors.dimension();
        if query.len() != dimension {
            return Err(Error::Invalid(format!(
                "the query has {} dimensions, and the index has {dimension}",
                query.len(),
            )));
        }
        if !query.iter().all(|x| x.is_finite()) {
            return Err(Error::Invalid("the query is not finite".into()));
        }
        let query = unit(query);
        let ef = options.ef.unwrap_or(self.default_ef());
        let search = |(segment, among): (&Arc<Segment>, Option<&Rows>)| {
            segment.search(&query, options, ef, among, &self.tombstones)
        };
        let selected = self.segments.iter().zip(self.selected(options.among)?);
        let segments: Vec<_> = selected.filter(|(segment, _)| segment.live() > 0).collect();
        let mut found: Vec<(f32, u64)> = match segments[..] {
            // The common case needs no other thread.
            [segment] => search(segment),
            _ => segments.into_par_iter().flat_map_iter(search).collect(),
        };
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(options.k);
        let neighbor = |(score, doc): (f32, u64)| {
            // Rounding takes the product of unit vectors a little beyond one.
            Neighbor { score: score.clamp(-1.0, 1.0), doc: DocId(doc) }
        };
        Ok(found.into_iter().map(neighbor).collect())
    }

    /// The `ef` of a search that names none.
    pub(super) fn default_ef(&self) -> usize {
        match self.manifest.ef {
            0 => DEFAULT_EF,
            ef => ef as usize,
        }
    }

    /// Makes a committed deletion count.
    pub(super) fn bury(&mut self, burial: Burial, docs: &[u64]) {
        self.tombstones.apply(burial);
        for doc in docs {
            let at = self.segments.partition_point(|segment| segment.record.end_doc <= *doc);
            self.segments[at].note_deleted();
        }
    }
}
