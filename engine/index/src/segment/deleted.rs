//! Tombstones: which passages of a segment are deleted, a bit each, in a file of their own.
//!
//! A deleted document buries all its passages. A commit that deletes writes a new file for each segment that
//! loses documents, and the manifest names it; the segment file itself never changes.

use std::sync::Arc;

use crate::manifest::{DeletedRecord, IndexId};
use crate::storage::{Blob, Storage};
use crate::{Error, Result};

/// The first bytes of a file of tombstones.
const MAGIC: [u8; 8] = *b"AKINDEL4";
/// Bytes before the bits: magic, index, segment, generation, documents, passages of the segment.
const HEADER: usize = 8 + 16 + 8 + 8 + 8 + 8;

/// The deleted passages of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deleted {
    words: Vec<u64>,
    /// Deleted documents.
    documents: usize,
    /// Deleted passages.
    passages: usize,
}

impl Deleted {
    /// None of `passages` yet.
    pub(crate) fn none(passages: usize) -> Self {
        Self { words: vec![0; passages.div_ceil(64)], documents: 0, passages: 0 }
    }

    /// Whether a passage is deleted.
    #[inline]
    pub(crate) fn contains(&self, passage: u32) -> bool {
        self.words.get(passage as usize / 64).is_some_and(|word| word >> (passage % 64) & 1 == 1)
    }

    /// Buries a document that has these passages; false if it was buried before.
    pub(crate) fn bury(&mut self, passages: std::ops::Range<usize>) -> bool {
        if self.contains(passages.start as u32) {
            return false;
        }
        self.documents += 1;
        self.passages += passages.len();
        passages.for_each(|passage| self.words[passage / 64] |= 1 << (passage % 64));
        true
    }

    /// How many documents are deleted.
    pub(crate) fn documents(&self) -> usize {
        self.documents
    }

    /// How many passages are deleted.
    pub(crate) fn passages(&self) -> usize {
        self.passages
    }

    /// Writes them as those of `segment` from commit `generation` on; durable but for the file's name.
    pub(crate) fn write(
        &self,
        storage: &dyn Storage,
        index: IndexId,
        segment: u64,
        generation: u64,
    ) -> Result<DeletedRecord> {
        let mut bytes = Vec::with_capacity(HEADER + 8 * self.words.len() + 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&index.0);
        for number in [segment, generation, self.documents as u64, self.passages as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(bytemuck::cast_slice(&self.words));
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let name = deleted_file_name(segment, generation);
        let written = storage.create(&name).and_then(|mut output| {
            output.append(&bytes)?;
            output.finish()
        });
        written.map_err(|error| {
            let _ = storage.remove(&name);
            Error::writing(storage, &error)
        })?;
        Ok(DeletedRecord {
            generation,
            documents: self.documents as u64,
            passages: self.passages as u64,
            length: bytes.len() as u64,
            checksum,
        })
    }

    /// The index that wrote a file, if its checksum holds.
    pub(crate) fn index_of(blob: &Blob) -> Option<IndexId> {
        let mut bytes = vec![0; blob.bytes().len()];
        blob.read_at(0, &mut bytes).ok()?;
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        let is_whole = content.len() >= HEADER
            && content[..8] == MAGIC
            && crc32fast::hash(content).to_le_bytes() == *checksum;
        is_whole.then(|| IndexId(*content[8..].first_chunk().expect("its length was checked")))
    }

    /// Reads those of a segment with so many passages. None if the file is not there.
    pub(crate) fn read(
        storage: &dyn Storage,
        index: IndexId,
        segment: u64,
        generation: u64,
        passages: usize,
    ) -> Result<Option<(Arc<Self>, DeletedRecord)>> {
        let name = deleted_file_name(segment, generation);
        let blob = match storage.open(&name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = storage.path().join("segments").join(name);
                return Err(Error::Io { action: "read", path, source });
            }
            Ok(blob) => blob,
        };
        Self::of_blob(storage, index, segment, generation, passages, &blob).map(Some)
    }

    /// The same of a file of `storage` that is open.
    pub(crate) fn of_blob(
        storage: &dyn Storage,
        index: IndexId,
        segment: u64,
        generation: u64,
        passages: usize,
        blob: &Blob,
    ) -> Result<(Arc<Self>, DeletedRecord)> {
        let name = deleted_file_name(segment, generation);
        let damaged = |why: &str| Error::damaged(storage, format!("{name}: {why}"));
        let words = passages.div_ceil(64);
        let length = blob.bytes().len();
        if length != HEADER + 8 * words + 4 {
            return Err(damaged("it has another length than its segment needs"));
        }
        let mut bytes = vec![0; length];
        blob.read_at(0, &mut bytes).map_err(|error| damaged(&error.to_string()))?;
        let (content, checksum) = bytes.split_at(length - 4);
        if crc32fast::hash(content).to_le_bytes() != checksum {
            return Err(damaged("it fails its checksum"));
        }
        let number =
            |at: usize| u64::from_le_bytes(*content[at..].first_chunk().expect("its length was checked"));
        if content[..8] != MAGIC
            || content[8..24] != index.0
            || number(24) != segment
            || number(32) != generation
        {
            return Err(damaged("it belongs to another segment, commit or index"));
        }
        let words: Vec<u64> =
            content[HEADER..].as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let set: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let beyond =
            !passages.is_multiple_of(64) && words.last().is_some_and(|last| last >> (passages % 64) != 0);
        let (documents, dead) = (number(40), number(48));
        if set as u64 != dead || beyond || documents == 0 || documents > dead {
            return Err(damaged("its counts contradict its bits"));
        }
        let record = DeletedRecord {
            generation,
            documents,
            passages: dead,
            length: length as u64,
            checksum: u32::from_le_bytes(*checksum.first_chunk().expect("four bytes were split off")),
        };
        Ok((Arc::new(Self { words, documents: documents as usize, passages: set }), record))
    }
}

/// The name of the file with a segment's tombstones since commit `generation`.
pub(crate) fn deleted_file_name(segment: u64, generation: u64) -> String {
    format!("{segment:016x}.{generation:016x}.deleted")
}

/// The segment and generation of a file of tombstones.
pub(crate) fn segment_of_deleted(name: &str) -> Option<(u64, u64)> {
    let (segment, generation) = name.strip_suffix(".deleted")?.split_once('.')?;
    if segment.len() != 16 || generation.len() != 16 {
        return None;
    }
    Some((u64::from_str_radix(segment, 16).ok()?, u64::from_str_radix(generation, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    #[test]
    fn tombstones_come_back_as_they_were_and_no_byte_of_them_may_change() {
        let (storage, index) = (Memory::new(), IndexId([7; 16]));
        let mut deleted = Deleted::none(130);
        assert!(deleted.bury(3..6) && deleted.bury(128..130) && !deleted.bury(3..6));
        let record = deleted.write(&storage, index, 5, 9).unwrap();
        let read = || Deleted::read(&storage, index, 5, 9, 130).map(|found| found.map(|found| found.1));
        assert_eq!(read().unwrap(), Some(record));
        assert_eq!((record.documents, record.passages), (2, 5));
        assert!(Deleted::read(&storage, index, 5, 9, 200).is_err());
        assert!(Deleted::read(&storage, index, 5, 8, 130).unwrap().is_none());
        let name = deleted_file_name(5, 9);
        assert_eq!(segment_of_deleted(&name), Some((5, 9)));
        let bytes = storage.open(&name).unwrap().bytes().to_vec();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            let mut output = storage.create(&name).unwrap();
            output.append(&changed).unwrap();
            output.finish().unwrap();
            assert!(read().is_err(), "byte {at}");
        }
    }
}
