//! The terms of a text: what is written into postings and looked up there.

use std::fmt;

use rust_stemmers::Stemmer;
use unicode_segmentation::UnicodeSegmentation;

use super::fold::without_accents;
use super::language::Language;
use super::parts::parts;
use super::segmentation::{Piece, each_piece, is_hangul};

/// Bytes of a term, at most: a longer word is found by its beginning.
pub(crate) const TERM_LIMIT: usize = 96;

/// Bytes of a word that is stemmed, at most.
const STEMMED: usize = 64;

/// Makes terms of texts, in one language.
pub(crate) struct Analyzer {
    language: Language,
    stemmer: Option<Stemmer>,
}

/// The terms of a word. Its parts take a position each, the whole word the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct WordTerms {
    /// The whole word.
    pub(crate) whole: String,
    /// Its parts, if it has any: those of an identifier, or pairs of Korean syllables.
    pub(crate) parts: Vec<String>,
}

impl WordTerms {
    /// How many positions the word takes.
    pub(crate) fn positions(&self) -> u32 {
        self.parts.len().max(1) as u32
    }

    /// Each term and its place among the positions of the word.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&str, u32)> {
        let repeated = self.parts.first() == Some(&self.whole);
        let whole = (!repeated).then_some((self.whole.as_str(), 0));
        whole.into_iter().chain(self.parts.iter().map(String::as_str).zip(0..))
    }

    /// The terms that follow one another where a text has the word: its parts, else itself.
    pub(crate) fn sequence(&self) -> &[String] {
        if self.parts.is_empty() { std::slice::from_ref(&self.whole) } else { &self.parts }
    }
}

impl Analyzer {
    /// That of a language.
    pub(crate) fn new(language: Language) -> Self {
        Self { language, stemmer: language.stemmer() }
    }

    /// The language by which it stems.
    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// The terms of a word, as [`each_token`] shows it.
    pub(crate) fn word(&self, word: &str) -> WordTerms {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
        let whole = if is_number { cut(word.replace(',', "")) } else { self.term(word) };
        let parts = match word.chars().all(is_hangul) {
            true => pairs_of(&whole),
            false => parts(word).into_iter().map(|part| self.term(part)).collect(),
        };
        WordTerms { whole, parts }
    }

    /// A word or part of one in small letters, stemmed, without accents.
    fn term(&self, word: &str) -> String {
        let lower = word.to_lowercase().replace(['\u{2018}', '\u{2019}'], "'");
        let is_plain = lower.len() <= STEMMED && lower.chars().all(|c| c.is_alphabetic() || c == '\'');
        let stem = match &self.stemmer {
            Some(stemmer) if is_plain => stemmer.stem(&lower),
            _ => lower.as_str().into(),
        };
        cut(without_accents(&stem))
    }

    /// A word in small letters without accents, but not stemmed: the beginning of terms that a prefix finds.
    pub(crate) fn prefix(&self, word: &str) -> String {
        cut(without_accents(&word.to_lowercase()))
    }
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Analyzer").field(&self.language).finish()
    }
}

/// A word as it is written, or terms of a script without spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A word, of which [`Analyzer::word`] makes terms.
    Word(&'a str),
    /// Two characters that follow one another: a term.
    Pair(&'a str),
    /// The last character of a run: a term, by which a character that ends a run is found.
    Last(&'a str),
}

/// Shows the tokens of a text in their order. A pair or last character takes one position.
pub(crate) fn each_token(text: &str, show: &mut dyn FnMut(Token<'_>)) {
    each_piece(text, &mut |piece| match piece {
        Piece::Word(word) => show(Token::Word(word)),
        Piece::Run(run) => {
            let mut before: Option<usize> = None;
            for (at, character) in run.grapheme_indices(true) {
                if let Some(before) = before {
                    show(Token::Pair(short(&run[before..at + character.len()])));
                }
                before = Some(at);
            }
            show(Token::Last(short(&run[before.unwrap_or(0)..])));
        }
    });
}

/// Whether a text has any token.
pub(crate) fn has_words(text: &str) -> bool {
    let mut any = false;
    each_token(text, &mut |_| any = true);
    any
}

/// The pairs of neighboring characters of a word of three or more.
pub(super) fn pairs_of(word: &str) -> Vec<String> {
    let characters: Vec<&str> = word.graphemes(true).collect();
    match characters.len() {
        0..3 => Vec::new(),
        _ => characters.windows(2).map(|pair| pair.concat()).collect(),
    }
}

/// The beginning of a term that is not too long.
fn cut(mut term: String) -> String {
    term.truncate(term.floor_char_boundary(TERM_LIMIT));
    term
}

fn short(term: &str) -> &str {
    &term[..term.floor_char_boundary(TERM_LIMIT)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The terms of a text with their positions.
    fn terms(text: &str, language: Language) -> Vec<(String, u32)> {
        let analyzer = Analyzer::new(language);
        let (mut terms, mut position) = (Vec::new(), 0);
        each_token(text, &mut |token| match token {
            Token::Word(word) => {
                let word = analyzer.word(word);
                terms.extend(word.placed().map(|(term, place)| (term.to_owned(), position + place)));
                position += word.positions();
            }
            Token::Pair(term) | Token::Last(term) => {
                terms.push((term.to_owned(), position));
                position += 1;
            }
        });
        terms
    }

    fn only_terms(text: &str) -> Vec<String> {
        terms(text, Language::English).into_iter().map(|(term, _)| term).collect()
    }

    #[test]
    fn words_are_stemmed_and_without_case_and_accents() {
        assert_eq!(only_terms("Running CAFÉS, the dog's"), ["run", "cafe", "the", "dog"]);
        let german = terms("Häuser", Language::German);
        assert_eq!(german, terms("häusern", Language::German));
        assert_eq!(terms("Häuser", Language::Other), [("hauser".to_owned(), 0)]);
    }

    #[test]
    fn identifiers_are_terms_whole_and_by_parts() {
        let placed = terms("see HttpServer now", Language::Other);
        let expected = [("see", 0), ("httpserver", 1), ("http", 1), ("server", 2), ("now", 3)];
        assert_eq!(placed, expected.map(|(term, at)| (term.to_owned(), at)));
        assert_eq!(only_terms("foo_bar"), ["foo_bar", "foo", "bar"]);
        assert_eq!(only_terms("v1.2"), ["v1.2", "v", "1", "2"]);
        assert_eq!(only_terms("1,000"), ["1000", "1", "000"]);
    }

    #[test]
    fn scripts_without_spaces_are_pairs_of_characters() {
        assert_eq!(only_terms("吃苹果"), ["吃苹", "苹果", "果"]);
        assert_eq!(only_terms("犬"), ["犬"]);
        assert_eq!(only_terms("ภาษา"), ["ภา", "าษ", "ษา", "า"]);
        assert_eq!(only_terms("한국어"), ["한국어", "한국", "국어"]);
    }

    #[test]
    fn a_long_word_is_cut() {
        assert_eq!(only_terms(&"x".repeat(1000))[0].len(), TERM_LIMIT);
        assert_eq!(only_terms(&"1".repeat(1000))[0].len(), TERM_LIMIT);
        assert!(only_terms(&"é_".repeat(1000))[0].len() <= TERM_LIMIT);
    }

    proptest! {
        #[test]
        fn any_text_has_terms_within_bounds(text in "\\PC{0,40}|[0-9a-zé,._犬]{90,200}", code in 0u8..17) {
            for (term, _) in terms(&text, Language::from_code(code)) {
                prop_assert!(term.len() <= TERM_LIMIT);
            }
        }
    }
}
