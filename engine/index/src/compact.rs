//! Compacting: the whole index written anew, in one segment, without a byte that nothing needs.

use std::sync::{Arc, PoisonError};

use super::graph::FrozenGraph;
use super::merge::{RECORDS_AT_ONCE, append_records};
use super::read::Shared;
use super::segment::{Records, Segment, le_bytes, le_words, put_graph};
use super::state::State;
use super::{Index, ModelIdentity, SEAL_DOCUMENTS};
use crate::store::Store;
use crate::store::chunks::Place;
use crate::store::records::{DocumentRecord, Manifest, SegmentRecord};
use crate::{Embeddings, Error, Result};

/// What a compaction came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Live documents, all of which stay.
    pub documents: usize,
    /// Deleted documents that are gone for good.
    pub removed: usize,
    /// Bytes on the disk before.
    pub bytes_before: u64,
    /// Bytes on the disk after.
    pub bytes_after: u64,
}

impl Index {
    /// Writes the index anew beside itself and puts the new one in its place: one graph, and no room for
    /// what was deleted. Whenever the process ends, the index is the old one or the new one. While it works
    /// it takes as much room again on the disk, and the vectors a second time in memory.
    ///
    /// # Errors
    /// [`Error::Invalid`] while there are readers, [`Error::Write`] if the disk takes no more: the index on
    /// the disk is the old one then.
    pub fn compact(self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<(Self, Compaction)> {
        let Some(shared) = Arc::into_inner(self.reader.shared) else {
            return Err(Error::Invalid("an index that is being read cannot be compacted".into()));
        };
        let Shared { model, state, store, mut directory } = shared;
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let bytes_before = directory.bytes_on_disk()?;
        let (documents, removed) = (state.live(), state.segments.iter().map(|held| held.deleted()).sum());
        let path = directory.path().to_owned();
        directory.replace(|folder| {
            Store::open(folder, &path)?.rewrite(&store, &model, &state, progress)?;
            drop(store);
            Ok(())
        })?;
        drop(state);
        let index = Self::load(directory)?;
        let bytes_after = index.shared.directory.bytes_on_disk()?;
        Ok((index, Compaction { documents, removed, bytes_before, bytes_after }))
    }
}

impl Store {
    /// Writes what is live in `old` and its `state`, numbered from 0. On the disk when it returns.
    fn rewrite(
        &self,
        old: &Store,
        model: &ModelIdentity,
        state: &State,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        self.begin(&super::open::model_record(model))?;
        let mut record = SegmentRecord::default();
        let mut vectors = Embeddings::empty(model.dimension);
        let (mut ids, mut lengths, mut records) = (Vec::new(), Vec::new(), Records::default());
        for segment in &state.segments {
            for (row, doc) in segment.docs().enumerate() {
                if state.tombstones.contains(doc) {
                    continue;
                }
                let bytes = segment.record_bytes(old, row)?;
                let document = DocumentRecord::decode(&bytes)
                    .map_err(|why| old.damaged(format!("document {doc}: {why}")))?;
                ids.push((document.id, ids.len() as u64));
                vectors.push(segment.vectors.row(row));
                records.push(&bytes);
                if records.bytes.len() >= RECORDS_AT_ONCE {
                    append_records(self, &mut record, &mut records, &mut lengths)?;
                }
            }
        }
        append_records(self, &mut record, &mut records, &mut lengths)?;
        // In the order of the tree, and before what is large: that takes the room which pages leave that
        // were written several times.
        ids.sort_unstable();
        ids.iter().try_for_each(|(id, doc)| self.put_id(id, *doc))?;
        self.append(Place::vectors(record.id), 0, &le_bytes(vectors.as_slice()))?;
        self.append(Place::lengths(record.id), 0, &le_words(&lengths))?;
        (record.rows, record.end_doc) = (vectors.rows() as u64, vectors.rows() as u64);
        if vectors.rows() >= SEAL_DOCUMENTS {
            record.graph = match whole_graph(state) {
                Some(graph) => put_graph(self, record.id, graph)?,
                None => put_graph(self, record.id, &FrozenGraph::build(&vectors, progress))?,
            };
        }
        self.flush()?;
        self.commit(&manifest_of(record, state))
    }
}

/// The graph of an index that has but one, and nothing that is not in it.
fn whole_graph(state: &State) -> Option<&FrozenGraph> {
    match state.segments.iter().filter(|segment| segment.record.rows > 0).collect::<Vec<_>>()[..] {
        [segment] if segment.deleted() == 0 => segment.graph.as_ref(),
        _ => None,
    }
}

/// The manifest of an index with one segment that has anything.
fn manifest_of(record: SegmentRecord, state: &State) -> Manifest {
    let end = record.end_doc;
    let mut segments = vec![record];
    if !segments[0].graph.is_empty() {
        segments.push(Segment::pending(1, end, 1).record);
    }
    Manifest {
        generation: state.manifest.generation + 1,
        next_segment: segments.len() as u64,
        segments,
        tombstones: Vec::new(),
        next_doc: end,
        ids_through: end,
        ef: state.manifest.ef,
    }
}
