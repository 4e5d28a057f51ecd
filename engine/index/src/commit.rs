//! Changing an index: every change is whole on the disk when its call returns, or it never was.
//!
//! A commit has two steps. First what is new is written where nothing refers to it: records, vectors,
//! graphs, tombstones. When that is on the disk the manifest is replaced: now it counts.
//!
//! The entries of ids come in no order, so the store writes each of them several times over. They are
//! written together after every so many documents and at the end of a run; an opening program reads
//! those that are missing (from `ids_through` on) from the documents themselves.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use super::graph::FrozenGraph;
use super::segment::{Records, Segment, put_graph, unit};
use super::state::State;
use super::tombstones::Burial;
use super::{Index, Upserted};
use crate::store::records::Manifest;
use crate::{Document, Embeddings, Error, Result};

/// With fewer pending documents than this a graph is not worth building: they are searched exactly.
pub const SEAL_DOCUMENTS: usize = 4096;

/// Ids that are kept in memory before they are written.
const RECENT_IDS: usize = 65_536;

/// With this many pending documents an upsert builds their graph by itself.
pub const SEGMENT_DOCUMENTS: usize = 1 << 20;

impl Index {
    /// Adds documents, or replaces those of the same id; on the disk when it returns.
    ///
    /// `embeddings` are those of `documents`, row for row; they are stored as unit vectors. All of
    /// them are added or none. A call takes some milliseconds for the disk whatever it holds, so
    /// add documents by the hundred. At [`SEGMENT_DOCUMENTS`] pending ones it builds their graph.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is empty, too long or there twice, or the embeddings are not of
    /// these documents: nothing is changed then. [`Error::Write`] if the disk takes no more: the
    /// index takes no further changes until it is opened again, and has all of the documents then
    /// if the disk failed after it had taken them, else none.
    pub fn upsert(&mut self, documents: &[Document], embeddings: &Embeddings) -> Result<Upserted> {
        self.check(documents, embeddings)?;
        if documents.is_empty() {
            return Ok(Upserted::default());
        }
        let records = Records::of(documents)?;
        let mut rows = Embeddings::empty(self.model().dimension);
        for row in embeddings.iter() {
            rows.push(&unit(row));
        }

        let state = self.state();
        let mut replaced = Vec::new();
        for document in documents {
            replaced.extend(state.live_doc(self.store(), &document.id)?);
        }
        let first_doc = state.manifest.next_doc;
        state.pending().put(self.store(), &rows, &records)?;
        let burial = state.tombstones.bury(&replaced);
        burial.put(self.store())?;
        self.store().flush()?;
        let record = state.pending().record.extended(&records);
        let mut manifest = state.next_manifest(&burial);
        manifest.next_doc = record.end_doc;
        *manifest.segments.last_mut().expect("an index has a pending segment") = record.clone();
        drop(state);

        self.commit(manifest, |state| {
            state.bury(burial, &replaced);
            state.pending_mut().add(record, &rows, &records.lengths);
            let ids = documents.iter().map(|document| document.id.clone());
            state.recent.extend(ids.zip(first_doc..));
        })?;
        if self.state().recent.len() >= RECENT_IDS {
            self.write_ids()?;
        }
        if self.state().pending().vectors.rows() >= SEGMENT_DOCUMENTS {
            self.seal(&|_, _| ())?;
        }
        Ok(Upserted { added: documents.len() - replaced.len(), replaced: replaced.len() })
    }

    /// Builds the graph of the pending documents if there are at least [`SEAL_DOCUMENTS`] of them.
    ///
    /// `progress` is told how many documents are in the graph and how many there will be.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more: no document is lost.
    pub fn seal(&mut self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<()> {
        if self.state().manifest.ids_through < self.state().manifest.next_doc {
            self.write_ids()?;
        }
        let state = self.state();
        let pending = state.pending();
        if pending.vectors.rows() < SEAL_DOCUMENTS {
            return Ok(());
        }
        let graph = FrozenGraph::build(&pending.vectors, progress);
        let parts = put_graph(self.store(), pending.record.id, &graph)?;
        self.store().flush()?;

        let mut manifest = state.next_manifest(&Burial::default());
        let sealed = manifest.segments.last_mut().expect("an index has a pending segment");
        sealed.graph = parts;
        let record = sealed.clone();
        let next = Segment::pending(manifest.next_segment, manifest.next_doc, self.model().dimension);
        manifest.next_segment += 1;
        manifest.segments.push(next.record.clone());
        drop(state);
        self.commit(manifest, |state| {
            let sealed = state.pending_mut();
            sealed.record = record;
            sealed.graph = Some(graph);
            state.segments.push(Arc::new(next));
        })
    }

    /// Deletes documents by id and tells which of them existed; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more: all of them are deleted then or none.
    pub fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        let state = self.state();
        let mut docs = Vec::new();
        let mut existed = Vec::with_capacity(ids.len());
        let mut seen = HashSet::new();
        for id in ids {
            let doc = state.live_doc(self.store(), id)?.filter(|doc| seen.insert(*doc));
            existed.push(doc.is_some());
            docs.extend(doc.map(|doc| (*id, doc)));
        }
        if docs.is_empty() {
            return Ok(existed);
        }
        let deleted: Vec<u64> = docs.iter().map(|(_, doc)| *doc).collect();
        let burial = state.tombstones.bury(&deleted);
        burial.put(self.store())?;
        self.store().flush()?;
        let manifest = state.next_manifest(&burial);
        drop(state);
        self.commit(manifest, |state| {
            state.bury(burial, &deleted);
            for (id, _) in &docs {
                state.recent.remove(*id);
            }
        })?;
        for (id, _) in docs {
            self.store().remove_id(id)?;
        }
        Ok(existed)
    }

    /// Sets how many candidates a search keeps that does not say; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more.
    pub fn set_default_ef(&mut self, ef: usize) -> Result<()> {
        let manifest = Manifest { ef: ef.try_into().unwrap_or(u32::MAX), ..self.state().manifest.clone() };
        self.commit(manifest, |_| ())
    }

    /// Replaces the manifest, and what is in memory with it: the moment that a change counts from.
    pub(super) fn commit(&mut self, mut manifest: Manifest, change: impl FnOnce(&mut State)) -> Result<()> {
        manifest.generation = self.state().manifest.generation + 1;
        let generation = manifest.generation;
        self.store().commit(&manifest)?;
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.manifest = manifest;
        drop(state);
        self.shared.directory.note_generation(generation)
    }

    /// Writes the entries of recent ids, and says so in the manifest.
    pub(super) fn write_ids(&mut self) -> Result<()> {
        let state = self.state();
        let mut recent: Vec<(&String, &u64)> = state.recent.iter().collect();
        recent.sort_unstable();
        recent.iter().try_for_each(|(id, doc)| self.store().put_id(id, **doc))?;
        self.store().flush()?;
        let manifest = Manifest { ids_through: state.manifest.next_doc, ..state.manifest.clone() };
        drop(state);
        self.commit(manifest, |state| state.recent.clear())
    }

    fn check(&self, documents: &[Document], embeddings: &Embeddings) -> Result<()> {
        let invalid = |what: String| Err(Error::Invalid(what));
        if documents.len() != embeddings.rows() {
            return invalid(format!(
                "{} documents came with {} embeddings",
                documents.len(),
                embeddings.rows()
            ));
        }
        let dimension = self.model().dimension;
        if !documents.is_empty() && embeddings.dimension() != dimension {
            return invalid(format!(
                "the embeddings have {} dimensions, and the index has {dimension}",
                embeddings.dimension(),
            ));
        }
        if self.state().pending().record.rows + documents.len() as u64 > u64::from(u32::MAX) {
            return invalid("a segment holds at most 4294967295 documents: add fewer at once".into());
        }
        let mut ids = HashSet::with_capacity(documents.len());
        for (document, row) in documents.iter().zip(embeddings.iter()) {
            if document.id.is_empty() {
                return invalid("a document has an empty id".into());
            }
            if !ids.insert(document.id.as_str()) {
                return invalid(format!("the id {:?} comes twice in one call", document.id));
            }
            if !row.iter().all(|x| x.is_finite()) {
                return invalid(format!("the embedding of document {:?} is not finite", document.id));
            }
        }
        Ok(())
    }
}

impl State {
    /// The manifest of a commit that changes no more than the tombstones.
    pub(super) fn next_manifest(&self, burial: &Burial) -> Manifest {
        Manifest { tombstones: self.tombstones.slots_after(burial), ..self.manifest.clone() }
    }
}
