//! Reading everything that is stored and holding it against each other.

use super::segment::Segment;
use super::state::State;
use super::{Reader, Verification};
use crate::Result;
use crate::store::records::ID_LIMIT;
use crate::store::{Store, Tree};

/// How far the length of a stored vector may be from one, or from zero.
const NORM_TOLERANCE: f64 = 1e-3;

impl Reader {
    /// Reads everything from the disk and checks it.
    ///
    /// Every record holds its checksum; every live document has a unit vector, a text and the entry
    /// of its id; every entry of an id is of a document; every graph stays within its segment.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) on the first fault.
    pub fn verify(&self) -> Result<Verification> {
        let (store, state) = (self.store(), self.state());
        let mut seen = Verification::default();
        for tree in [Tree::Meta, Tree::Manifest, Tree::Segments, Tree::Documents] {
            for record in store.scan(tree, &[])? {
                seen.record(&record?.1);
            }
        }
        store.require_format()?;
        store.model()?;
        if store.manifest()?.generation != state.manifest.generation {
            return Err(store.damaged("the manifest is not the one that was opened"));
        }
        for (page, slot) in state.tombstones.stored() {
            store.tombstones(page, slot)?;
        }
        for segment in &state.segments {
            verify_vectors(store, &state, segment, self.model().dimension)?;
            verify_documents(store, &state, segment, &mut seen)?;
        }
        verify_ids(store, &state, &mut seen)?;
        if seen.documents != state.live() {
            let (live, seen) = (state.live(), seen.documents);
            return Err(store.damaged(format!("{live} documents are live and {seen} have a text")));
        }
        Ok(seen)
    }
}

/// What the manifest names is there, in full and in order.
fn verify_vectors(store: &Store, state: &State, segment: &Segment, dimension: usize) -> Result<()> {
    let loaded = Segment::load(store, &segment.record, dimension, &state.tombstones)?;
    for (doc, row) in segment.docs().zip(loaded.vectors.iter()) {
        let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if norm != 0.0 && (norm - 1.0).abs() > NORM_TOLERANCE || !norm.is_finite() {
            return Err(store.damaged(format!("the vector of document {doc} has length {norm}")));
        }
    }
    Ok(())
}

/// Every live document can be read and is found by its id.
fn verify_documents(store: &Store, state: &State, segment: &Segment, seen: &mut Verification) -> Result<()> {
    for (row, doc) in segment.docs().enumerate() {
        if state.tombstones.contains(doc) {
            continue;
        }
        let id = segment.document(store, row)?.id;
        if id.len() > ID_LIMIT || state.live_doc(store, &id)? != Some(doc) {
            return Err(store.damaged(format!("document {doc} is not found by its id {id:?}")));
        }
        seen.documents += 1;
    }
    Ok(())
}

/// Every id is of a document that has it, or of one that is deleted.
fn verify_ids(store: &Store, state: &State, seen: &mut Verification) -> Result<()> {
    for record in store.scan(Tree::Ids, &[])? {
        let (key, payload) = record?;
        seen.record(&payload);
        let id = std::str::from_utf8(&key).map_err(|_| store.damaged("an id is not UTF-8"))?;
        if let Some(doc) = state.live_doc(store, id)? {
            state.document_of(store, doc, id)?;
        }
    }
    Ok(())
}

impl Verification {
    fn record(&mut self, payload: &[u8]) {
        self.chunks += 1;
        self.bytes += payload.len() as u64;
    }
}
