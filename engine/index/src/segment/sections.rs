//! A segment file is sections with a checksum for each block of them, a directory that says where they are,
//! and a trailer that says where the directory is.
//!
//! What is read is trusted only after its checksum holds. The manifest has the checksum of the trailer, the
//! trailer that of the directory, the directory that of each section's table of checksums, and the table that
//! of each block. Opening checks the first three; a block is checked when it is first used, and remembered.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bincode::Decode;

use crate::graph::Fault;
use crate::manifest::decode;
use crate::storage::Blob;

pub(crate) use super::layout::{ALIGNMENT, BLOCK, Placed, Section, TRAILER, Trailer};

/// Blocks that are asked for together where many are checked in a row: two megabytes.
const READ_AHEAD: usize = 128;

/// The sections of an open segment file.
#[derive(Debug)]
pub(crate) struct Sections {
    blob: Blob,
    name: String,
    /// By [`Section`], where the segment has it.
    open: [Option<Open>; Section::ALL.len()],
}

/// A section whose table of checksums holds its own.
#[derive(Debug)]
struct Open {
    range: Range<usize>,
    checksums: Range<usize>,
    /// A bit a block: its checksum was found to hold.
    checked: Vec<AtomicU64>,
}

/// Judges the content of a block: it is given the place of its first byte in the section, and the block.
type Look<'a> = &'a dyn Fn(usize, &[u8]) -> Result<(), String>;

impl Sections {
    /// Opens the sections of a file, and gives the record in its directory. `name` is for messages.
    pub(crate) fn open<H: Decode<()>>(
        blob: Blob,
        name: String,
        trailer: &Trailer,
        placed: impl FnOnce(&H) -> &[Placed],
    ) -> Result<(Self, H), String> {
        let mut encoded = vec![0; trailer.directory_bytes as usize];
        blob.read_at(trailer.directory, &mut encoded).map_err(|error| error.to_string())?;
        if crc32fast::hash(&encoded) != trailer.directory_checksum {
            return Err("its directory fails its checksum".into());
        }
        let header: H = decode(&encoded).map_err(|why| format!("its directory: {why}"))?;
        let mut open = [const { None }; Section::ALL.len()];
        for placed in placed(&header) {
            let section = Section::ALL.iter().find(|section| section.name() == placed.name);
            let Some(section) = section else { continue };
            let place = &mut open[*section as usize];
            if place.is_some() {
                return Err(format!("it has two sections {}", placed.name));
            }
            *place = Some(
                Open::at(&blob, placed, trailer.directory)
                    .map_err(|why| format!("{}: {why}", placed.name))?,
            );
        }
        let mut ranges: Vec<_> = open.iter().flatten().map(|open: &Open| open.range.clone()).collect();
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        if ranges.windows(2).any(|pair| pair[1].start < pair[0].end) {
            return Err("two of its sections overlap".into());
        }
        Ok((Self { blob, name, open }, header))
    }

    /// Whether the segment has a section.
    pub(crate) fn has(&self, section: Section) -> bool {
        self.open[section as usize].is_some()
    }

    /// Bytes of a section; none if the segment does not have it.
    pub(crate) fn len(&self, section: Section) -> u64 {
        self.open[section as usize].as_ref().map_or(0, |open| open.range.len() as u64)
    }

    /// All bytes of a section. The caller [checks](Self::check) those that it uses.
    #[inline]
    pub(crate) fn bytes(&self, section: Section) -> &[u8] {
        match &self.open[section as usize] {
            Some(open) => &self.blob.bytes()[open.range.clone()],
            None => &[],
        }
    }

    /// The numbers of a section. The caller [checks](Self::check) those that it uses.
    #[inline]
    pub(crate) fn numbers<T: bytemuck::Pod>(&self, section: Section) -> &[T] {
        // Sections are aligned, and their lengths are checked when the segment is opened.
        bytemuck::try_cast_slice(self.bytes(section)).unwrap_or(&[])
    }

    /// Checks the blocks of a range of a section that were not checked before, in the mapping.
    #[inline]
    pub(crate) fn check(&self, section: Section, range: Range<usize>) -> Result<(), Fault> {
        self.check_with(section, range, &|_, _| Ok(()))
    }

    /// The same, and has `look` judge the content of each such block: it is given the first byte's place in
    /// the section, and the block.
    #[inline]
    pub(crate) fn check_with(
        &self,
        section: Section,
        range: Range<usize>,
        look: Look<'_>,
    ) -> Result<(), Fault> {
        let Some(open) = &self.open[section as usize] else {
            return if range.is_empty() { Ok(()) } else { Err(self.fault(section, "it is not there")) };
        };
        let blocks = blocks(&range);
        for block in blocks.clone() {
            if !open.is_checked(block) {
                if (block - blocks.start).is_multiple_of(READ_AHEAD) && blocks.len() > 1 {
                    self.read_ahead(open, block..blocks.end.min(block + 2 * READ_AHEAD));
                }
                self.check_block(section, open, block, look)?;
            }
        }
        Ok(())
    }

    /// Asks for blocks that are about to be checked: the mapping itself reads nothing ahead, since walks jump.
    fn read_ahead(&self, open: &Open, blocks: Range<usize>) {
        let start = open.range.start + blocks.start * BLOCK;
        let end = open.range.end.min(open.range.start + blocks.end * BLOCK);
        self.blob.will_need(start as u64, end.saturating_sub(start));
    }

    #[cold]
    fn check_block(&self, section: Section, open: &Open, block: usize, look: Look<'_>) -> Result<(), Fault> {
        let range = open.block(block).ok_or_else(|| self.fault(section, "it is too short"))?;
        let bytes = &self.blob.bytes()[range];
        self.compare(section, open, block, bytes)?;
        look(block * BLOCK, bytes).map_err(|why| self.fault(section, &why))?;
        open.set_checked(block);
        Ok(())
    }

    /// Compares a block with its checksum.
    fn compare(&self, section: Section, open: &Open, block: usize, bytes: &[u8]) -> Result<(), Fault> {
        let at = open.checksums.start + 4 * block;
        let expected = &self.blob.bytes()[at..at + 4];
        if crc32fast::hash(bytes).to_le_bytes() != expected {
            return Err(self.fault(section, &format!("block {block} fails its checksum")));
        }
        Ok(())
    }

    /// Copies a range of a section, checked, without mapping it: what is read so does not count as memory of
    /// this process.
    pub(crate) fn read(&self, section: Section, range: Range<usize>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let open =
            self.open[section as usize].as_ref().ok_or_else(|| self.fault(section, "it is not there"))?;
        if range.end > open.range.len() || range.start > range.end {
            return Err(self.fault(section, "it is too short"));
        }
        if blocks(&range).all(|block| open.is_checked(block)) {
            let begin = out.len();
            out.resize(begin + range.len(), 0);
            let at = (open.range.start + range.start) as u64;
            return self
                .blob
                .read_at(at, &mut out[begin..])
                .map_err(|error| self.unreadable(section, &error));
        }
        let mut buffer = Vec::new();
        for block in blocks(&range) {
            let place = open.block(block).ok_or_else(|| self.fault(section, "it is too short"))?;
            buffer.resize(place.len(), 0);
            self.blob
                .read_at(place.start as u64, &mut buffer)
                .map_err(|error| self.unreadable(section, &error))?;
            if !open.is_checked(block) {
                self.compare(section, open, block, &buffer)?;
                open.set_checked(block);
            }
            let begin = range.start.saturating_sub(block * BLOCK);
            let end = (range.end - block * BLOCK).min(buffer.len());
            out.extend_from_slice(&buffer[begin..end]);
        }
        Ok(())
    }

    /// Copies a range of a section if its blocks were checked before and no disk has to be waited for; tells
    /// whether it did.
    pub(crate) fn read_cached(
        &self,
        section: Section,
        range: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let open =
            self.open[section as usize].as_ref().ok_or_else(|| self.fault(section, "it is not there"))?;
        if !blocks(&range).all(|block| open.is_checked(block)) {
            return Ok(false);
        }
        let begin = out.len();
        out.resize(begin + range.len(), 0);
        let at = (open.range.start + range.start) as u64;
        self.blob.read_cached(at, &mut out[begin..]).map_err(|error| self.unreadable(section, &error))
    }

    /// Tells the system that a range of a section is about to be [read](Self::read).
    pub(crate) fn will_need(&self, section: Section, range: Range<usize>) {
        let Some(open) = &self.open[section as usize] else { return };
        if blocks(&range).all(|block| open.is_checked(block)) {
            self.blob.will_need((open.range.start + range.start) as u64, range.len());
        } else {
            self.read_ahead(open, blocks(&range));
        }
    }

    /// Lets go of the mapped pages of a section.
    pub(crate) fn forget(&self, section: Section) {
        if let Some(open) = &self.open[section as usize] {
            self.blob.forget(open.range.clone());
        }
    }

    /// What is wrong with a section.
    pub(crate) fn fault(&self, section: Section, why: &str) -> Fault {
        Fault(format!("{}: {}: {why}", self.name, section.name()))
    }

    fn unreadable(&self, section: Section, error: &std::io::Error) -> Fault {
        self.fault(section, &format!("it cannot be read ({})", error.kind()))
    }

    /// The file's name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The blocks that a range of bytes is in.
#[inline]
fn blocks(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range.start / BLOCK..(range.end - 1) / BLOCK + 1 }
}

impl Open {
    fn at(blob: &Blob, placed: &Placed, limit: u64) -> Result<Self, String> {
        let blocks = placed.length.div_ceil(BLOCK as u64);
        let end = placed.offset.checked_add(placed.length).filter(|end| *end <= limit);
        let table_end = placed.checksums.checked_add(4 * blocks).filter(|end| *end <= limit);
        let (Some(end), Some(table_end)) = (end, table_end) else {
            return Err("it ends beyond the file".into());
        };
        if !placed.offset.is_multiple_of(ALIGNMENT) {
            return Err("it does not begin at a multiple of 64 bytes".into());
        }
        let checksums = placed.checksums as usize..table_end as usize;
        if crc32fast::hash(&blob.bytes()[checksums.clone()]) != placed.checksum {
            return Err("its table of checksums fails its checksum".into());
        }
        let words = (blocks as usize).div_ceil(64);
        Ok(Self {
            range: placed.offset as usize..end as usize,
            checksums,
            checked: std::iter::repeat_with(|| AtomicU64::new(0)).take(words).collect(),
        })
    }

    /// The bytes of a block in the file, or nothing beyond the last block.
    fn block(&self, block: usize) -> Option<Range<usize>> {
        let start = self.range.start + block * BLOCK;
        (start < self.range.end).then(|| start..self.range.end.min(start + BLOCK))
    }

    #[inline]
    fn is_checked(&self, block: usize) -> bool {
        self.checked.get(block / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    fn set_checked(&self, block: usize) {
        // Relaxed: the bytes are immutable, so that whoever sees the bit sees bytes that were compared.
        if let Some(word) = self.checked.get(block / 64) {
            word.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }
}
