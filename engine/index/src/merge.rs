//! Merging segments: several become one, without what was deleted from them.
//!
//! A search walks each segment, so they must not be many, and what is deleted takes room until its segment
//! is written anew. Segments are merged where [`FAN`] have about one size, a factor of [`FAN`]
//! between one size and the next; so a document goes into a new graph as often as the logarithm of all of
//! them to that base, and adding a few to a large index costs no more than a few, on average.

use std::ops::Range;
use std::sync::Arc;

use super::graph::FrozenGraph;
use super::read::Reader;
use super::segment::{Records, Segment, le_bytes, le_words, put_graph};
use super::tombstones::Burial;
use super::{Index, SEAL_DOCUMENTS};
use crate::store::chunks::Place;
use crate::store::records::SegmentRecord;
use crate::{Embeddings, Result};

/// So many neighbors of about one size are merged.
const FAN: usize = 4;

/// No merge makes a segment of more documents than this.
pub const MERGED_DOCUMENTS: usize = 1 << 20;

/// Bytes of records that are copied at a time.
pub(super) const RECORDS_AT_ONCE: usize = 1 << 20;

/// A merge that is due. It can [run](Self::run) on any thread while the index takes documents.
#[derive(Debug)]
pub struct Merge {
    reader: Reader,
    /// The segments that become one, by their ids.
    sources: Vec<u64>,
    /// The id of the new one.
    id: u64,
    documents: usize,
}

/// A merge that has run, and counts when its index has [taken](Index::take_merged) it.
pub struct Merged {
    sources: Vec<u64>,
    segment: Segment,
}

impl Index {
    /// The merge that is due, if there is one. Only one may be under way.
    pub fn due_merge(&mut self) -> Option<Merge> {
        let state = self.state();
        let sizes: Vec<Size> = state
            .sealed()
            .iter()
            .map(|segment| Size { live: segment.live(), deleted: segment.deleted() })
            .collect();
        let sources = &state.sealed()[due(&sizes)?];
        let documents = sources.iter().map(|source| source.live()).sum();
        let sources: Vec<u64> = sources.iter().map(|source| source.record.id).collect();
        let id = state.manifest.next_segment;
        drop(state);
        // Whatever seals meanwhile takes another id; should this process end, nothing was used.
        let mut state = self.shared.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.manifest.next_segment += 1;
        drop(state);
        Some(Merge { reader: self.reader(), sources, id, documents })
    }

    /// Puts a merged segment in the place of those it was made of; on the disk when it returns. What was
    /// deleted since it was made stays deleted.
    ///
    /// # Errors
    /// [`Error::Write`](crate::Error::Write) if the disk takes no more: the index stays as it was.
    pub fn take_merged(&mut self, merged: Merged) -> Result<()> {
        let Merged { sources, segment } = merged;
        let state = self.state();
        self.store().flush()?;
        let mut manifest = state.next_manifest(&Burial::default());
        let place = state.segments.iter().position(|held| held.record.id == sources[0]);
        let place = place.expect("only a merge takes segments away");
        drop(state);
        let new = (segment.record.rows > 0).then(|| segment.record.clone());
        manifest.segments.splice(place..place + sources.len(), new);
        self.commit(manifest, |state| {
            segment.count_deleted(&state.tombstones);
            let new = (segment.record.rows > 0).then(|| Arc::new(segment));
            state.segments.splice(place..place + sources.len(), new);
        })?;
        sources.iter().try_for_each(|source| self.store().remove_segment(*source))
    }

    /// Runs all merges that are due, one after another. `progress` hears how many documents of a merge
    /// are in its graph, and how many there will be.
    ///
    /// # Errors
    /// As [`Index::take_merged`].
    pub fn merge(&mut self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<()> {
        while let Some(merge) = self.due_merge() {
            let merged = merge.run(progress)?;
            self.take_merged(merged)?;
        }
        Ok(())
    }
}

impl Merge {
    /// How many documents it will write.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// Writes the new segment where nothing refers to it.
    ///
    /// # Errors
    /// [`Error::Write`](crate::Error::Write) if the disk takes no more, [`Error::Damaged`](crate::Error::Damaged)
    /// if a source cannot be read: the index stays as it was.
    pub fn run(self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Merged> {
        let mut segment = self.gather()?;
        let store = self.reader.store();
        if segment.record.rows > 0 {
            let graph = FrozenGraph::build(&segment.vectors, progress);
            segment.record.graph = put_graph(store, self.id, &graph)?;
            segment.graph = Some(graph);
        }
        Ok(Merged { sources: self.sources, segment })
    }

    /// Writes the vectors and records that are live now, which takes a while: so it shares what it reads
    /// and holds up nobody.
    fn gather(&self) -> Result<Segment> {
        let (store, id) = (self.reader.store(), self.id);
        let state = self.reader.state();
        let is_source = |held: &&Arc<Segment>| self.sources.contains(&held.record.id);
        let sources: Vec<Arc<Segment>> = state.segments.iter().filter(is_source).cloned().collect();
        let tombstones = state.tombstones.clone();
        drop(state);
        let (first_doc, end_doc) = (sources[0].record.first_doc, sources[sources.len() - 1].record.end_doc);
        let mut record = SegmentRecord { id, first_doc, end_doc, ..SegmentRecord::default() };
        let mut vectors = Embeddings::empty(self.reader.model().dimension);
        let (mut docs, mut lengths, mut records) = (Vec::new(), Vec::new(), Records::default());
        for source in sources {
            for (row, doc) in source.docs().enumerate() {
                if tombstones.contains(doc) {
                    continue;
                }
                docs.push((doc - first_doc) as u32);
                vectors.push(source.vectors.row(row));
                records.push(&source.record_bytes(store, row)?);
                if records.bytes.len() >= RECORDS_AT_ONCE {
                    append_records(store, &mut record, &mut records, &mut lengths)?;
                }
            }
        }
        append_records(store, &mut record, &mut records, &mut lengths)?;
        record.rows = docs.len() as u64;
        store.append(Place::vectors(id), 0, &le_bytes(vectors.as_slice()))?;
        store.append(Place::lengths(id), 0, &le_words(&lengths))?;
        if !record.is_consecutive() {
            store.append(Place::docs(id), 0, &le_words(&docs))?;
        }
        Ok(Segment::new(record, vectors, docs, &lengths))
    }
}

/// Writes records behind those that a new segment has, and leaves none.
pub(super) fn append_records(
    store: &crate::store::Store,
    record: &mut SegmentRecord,
    records: &mut Records,
    lengths: &mut Vec<u32>,
) -> Result<()> {
    store.append(Place::records(record.id), record.record_bytes, &records.bytes)?;
    record.record_bytes += records.bytes.len() as u64;
    lengths.append(&mut records.lengths);
    records.bytes.clear();
    Ok(())
}

/// The documents of a sealed segment.
#[derive(Clone, Copy)]
struct Size {
    live: usize,
    deleted: usize,
}

impl Size {
    /// 0 for segments as they are sealed at the least, 1 for those of [`FAN`] times as many documents, ...
    fn class(self) -> u32 {
        (self.live / SEAL_DOCUMENTS).max(1).ilog(FAN)
    }
}

/// Which segments, oldest first, are to be merged now: one that is half dead, or [`FAN`] of one class with
/// nothing but smaller ones between them.
fn due(sizes: &[Size]) -> Option<Range<usize>> {
    if let Some(at) = sizes.iter().position(|size| size.deleted > 0 && size.deleted >= size.live) {
        return Some(at..at + 1);
    }
    let greatest = sizes.iter().map(|size| size.class()).max()?;
    (0..=greatest).find_map(|class| due_of_class(sizes, class))
}

fn due_of_class(sizes: &[Size], class: u32) -> Option<Range<usize>> {
    let mut first = None;
    let (mut members, mut live) = (0, 0);
    for (at, size) in sizes.iter().enumerate() {
        live += size.live;
        if size.class() > class {
            first = None;
        } else if size.class() == class {
            if first.is_none() || live > MERGED_DOCUMENTS {
                (first, members, live) = (Some(at), 0, size.live);
            }
            members += 1;
        }
        if let Some(first) = first.filter(|_| members == FAN) {
            return Some(first..at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(live: &[usize]) -> Vec<Size> {
        live.iter().map(|live| Size { live: *live, deleted: 0 }).collect()
    }

    #[test]
    fn neighbors_of_one_size_are_merged_and_a_large_one_is_left_alone() {
        assert_eq!(due(&sizes(&[])), None);
        assert_eq!(due(&sizes(&[1_000_000, 5000, 5000, 5000])), None);
        assert_eq!(due(&sizes(&[1_000_000, 5000, 5000, 5000, 4096])), Some(1..5));
        assert_eq!(due(&sizes(&[5000, 20_000, 5000, 5000, 5000])), None);
        assert_eq!(due(&sizes(&[5000, 20_000, 5000, 5000, 5000, 5000])), Some(2..6));
        assert_eq!(due(&sizes(&[20_000, 5000, 20_000, 20_000, 5000, 20_000, 5000])), Some(0..6));
        assert_eq!(due(&sizes(&[900_000, 900_000, 900_000, 900_000])), None);
    }

    #[test]
    fn a_segment_that_is_half_dead_is_written_anew() {
        let half = Size { live: 10, deleted: 10 };
        assert_eq!(due(&[Size { live: 100, deleted: 99 }, half]), Some(1..2));
        assert_eq!(due(&[Size { live: 0, deleted: 0 }]), None);
    }

    #[test]
    fn a_document_is_merged_as_often_as_the_logarithm() {
        let (mut held, mut merged) = (Vec::new(), 0);
        for _ in 0..256 {
            held.push(Size { live: SEAL_DOCUMENTS, deleted: 0 });
            while let Some(run) = due(&held) {
                let live = held[run.clone()].iter().map(|size| size.live).sum();
                merged += live;
                held.splice(run, [Size { live, deleted: 0 }]);
            }
            assert!(held.len() <= 3 * 5, "{} segments", held.len());
        }
        assert!(merged <= 4 * 256 * SEAL_DOCUMENTS, "{}", merged / SEAL_DOCUMENTS);
        assert_eq!(held.len(), 1);
    }
}
