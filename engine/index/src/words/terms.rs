//! The terms of texts and of queries, for an engine that keeps words itself.

use super::analysis::{Analyzer, Token, each_token};
use super::language::Language;
use super::query::{self, Unit, WordKind, WordPart};

/// The name of words that are not stemmed.
const SIMPLE: &str = "simple";

/// Makes terms of texts and of queries: the same terms that an index of ours has.
#[derive(Debug)]
pub struct TermReader {
    name: &'static str,
    analyzer: Analyzer,
}

/// The terms of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextTerms {
    /// In their order. A word that has parts, such as `foo_bar`, is there by its parts.
    pub sequence: Vec<String>,
    /// The whole words of those that have parts.
    pub wholes: Vec<String>,
}

/// Terms to look for, which follow one another in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoughtTerms {
    /// The terms, one at least.
    pub terms: Vec<String>,
    /// Whether any term that begins with the last one will do in its place.
    pub is_open: bool,
}

impl TermReader {
    /// Reads words by the name of a language in small letters, as in "english", which says how they are stemmed, or by "simple",
    /// which does not stem them. None for any other name.
    pub fn named(name: &str) -> Option<Self> {
        let of = |name, language| Self { name, analyzer: Analyzer::new(language) };
        match name {
            SIMPLE => Some(of(SIMPLE, Language::Other)),
            _ => Language::named(name).map(|(name, language)| of(name, language)),
        }
    }

    /// The names that [`TermReader::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(SIMPLE).chain(Language::names())
    }

    /// The name of what it reads by.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The terms of a text.
    pub fn read(&self, text: &str) -> TextTerms {
        let mut terms = TextTerms::default();
        each_token(text, &mut |token| match token {
            Token::Pair(term) | Token::Last(term) => terms.sequence.push(term.to_owned()),
            Token::Word(word) => {
                let word = self.analyzer.word(word);
                terms.sequence.extend_from_slice(word.sequence());
                if word.parts.first().is_some_and(|first| *first != word.whole) {
                    terms.wholes.push(word.whole);
                }
            }
        });
        terms
    }

    /// What a part of a query looks for: for a phrase one sequence at most, else a sequence for each term.
    pub fn sought(&self, part: &WordPart<'_>) -> Vec<SoughtTerms> {
        let units = match part.kind {
            WordKind::Words => query::words(part.text, &self.analyzer),
            WordKind::Prefix => {
                query::with_prefix(query::words(part.text, &self.analyzer), part.text, &self.analyzer)
            }
            WordKind::Phrase => return self.phrase(part.text).into_iter().collect(),
        };
        units.into_iter().flat_map(sought_of).filter(|sought| !sought.terms[0].is_empty()).collect()
    }

    /// The terms of a text that must follow one another.
    fn phrase(&self, text: &str) -> Option<SoughtTerms> {
        let (mut terms, mut in_run) = (Vec::new(), false);
        // Whether the text ends with the last character of a run, and whether that is in a pair.
        let (mut ends_run, mut is_paired) = (false, false);
        each_token(text, &mut |token| {
            ends_run = matches!(token, Token::Last(_));
            match token {
                Token::Word(word) => terms.extend_from_slice(self.analyzer.word(word).sequence()),
                Token::Pair(pair) => {
                    terms.push(pair.to_owned());
                    in_run = true;
                }
                Token::Last(last) => {
                    terms.push(last.to_owned());
                    is_paired = std::mem::take(&mut in_run);
                }
            }
        });
        // A text may go on with other characters where the phrase ends.
        if ends_run && is_paired {
            terms.pop();
        }
        let is_open = ends_run && !is_paired;
        (!terms.is_empty()).then_some(SoughtTerms { terms, is_open })
    }
}

fn sought_of(unit: Unit) -> Vec<SoughtTerms> {
    let one = |term, is_open| SoughtTerms { terms: vec![term], is_open };
    match unit {
        Unit::Term(term) => vec![one(term, false)],
        // The stem of the beginning may be shorter than it is.
        Unit::Prefix { beginning, stem } if !stem.starts_with(&beginning) => {
            vec![one(beginning, true), one(stem, false)]
        }
        Unit::Prefix { beginning, .. } => vec![one(beginning, true)],
        Unit::Phrase(terms) => {
            vec![SoughtTerms { terms: terms.into_iter().map(|(term, _)| term).collect(), is_open: false }]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WordQuery;

    fn sought(reader: &TermReader, text: &str) -> Vec<(String, bool)> {
        let query = WordQuery::parse(text);
        let sought: Vec<SoughtTerms> = query.parts().flat_map(|part| reader.sought(&part)).collect();
        sought.into_iter().map(|sought| (sought.terms.join(" "), sought.is_open)).collect()
    }

    #[test]
    fn texts_and_queries_have_the_same_terms() {
        let simple = TermReader::named("simple").unwrap();
        let terms = simple.read("See foo_bar, Café 吃苹果 x");
        assert_eq!(terms.sequence, ["see", "foo", "bar", "cafe", "吃苹", "苹果", "果", "x"]);
        assert_eq!(terms.wholes, ["foo_bar"]);
        let all = |text: &str| sought(&simple, text);
        let closed = |text: &str| (text.to_owned(), false);
        assert_eq!(all("\"See foo_bar\" CAFÉ"), [closed("see foo bar"), closed("cafe")]);
        assert_eq!(all("foo_bar"), [closed("foo_bar"), closed("foo"), closed("bar")]);
        assert_eq!(all("auto*"), [("auto".to_owned(), true)]);
        assert_eq!(all("\"吃苹果\""), [closed("吃苹 苹果")]);
        assert_eq!(all("\"苹果 x\""), [closed("苹果 果 x")]);
        assert_eq!(all("\"x 吃\" 果"), [("x 吃".to_owned(), true), ("果".to_owned(), true)]);
        assert_eq!(all(" ?! \"-\""), []);
    }

    #[test]
    fn a_language_stems_and_other_names_are_none() {
        let english = TermReader::named("english").unwrap();
        assert_eq!((english.name(), english.read("Dogs").sequence), ("english", vec!["dog".to_owned()]));
        assert_eq!(sought(&english, "happily*"), [("happily".into(), true), ("happili".into(), false)]);
        for name in TermReader::names() {
            assert_eq!(TermReader::named(name).unwrap().name(), name);
        }
        for name in ["", "English", "klingon", "none"] {
            assert!(TermReader::named(name).is_none());
        }
    }
}
