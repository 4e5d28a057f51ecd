//! Deleting documents, and burying those that are replaced.

use std::collections::{BTreeMap, HashSet};

use super::Index;
use crate::document::id_hash;
use crate::manifest::Manifest;
use crate::reader::Snapshot;
use crate::segment::Deleted;
use crate::{DocId, Error, Result};

impl Index {
    /// Deletes documents by id and tells which of them existed; on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Write`] if the disk takes no more: all of them are deleted then or none.
    pub fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        self.require_sound()?;
        let snapshot = self.now();
        let mut docs = Vec::new();
        let mut existed = Vec::with_capacity(ids.len());
        let mut seen = HashSet::new();
        for id in ids {
            let doc = self.live_doc(&snapshot, id)?.filter(|doc| seen.insert(*doc));
            existed.push(doc.is_some());
            docs.extend(doc);
        }
        if !docs.is_empty() {
            let mut manifest = snapshot.manifest.clone();
            self.bury(&snapshot, &docs, &mut manifest)?;
            self.commit(manifest)?;
            self.reclaim_flats()?;
        }
        Ok(existed)
    }

    /// Whether a document with this id and exactly this text and metadata is in the index.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is stored cannot be trusted.
    pub fn is_unchanged(&self, document: &crate::Document) -> Result<bool> {
        let snapshot = self.now();
        match self.live_doc(&snapshot, &document.id)? {
            Some(doc) => Ok(snapshot.content_hash(doc)? == crate::document::content_hash(document)),
            None => Ok(false),
        }
    }

    /// The live document of an id.
    pub(super) fn live_doc(&self, snapshot: &Snapshot, id: &str) -> Result<Option<DocId>> {
        if self.recent.crowded() {
            return snapshot.find(id);
        }
        let find = || {
            for (segment, document) in self.recent.get(id_hash(id)) {
                let Some(at) = snapshot.segments.iter().position(|view| view.segment.id() == segment) else {
                    continue;
                };
                let view = &snapshot.segments[at];
                if view.is_live_document(document as usize)?
                    && view.segment.document_id(document as usize)? == id
                {
                    return Ok(Some(DocId { segment: at as u32, document }));
                }
            }
            Ok(None)
        };
        if let Some(found) = find().map_err(|fault| snapshot.fault(fault))? {
            return Ok(Some(found));
        }
        snapshot.find_among(id, &|at| snapshot.segments[at].segment.has_graph())
    }

    /// Writes the tombstones of `docs`, and names them in a manifest. Segments without a live document are left
    /// out of it. If that fails no file is left.
    pub(super) fn bury(&self, snapshot: &Snapshot, docs: &[DocId], manifest: &mut Manifest) -> Result<()> {
        let written = self.bury_each(snapshot, docs, manifest);
        if written.is_err() {
            let before = snapshot.manifest.files();
            manifest.files().difference(&before).for_each(|name| drop(self.reader.storage().remove(name)));
        }
        written
    }

    fn bury_each(&self, snapshot: &Snapshot, docs: &[DocId], manifest: &mut Manifest) -> Result<()> {
        let mut by_segment: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for doc in docs {
            by_segment.entry(doc.segment).or_default().push(doc.document);
        }
        for (at, documents) in by_segment {
            let view = &snapshot.segments[at as usize];
            let passages = view.segment.passages();
            let mut deleted = view.deleted.as_deref().cloned().unwrap_or_else(|| Deleted::none(passages));
            for document in documents {
                let passages =
                    view.segment.passages_of(document as usize).map_err(|fault| snapshot.fault(fault))?;
                deleted.bury(passages);
            }
            self.name_deleted(snapshot, view.segment.id(), &deleted, manifest)?;
        }
        Ok(())
    }

    /// Writes the tombstones of a segment and names them in a manifest.
    pub(super) fn name_deleted(
        &self,
        snapshot: &Snapshot,
        segment: u64,
        deleted: &Deleted,
        manifest: &mut Manifest,
    ) -> Result<()> {
        let at = manifest.segments.iter().position(|record| record.id == segment);
        let at = at.ok_or(Error::Stale("the segment is not one of this commit"))?;
        if deleted.documents() as u64 == manifest.segments[at].documents {
            manifest.segments.remove(at);
            return Ok(());
        }
        let generation = snapshot.manifest.generation + 1;
        let storage = self.reader.storage();
        let record = deleted.write(&**storage, manifest.index, segment, generation)?;
        manifest.segments[at].deleted = Some(record);
        Ok(())
    }
}
