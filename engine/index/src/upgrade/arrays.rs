//! Arrays of a segment, put together from the chunks that they are stored in.

use super::database::{Database, Tree};
use crate::Result;

/// The bytes of every chunk of an array but the last.
const CHUNK_BYTES: usize = 15_360;

/// The place of the first chunk: format 3 keeps those before it empty, so that no page of sled's has
/// chunks of two arrays.
const FIRST_PLACE: u32 = 32;

/// An array has fewer chunks than this.
const CHUNK_LIMIT: u64 = u32::MAX as u64 / 2;

/// Stands for the segment in the keys of pages of tombstones.
pub(super) const TOMBSTONES: u64 = u64::MAX;

/// An array: where it is stored, and how many bytes of it count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Array {
    pub(super) tree: Tree,
    pub(super) segment: u64,
    pub(super) part: u8,
    pub(super) bytes: u64,
}

impl Array {
    fn key(self, chunk: u32) -> [u8; 13] {
        key(self.segment, self.part, chunk + FIRST_PLACE)
    }

    /// How many bytes chunk `chunk` has that count; 0 behind the last one.
    fn chunk_bytes(self, chunk: u32) -> usize {
        let rest = self.bytes.saturating_sub(u64::from(chunk) * CHUNK_BYTES as u64);
        rest.min(CHUNK_BYTES as u64) as usize
    }

    /// Checks that the last chunk is there: a length that the database does not bear out is found here.
    pub(super) fn check_length(self, database: &Database) -> Result<()> {
        match self.bytes.div_ceil(CHUNK_BYTES as u64) {
            0 => Ok(()),
            chunks if chunks < CHUNK_LIMIT => self.chunk(database, chunks as u32 - 1).map(drop),
            _ => Err(database.damaged(format!(
                "part {} of segment {} cannot have {} bytes",
                self.part, self.segment, self.bytes
            ))),
        }
    }

    /// A chunk, cut to the bytes that count. The last one may be longer: a commit that was interrupted has
    /// written it again, with the same beginning.
    fn chunk(self, database: &Database, chunk: u32) -> Result<sled::IVec> {
        let key = self.key(chunk);
        let payload = database.require(self.tree, &key)?;
        let bytes = self.chunk_bytes(chunk);
        let is_last = self.chunk_bytes(chunk + 1) == 0;
        if payload.len() < bytes || payload.len() > CHUNK_BYTES || !is_last && payload.len() != bytes {
            let name = name(&key).unwrap_or_default();
            return Err(database.damaged(format!("{name} has another length than it must have")));
        }
        Ok(payload.subslice(0, bytes))
    }

    /// Reads the array from its beginning. Its length must have been [checked](Self::check_length).
    pub(super) fn read(self, database: &Database) -> ArrayReader<'_> {
        ArrayReader { database, array: self, next: 0, buffer: Vec::new(), at: 0 }
    }
}

/// Reads an array in order, each chunk once.
pub(super) struct ArrayReader<'a> {
    database: &'a Database,
    array: Array,
    /// The chunk that is read next.
    next: u32,
    /// Bytes that were read; those before `at` were taken.
    buffer: Vec<u8>,
    at: usize,
}

impl ArrayReader<'_> {
    /// The next `bytes` bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<&[u8]> {
        if self.buffer.len() - self.at < bytes {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        while self.buffer.len() - self.at < bytes {
            if self.array.chunk_bytes(self.next) == 0 {
                let Array { part, segment, .. } = self.array;
                return Err(self.database.damaged(format!("part {part} of segment {segment} ends early")));
            }
            self.buffer.extend_from_slice(&self.array.chunk(self.database, self.next)?);
            self.database.touch_to_evict(self.array.tree, &self.array.key(self.next))?;
            self.next += 1;
        }
        self.at += bytes;
        Ok(&self.buffer[self.at - bytes..self.at])
    }

    /// The next u32.
    pub(super) fn take_word(&mut self) -> Result<u32> {
        let word = self.take(4)?;
        Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }

    /// Whether all of it was taken.
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.buffer.len() && self.array.chunk_bytes(self.next) == 0
    }
}

/// The key of a place in an array, or of a page of tombstones.
pub(super) fn key(segment: u64, part: u8, place: u32) -> [u8; 13] {
    let mut key = [0; 13];
    key[..8].copy_from_slice(&segment.to_be_bytes());
    key[8] = part;
    key[9..].copy_from_slice(&place.to_be_bytes());
    key
}

/// The chunk or page that a key is of, for messages.
pub(super) fn name(key: &[u8]) -> Option<String> {
    let (segment, rest) = key.split_first_chunk::<8>()?;
    let (&part, place) = rest.split_first()?;
    let place = u32::from_be_bytes(place.try_into().ok()?);
    Some(match (u64::from_be_bytes(*segment), place.checked_sub(FIRST_PLACE)) {
        (TOMBSTONES, _) => format!("page {place} of the tombstones"),
        (segment, Some(chunk)) => format!("chunk {chunk} of part {part} of segment {segment}"),
        (segment, None) => format!("a reserved place of part {part} of segment {segment}"),
    })
}
