//! Reads the passages of a term, ascending, a block at a time.

use super::Segment;
use super::sections::Section;
use crate::graph::Fault;
use crate::words::bm25::Bm25;
use crate::words::dictionary::TermPlace;
use crate::words::list::{BOUND_BYTES, Block, Bounds, ENTRY, Entry};
use crate::words::packing::{BLOCK, read_number};

/// Passages in which something occurs, ascending, and how often in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(super) rows: Vec<u32>,
    pub(super) occurrences: Vec<u32>,
}

/// Where a segment has something that a query looks for.
#[derive(Debug, Clone)]
pub(crate) enum Matches {
    /// The postings of a term.
    Term(TermPlace),
    /// Passages that were found.
    Listed(Listed),
}

impl Matches {
    /// How many passages match.
    pub(crate) fn passages(&self) -> u64 {
        match self {
            Self::Term(place) => place.passages.into(),
            Self::Listed(listed) => listed.rows.len() as u64,
        }
    }
}

/// Goes through the passages that match something.
pub(super) struct Cursor<'a> {
    segment: &'a Segment,
    source: Source<'a>,
    /// Its passages.
    passages: usize,
    /// The block that it is in.
    block: usize,
    is_read: bool,
    /// The place in that block, once it is read.
    place: usize,
    read: Box<Block>,
    /// No passage before this one is left.
    lower: u32,
}

enum Source<'a> {
    /// Entries of all blocks, where the first block begins, and where the positions are.
    Blocks {
        bounds: Bounds,
        entries: &'a [[u8; ENTRY]],
        start: usize,
        place: &'a TermPlace,
    },
    /// Fewer passages than a block has: they are read from the beginning on.
    Short {
        last: u32,
        place: &'a TermPlace,
    },
    Listed(&'a Listed),
}

impl<'a> Cursor<'a> {
    /// Begins at the first passage.
    pub(super) fn new(segment: &'a Segment, matches: &'a Matches) -> Result<Self, Fault> {
        let mut cursor = Self {
            segment,
            source: Source::Listed(const { &Listed { rows: Vec::new(), occurrences: Vec::new() } }),
            passages: matches.passages() as usize,
            block: 0,
            is_read: false,
            place: 0,
            read: Box::default(),
            lower: 0,
        };
        match matches {
            Matches::Listed(listed) => cursor.source = Source::Listed(listed),
            Matches::Term(place) if cursor.passages < BLOCK => cursor.open_short(place)?,
            Matches::Term(place) => cursor.open_blocks(place)?,
        }
        Ok(cursor)
    }

    fn open_short(&mut self, place: &'a TermPlace) -> Result<(), Fault> {
        let limit = self.segment.passages() as u32;
        let range = place.postings.start as usize..place.postings.end as usize;
        let bytes = self.bytes(range)?;
        if !self.read.read_short(None, self.passages, limit, bytes) {
            return Err(self.fault());
        }
        let last = self.read.rows[self.passages - 1];
        (self.is_read, self.lower) = (true, self.read.rows[0]);
        self.source = Source::Short { last, place };
        Ok(())
    }

    fn open_blocks(&mut self, place: &'a TermPlace) -> Result<(), Fault> {
        let first = place.postings.start as usize;
        let start = first + BOUND_BYTES + ENTRY * self.passages.div_ceil(BLOCK);
        if start as u64 > place.postings.end {
            return Err(self.fault());
        }
        let head = self.bytes(first..start)?;
        let (bounds, entries) = head.split_first_chunk().ok_or_else(|| self.fault())?;
        let (entries, _) = entries.as_chunks();
        self.source = Source::Blocks { bounds: Bounds::read(bounds), entries, start, place };
        Ok(())
    }

    /// Checked bytes of the postings.
    fn bytes(&self, range: std::ops::Range<usize>) -> Result<&'a [u8], Fault> {
        self.segment.sections.check(Section::Postings, range.clone())?;
        self.segment.sections.bytes(Section::Postings).get(range).ok_or_else(|| self.fault())
    }

    fn fault(&self) -> Fault {
        self.segment.sections.fault(Section::Postings, "it is not a list of passages")
    }

    fn blocks(&self) -> usize {
        self.passages.div_ceil(BLOCK)
    }

    fn entry(&self, block: usize) -> Option<Entry> {
        match &self.source {
            Source::Blocks { entries, .. } => entries.get(block).map(Entry::read),
            _ => None,
        }
    }

    /// The last passage of a block.
    #[inline]
    fn last_of(&self, block: usize) -> u32 {
        match &self.source {
            Source::Blocks { entries, .. } => {
                let entry = &entries[block];
                u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])
            }
            Source::Short { last, .. } => *last,
            Source::Listed(listed) => listed.rows[listed.rows.len().min(BLOCK * (block + 1)) - 1],
        }
    }

    /// No score of any passage is greater.
    pub(super) fn bound(&self, bm25: &Bm25) -> Result<f32, Fault> {
        match &self.source {
            Source::Blocks { bounds, .. } => Ok(bounds.score(bm25)),
            Source::Short { .. } => {
                self.bound_of(&self.read.rows[..self.passages], &self.read.occurrences, bm25)
            }
            Source::Listed(listed) => self.bound_of(&listed.rows, &listed.occurrences, bm25),
        }
    }

    fn bound_of(&self, rows: &[u32], occurrences: &[u32], bm25: &Bm25) -> Result<f32, Fault> {
        let mut most = 0f32;
        for (row, occurrences) in rows.iter().zip(occurrences) {
            let length = self.segment.lengths(*row as usize..*row as usize + 1)?[0];
            most = most.max(bm25.score(*occurrences, length));
        }
        Ok(most)
    }

    /// No score of a passage in `from..until` is greater. `all` is the bound of all passages. The cursor is at `from`.
    pub(super) fn bound_within(&self, until: u32, all: f32, bm25: &Bm25) -> f32 {
        /// Blocks that are looked at: more are bounded by the bound of all.
        const LOOKED_AT: usize = 8;
        if self.lower >= until || self.block == self.blocks() {
            return 0.0;
        }
        let Source::Blocks { entries, .. } = &self.source else { return all };
        let mut most = 0f32;
        for (at, entry) in entries[self.block..].iter().enumerate() {
            if at == LOOKED_AT {
                return all;
            }
            let entry = Entry::read(entry);
            most = most.max(entry.bounds.score(bm25));
            if entry.last >= until - 1 {
                break;
            }
        }
        most.min(all)
    }

    /// No passage before this one is left; none if no passage is left.
    pub(super) fn lower(&self) -> Option<u32> {
        (self.block < self.blocks()).then_some(self.lower)
    }

    /// The last passage of the block that it is in.
    pub(super) fn block_end(&self) -> Option<u32> {
        (self.block < self.blocks()).then(|| self.last_of(self.block))
    }

    /// Passes over all passages before `row`, without reading another block.
    pub(super) fn skip_to(&mut self, row: u32) {
        if row <= self.lower {
            return;
        }
        self.lower = row;
        while self.block < self.blocks() && self.last_of(self.block) < row {
            self.block += 1;
            self.is_read = false;
        }
        if self.is_read {
            self.move_within(row);
        } else if self.block > 0 {
            self.lower = row.max(self.last_of(self.block - 1) + 1);
        }
    }

    /// Moves to the first passage of the block that was read, from `row` on: there is one.
    fn move_within(&mut self, row: u32) {
        let rows = &self.read.rows[self.place..self.read.count];
        // Most moves are short.
        let near = rows.iter().take(8).position(|held| *held >= row);
        self.place += near.unwrap_or_else(|| rows.partition_point(|held| *held < row));
        self.place = self.place.min(self.read.count - 1);
        self.lower = self.read.rows[self.place];
    }

    /// The first passage from `row` on.
    pub(super) fn seek(&mut self, row: u32) -> Result<Option<u32>, Fault> {
        self.skip_to(row);
        if self.block == self.blocks() {
            return Ok(None);
        }
        self.read_block()?;
        Ok(Some(self.lower))
    }

    /// How often the passage that it is at has it.
    pub(super) fn occurrences(&self) -> u32 {
        self.read.occurrences[self.place]
    }

    /// Whether the bounds of all passages and of its block hold for the passage that it is at, which has this length.
    pub(super) fn is_within_bounds(&self, length: u16) -> bool {
        let Source::Blocks { bounds, entries, .. } = &self.source else { return true };
        let occurrences = self.occurrences();
        bounds.hold(occurrences, length) && Entry::read(&entries[self.block]).bounds.hold(occurrences, length)
    }

    fn read_block(&mut self) -> Result<(), Fault> {
        if self.is_read {
            return Ok(());
        }
        let first = self.block * BLOCK;
        let count = BLOCK.min(self.passages - first);
        match &self.source {
            Source::Blocks { .. } => self.read_packed(count)?,
            // It was read when it was opened, and is one block.
            Source::Short { .. } => {}
            Source::Listed(listed) => {
                self.read.rows[..count].copy_from_slice(&listed.rows[first..first + count]);
                self.read.occurrences[..count].copy_from_slice(&listed.occurrences[first..first + count]);
                self.read.count = count;
            }
        }
        (self.is_read, self.place) = (true, 0);
        self.move_within(self.lower);
        Ok(())
    }

    fn read_packed(&mut self, count: usize) -> Result<(), Fault> {
        let Source::Blocks { start, place, .. } = self.source else { return Ok(()) };
        let entry = self.entry(self.block).ok_or_else(|| self.fault())?;
        let before = self.block.checked_sub(1).and_then(|before| self.entry(before));
        let begin = start + before.map_or(0, |before| before.end as usize);
        let end = start + entry.end as usize;
        if begin > end || end as u64 > place.postings.end {
            return Err(self.fault());
        }
        let (bytes, limit) = (self.bytes(begin..end)?, self.segment.passages() as u32);
        let before = before.map(|before| before.last);
        let is_whole = match count {
            BLOCK => self.read.read_packed(before, &entry, limit, bytes),
            _ => self.read.read_short(before, count, limit, bytes) && self.read.rows[count - 1] == entry.last,
        };
        if is_whole { Ok(()) } else { Err(self.fault()) }
    }

    /// Shows the passages before `until` and how often each has it, from the one that it is at on.
    #[inline]
    pub(super) fn each_before(&mut self, until: u32, mut show: impl FnMut(u32, u32)) -> Result<(), Fault> {
        while self.block < self.blocks() && self.lower < until {
            self.read_block()?;
            let (rows, occurrences) = (&self.read.rows[..self.read.count], &self.read.occurrences);
            let mut place = self.place;
            while place < rows.len() && rows[place] < until {
                show(rows[place], occurrences[place]);
                place += 1;
            }
            if place < rows.len() {
                (self.place, self.lower) = (place, rows[place]);
                return Ok(());
            }
            (self.lower, self.block, self.is_read) = (rows[place - 1] + 1, self.block + 1, false);
        }
        Ok(())
    }

    /// The positions in the passage that it is at, ascending.
    pub(super) fn positions(&self, positions: &mut Vec<u32>) -> Result<(), Fault> {
        positions.clear();
        let fault = || self.segment.sections.fault(Section::Positions, "it is not a list of positions");
        let mut bytes = self.position_bytes().ok_or_else(fault)?;
        let before = self.read.occurrences[..self.place].iter().map(|times| u64::from(*times)).sum();
        for _ in 0u64..before {
            read_number(&mut bytes).ok_or_else(fault)?;
        }
        let mut position = 0u32;
        for _ in 0..self.occurrences() {
            let gap = read_number(&mut bytes).ok_or_else(fault)?;
            position = position.checked_add(gap).ok_or_else(fault)?;
            positions.push(position);
        }
        Ok(())
    }

    /// The bytes of the positions of the block that it is in, checked.
    fn position_bytes(&self) -> Option<&'a [u8]> {
        let (place, from, until) = match &self.source {
            Source::Listed(_) => return None,
            Source::Short { place, .. } => (place, 0, None),
            Source::Blocks { place, .. } => {
                let until = self.entry(self.block + 1).map(|next| u64::from(next.positions));
                (place, self.entry(self.block)?.positions.into(), until)
            }
        };
        let start = place.positions.start.checked_add(from)?;
        let end =
            until.map_or(Some(place.positions.end), |until| place.positions.start.checked_add(until))?;
        if start > end || end > place.positions.end {
            return None;
        }
        let range = start as usize..end as usize;
        self.segment.sections.check(Section::Positions, range.clone()).ok()?;
        self.segment.sections.bytes(Section::Positions).get(range)
    }
}
