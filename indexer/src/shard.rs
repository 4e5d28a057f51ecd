//! Cuts a corpus into parts of about equal work, for machines that each encode one.
//!
//! The parts are consecutive: part 0 has the first documents, and no document is divided. Work is counted in tokens, which are
//! estimated from the characters of a text, so that no model is needed. The corpus is read three times: for faults and repeated
//! ids, for its tokens, and to hand out its documents. Memory holds one document and what [`Survey`] keeps.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use akin_index::Document;

use crate::corpus::{CorpusReader, Placed, Survey, Surveyed};
use crate::sources::Sources;
use crate::{Error, Result};

/// Documents that are read between two reports.
const REPORTED: usize = 256;

/// Tokens that a model adds to each text: at its beginning and its end.
const ADDED_TOKENS: u64 = 2;

/// A corpus that is handed out in parts.
pub struct Shards {
    corpus: CorpusReader,
    survey: Survey,
    sources: Sources,
    cut: Cut,
}

impl Shards {
    /// Reads a corpus through, and finds where it is cut into `parts`. `progress` hears how far either reading has come, and may
    /// stop it.
    ///
    /// # Errors
    /// As [`CorpusReader::survey_with`].
    pub fn open(
        mut corpus: CorpusReader,
        parts: NonZeroUsize,
        progress: &mut dyn FnMut(Surveyed) -> ControlFlow<()>,
    ) -> Result<Self> {
        let survey = corpus.survey_with(progress)?;
        let sources = Sources::of_new_index(&corpus);
        let (mut documents, mut tokens) = (0, 0);
        while let Some(read) = corpus.next_placed() {
            let read = read?;
            if !survey.counts(&read) {
                continue;
            }
            documents += 1;
            tokens += estimated_tokens(&read.document.text);
            if documents % REPORTED == 0 {
                let (bytes, of) = (corpus.bytes_read(), corpus.bytes_total());
                if progress(Surveyed { documents, bytes, of }).is_break() {
                    return Err(Error::Index(akin_index::Error::Cancelled));
                }
            }
        }
        corpus.rewind();
        Ok(Self { corpus, survey, sources, cut: Cut::new(parts.get(), documents, tokens) })
    }

    /// How many documents all parts have together. A document that a later one of the same id replaces is not among them.
    pub fn documents(&self) -> usize {
        self.cut.documents
    }

    /// Documents that are left out because a later one has their id.
    pub fn duplicates(&self) -> usize {
        self.survey.duplicates
    }

    /// The files that no document could be made of.
    pub fn skipped(&self) -> Vec<crate::corpus::Skipped> {
        self.corpus.skipped()
    }

    /// The next document under the id that an index of the whole corpus gives it, with the number of its part, from 0.
    fn read_next(&mut self) -> Result<Option<PartDocument>> {
        while let Some(read) = self.corpus.next_placed() {
            let read = read?;
            if self.survey.counts(&read) {
                let Placed { source, mut document, .. } = read;
                document.id = self.sources.id_of(source, document.id);
                let tokens = estimated_tokens(&document.text);
                return Ok(Some(PartDocument { part: self.cut.take(tokens), tokens, document }));
            }
        }
        Ok(None)
    }
}

/// A document of one part.
#[derive(Debug, Clone, PartialEq)]
pub struct PartDocument {
    /// The number of the part, from 0; never less than that of the document before.
    pub part: usize,
    /// About how many tokens its text has.
    pub tokens: u64,
    /// The document, under its id in an index of the whole corpus.
    pub document: Document,
}

impl Iterator for Shards {
    type Item = Result<PartDocument>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_next().transpose()
    }
}

/// Where a sequence of documents is cut.
#[derive(Debug, Clone)]
struct Cut {
    parts: usize,
    documents: usize,
    tokens: u64,
    /// Documents and tokens of those that were given a part.
    taken: usize,
    before: u64,
    part: usize,
}

impl Cut {
    fn new(parts: usize, documents: usize, tokens: u64) -> Self {
        Self { parts, documents, tokens, taken: 0, before: 0, part: 0 }
    }

    /// The part of the next document: the one that the middle of its tokens lies in. Every part gets a document where there are
    /// enough of them.
    fn take(&mut self, tokens: u64) -> usize {
        let middle = u128::from(self.before) * 2 + u128::from(tokens);
        let part = middle * self.parts as u128 / (u128::from(self.tokens) * 2).max(1);
        let part = usize::try_from(part).unwrap_or(usize::MAX).min(self.parts - 1);
        let left = self.documents.saturating_sub(self.taken);
        if self.taken > 0 {
            // No part is passed over, and the last ones are kept for the last documents.
            let least = self.parts.saturating_sub(left);
            let most = self.part + 1;
            self.part = part.max(least).max(self.part).min(most).min(self.parts - 1);
        }
        self.taken += 1;
        self.before += tokens;
        self.part
    }
}

/// About how many tokens a text has for a model of word pieces: one for a word of English and one more for each five letters
/// beyond the fourth, one for each three digits, two letters of other alphabets, sign, and character of Chinese, Japanese and Korean.
pub fn estimated_tokens(text: &str) -> u64 {
    let (mut tokens, mut run) = (ADDED_TOKENS, Run::default());
    for character in text.chars() {
        let kind = Kind::of(character);
        if kind != run.kind {
            tokens += run.tokens();
            run = Run { kind, characters: 0 };
        }
        run.characters += 1;
    }
    tokens + run.tokens()
}

/// Characters of one kind, one after another.
#[derive(Debug, Default)]
struct Run {
    kind: Kind,
    characters: u64,
}

impl Run {
    fn tokens(&self) -> u64 {
        match self.kind {
            Kind::Space => 0,
            // Most short words are in the vocabulary.
            Kind::Letter => 1 + self.characters.saturating_sub(4) / 5,
            Kind::Digit => self.characters.div_ceil(3),
            Kind::OtherLetter => self.characters.div_ceil(2),
            Kind::Single => self.characters,
        }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Space,
    /// Letters of English.
    Letter,
    Digit,
    /// Letters of other alphabets.
    OtherLetter,
    /// Signs, and characters that are words or syllables.
    Single,
}

impl Kind {
    fn of(character: char) -> Self {
        match character {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            // Kana, Chinese characters and Hangul.
            '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'.. => {
                Self::Single
            }
            _ if character.is_whitespace() => Self::Space,
            _ if character.is_alphanumeric() => Self::OtherLetter,
            _ => Self::Single,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts_of(parts: usize, tokens: &[u64]) -> Vec<usize> {
        let mut cut = Cut::new(parts, tokens.len(), tokens.iter().sum());
        tokens.iter().map(|tokens| cut.take(*tokens)).collect()
    }

    #[test]
    fn equal_documents_are_cut_evenly() {
        assert_eq!(parts_of(3, &[5; 6]), [0, 0, 1, 1, 2, 2]);
        assert_eq!(parts_of(2, &[7]), [0]);
        assert_eq!(parts_of(3, &[0; 3]), [0, 1, 2]);
    }

    #[test]
    fn a_document_longer_than_a_part_leaves_none_empty() {
        assert_eq!(parts_of(4, &[1000, 1, 1, 1]), [0, 1, 2, 3]);
        assert_eq!(parts_of(4, &[1, 1, 1, 1000]), [0, 1, 2, 3]);
        assert_eq!(parts_of(3, &[1, 1, 1000, 1, 1]), [0, 0, 1, 2, 2]);
    }

    #[test]
    fn tokens_are_estimated_from_words_digits_signs_and_scripts() {
        assert_eq!(estimated_tokens(""), 2);
        assert_eq!(estimated_tokens("the cat sat."), 6);
        assert_eq!(estimated_tokens("2024"), 4);
        assert_eq!(estimated_tokens("中文字"), 5);
        assert_eq!(estimated_tokens("кот"), 4);
    }

    proptest! {
        #[test]
        fn parts_ascend_and_differ_by_no_more_than_their_longest_documents(
            tokens in prop::collection::vec(1u64..500, 1..400),
            parts in 1usize..20,
        ) {
            let found = parts_of(parts, &tokens);
            prop_assert!(found.is_sorted());
            if tokens.len() < parts {
                return Ok(());
            }
            let longest = *tokens.iter().max().unwrap();
            let share = tokens.iter().sum::<u64>() / parts as u64;
            for part in 0..parts {
                let of_part = tokens.iter().zip(&found).filter(|(_, of)| **of == part);
                let sum: u64 = of_part.map(|(tokens, _)| tokens).sum();
                prop_assert!(sum > 0);
                // Where a document is longer than a part, its neighbors give way.
                if longest <= share {
                    prop_assert!(sum <= share + longest + 1, "part {part} has {sum} of {share}");
                }
            }
        }
    }
}
