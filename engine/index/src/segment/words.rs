//! The words of a segment: its terms, and which passages have each.

use std::ops::Range;

use super::Segment;
use super::sections::{Section, Sections};
use super::write::SegmentWriter;
use crate::graph::Fault;
use crate::words::ANALYSIS_VERSION;
use crate::words::bm25::Statistics;
use crate::words::dictionary::{BLOCK, DictionaryWriter, TermPlace, each_term, first_term};
use crate::words::invert::{Found, Inverter};
use crate::words::language::Language;
use crate::words::list::write_list;
use crate::{Error, Result};

/// Bytes of the section that describes the others: version and language (u32 each), terms and positions (u64 each).
const DESCRIPTION: usize = 24;

/// The sections of words: all are there or none.
pub(super) const ALL: [Section; 6] = [
    Section::Words,
    Section::Terms,
    Section::TermBlocks,
    Section::Lengths,
    Section::Postings,
    Section::Positions,
];

/// What a segment says of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) language: Language,
    terms: u64,
    /// The sum of the lengths of all passages.
    positions: u64,
}

/// Writes the sections of words; none if no passage has a word.
pub(crate) fn write_words(writer: &mut SegmentWriter<'_>, inverter: &Inverter) -> Result<()> {
    if inverter.is_empty() {
        return Ok(());
    }
    let (terms, mut dictionary) = (inverter.terms(), DictionaryWriter::default());
    let (mut found, mut bytes) = (Found::default(), Vec::new());
    writer.begin(Section::Postings)?;
    for (term, number) in &terms {
        inverter.postings(*number, &mut found);
        bytes.clear();
        let length = |row: u32| inverter.lengths()[row as usize];
        let fits = write_list(&found.rows, &found.occurrences, length, &found.position_bytes, &mut bytes);
        let sizes = (u32::try_from(bytes.len()), u32::try_from(inverter.positions_of(*number).len()));
        let (true, (Ok(postings), Ok(positions))) = (fits, sizes) else {
            return Err(Error::Invalid(format!("the word {term:?} is in too many passages of one segment")));
        };
        dictionary.add(term, found.rows.len() as u32, postings, positions);
        writer.append(&bytes)?;
    }
    writer.begin(Section::Positions)?;
    terms.iter().try_for_each(|(_, number)| writer.append(inverter.positions_of(*number)))?;
    writer.section(Section::Terms, &dictionary.bytes)?;
    writer.section(Section::TermBlocks, bytemuck::cast_slice(&dictionary.blocks))?;
    writer.section(Section::Lengths, bytemuck::cast_slice(inverter.lengths()))?;
    writer.begin(Section::Words)?;
    writer.append(&ANALYSIS_VERSION.to_le_bytes())?;
    writer.append(&u32::from(inverter.language() as u8).to_le_bytes())?;
    writer.append(&dictionary.terms().to_le_bytes())?;
    writer.append(&inverter.positions().to_le_bytes())
}

/// The sections of words have the lengths that the count of passages gives them.
pub(super) fn check_words(passages: u64, sections: &Sections) -> Result<(), String> {
    if !ALL.iter().any(|section| sections.has(*section)) {
        return Ok(());
    }
    let blocks = sections.len(Section::TermBlocks);
    let fits = ALL.iter().all(|section| sections.has(*section))
        && sections.len(Section::Words) == DESCRIPTION as u64
        && sections.len(Section::Lengths) == 2 * passages
        && blocks > 0
        && blocks.is_multiple_of(8);
    if fits { Ok(()) } else { Err("its sections of words do not fit each other".into()) }
}

impl Words {
    /// How many terms there are.
    pub(super) fn terms(&self) -> u64 {
        self.terms
    }
}

impl Segment {
    /// What it says of its words. None if it has none, or its terms were made by another release in another way.
    pub(crate) fn words(&self) -> Result<Option<Words>, Fault> {
        if !self.sections.has(Section::Words) {
            return Ok(None);
        }
        self.check_section(Section::Words)?;
        let bytes = self.sections.bytes(Section::Words);
        let half =
            |at: usize| bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        let word =
            |at: usize| bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        if u32::from_le_bytes(half(0)) != ANALYSIS_VERSION {
            return Ok(None);
        }
        let code = u32::from_le_bytes(half(4)).try_into().unwrap_or(u8::MAX);
        let words = Words {
            language: Language::from_code(code),
            terms: u64::from_le_bytes(word(8)),
            positions: u64::from_le_bytes(word(16)),
        };
        let blocks = self.sections.len(Section::TermBlocks) / 8;
        if words.terms.div_ceil(BLOCK as u64) != blocks {
            return Err(self.sections.fault(Section::Words, "it has another number of terms"));
        }
        Ok(Some(words))
    }

    /// What it adds to the statistics of all segments.
    pub(crate) fn word_statistics(&self, words: &Words) -> Statistics {
        Statistics { passages: self.passages() as u64, positions: words.positions }
    }

    /// The lengths of the passages of a range.
    pub(super) fn lengths(&self, rows: Range<usize>) -> Result<&[u16], Fault> {
        self.sections.check(Section::Lengths, 2 * rows.start..2 * rows.end)?;
        let lengths: &[u16] = self.sections.numbers(Section::Lengths);
        lengths.get(rows).ok_or_else(|| self.sections.fault(Section::Lengths, "it is too short"))
    }

    /// Where the postings of a term are, if a passage has it.
    pub(crate) fn find_term(&self, term: &str) -> Result<Option<TermPlace>, Fault> {
        let mut found = None;
        let Some(block) = self.term_block(term)? else { return Ok(None) };
        self.each_term_of(block, &mut |held, place| {
            if held == term.as_bytes() {
                found = Some(place);
            }
            held < term.as_bytes()
        })?;
        found.map(|place| self.checked_place(place)).transpose()
    }

    /// The places of all terms that begin with `prefix`, at most `limit` of them.
    pub(crate) fn terms_with_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<TermPlace>, Fault> {
        let mut found = Vec::new();
        let first = self.term_block(prefix)?.unwrap_or(0);
        for block in first..self.term_blocks() {
            let mut more = true;
            self.each_term_of(block, &mut |held, place| {
                let has_prefix = held.starts_with(prefix.as_bytes());
                if has_prefix {
                    found.push(place);
                }
                more = found.len() < limit && (has_prefix || held < prefix.as_bytes());
                more
            })?;
            if !more {
                break;
            }
        }
        found.into_iter().map(|place| self.checked_place(place)).collect()
    }

    /// Every term of the segment with its place, block after block.
    pub(super) fn each_term(&self, show: &mut dyn FnMut(&[u8], TermPlace)) -> Result<(), Fault> {
        (0..self.term_blocks()).try_for_each(|block| {
            self.each_term_of(block, &mut |term, place| {
                show(term, place);
                true
            })
        })
    }

    fn term_blocks(&self) -> usize {
        self.sections.len(Section::TermBlocks) as usize / 8
    }

    /// The last block whose first term is not after `term`.
    fn term_block(&self, term: &str) -> Result<Option<usize>, Fault> {
        let (mut low, mut high) = (0, self.term_blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            let first = first_term(self.term_block_bytes(middle)?).ok_or_else(|| self.terms_fault())?;
            if first <= term.as_bytes() { low = middle + 1 } else { high = middle }
        }
        Ok(low.checked_sub(1))
    }

    fn each_term_of(
        &self,
        block: usize,
        show: &mut dyn FnMut(&[u8], TermPlace) -> bool,
    ) -> Result<(), Fault> {
        match each_term(self.term_block_bytes(block)?, show) {
            true => Ok(()),
            false => Err(self.terms_fault()),
        }
    }

    fn term_block_bytes(&self, block: usize) -> Result<&[u8], Fault> {
        let after = self.term_blocks().min(block + 2);
        self.sections.check(Section::TermBlocks, 8 * block..8 * after)?;
        let starts: &[u64] = self.sections.numbers(Section::TermBlocks);
        let terms = self.sections.bytes(Section::Terms);
        let start = starts.get(block).copied().unwrap_or(u64::MAX);
        let end = starts.get(block + 1).copied().unwrap_or(terms.len() as u64);
        if start > end || end > terms.len() as u64 {
            return Err(self.terms_fault());
        }
        let range = start as usize..end as usize;
        self.sections.check(Section::Terms, range.clone())?;
        Ok(&terms[range])
    }

    /// A place that is within its sections and names passages that may exist.
    pub(super) fn checked_place(&self, place: TermPlace) -> Result<TermPlace, Fault> {
        let fits = (1..=self.passages() as u64).contains(&place.passages.into())
            && place.postings.end <= self.sections.len(Section::Postings)
            && place.positions.end <= self.sections.len(Section::Positions);
        if fits { Ok(place) } else { Err(self.terms_fault()) }
    }

    fn terms_fault(&self) -> Fault {
        self.sections.fault(Section::Terms, "it is not a list of terms")
    }
}
