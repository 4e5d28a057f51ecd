//! Marks the words of a query in a text, as a search finds them: by stem, by part, by beginning.

use std::collections::HashSet;
use std::ops::Range;

use unicode_normalization::{IsNormalized, is_nfkc_quick};

use super::Snapshot;
use super::words::Commonness;
use crate::words::analysis::{Analyzer, Token, each_token};
use crate::words::language::Language;
use crate::words::query::{Plan, Unit};
use crate::{Result, WordQuery};

/// A word that so great a share of the passages has says nothing of one: it is marked only where all words are so.
const COMMON: f64 = 0.2;

/// Marks the words of one query.
#[derive(Debug)]
pub struct Marker {
    analyzer: Analyzer,
    terms: HashSet<String>,
    beginnings: Vec<String>,
}

impl Snapshot {
    /// What marks the words of a query in texts of this index.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn marker(&self, query: &WordQuery) -> Result<Marker> {
        let language = self.main_language().map_err(|fault| self.fault(fault))?;
        let analyzer = Analyzer::new(language.unwrap_or(Language::Other));
        let Plan { optional, required, .. } = query.plan(&analyzer);
        let common = self.commonness(query).map_err(|fault| self.fault(fault))?;
        let is_rare =
            |unit: &Unit| common.as_ref().is_none_or(|common: &Commonness| common.of(unit) < COMMON);
        let units: Vec<Unit> = optional.into_iter().chain(required).map(|(unit, _)| unit).collect();
        let any_rare = units.iter().any(is_rare);
        let mut marker = Marker { analyzer, terms: HashSet::new(), beginnings: Vec::new() };
        for unit in units.into_iter().filter(|unit| !any_rare || is_rare(unit)) {
            match unit {
                Unit::Term(term) => drop(marker.terms.insert(term)),
                Unit::Phrase(terms) => marker.terms.extend(terms.into_iter().map(|(term, _)| term)),
                Unit::Prefix { beginning, stem } => {
                    marker.beginnings.push(beginning);
                    marker.terms.insert(stem);
                }
            }
        }
        Ok(marker)
    }
}

impl Marker {
    /// The bytes of the words of the query in a text, ascending.
    pub fn marks(&self, text: &str) -> Vec<Range<usize>> {
        let mut marks: Vec<Range<usize>> = Vec::new();
        let mut mark = |range: Range<usize>| match marks.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => marks.push(range),
        };
        // No word goes on behind a blank.
        for part in text.split(char::is_whitespace).filter(|part| !part.is_empty()) {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            // Of a part whose form is not that of terms the places of words are not known.
            let is_whole = is_nfkc_quick(part.chars()) != IsNormalized::Yes;
            each_token(part, &mut |token| {
                let (word, is_marked) = match token {
                    Token::Word(word) => (word, self.has_word(word)),
                    Token::Pair(term) | Token::Last(term) => (term, self.has(term)),
                };
                if is_marked && is_whole {
                    mark(start..start + part.len());
                } else if is_marked {
                    let first = word.as_ptr() as usize - text.as_ptr() as usize;
                    mark(first..first + word.len());
                }
            });
        }
        marks
    }

    fn has_word(&self, word: &str) -> bool {
        self.analyzer.word(word).placed().any(|(term, _)| self.has(term))
            || (!self.beginnings.is_empty() && self.begins(&self.analyzer.prefix(word)))
    }

    fn has(&self, term: &str) -> bool {
        self.terms.contains(term) || self.begins(term)
    }

    fn begins(&self, term: &str) -> bool {
        self.beginnings.iter().any(|beginning| term.starts_with(beginning.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::Folder;

    use crate::{Document, Embeddings, Index, ModelIdentity, WordQuery};

    /// The marked words of a text, by a query to an index of `texts`.
    fn marked(texts: &[&str], query: &str, text: &str) -> Vec<String> {
        let folder = Folder::new();
        let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(1)).unwrap();
        let documents: Vec<Document> = (0..)
            .zip(texts)
            .map(|(id, text)| Document { id: format!("{id}"), text: (*text).into(), ..Document::default() })
            .collect();
        index.upsert(&documents, &Embeddings::from_values(1, vec![1.0; texts.len()])).unwrap();
        let marker = index.snapshot().marker(&WordQuery::parse(query)).unwrap();
        marker.marks(text).into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn words_are_marked_as_they_are_found() {
        let texts = ["the dogs ran", "a cat", "the sea", "birds", "fish", "the whales sing", "ants", "bees"];
        assert_eq!(marked(&texts, "dog sing*", "The DOG sang, singers sing"), ["DOG", "singers", "sing"]);
        assert_eq!(marked(&texts, "\"the sea\" -cat", "a cat by the sea"), ["the", "sea"]);
        assert_eq!(marked(&texts, "the sea", "a cat by the sea"), ["sea"], "the is everywhere");
        assert_eq!(marked(&["the"], "the", "the end"), ["the"]);
        assert_eq!(marked(&texts, "server", "an HttpServer"), ["HttpServer"]);
        assert!(marked(&texts, "", "any text").is_empty());
    }

    #[test]
    fn characters_without_spaces_are_marked_together() {
        let texts = ["我喜欢吃苹果", "天气很好", "一", "二", "三", "四"];
        assert_eq!(marked(&texts, "吃苹果", "他吃苹果了"), ["吃苹果"]);
        assert_eq!(marked(&["the ﬁsh", "a", "b", "c", "d", "e"], "fish", "red ﬁsh, ﬁn"), ["ﬁsh,"]);
    }
}
