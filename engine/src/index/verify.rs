//! Reading everything that is stored and holding it against each other.

use super::{Index, Verification};
use crate::store::Tree;
use crate::store::chunks::CHUNK_BYTES;
use crate::store::records::ID_LIMIT;
use crate::{Error, Result};

/// How far the length of a stored vector may be from one, or from zero.
const NORM_TOLERANCE: f64 = 1e-3;

impl Index {
    /// Reads everything from the disk and checks it.
    ///
    /// Every record holds its checksum; every live document has a unit vector, a text and the entry
    /// of its id; every entry of an id is of a document; every graph stays within its segment.
    ///
    /// # Errors
    /// [`Error::Damaged`] on the first fault.
    pub fn verify(&self) -> Result<Verification> {
        let mut seen = Verification::default();
        for tree in [Tree::Meta, Tree::Manifest, Tree::Segments] {
            self.verify_checksums(tree, &mut seen)?;
        }
        self.store.require_format()?;
        self.store.model()?;
        if self.store.manifest()? != self.manifest {
            return Err(self.store.damaged("the manifest is not the one that was opened"));
        }
        self.verify_segments()?;
        self.verify_documents(&mut seen)?;
        self.verify_ids(&mut seen)?;
        if seen.documents != self.len() {
            return Err(self.store.damaged(format!(
                "{} documents are live and {} have a text",
                self.len(),
                seen.documents
            )));
        }
        Ok(seen)
    }

    fn verify_checksums(&self, tree: Tree, seen: &mut Verification) -> Result<()> {
        for record in self.store.scan(tree, &[])? {
            seen.record(&record?.1);
        }
        Ok(())
    }

    /// What the manifest names is there, in full and in order.
    fn verify_segments(&self) -> Result<()> {
        for (page, slot) in self.tombstones.stored() {
            self.store.tombstones(page, slot)?;
        }
        for segment in &self.segments {
            let loaded = super::segment::Segment::load(
                &self.store,
                &segment.record,
                self.model.dimension,
                &self.tombstones,
            )?;
            for (doc, row) in segment.docs().zip(loaded.vectors.iter()) {
                let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                if norm != 0.0 && (norm - 1.0).abs() > NORM_TOLERANCE || !norm.is_finite() {
                    return Err(self
                        .store
                        .damaged(format!("the vector of document {doc} has length {norm}")));
                }
            }
        }
        Ok(())
    }

    /// Every live document can be read and is found by its id.
    fn verify_documents(&self, seen: &mut Verification) -> Result<()> {
        let mut last = None;
        for record in self.store.scan(Tree::Documents, &[])? {
            let (key, payload) = record?;
            seen.record(&payload);
            let Some((doc, part)) = key.split_first_chunk::<8>().filter(|(_, part)| part.len() == 4) else {
                return Err(self.store.damaged("a document has a key of another length"));
            };
            let doc = u64::from_be_bytes(*doc);
            if doc >= self.manifest.next_doc {
                return Err(self.store.damaged(format!("document {doc} was never committed")));
            }
            let is_first = part == [0; 4];
            if !is_first && (last != Some(doc) || payload.len() > CHUNK_BYTES) {
                return Err(self.store.damaged(format!("document {doc} begins in its middle")));
            }
            last = Some(doc);
            if !is_first || self.tombstones.contains(doc) {
                continue;
            }
            let id = self.store.document(doc)?.id;
            if id.len() > ID_LIMIT || self.store.doc_of(&id)? != Some(doc) {
                return Err(self.store.damaged(format!("document {doc} is not found by its id {id:?}")));
            }
            seen.documents += 1;
        }
        Ok(())
    }

    /// Every id is of a document that has it, or of one that is deleted.
    fn verify_ids(&self, seen: &mut Verification) -> Result<()> {
        for record in self.store.scan(Tree::Ids, &[])? {
            let (key, payload) = record?;
            seen.record(&payload);
            let id = std::str::from_utf8(&key).map_err(|_| self.store.damaged("an id is not UTF-8"))?;
            if let Some(doc) = self.live_doc(id)? {
                self.document_of(doc, id)?;
            }
        }
        Ok(())
    }

    /// A live document, which must have the id that led to it.
    pub(super) fn document_of(&self, doc: u64, id: &str) -> Result<crate::Document> {
        let document = self.store.document(doc)?;
        if id != document.id {
            return Err(self
                .store
                .damaged(format!("id {id:?} leads to document {doc}, whose id is {:?}", document.id)));
        }
        Ok(document)
    }

    /// The internal id of a document by its external one, if it is live.
    pub(super) fn live_doc(&self, id: &str) -> Result<Option<u64>, Error> {
        match self.store.doc_of(id)? {
            Some(doc) if doc >= self.manifest.next_doc => Err(self
                .store
                .damaged(format!("id {id:?} leads to document {doc}, which was never committed"))),
            // Entries of deleted documents may outlive them in a crash.
            Some(doc) if self.tombstones.contains(doc) => Ok(None),
            found => Ok(found),
        }
    }
}

impl Verification {
    fn record(&mut self, payload: &[u8]) {
        self.chunks += 1;
        self.bytes += payload.len() as u64;
    }
}
