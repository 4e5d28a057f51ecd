//! What is longer than a record is cut into chunks, and every chunk is a record.
//!
//! Sled keeps up to 17 records in a page and writes a page of more than 128 KiB into a file of its
//! own, which it does not sync. Chunks of 7 KiB never get there: everything is in one log that one
//! `flush` puts on the disk. They are also the fastest to open (figures in `FORMAT.md`).

use rayon::prelude::*;
use sled::IVec;

use super::records::{ContentHash, DocumentRecord, RECORD_LIMIT, decode, decode_first};
use super::{Store, Tree};
use crate::{Document, Result};

/// The bytes of every chunk but the last; a multiple of four, so that no float is cut.
pub(crate) const CHUNK_BYTES: usize = 7168;

/// The part of a segment that holds its vectors; its graph's parts follow.
pub(crate) const VECTORS: u8 = 0;

/// The documents of a page of tombstones, a bit each.
pub(crate) const PAGE_DOCUMENTS: u64 = 32 * 1024;

/// What stands for the segment in the key of a page of tombstones.
const TOMBSTONES: u64 = u64::MAX;

/// The key of a chunk: it sorts by segment, then part, then chunk.
pub(crate) fn chunk_key(segment: u64, part: u8, chunk: u32) -> [u8; 13] {
    let mut key = [0; 13];
    key[..8].copy_from_slice(&segment.to_be_bytes());
    key[8] = part;
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

/// The key of a part of a document.
pub(crate) fn document_key(doc: u64, part: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&doc.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

impl Store {
    /// Writes `bytes` as the chunks of a part from chunk `first` on.
    pub(crate) fn put_chunks(&self, segment: u64, part: u8, first: u32, bytes: &[u8]) -> Result<()> {
        for (chunk, bytes) in (first..).zip(bytes.chunks(CHUNK_BYTES)) {
            self.put(Tree::Segments, &chunk_key(segment, part, chunk), bytes)?;
        }
        Ok(())
    }

    /// Reads a part of `bytes` bytes.
    pub(crate) fn chunks(&self, segment: u64, part: u8, bytes: u64) -> Result<Vec<u8>> {
        self.require_part(segment, part, bytes)?;
        let mut out = vec![0; bytes as usize];
        self.fill(segment, part, &mut out)?;
        Ok(out)
    }

    /// Reads a part of `count` little-endian floats.
    pub(crate) fn floats(&self, segment: u64, part: u8, count: u64) -> Result<Vec<f32>> {
        self.require_part(segment, part, count.saturating_mul(4))?;
        let mut out = vec![0f32; count as usize];
        self.fill(segment, part, bytemuck::cast_slice_mut(&mut out))?;
        if cfg!(target_endian = "big") {
            for value in &mut out {
                *value = f32::from_bits(value.to_bits().swap_bytes());
            }
        }
        Ok(out)
    }

    /// Asks for the last chunk of a part: nothing is allocated for a length that the store does not
    /// bear out.
    fn require_part(&self, segment: u64, part: u8, bytes: u64) -> Result<()> {
        let Some(last) = bytes.checked_sub(1) else {
            return Ok(());
        };
        let last = u32::try_from(last / CHUNK_BYTES as u64).map_err(|_| {
            self.damaged(format!("part {part} of segment {segment} cannot have {bytes} bytes"))
        })?;
        self.require(Tree::Segments, &chunk_key(segment, part, last)).map(drop)
    }

    /// Reads as much of a part as `out` takes, on all processors.
    ///
    /// The last chunk may go on after that: an interrupted commit has written it again, longer, with
    /// the same beginning.
    fn fill(&self, segment: u64, part: u8, out: &mut [u8]) -> Result<()> {
        let last = out.len().div_ceil(CHUNK_BYTES).saturating_sub(1);
        let chunks = out.par_chunks_mut(CHUNK_BYTES).with_min_len(16).enumerate();
        chunks.try_for_each(|(chunk, out)| {
            let key = chunk_key(segment, part, chunk as u32);
            let payload = self.require(Tree::Segments, &key)?;
            match payload.get(..out.len()) {
                Some(bytes) if chunk == last || payload.len() == out.len() => {
                    out.copy_from_slice(bytes);
                    Ok(())
                }
                _ => Err(self.damaged(format!(
                    "chunk {chunk} of part {part} of segment {segment} has {} bytes, not {}",
                    payload.len(),
                    out.len()
                ))),
            }
        })
    }

    /// Removes every chunk of segments from `(segment, part, chunk)` on: what an interrupted commit
    /// left. The tombstones, which sort after all segments, stay.
    pub(crate) fn remove_chunks_from(&self, segment: u64, part: u8, chunk: u32) -> Result<()> {
        let tombstones = TOMBSTONES.to_be_bytes();
        for key in self.keys(Tree::Segments, &chunk_key(segment, part, chunk))? {
            if !key.starts_with(&tombstones) {
                self.remove(Tree::Segments, &key)?;
            }
        }
        Ok(())
    }

    /// Writes a page of tombstones into one of its two slots.
    pub(crate) fn put_tombstones(&self, page: u32, slot: u8, bits: &[u8]) -> Result<()> {
        self.put(Tree::Segments, &chunk_key(TOMBSTONES, slot, page), bits)
    }

    /// Reads a page of tombstones.
    pub(crate) fn tombstones(&self, page: u32, slot: u8) -> Result<IVec> {
        let bits = self.require(Tree::Segments, &chunk_key(TOMBSTONES, slot, page))?;
        if bits.len() as u64 * 8 == PAGE_DOCUMENTS {
            return Ok(bits);
        }
        Err(self.damaged(format!("page {page} of the tombstones has {} bytes", bits.len())))
    }

    /// Writes a document's record in as many parts as it needs.
    pub(crate) fn put_document(&self, doc: u64, record: &[u8]) -> Result<()> {
        for (part, bytes) in (0..).zip(record.chunks(CHUNK_BYTES)) {
            self.put(Tree::Documents, &document_key(doc, part), bytes)?;
        }
        Ok(())
    }

    /// Reads a document that must be there.
    pub(crate) fn document(&self, doc: u64) -> Result<Document> {
        let mut payload = self.require(Tree::Documents, &document_key(doc, 0))?;
        if payload.len() == CHUNK_BYTES {
            let mut whole = payload.to_vec();
            let mut part = 1;
            // A record that fills its last part is not followed by an empty one.
            while let Some(more) = self.get(Tree::Documents, &document_key(doc, part))? {
                whole.extend_from_slice(&more);
                part += 1;
                if more.len() != CHUNK_BYTES || whole.len() > RECORD_LIMIT {
                    break;
                }
            }
            payload = whole.into();
        }
        decode::<DocumentRecord>(&payload)
            .and_then(DocumentRecord::into_document)
            .map_err(|why| self.damaged(format!("document {doc}: {why}")))
    }

    /// The content hash of a document that must be there.
    pub(crate) fn content_hash(&self, doc: u64) -> Result<ContentHash> {
        let payload = self.require(Tree::Documents, &document_key(doc, 0))?;
        decode_first(&payload).map_err(|why| self.damaged(format!("document {doc}: {why}")))
    }

    /// Removes a document's record.
    pub(crate) fn remove_document(&self, doc: u64) -> Result<()> {
        let mut part = 0;
        while let Some(payload) = self.get(Tree::Documents, &document_key(doc, part))? {
            self.remove(Tree::Documents, &document_key(doc, part))?;
            part += 1;
            if payload.len() != CHUNK_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Removes the records of all documents from `doc` on: what an interrupted commit left.
    pub(crate) fn remove_documents_from(&self, doc: u64) -> Result<()> {
        for key in self.keys(Tree::Documents, &document_key(doc, 0))? {
            self.remove(Tree::Documents, &key)?;
        }
        Ok(())
    }

    /// The internal id that an external one was last given.
    pub(crate) fn doc_of(&self, id: &str) -> Result<Option<u64>> {
        let Some(payload) = self.get(Tree::Ids, id.as_bytes())? else {
            return Ok(None);
        };
        let doc = <[u8; 8]>::try_from(&payload[..]).map(u64::from_le_bytes);
        doc.map(Some).map_err(|_| self.damaged(format!("the entry of id {id:?} is not eight bytes")))
    }

    /// Notes which document an external id is.
    pub(crate) fn put_id(&self, id: &str, doc: u64) -> Result<()> {
        self.put(Tree::Ids, id.as_bytes(), &doc.to_le_bytes())
    }

    /// Forgets an external id.
    pub(crate) fn remove_id(&self, id: &str) -> Result<()> {
        self.remove(Tree::Ids, id.as_bytes())
    }
}
