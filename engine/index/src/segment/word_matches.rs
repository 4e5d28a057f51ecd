//! Which passages of a segment have a term, a phrase, or a word with a beginning.

use super::PassageSet;
use super::Segment;
use super::postings::{Cursor, Listed, Matches};
use crate::graph::Fault;
use crate::words::query::Unit;

/// Words with one beginning that are looked for, at most.
const PREFIXED: usize = 1024;

impl Segment {
    /// Where it has something that a query looks for; none if it has it nowhere.
    pub(crate) fn matches(&self, unit: &Unit) -> Result<Option<Matches>, Fault> {
        let listed = match unit {
            Unit::Term(term) => return Ok(self.find_term(term)?.map(Matches::Term)),
            Unit::Prefix { beginning, stem } => self.prefixed(beginning, stem)?,
            Unit::Phrase(terms) => self.phrase(terms)?,
        };
        Ok((!listed.rows.is_empty()).then_some(Matches::Listed(listed)))
    }

    /// The passages of any term that begins with `beginning`, and of `stem`.
    fn prefixed(&self, beginning: &str, stem: &str) -> Result<Listed, Fault> {
        let mut places = self.terms_with_prefix(beginning, PREFIXED)?;
        if !stem.starts_with(beginning) {
            places.extend(self.find_term(stem)?);
        }
        let mut found: Vec<(u32, u32)> = Vec::new();
        for place in places {
            let matches = Matches::Term(place);
            let mut cursor = Cursor::new(self, &matches)?;
            cursor.each_before(u32::MAX, |row, occurrences| found.push((row, occurrences)))?;
        }
        found.sort_unstable();
        let mut listed = Listed::default();
        for passage in found.chunk_by(|a, b| a.0 == b.0) {
            listed.rows.push(passage[0].0);
            listed
                .occurrences
                .push(passage.iter().fold(0, |sum, (_, occurrences)| sum.saturating_add(*occurrences)));
        }
        Ok(listed)
    }

    /// The passages in which terms follow one another, each at its distance from the first.
    fn phrase(&self, terms: &[(String, u32)]) -> Result<Listed, Fault> {
        let mut places = Vec::with_capacity(terms.len());
        for (term, distance) in terms {
            let Some(place) = self.find_term(term)? else { return Ok(Listed::default()) };
            places.push((Matches::Term(place), *distance));
        }
        // The rarest first: the others are only looked up where it is.
        places.sort_by_key(|(matches, _)| matches.passages());
        let cursors = places.iter().map(|(matches, distance)| Ok((Cursor::new(self, matches)?, *distance)));
        let mut cursors = cursors.collect::<Result<Vec<_>, Fault>>()?;
        let (mut listed, mut row) = (Listed::default(), 0);
        let (mut starts, mut positions) = (Vec::new(), Vec::new());
        while let Some(common) = common_row(&mut cursors, row)? {
            let occurrences = phrase_starts(&cursors, &mut starts, &mut positions)?;
            if occurrences > 0 {
                listed.rows.push(common);
                listed.occurrences.push(occurrences);
            }
            row = common + 1;
        }
        Ok(listed)
    }

    /// The passages of all documents that have one of these.
    pub(crate) fn documents_of(&self, matches: &[Matches]) -> Result<PassageSet, Fault> {
        let mut words = vec![0u64; self.passages().div_ceil(64)];
        let mut rows = Vec::new();
        for matches in matches {
            Cursor::new(self, matches)?.each_before(u32::MAX, |row, _| rows.push(row as usize))?;
        }
        rows.sort_unstable();
        let mut until = 0;
        for row in rows {
            if row < until {
                continue;
            }
            for passage in self.passages_of(self.document_of(row)?)? {
                words[passage / 64] |= 1 << (passage % 64);
                until = passage + 1;
            }
        }
        Ok(PassageSet::of(words))
    }
}

/// The first passage from `row` on that all cursors have; all are at it then.
fn common_row(cursors: &mut [(Cursor<'_>, u32)], mut row: u32) -> Result<Option<u32>, Fault> {
    'again: loop {
        for (cursor, _) in cursors.iter_mut() {
            match cursor.seek(row)? {
                None => return Ok(None),
                Some(found) if found > row => {
                    row = found;
                    continue 'again;
                }
                Some(_) => {}
            }
        }
        return Ok(Some(row));
    }
}

/// How often the terms follow one another in the passage that all cursors are at.
fn phrase_starts(
    cursors: &[(Cursor<'_>, u32)],
    starts: &mut Vec<u32>,
    positions: &mut Vec<u32>,
) -> Result<u32, Fault> {
    for (at, (cursor, distance)) in cursors.iter().enumerate() {
        cursor.positions(positions)?;
        let begins = |position: &u32| position.checked_sub(*distance);
        if at == 0 {
            starts.clear();
            starts.extend(positions.iter().filter_map(begins));
        } else {
            starts.retain(|start| positions.binary_search_by_key(&Some(*start), begins).is_ok());
        }
    }
    Ok(starts.len() as u32)
}
