//! Selecting documents by a filter: once, before any number of searches among them.

use std::ops::Range;

use rayon::prelude::*;

use super::Reader;
use super::segment::Segment;
use super::state::State;
use crate::filter::pick::pick;
use crate::store::Store;
use crate::store::chunks::Place;
use crate::store::records::DocumentRecord;
use crate::{Error, Filter, Result};

/// Documents that one thread looks at at a time; whole words of bits.
const BLOCK: usize = 64 * 64;

/// Bytes of records that are read together, where there is more than one of them.
const READ_BYTES: u64 = 1 << 20;

/// What a walk costs for each of the points that it would meet at least, in comparisons: measured on 117,659 vectors
/// of 384 numbers and a filter that has nothing to do with the queries, where both take 0.9 ms for 9,000 rows.
const STEP: f64 = 8.0;

/// The live documents that fit a [`Filter`], of the index that made the selection and as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    generation: u64,
    /// Of each segment of the index.
    segments: Vec<Rows>,
}

impl Selection {
    /// How many documents it has.
    pub fn len(&self) -> usize {
        self.segments.iter().map(Rows::count).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A set of rows of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    words: Vec<u64>,
    count: usize,
}

impl Rows {
    /// Those whose bits are set: row `r` is bit `r % 64` of word `r / 64`.
    pub(super) fn of(words: Vec<u64>) -> Self {
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, count }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) fn contains(&self, row: u32) -> bool {
        self.words[row as usize / 64] >> (row % 64) & 1 == 1
    }

    /// Whether a walk with `ef` candidates through the graph of all `rows` costs less than comparing with each of
    /// these: with few of them a walk goes far until it has met `ef`.
    ///
    /// A walk meets some `ef * rows / count` points, and for each takes [`STEP`] times as long as a
    /// comparison does.
    pub(super) fn are_for_walking(&self, rows: usize, ef: usize) -> bool {
        let steps = ef as f64 * rows as f64 / self.count as f64;
        self.count as f64 > STEP * steps
    }

    /// All of them, ascending, in blocks of near ones.
    pub(super) fn blocks(&self) -> impl IndexedParallelIterator<Item = impl Iterator<Item = u32>> {
        let blocks = self.words.par_chunks(BLOCK / 64).enumerate();
        blocks.map(|(block, words)| {
            let words = ((block * BLOCK) as u32..).step_by(64).zip(words);
            words.flat_map(|(first, word)| ones(*word).map(move |bit| first + bit))
        })
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let words = (0u32..).step_by(64).zip(&self.words);
        words.flat_map(|(first, word)| ones(*word).map(move |bit| first + bit))
    }
}

/// The bits of a word that are set.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros());
        word &= word.wrapping_sub(1);
        bit
    })
}

impl Reader {
    /// The live documents that fit a filter. Reads the records of all documents, on all processors, so make
    /// one selection for many searches.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        let state = self.state();
        let fields = filter.fields();
        let fits = |json: &str| Ok(filter.matches(&pick(json, &fields)?));
        let segments = state.segments.iter().map(|segment| {
            let is_live = |row: usize| !state.tombstones.contains(segment.doc(row));
            select_rows(self.store(), segment, &is_live, &fits)
        });
        Ok(Selection { generation: state.manifest.generation, segments: segments.collect::<Result<_>>()? })
    }
}

impl State {
    /// The rows that a selection has of each segment, or nothing without one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the index has changed since.
    pub(super) fn selected<'a>(
        &self,
        among: Option<&'a Selection>,
    ) -> Result<impl Iterator<Item = Option<&'a Rows>> + use<'a>> {
        if among.is_some_and(|selection| {
            selection.generation != self.manifest.generation
                || selection.segments.len() != self.segments.len()
        }) {
            let why = "the documents were selected before the index changed: select again";
            return Err(Error::Invalid(why.into()));
        }
        let rows = (0..self.segments.len()).map(move |at| among.map(|selection| &selection.segments[at]));
        Ok(rows)
    }
}

/// The rows of a segment that are live and whose metadata, as JSON, `fits`.
fn select_rows(
    store: &Store,
    segment: &Segment,
    is_live: &(dyn Fn(usize) -> bool + Sync),
    fits: &(dyn Fn(&str) -> Result<bool, String> + Sync),
) -> Result<Rows> {
    let rows = segment.vectors.rows();
    let blocks = (0..rows.div_ceil(BLOCK)).into_par_iter().map(|block| {
        let begin = block * BLOCK;
        let mut words = vec![0u64; BLOCK.min(rows - begin).div_ceil(64)];
        segment.each_record(store, begin..rows.min(begin + BLOCK), is_live, &mut |row, record| {
            if fits(DocumentRecord::metadata(record)?)? {
                words[(row - begin) / 64] |= 1 << (row % 64);
            }
            Ok(())
        })?;
        Ok(words)
    });
    Ok(Rows::of(blocks.collect::<Result<Vec<_>>>()?.concat()))
}

/// Takes the record of a row, or says what is wrong with it.
type Show<'a> = &'a mut dyn FnMut(usize, &[u8]) -> Result<(), String>;

impl Segment {
    /// Shows the records of those of `rows` that are wanted, in their order. What `show` finds wrong is
    /// reported as damage of that document.
    fn each_record(
        &self,
        store: &Store,
        rows: Range<usize>,
        wanted: &dyn Fn(usize) -> bool,
        show: Show<'_>,
    ) -> Result<()> {
        let mut next = rows.start;
        while next < rows.end {
            let begin = self.record_range(next).start;
            let fits =
                (next + 1..rows.end).take_while(|row| self.record_range(*row).end - begin <= READ_BYTES);
            let until = next + 1 + fits.count();
            let bytes =
                store.range(Place::records(self.record.id), begin..self.record_range(until - 1).end)?;
            for row in (next..until).filter(|row| wanted(*row)) {
                let Range { start, end } = self.record_range(row);
                show(row, &bytes[(start - begin) as usize..(end - begin) as usize])
                    .map_err(|why| store.damaged(format!("document {}: {why}", self.doc(row))))?;
            }
            next = until;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_those_whose_bits_are_set(words in prop::collection::vec(any::<u64>(), 0..150)) {
            let rows = Rows::of(words.clone());
            let expected: Vec<u32> =
                (0..words.len() as u32 * 64).filter(|row| words[*row as usize / 64] >> (row % 64) & 1 == 1).collect();
            prop_assert_eq!(rows.count(), expected.len());
            prop_assert!(rows.iter().eq(expected.iter().copied()));
            let blocks: Vec<Vec<u32>> = rows.blocks().map(Iterator::collect).collect();
            prop_assert_eq!(blocks.concat(), expected);
        }
    }
}
