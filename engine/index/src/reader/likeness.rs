//! Scores texts that are not in the index by their words, with what the index knows of these words.

use std::collections::HashMap;

use super::Snapshot;
use crate::Result;
use crate::graph::Fault;
use crate::words::analysis::{Analyzer, Token, each_token};
use crate::words::bm25::{Bm25, Constants, Statistics};
use crate::words::language::Language;
use crate::words::query::{Unit, words};

/// What a text has of words: how often each term, and its length.
struct Counted {
    terms: HashMap<String, u32>,
    length: u16,
}

impl Snapshot {
    /// For each query the BM25 score of each of `texts`, as though these were all the passages, but with words as rare as
    /// they are in this index; words that it lacks count nothing. Marks such as quotes mean nothing. None if the index has
    /// no words.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if what is stored cannot be trusted.
    pub fn score_texts(&self, queries: &[&str], texts: &[&str]) -> Result<Option<Vec<Vec<f32>>>> {
        let Some(language) = self.main_language().map_err(|fault| self.fault(fault))? else {
            return Ok(None);
        };
        let analyzer = Analyzer::new(language);
        let texts: Vec<Counted> = texts.iter().map(|text| count(text, &analyzer)).collect();
        let mut rarity = Rarity::new(self, language);
        let positions: u64 = texts.iter().map(|text| u64::from(text.length)).sum();
        let average = positions as f64 / texts.len().max(1) as f64;
        let score = |query: &&str| -> Result<Vec<f32>, Fault> {
            let mut scores = vec![0.0; texts.len()];
            for unit in words(query, &analyzer) {
                let (Unit::Term(term) | Unit::Prefix { stem: term, .. }) = unit else { continue };
                let Some(bm25) = rarity.weigh(&term, average)? else { continue };
                for (score, text) in scores.iter_mut().zip(&texts) {
                    if let Some(times) = text.terms.get(&term) {
                        *score += bm25.score(*times, text.length);
                    }
                }
            }
            Ok(scores)
        };
        let scores = queries.iter().map(score).collect::<Result<_, Fault>>();
        scores.map(Some).map_err(|fault| self.fault(fault))
    }
}

/// How rare words are in an index.
struct Rarity<'a> {
    snapshot: &'a Snapshot,
    language: Language,
    known: HashMap<String, u64>,
}

impl<'a> Rarity<'a> {
    fn new(snapshot: &'a Snapshot, language: Language) -> Self {
        Self { snapshot, language, known: HashMap::new() }
    }

    /// The weight of a term among texts of this average length; none if no passage has it.
    fn weigh(&mut self, term: &str, average: f64) -> Result<Option<Bm25>, Fault> {
        let holding = match self.known.get(term) {
            Some(holding) => *holding,
            None => {
                let holding = self.holding(term)?;
                self.known.insert(term.to_owned(), holding);
                holding
            }
        };
        let passages = self.snapshot.segments.iter().map(|view| view.segment.passages() as u64).sum();
        let statistics = Statistics { passages, positions: (average * passages as f64) as u64 };
        Ok((holding > 0).then(|| Bm25::new(statistics, holding, 1, Constants::BESIDE_MEANING)))
    }

    /// How many passages have a term.
    fn holding(&self, term: &str) -> Result<u64, Fault> {
        let mut holding = 0;
        for view in &self.snapshot.segments {
            if view.segment.words()?.is_some_and(|words| words.language == self.language) {
                holding += view.segment.find_term(term)?.map_or(0, |place| u64::from(place.passages));
            }
        }
        Ok(holding)
    }
}

/// Counts the terms of a text.
fn count(text: &str, analyzer: &Analyzer) -> Counted {
    let mut terms: HashMap<String, u32> = HashMap::new();
    let mut length = 0;
    each_token(text, &mut |token| match token {
        Token::Word(word) => {
            let word = analyzer.word(word);
            word.placed().for_each(|(term, _)| *terms.entry(term.to_owned()).or_default() += 1);
            length += word.positions();
        }
        Token::Pair(term) | Token::Last(term) => {
            *terms.entry(term.to_owned()).or_default() += 1;
            length += 1;
        }
    });
    Counted { terms, length: length.min(u16::MAX.into()) as u16 }
}
