//! Checks the words of a segment: what is written of each term against its passages.

use super::Segment;
use super::postings::{Cursor, Matches};
use super::sections::Section;
use crate::graph::Fault;
use crate::words::dictionary::TermPlace;

impl Segment {
    /// The terms ascend, each is in as many passages as it says, at positions that ascend, within the bounds of its blocks;
    /// and lengths and terms sum up to what is said of them.
    pub(super) fn verify_words(&self) -> Result<(), Fault> {
        let Some(words) = self.words()? else { return Ok(()) };
        let sum: u64 = self.lengths(0..self.passages())?.iter().map(|length| u64::from(*length)).sum();
        if sum != self.word_statistics(&words).positions {
            return Err(self.sections.fault(Section::Lengths, "they have another sum"));
        }
        let (mut before, mut terms, mut ascend) = (Vec::new(), 0u64, true);
        let (mut places, mut ends) = (Vec::new(), (0, 0));
        self.each_term(&mut |term, place| {
            ascend &= (terms == 0 || *term > before[..]) && std::str::from_utf8(term).is_ok();
            ascend &= (place.postings.start, place.positions.start) == ends;
            ends = (place.postings.end, place.positions.end);
            before = term.to_vec();
            terms += 1;
            places.push(place);
        })?;
        let lengths = (self.sections.len(Section::Postings), self.sections.len(Section::Positions));
        if !ascend || terms != words.terms() || ends != lengths {
            return Err(self.sections.fault(Section::Terms, "they are not in order"));
        }
        places.into_iter().try_for_each(|place| self.verify_term(place))
    }

    fn verify_term(&self, place: TermPlace) -> Result<(), Fault> {
        let fault = |why: &str| self.sections.fault(Section::Postings, why);
        let matches = Matches::Term(self.checked_place(place)?);
        let mut cursor = Cursor::new(self, &matches)?;
        let (mut row, mut passages, mut positions) = (0, 0, Vec::new());
        while let Some(found) = cursor.seek(row)? {
            let length = self.lengths(found as usize..found as usize + 1)?[0];
            cursor.positions(&mut positions)?;
            if !positions.is_sorted() || length < u16::MAX && positions.last() >= Some(&length.into()) {
                return Err(fault("a term is where its passage is not"));
            }
            if !cursor.is_within_bounds(length) {
                return Err(fault("a passage is beyond the bounds of its block"));
            }
            passages += 1;
            row = found + 1;
        }
        if passages == matches.passages() {
            Ok(())
        } else {
            Err(fault("a term has other passages than it says"))
        }
    }
}
