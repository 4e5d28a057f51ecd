//! Changing an index: every change is whole on the disk when its call returns, or it never was.
//!
//! A commit has three steps. First what is new is written where nothing refers to it: documents,
//! vectors, graphs, tombstones. When that is on the disk the manifest is replaced: now it counts.
//! Last, the ids follow; they reach the disk with the next commit, and until a manifest says so
//! (`ids_through`) an opening program writes them again.

use std::collections::HashSet;

use super::graph::FrozenGraph;
use super::segment::{Segment, unit};
use super::tombstones::Burial;
use super::{Index, Upserted};
use crate::store::chunks::VECTORS;
use crate::store::records::{DocumentRecord, GraphPart, Manifest, SegmentRecord};
use crate::{Document, Embeddings, Error, Result};

/// With fewer pending documents than this a graph is not worth building: they are searched exactly.
pub const SEAL_DOCUMENTS: usize = 4096;

/// With this many pending documents an upsert builds their graph by itself.
pub const SEGMENT_DOCUMENTS: usize = 131_072;

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
        let records = documents.iter().map(DocumentRecord::encode).collect::<Result<Vec<_>>>()?;
        let mut replaced = Vec::new();
        for document in documents {
            replaced.extend(self.live_doc(&document.id)?);
        }
        let mut rows = Embeddings::empty(self.model.dimension);
        for row in embeddings.iter() {
            rows.push(&unit(row));
        }

        let first_doc = self.manifest.next_doc;
        for (doc, record) in (first_doc..).zip(&records) {
            self.store.put_document(doc, record)?;
        }
        self.pending().put_rows(&self.store, &rows)?;
        let burial = self.tombstones.bury(&replaced);
        burial.put(&self.store)?;
        self.store.flush()?;

        let mut manifest = self.next_manifest(&burial);
        let pending = manifest.segments.last_mut().expect("an index has a pending segment");
        pending.rows += rows.rows() as u64;
        manifest.next_doc += rows.rows() as u64;
        self.commit(manifest)?;
        self.bury(burial, &replaced);
        self.segments.last_mut().expect("an index has a pending segment").add(&rows);

        for (doc, document) in (first_doc..).zip(documents) {
            self.store.put_id(&document.id, doc)?;
        }
        for doc in &replaced {
            self.store.remove_document(*doc)?;
        }
        if self.pending().vectors.rows() >= SEGMENT_DOCUMENTS {
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
        let pending = self.pending();
        if pending.vectors.rows() < SEAL_DOCUMENTS {
            return match self.manifest.ids_through == self.manifest.next_doc {
                true => Ok(()),
                false => self.note_ids(),
            };
        }
        let graph = FrozenGraph::build(&pending.vectors, progress);
        let id = pending.record.id;
        let mut parts = Vec::new();
        for (part, (name, bytes)) in (VECTORS + 1..).zip(graph.to_parts()) {
            self.store.put_chunks(id, part, 0, &bytes)?;
            parts.push(GraphPart { name: name.to_owned(), bytes: bytes.len() as u64 });
        }
        self.store.flush()?;

        let mut manifest = self.next_manifest(&Burial::default());
        manifest.ids_through = manifest.next_doc;
        let sealed = manifest.segments.last_mut().expect("an index has a pending segment");
        sealed.graph = parts;
        let record = sealed.clone();
        let next = Segment::pending(id + 1, manifest.next_doc, self.model.dimension);
        manifest.segments.push(next.record.clone());
        self.commit(manifest)?;
        let sealed = self.segments.last_mut().expect("an index has a pending segment");
        sealed.record = record;
        sealed.graph = Some(graph);
        self.segments.push(next);
        Ok(())
    }

    /// Deletes documents by id and tells which of them existed; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more: all of them are deleted then or none.
    pub fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        let mut docs = Vec::new();
        let mut existed = Vec::with_capacity(ids.len());
        let mut seen = HashSet::new();
        for id in ids {
            let doc = self.live_doc(id)?.filter(|doc| seen.insert(*doc));
            existed.push(doc.is_some());
            docs.extend(doc.map(|doc| (*id, doc)));
        }
        if docs.is_empty() {
            return Ok(existed);
        }
        let deleted: Vec<u64> = docs.iter().map(|(_, doc)| *doc).collect();
        let burial = self.tombstones.bury(&deleted);
        burial.put(&self.store)?;
        self.store.flush()?;
        self.commit(self.next_manifest(&burial))?;
        self.bury(burial, &deleted);
        for (id, doc) in docs {
            self.store.remove_id(id)?;
            self.store.remove_document(doc)?;
        }
        Ok(existed)
    }

    /// Replaces the manifest and remembers it: the moment that a change counts from.
    pub(super) fn commit(&mut self, mut manifest: Manifest) -> Result<()> {
        manifest.generation = self.manifest.generation + 1;
        self.store.commit(&manifest)?;
        self.manifest = manifest;
        self.directory.note_generation(self.manifest.generation)
    }

    /// The manifest of a commit that changes no more than the tombstones. The flush before it has
    /// brought all entries of `ids` to the disk that earlier commits made.
    fn next_manifest(&self, burial: &Burial) -> Manifest {
        Manifest {
            tombstones: self.tombstones.slots_after(burial),
            ids_through: self.manifest.next_doc,
            ..self.manifest.clone()
        }
    }

    /// Makes a committed deletion count in memory.
    fn bury(&mut self, burial: Burial, docs: &[u64]) {
        self.tombstones.apply(burial);
        for doc in docs {
            let segment = self.segments.partition_point(|segment| segment.docs().end <= *doc);
            self.segments[segment].deleted += 1;
        }
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
        if !documents.is_empty() && embeddings.dimension() != self.model.dimension {
            return invalid(format!(
                "the embeddings have {} dimensions, and the index has {}",
                embeddings.dimension(),
                self.model.dimension
            ));
        }
        let pending: &SegmentRecord = &self.pending().record;
        if pending.rows + documents.len() as u64 > u64::from(u32::MAX) {
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
