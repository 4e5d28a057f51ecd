//! The terms of a segment, ascending, and where the postings of each are.
//!
//! Terms come in blocks of [`BLOCK`]. A block begins with the first bytes of its postings and positions (u64 each). A term is
//! how many bytes it shares with the one before in its block (u8), how many follow (u8) and those; then, as numbers of seven bits
//! a byte, how many passages it has, and the bytes of its postings and positions.

use std::ops::Range;

use super::analysis::TERM_LIMIT;
use super::packing::{read_number, write_number};

/// Terms that are read together.
pub(crate) const BLOCK: usize = 32;

/// Bytes before the terms of a block.
pub(crate) const BLOCK_HEAD: usize = 16;

/// Where the postings of a term are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TermPlace {
    /// How many passages have it.
    pub(crate) passages: u32,
    /// Its bytes among all postings.
    pub(crate) postings: Range<u64>,
    /// Its bytes among all positions.
    pub(crate) positions: Range<u64>,
}

/// Writes terms in ascending order.
#[derive(Debug, Default)]
pub(crate) struct DictionaryWriter {
    /// The terms, and where each block of them begins.
    pub(crate) bytes: Vec<u8>,
    pub(crate) blocks: Vec<u64>,
    terms: usize,
    before: String,
    postings: u64,
    positions: u64,
}

impl DictionaryWriter {
    /// Appends a term with so many passages and bytes.
    pub(crate) fn add(&mut self, term: &str, passages: u32, postings: u32, positions: u32) {
        if self.terms.is_multiple_of(BLOCK) {
            self.blocks.push(self.bytes.len() as u64);
            self.bytes.extend(self.postings.to_le_bytes());
            self.bytes.extend(self.positions.to_le_bytes());
            self.before.clear();
        }
        let shared = term.bytes().zip(self.before.bytes()).take_while(|(a, b)| a == b).count();
        self.bytes.extend([shared as u8, (term.len() - shared) as u8]);
        self.bytes.extend(&term.as_bytes()[shared..]);
        [passages, postings, positions].into_iter().for_each(|number| write_number(number, &mut self.bytes));
        self.terms += 1;
        self.postings += u64::from(postings);
        self.positions += u64::from(positions);
        term.clone_into(&mut self.before);
    }

    /// How many terms it has.
    pub(crate) fn terms(&self) -> u64 {
        self.terms as u64
    }
}

/// The first term of a block, as bytes.
pub(crate) fn first_term(block: &[u8]) -> Option<&[u8]> {
    let (lengths, rest) = block.get(BLOCK_HEAD..)?.split_first_chunk::<2>()?;
    (lengths[0] == 0).then_some(())?;
    rest.get(..lengths[1].into())
}

/// Shows the terms of a block until `show` says that it is enough. False if the bytes are not those of a block.
pub(crate) fn each_term(block: &[u8], show: &mut dyn FnMut(&[u8], TermPlace) -> bool) -> bool {
    read_terms(block, show).is_some()
}

fn read_terms(block: &[u8], show: &mut dyn FnMut(&[u8], TermPlace) -> bool) -> Option<()> {
    let (postings, rest) = block.split_first_chunk::<8>()?;
    let (positions, mut rest) = rest.split_first_chunk::<8>()?;
    let (mut postings, mut positions) = (u64::from_le_bytes(*postings), u64::from_le_bytes(*positions));
    let mut term: Vec<u8> = Vec::with_capacity(TERM_LIMIT);
    while !rest.is_empty() {
        let ([shared, more], after) = rest.split_first_chunk::<2>()?;
        let (shared, more) = (usize::from(*shared), usize::from(*more));
        let (suffix, after) = after.split_at_checked(more)?;
        if shared > term.len() || shared + more > TERM_LIMIT {
            return None;
        }
        term.truncate(shared);
        term.extend(suffix);
        rest = after;
        let passages = read_number(&mut rest)?;
        let postings_end = postings.checked_add(read_number(&mut rest)?.into())?;
        let positions_end = positions.checked_add(read_number(&mut rest)?.into())?;
        let place =
            TermPlace { passages, postings: postings..postings_end, positions: positions..positions_end };
        if !show(&term, place) {
            return Some(());
        }
        (postings, positions) = (postings_end, positions_end);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn terms_come_back(terms in prop::collection::btree_set("[a-c]{1,5}|\\PC{1,9}", 1..100)) {
            let mut writer = DictionaryWriter::default();
            for (term, number) in terms.iter().zip(1..) {
                writer.add(term, number, 2 * number, 3 * number);
            }
            let mut read = Vec::new();
            for (at, start) in writer.blocks.iter().enumerate() {
                let end = writer.blocks.get(at + 1).map_or(writer.bytes.len(), |end| *end as usize);
                let block = &writer.bytes[*start as usize..end];
                prop_assert_eq!(first_term(block), terms.iter().nth(at * BLOCK).map(|term| term.as_bytes()));
                let whole = each_term(block, &mut |term, place| {
                    read.push((String::from_utf8(term.to_vec()).unwrap(), place));
                    true
                });
                prop_assert!(whole);
            }
            prop_assert!(read.iter().map(|(term, _)| term).eq(terms.iter()));
            for ((_, place), number) in read.iter().zip(1u32..) {
                prop_assert_eq!(place.passages, number);
                prop_assert_eq!(place.postings.end - place.postings.start, u64::from(2 * number));
            }
            let ends = read.windows(2).all(|pair| pair[0].1.positions.end == pair[1].1.positions.start);
            prop_assert!(ends);
        }

        #[test]
        fn no_bytes_make_it_panic(block in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = first_term(&block);
            each_term(&block, &mut |term, _| {
                assert!(term.len() <= TERM_LIMIT);
                true
            });
        }
    }
}
