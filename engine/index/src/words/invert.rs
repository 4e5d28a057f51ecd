//! Inverts texts: of the words of each passage come the passages of each word.

use std::collections::HashMap;

use super::analysis::{Analyzer, Token, each_token};
use super::bm25::LENGTH_LIMIT;
use super::language::Language;
use super::packing::{read_number, write_number};

/// Different words whose terms are remembered.
const REMEMBERED: usize = 1 << 17;

/// The terms of passages, added one after another.
#[derive(Debug)]
pub(crate) struct Inverter {
    analyzer: Analyzer,
    /// The terms of words that came before.
    words: HashMap<Box<str>, KnownWord>,
    terms: HashMap<Box<str>, u32>,
    lists: Vec<Postings>,
    lengths: Vec<u16>,
    positions: u64,
    /// The terms of one passage, and where they are.
    passage: Vec<(u32, u32)>,
}

/// The terms of a word and their places, and how many positions it takes.
type KnownWord = (Box<[(u32, u32)]>, u32);

/// The passages of a term so far: numbers one after another.
#[derive(Debug, Default)]
struct Postings {
    last: u32,
    /// Of each passage its distance to the one before, and how often it has the term.
    rows: Vec<u8>,
    /// Of each occurrence its distance to the one before in the same passage.
    positions: Vec<u8>,
}

impl Inverter {
    /// With no passage yet.
    pub(crate) fn new(language: Language) -> Self {
        Self {
            analyzer: Analyzer::new(language),
            words: HashMap::new(),
            terms: HashMap::new(),
            lists: Vec::new(),
            lengths: Vec::new(),
            positions: 0,
            passage: Vec::new(),
        }
    }

    /// The language of the terms.
    pub(crate) fn language(&self) -> Language {
        self.analyzer.language()
    }

    /// Adds the next passage.
    pub(crate) fn add(&mut self, text: &str) {
        let mut passage = std::mem::take(&mut self.passage);
        passage.clear();
        let mut length = 0u32;
        each_token(text, &mut |token| {
            let taken = match token {
                Token::Word(word) => self.add_word(word, length, &mut passage),
                Token::Pair(term) | Token::Last(term) => {
                    passage.push((self.term(term), length));
                    1
                }
            };
            length = length.saturating_add(taken);
        });
        passage.sort_unstable();
        let row = self.lengths.len() as u32;
        for occurrences in passage.chunk_by(|a, b| a.0 == b.0) {
            self.lists[occurrences[0].0 as usize].add(row, occurrences);
        }
        self.lengths.push(length.min(LENGTH_LIMIT) as u16);
        self.positions += u64::from(length.min(LENGTH_LIMIT));
        self.passage = passage;
    }

    /// Adds the terms of a word at a position, and tells how many positions it takes.
    fn add_word(&mut self, word: &str, position: u32, passage: &mut Vec<(u32, u32)>) -> u32 {
        if let Some((terms, taken)) = self.words.get(word) {
            passage.extend(terms.iter().map(|(term, place)| (*term, position.saturating_add(*place))));
            return *taken;
        }
        let analyzed = self.analyzer.word(word);
        let terms: Box<[(u32, u32)]> =
            analyzed.placed().map(|(term, place)| (self.term(term), place)).collect();
        passage.extend(terms.iter().map(|(term, place)| (*term, position.saturating_add(*place))));
        if self.words.len() == REMEMBERED {
            self.words.clear();
        }
        self.words.insert(word.into(), (terms, analyzed.positions()));
        analyzed.positions()
    }

    fn term(&mut self, term: &str) -> u32 {
        if let Some(term) = self.terms.get(term) {
            return *term;
        }
        let number = self.lists.len() as u32;
        self.terms.insert(term.into(), number);
        self.lists.push(Postings::default());
        number
    }

    /// Whether no passage has a word.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The length of each passage, in positions.
    pub(crate) fn lengths(&self) -> &[u16] {
        &self.lengths
    }

    /// The sum of all lengths.
    pub(crate) fn positions(&self) -> u64 {
        self.positions
    }

    /// All terms, ascending, and the numbers by which their postings are asked for.
    pub(crate) fn terms(&self) -> Vec<(&str, u32)> {
        let mut terms: Vec<(&str, u32)> =
            self.terms.iter().map(|(term, number)| (&**term, *number)).collect();
        terms.sort_unstable();
        terms
    }

    /// Reads the passages of a term, how often each has it, and how many bytes its positions take.
    pub(crate) fn postings(&self, term: u32, found: &mut Found) {
        let Found { rows, occurrences, position_bytes } = found;
        let list = &self.lists[term as usize];
        let (mut bytes, mut positions, mut row) = (&list.rows[..], &list.positions[..], 0);
        rows.clear();
        occurrences.clear();
        position_bytes.clear();
        while let Some((gap, times)) = read_number(&mut bytes).zip(read_number(&mut bytes)) {
            row += gap;
            rows.push(row);
            occurrences.push(times);
            let before = positions.len();
            for _ in 0..times {
                read_number(&mut positions);
            }
            position_bytes.push((before - positions.len()) as u32);
        }
    }

    /// The positions of a term: those of each passage, as distances to the one before.
    pub(crate) fn positions_of(&self, term: u32) -> &[u8] {
        &self.lists[term as usize].positions
    }
}

/// The postings of a term.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<u32>,
    pub(crate) occurrences: Vec<u32>,
    pub(crate) position_bytes: Vec<u32>,
}

impl Postings {
    fn add(&mut self, row: u32, occurrences: &[(u32, u32)]) {
        write_number(row - self.last, &mut self.rows);
        write_number(occurrences.len() as u32, &mut self.rows);
        let mut before = 0;
        for (_, position) in occurrences {
            write_number(position - before, &mut self.positions);
            before = *position;
        }
        self.last = row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_has_its_passages() {
        let mut inverter = Inverter::new(Language::English);
        ["a cat and a dog", "", "cats", "foo_bar"].iter().for_each(|text| inverter.add(text));
        let terms: Vec<&str> = inverter.terms().into_iter().map(|(term, _)| term).collect();
        assert_eq!(terms, ["a", "and", "bar", "cat", "dog", "foo", "foo_bar"]);
        assert_eq!((inverter.lengths(), inverter.positions()), (&[5, 0, 1, 2][..], 8));
        let mut found = Found::default();
        inverter.postings(inverter.terms()[3].1, &mut found);
        assert_eq!((&found.rows[..], &found.occurrences[..]), (&[0, 2][..], &[1, 1][..]));
        inverter.postings(inverter.terms()[0].1, &mut found);
        assert_eq!((&found.occurrences[..], &found.position_bytes[..]), (&[2][..], &[2][..]));
        assert_eq!(inverter.positions_of(inverter.terms()[0].1), [0, 3]);
    }
}
