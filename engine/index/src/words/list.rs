//! The postings of a term: which passages have it, and how often.
//!
//! A list of fewer than [`BLOCK`] passages is numbers one after another. A longer one begins with the bounds of all its
//! passages and an entry for each block of [`BLOCK`] passages, by which blocks are passed over; then come the blocks, packed, and the
//! last passages one after another.

use super::bm25::{Bm25, MANY};
use super::packing::{BLOCK, bits_of, pack, packed_bytes, read_number, unpack, write_number};

/// Bytes of a block's entry: last row, end and first position (u32 each), bits of rows and occurrences, bounds.
pub(crate) const ENTRY: usize = 12 + 2 + BOUND_BYTES;

/// Bytes of the bounds of some passages.
pub(crate) const BOUND_BYTES: usize = 3 * BOUNDS;

/// A block's passages are bounded by so many pairs of occurrences and length.
const BOUNDS: usize = 4;

/// Pairs of most occurrences and least length: each passage has no more occurrences and no less length than one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds([(u8, u16); BOUNDS]);

impl Bounds {
    /// The bounds of passages with these occurrences and lengths.
    pub(crate) fn of(passages: impl Iterator<Item = (u32, u16)>) -> Self {
        let mut all: Vec<(u8, u16)> =
            passages.map(|(occurrences, length)| (occurrences.min(MANY.into()) as u8, length)).collect();
        all.sort_unstable_by_key(|(occurrences, length)| (std::cmp::Reverse(*occurrences), *length));
        // Fewer occurrences are worth a pair only with less length.
        let mut least = None;
        all.retain(|(_, length)| {
            let is_shorter = least.is_none_or(|least| *length < least);
            least = if is_shorter { Some(*length) } else { least };
            is_shorter
        });
        let mut bounds = [(0, 0); BOUNDS];
        for (at, (occurrences, length)) in all.into_iter().enumerate() {
            match bounds.get_mut(at) {
                Some(place) => *place = (occurrences, length),
                None => bounds[BOUNDS - 1].1 = length,
            }
        }
        Self(bounds)
    }

    /// No passage scores more.
    #[inline]
    pub(crate) fn score(&self, bm25: &Bm25) -> f32 {
        let pairs = self.0.iter().take_while(|(occurrences, _)| *occurrences > 0);
        pairs.fold(0.0, |most, (occurrences, length)| most.max(bm25.bound(*occurrences, *length)))
    }

    /// Whether a passage is within the bounds.
    pub(crate) fn hold(&self, occurrences: u32, length: u16) -> bool {
        let occurrences = occurrences.min(MANY.into()) as u8;
        self.0.iter().any(|(most, least)| occurrences <= *most && length >= *least)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.iter().map(|(occurrences, _)| *occurrences));
        out.extend(self.0.iter().flat_map(|(_, length)| length.to_le_bytes()));
    }

    pub(crate) fn read(bytes: &[u8; BOUND_BYTES]) -> Self {
        let length = |at: usize| u16::from_le_bytes([bytes[BOUNDS + 2 * at], bytes[BOUNDS + 2 * at + 1]]);
        Self(std::array::from_fn(|at| (bytes[at], length(at))))
    }
}

/// What is known of a block without unpacking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its last passage.
    pub(crate) last: u32,
    /// Where its bytes end, from the first byte after the entries on.
    pub(crate) end: u32,
    /// Where its positions begin, from those of the term on.
    pub(crate) positions: u32,
    row_bits: u8,
    occurrence_bits: u8,
    pub(crate) bounds: Bounds,
}

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.last, self.end, self.positions] {
            out.extend(number.to_le_bytes());
        }
        out.extend([self.row_bits, self.occurrence_bits]);
        self.bounds.write(out);
    }

    /// Reads an entry.
    #[inline]
    pub(crate) fn read(bytes: &[u8; ENTRY]) -> Self {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let bounds = bytes.last_chunk().expect("an entry ends with its bounds");
        Self {
            last: number(0),
            end: number(4),
            positions: number(8),
            row_bits: bytes[12],
            occurrence_bits: bytes[13],
            bounds: Bounds::read(bounds),
        }
    }
}

/// Appends the postings of a term: its passages, ascending, with their occurrences and lengths and the bytes of their
/// positions. Tells whether offsets within the list fit their numbers.
pub(crate) fn write_list(
    rows: &[u32],
    occurrences: &[u32],
    length: impl Fn(u32) -> u16,
    position_bytes: &[u32],
    out: &mut Vec<u8>,
) -> bool {
    if rows.len() < BLOCK {
        write_short(None, rows, occurrences, out);
        return true;
    }
    let with_lengths = |range: std::ops::Range<usize>| {
        occurrences[range.clone()].iter().copied().zip(rows[range].iter().map(|row| length(*row)))
    };
    Bounds::of(with_lengths(0..rows.len())).write(out);
    let (mut blocks, mut positions, mut before) = (Vec::new(), 0u64, None);
    for first in (0..rows.len()).step_by(BLOCK) {
        let range = first..rows.len().min(first + BLOCK);
        let (row_bits, occurrence_bits) = match rows[range.clone()].first_chunk() {
            Some(block) => write_packed(before, block, &occurrences[range.clone()], &mut blocks),
            None => {
                write_short(before, &rows[range.clone()], &occurrences[range.clone()], &mut blocks);
                (0, 0)
            }
        };
        before = Some(rows[range.end - 1]);
        let (Ok(end), Ok(first_position)) = (blocks.len().try_into(), positions.try_into()) else {
            return false;
        };
        positions += position_bytes[range.clone()].iter().map(|bytes| u64::from(*bytes)).sum::<u64>();
        let bounds = Bounds::of(with_lengths(range.clone()));
        let last = rows[range.end - 1];
        Entry { last, end, positions: first_position, row_bits, occurrence_bits, bounds }.write(out);
    }
    out.extend(blocks);
    true
}

/// How far a passage is from the one after `before`.
fn gap(before: Option<u32>, row: u32) -> u32 {
    before.map_or(row, |before| row - before - 1)
}

fn write_short(mut before: Option<u32>, rows: &[u32], occurrences: &[u32], out: &mut Vec<u8>) {
    for (row, occurrences) in rows.iter().zip(occurrences) {
        // The lowest bit says that the term occurs once, as most do.
        write_number(gap(before, *row) << 1 | u32::from(*occurrences == 1), out);
        if *occurrences != 1 {
            write_number(*occurrences, out);
        }
        before = Some(*row);
    }
}

fn write_packed(
    before: Option<u32>,
    rows: &[u32; BLOCK],
    occurrences: &[u32],
    out: &mut Vec<u8>,
) -> (u8, u8) {
    let befores = std::iter::once(before).chain(rows.iter().copied().map(Some));
    let mut gaps = [0; BLOCK];
    for (place, (before, row)) in gaps.iter_mut().zip(befores.zip(rows)) {
        *place = gap(before, *row);
    }
    let mut more = [0; BLOCK];
    more.iter_mut().zip(occurrences).for_each(|(more, occurrences)| *more = occurrences - 1);
    let bits = (bits_of(&gaps), bits_of(&more));
    pack(&gaps, bits.0, out);
    pack(&more, bits.1, out);
    bits
}

/// The passages of a block, and how often each has the term.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) rows: [u32; BLOCK],
    pub(crate) occurrences: [u32; BLOCK],
    pub(crate) count: usize,
}

impl Default for Block {
    fn default() -> Self {
        Self { rows: [0; BLOCK], occurrences: [0; BLOCK], count: 0 }
    }
}

impl Block {
    /// Reads `count` passages after `before`, all of them below `limit`; false if the bytes are not those of such passages.
    pub(crate) fn read_short(&mut self, before: Option<u32>, count: usize, limit: u32, bytes: &[u8]) -> bool {
        let (mut bytes, mut next) = (bytes, before.map_or(0, |before| u64::from(before) + 1));
        self.count = count.min(BLOCK);
        for at in 0..self.count {
            let Some(number) = read_number(&mut bytes) else { return false };
            let row = next + u64::from(number >> 1);
            let occurrences = if number & 1 == 1 { Some(1) } else { read_number(&mut bytes) };
            let Some(occurrences) = occurrences.filter(|occurrences| *occurrences > 0 && row < limit.into())
            else {
                return false;
            };
            (self.rows[at], self.occurrences[at]) = (row as u32, occurrences);
            next = row + 1;
        }
        bytes.is_empty()
    }

    /// Reads a packed block after `before`; false if its bytes do not end at the passage that its entry names, or it
    /// is not below `limit`.
    pub(crate) fn read_packed(
        &mut self,
        before: Option<u32>,
        entry: &Entry,
        limit: u32,
        bytes: &[u8],
    ) -> bool {
        if entry.row_bits > 32 || entry.occurrence_bits > 31 {
            return false;
        }
        let Some((rows, occurrences)) = bytes.split_at_checked(packed_bytes(entry.row_bits)) else {
            return false;
        };
        self.count = BLOCK;
        if !unpack(rows, entry.row_bits, &mut self.rows)
            || !unpack(occurrences, entry.occurrence_bits, &mut self.occurrences)
        {
            return false;
        }
        self.occurrences.iter_mut().for_each(|occurrences| *occurrences += 1);
        // The sum of all gaps, in a number that cannot overflow, says whether the sums below do.
        let first = before.map_or(0, |before| u64::from(before) + 1);
        let gaps: u64 = self.rows.iter().map(|gap| u64::from(*gap)).sum();
        if first + gaps + BLOCK as u64 - 1 != u64::from(entry.last) || entry.last >= limit {
            return false;
        }
        let mut next = first as u32;
        for row in &mut self.rows {
            *row = row.wrapping_add(next);
            next = row.wrapping_add(1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::bm25::Constants;
    use proptest::prelude::*;

    /// Reads a whole list back.
    fn read(bytes: &[u8], count: usize, limit: u32) -> Option<(Vec<u32>, Vec<u32>)> {
        let (mut rows, mut occurrences, mut block) = (Vec::new(), Vec::new(), Block::default());
        let mut take = |block: &Block| {
            rows.extend(&block.rows[..block.count]);
            occurrences.extend(&block.occurrences[..block.count]);
        };
        if count < BLOCK {
            block.read_short(None, count, limit, bytes).then(|| take(&block))?;
            return Some((rows, occurrences));
        }
        let (entries, blocks) = bytes[BOUND_BYTES..].split_at_checked(ENTRY * count.div_ceil(BLOCK))?;
        let (mut before, mut start) = (None, 0);
        for (at, entry) in entries.as_chunks::<ENTRY>().0.iter().enumerate() {
            let entry = Entry::read(entry);
            let bytes = blocks.get(start..entry.end as usize)?;
            let left = count - at * BLOCK;
            let is_read = match left < BLOCK {
                true => block.read_short(before, left, limit, bytes),
                false => block.read_packed(before, &entry, limit, bytes),
            };
            is_read.then(|| take(&block))?;
            (before, start) = (Some(entry.last), entry.end as usize);
        }
        Some((rows, occurrences))
    }

    fn written(gaps: &[(u32, u32)]) -> (Vec<u32>, Vec<u32>, Vec<u8>) {
        let mut row = 0;
        let rows: Vec<u32> = gaps
            .iter()
            .map(|(gap, _)| {
                row += gap + 1;
                row
            })
            .collect();
        let occurrences: Vec<u32> = gaps.iter().map(|(_, more)| more + 1).collect();
        let mut bytes = Vec::new();
        assert!(write_list(&rows, &occurrences, |row| row as u16, &occurrences, &mut bytes));
        (rows, occurrences, bytes)
    }

    proptest! {
        #[test]
        fn a_list_comes_back(gaps in prop::collection::vec((0u32..1000, 0u32..5), 1..700)) {
            let (rows, occurrences, bytes) = written(&gaps);
            let limit = rows.last().unwrap() + 1;
            prop_assert_eq!(read(&bytes, rows.len(), limit), Some((rows.clone(), occurrences)));
            prop_assert_eq!(read(&bytes, rows.len(), limit - 1), None);
        }

        #[test]
        fn changed_bytes_give_ascending_passages_or_nothing(
            gaps in prop::collection::vec((0u32..1000, 0u32..5), 1..300), place in any::<usize>(), bit in 0u32..8,
        ) {
            let (rows, _, mut bytes) = written(&gaps);
            let (place, limit) = (place % bytes.len(), rows.last().unwrap() + 1);
            bytes[place] ^= 1u8 << bit;
            if let Some((rows, occurrences)) = read(&bytes, rows.len(), limit) {
                prop_assert!(rows.is_sorted_by(|a, b| a < b) && *rows.last().unwrap() < limit);
                prop_assert!(occurrences.iter().all(|occurrences| *occurrences > 0));
            }
        }

        #[test]
        fn bounds_hold_for_every_passage(passages in prop::collection::vec((1u32..400, any::<u16>()), 1..200)) {
            let bounds = Bounds::of(passages.iter().copied());
            let mut bytes = Vec::new();
            bounds.write(&mut bytes);
            prop_assert_eq!(Bounds::read(bytes[..].first_chunk().unwrap()), bounds);
            let statistics = super::super::bm25::Statistics { passages: 1000, positions: 20_000 };
            let bm25 = Bm25::new(statistics, 30, 1, Constants::BESIDE_MEANING);
            for (occurrences, length) in passages {
                prop_assert!(bounds.hold(occurrences, length));
                prop_assert!(bm25.score(occurrences, length) <= bounds.score(&bm25));
            }
        }
    }
}
