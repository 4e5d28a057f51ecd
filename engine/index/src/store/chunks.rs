//! Arrays are cut into chunks, and every chunk is a record.
//!
//! Two habits of sled decide how. A page (up to 17 records) above a quarter of a log segment goes into a
//! file of its own, which is not synced: 17 chunks stay below that, so that everything is in one log that
//! one `flush` puts on the disk. And a page that overflows is cut in two, both halves written anew, so that
//! records which come in order are written three times over. Therefore places are *reserved* before they are
//! filled: empty records take the cuts, and what then goes into a page of eight is written once. Of 117,659
//! documents with their vectors and graph that leaves 1.22 bytes on the disk a byte, where 1.9 were before.

use std::ops::Range;
use std::sync::PoisonError;

use rayon::prelude::*;
use sled::IVec;

use super::{Store, Tree};
use crate::Result;
use akin_kernels::memory::prefer_large_pages;

/// The bytes of every chunk but the last; a multiple of four, so that no number is cut, and 17 of them and
/// their keys stay below a quarter of [`LOG_SEGMENT_BYTES`](super::LOG_SEGMENT_BYTES).
pub(crate) const CHUNK_BYTES: usize = 15_360;

/// Records that are reserved before an array and after it, more than a page has: no page has chunks of two
/// arrays, nor the last chunks of one that grows.
const MARGIN: u32 = 32;

/// The documents of a page of tombstones, a bit each.
pub(crate) const PAGE_DOCUMENTS: u64 = 32 * 1024;

/// What stands for the segment in the key of a page of tombstones.
pub(crate) const TOMBSTONES: u64 = u64::MAX;

/// Where an array of a segment is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    tree: Tree,
    segment: u64,
    part: u8,
}

impl Place {
    /// Vectors: f32, `[rows, dimension]`.
    pub(crate) fn vectors(segment: u64) -> Self {
        Self { tree: Tree::Segments, segment, part: 0 }
    }

    /// Which documents the rows are, where they are not consecutive: u32, `[rows]`.
    pub(crate) fn docs(segment: u64) -> Self {
        Self { tree: Tree::Segments, segment, part: 1 }
    }

    /// An array of the graph, by its number.
    pub(crate) fn graph(segment: u64, number: usize) -> Self {
        let part = u8::try_from(number + 2).expect("a manifest bounds the parts of a graph");
        Self { tree: Tree::Segments, segment, part }
    }

    /// The records of the documents, one after another.
    pub(crate) fn records(segment: u64) -> Self {
        Self { tree: Tree::Documents, segment, part: 0 }
    }

    /// How many bytes each record has: u32, `[rows]`.
    pub(crate) fn lengths(segment: u64) -> Self {
        Self { tree: Tree::Documents, segment, part: 1 }
    }

    /// The key of a chunk: it sorts by segment, then part, then chunk.
    fn key(self, chunk: u32) -> [u8; 13] {
        self.reserved_key(chunk + MARGIN)
    }

    /// The key of a place among all that are reserved.
    fn reserved_key(self, place: u32) -> [u8; 13] {
        key(self.segment, self.part, place)
    }
}

fn key(segment: u64, part: u8, place: u32) -> [u8; 13] {
    let mut key = [0; 13];
    key[..8].copy_from_slice(&segment.to_be_bytes());
    key[8] = part;
    key[9..].copy_from_slice(&place.to_be_bytes());
    key
}

/// What a key of a chunk or of a page of tombstones says, for messages.
pub(super) fn named(key: &[u8]) -> Option<String> {
    let (segment, rest) = key.split_first_chunk::<8>()?;
    let (part, place) = rest.split_first_chunk::<1>()?;
    let place = u32::from_be_bytes(*place.as_array::<4>()?);
    let segment = u64::from_be_bytes(*segment);
    Some(match place.checked_sub(MARGIN) {
        _ if segment == TOMBSTONES => format!("page {place} of the tombstones"),
        Some(chunk) => format!("chunk {chunk} of part {} of segment {segment}", part[0]),
        None => format!("a reserved place of part {} of segment {segment}", part[0]),
    })
}

impl Store {
    /// Writes `bytes` behind the first `length` bytes of an array. Whatever was written there before and
    /// never committed goes.
    pub(crate) fn append(&self, place: Place, length: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (first, end) = (chunks_below(length), length + bytes.len() as u64);
        let Some(chunks) = end.div_ceil(CHUNK_BYTES as u64).try_into().ok().filter(|n| *n < u32::MAX / 2)
        else {
            return Err(crate::Error::Invalid("a segment cannot hold more: seal it before".into()));
        };
        self.reserve(place, length, chunks)?;
        let mut rest = bytes;
        let mut chunk = first;
        let kept = (length % CHUNK_BYTES as u64) as usize;
        if kept > 0 {
            // The last chunk is written again, longer: cheaper than chunks of all lengths.
            let last = self.require(place.tree, &place.key(chunk))?;
            let mut whole = last.get(..kept).ok_or_else(|| self.too_short(place, chunk))?.to_vec();
            let (head, tail) = rest.split_at(rest.len().min(CHUNK_BYTES - kept));
            whole.extend_from_slice(head);
            self.put(place.tree, &place.key(chunk), &whole)?;
            (rest, chunk) = (tail, chunk + 1);
        }
        for (chunk, bytes) in (chunk..).zip(rest.chunks(CHUNK_BYTES)) {
            self.put(place.tree, &place.key(chunk), bytes)?;
            self.wear(place.tree, &place.key(chunk))?;
        }
        Ok(())
    }

    /// Reserves the places of `chunks` chunks and some more, for an array of `length` bytes that grows.
    fn reserve(&self, place: Place, length: u64, chunks: u32) -> Result<()> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let next = reserved.entry(place).or_insert(match length {
            0 => 0,
            // What an earlier process reserved is reserved again: nothing that counts is there.
            _ => length.div_ceil(CHUNK_BYTES as u64) as u32 + MARGIN,
        });
        while *next < chunks + 2 * MARGIN {
            self.put(place.tree, &place.reserved_key(*next), &[])?;
            *next += 1;
        }
        Ok(())
    }

    /// Reads an array of `bytes` bytes.
    pub(crate) fn bytes(&self, place: Place, bytes: u64) -> Result<Vec<u8>> {
        self.require_length(place, bytes)?;
        let mut out = vec![0; bytes as usize];
        self.fill(place, &mut out)?;
        Ok(out)
    }

    /// Reads an array of `count` little-endian floats.
    pub(crate) fn floats(&self, place: Place, count: u64) -> Result<Vec<f32>> {
        self.require_length(place, count.saturating_mul(4))?;
        let mut out = vec![0f32; count as usize];
        prefer_large_pages(&mut out);
        self.fill(place, bytemuck::cast_slice_mut(&mut out))?;
        if cfg!(target_endian = "big") {
            for value in &mut out {
                *value = f32::from_bits(value.to_bits().swap_bytes());
            }
        }
        Ok(out)
    }

    /// Reads an array of `count` little-endian integers.
    pub(crate) fn integers(&self, place: Place, count: u64) -> Result<Vec<u32>> {
        let bytes = self.bytes(place, count.saturating_mul(4))?;
        Ok(bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// Reads some bytes of an array.
    pub(crate) fn range(&self, place: Place, range: Range<u64>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let chunk = chunks_below(at);
            let payload = self.require(place.tree, &place.key(chunk))?;
            let from = (at % CHUNK_BYTES as u64) as usize;
            let until = CHUNK_BYTES.min(from + (range.end - at) as usize);
            let bytes = payload.get(from..until).ok_or_else(|| self.too_short(place, chunk))?;
            out.extend_from_slice(bytes);
            at += bytes.len() as u64;
        }
        Ok(out)
    }

    /// Asks for the last chunk of an array: nothing is allocated for a length that the store does not
    /// bear out.
    fn require_length(&self, place: Place, bytes: u64) -> Result<()> {
        let Some(last) = bytes.checked_sub(1) else {
            return Ok(());
        };
        let last = u32::try_from(last / CHUNK_BYTES as u64).ok().filter(|last| *last < u32::MAX / 2);
        let last = last.ok_or_else(|| {
            self.damaged(format!(
                "part {} of segment {} cannot have {bytes} bytes",
                place.part, place.segment
            ))
        })?;
        self.require(place.tree, &place.key(last)).map(drop)
    }

    /// Reads as much of an array as `out` takes, on all processors.
    ///
    /// The last chunk may go on after that: an interrupted commit has written it again, longer, with
    /// the same beginning.
    fn fill(&self, place: Place, out: &mut [u8]) -> Result<()> {
        let last = out.len().div_ceil(CHUNK_BYTES).saturating_sub(1);
        let chunks = out.par_chunks_mut(CHUNK_BYTES).with_min_len(16).enumerate();
        chunks.try_for_each(|(chunk, out)| {
            let key = place.key(chunk as u32);
            let payload = self.require(place.tree, &key)?;
            self.wear(place.tree, &key)?;
            match payload.get(..out.len()) {
                Some(bytes) if chunk == last || payload.len() == out.len() => {
                    out.copy_from_slice(bytes);
                    Ok(())
                }
                _ => Err(self.too_short(place, chunk as u32)),
            }
        })
    }

    fn too_short(&self, place: Place, chunk: u32) -> crate::Error {
        self.damaged(format!("{} has another length than it must have", {
            named(&place.key(chunk)).expect("the key of a chunk")
        }))
    }

    /// Removes everything of a segment.
    pub(crate) fn remove_segment(&self, segment: u64) -> Result<()> {
        for tree in [Tree::Segments, Tree::Documents] {
            while let Some(key) = self.first_key(tree, &key(segment, 0, 0))? {
                if !key.starts_with(&segment.to_be_bytes()) {
                    break;
                }
                self.remove(tree, &key)?;
            }
        }
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.retain(|place, _| place.segment != segment);
        Ok(())
    }

    /// The segments that have anything in the store, whether they count or not.
    pub(crate) fn stored_segments(&self) -> Result<Vec<u64>> {
        let mut segments = Vec::new();
        for tree in [Tree::Segments, Tree::Documents] {
            let mut from = 0u64;
            while let Some(found) = self.first_key(tree, &from.to_be_bytes())? {
                let segment = found.first_chunk().map(|segment| u64::from_be_bytes(*segment));
                match segment.ok_or_else(|| self.damaged("a chunk has a key of another length"))? {
                    TOMBSTONES => break,
                    segment => {
                        segments.push(segment);
                        from = segment + 1;
                    }
                }
            }
        }
        segments.sort_unstable();
        segments.dedup();
        Ok(segments)
    }

    /// Writes a page of tombstones into one of its two slots.
    pub(crate) fn put_tombstones(&self, page: u32, slot: u8, bits: &[u8]) -> Result<()> {
        self.put(Tree::Segments, &key(TOMBSTONES, slot, page), bits)
    }

    /// Reads a page of tombstones.
    pub(crate) fn tombstones(&self, page: u32, slot: u8) -> Result<IVec> {
        let bits = self.require(Tree::Segments, &key(TOMBSTONES, slot, page))?;
        if bits.len() as u64 * 8 == PAGE_DOCUMENTS {
            return Ok(bits);
        }
        Err(self.damaged(format!("page {page} of the tombstones has {} bytes", bits.len())))
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

fn chunks_below(length: u64) -> u32 {
    (length / CHUNK_BYTES as u64).min(u64::from(u32::MAX / 2)) as u32
}
