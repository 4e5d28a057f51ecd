//! Finding documents by their words, and by words and meaning.
//!
//! Scores of words are those of the server's BM25.

use std::collections::HashMap;

use akin_index::{Background, Hit, Pointless, WordQuery};

use super::MilvusEngine;
use super::read::{count, keys_in, query_some};
use super::restriction::Restriction;
use super::schema::{BM25_VECTOR, EMBEDDING, WORDS};
use super::search::{Documents, FIELDS, MOST_FOUND, clamped};
use super::wire::{Pair, Search};
use super::words::{Plan, any_like, beginning_pattern, plan};
use crate::postgres::unit;
use crate::{Ask, Both, Error, Result};

/// Rows that are read to learn which terms have a beginning, and the terms that stand for all of them, at most: the most common.
const READ_FOR_BEGINNINGS: usize = 1000;
const TERMS_OF_BEGINNINGS: usize = 64;

/// Passages that the background of a query is told by.
const SAMPLE: usize = 256;

/// The first digits of the key of a document: as many values as 32 bits have, evenly used.
const KEY_VALUES: f64 = 4_294_967_296.0;

impl MilvusEngine {
    /// The documents that have the words of a query.
    pub(super) fn search_words(&self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        let plan = self.plan(query)?;
        let filter = self.expression(ask)?;
        let text = self.text_of_plan(&plan)?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let restriction = self.restriction_of_words(&plan, filter)?;
        Ok(self.documents_by_words(&text, ask, &restriction, &FIELDS)?.hits)
    }

    /// What is found by meaning and by words.
    pub(super) fn search_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        self.require_dimension(vector)?;
        let plan = self.plan(query)?;
        let filter = self.expression(ask)?;
        let text = self.text_of_plan(&plan)?;
        let vector = unit(self.model.similarity, vector);
        let background = self.background(&vector)?;
        let of_words = self.restriction_of_words(&plan, filter.clone())?;
        let fields: Vec<&str> = FIELDS.into_iter().chain([EMBEDDING]).collect();
        let found = self.documents_by_words(&text, ask, &of_words, &fields)?;
        let of_meaning = match plan.required.is_empty() {
            true => of_words.clone(),
            false => Restriction::of(&self.connection, filter, &plan.required, &plan.excluded)?,
        };
        let (near, near_passages) = match query.pointless() {
            Some(Pointless::OnlyExclusions) => (Vec::new(), Vec::new()),
            _ => {
                let near = self.nearest_documents(&vector, ask, &of_meaning)?;
                (near.hits, near.passages)
            }
        };
        let words_of_near = self.words_of(&text, &near_passages, &found)?;
        let similarities_of_found = found
            .passages
            .iter()
            .map(|(_, passage)| self.similarity_of(&vector, passage))
            .collect::<Result<_>>()?;
        Ok(Both {
            by_meaning: near,
            words_of_near,
            by_words: found.hits,
            similarities_of_found,
            background,
            trust: 0.0,
        })
    }

    /// The similarity of two vectors, of which the server sent the second.
    fn similarity_of(&self, query: &[f32], passage: &[f32]) -> Result<f32> {
        match passage.len() == query.len() {
            true => Ok(clamped(self.model.similarity, self.model.similarity.of(query, passage))),
            false => Err(self.confused()),
        }
    }

    fn plan(&self, query: &WordQuery) -> Result<Plan> {
        match &self.reader {
            Some(reader) => Ok(plan(reader, query)),
            None => Err(Error::NoWords { place: self.connection.address.place() }),
        }
    }

    /// The text that the server looks for: the terms of a plan, and those that have its beginnings.
    fn text_of_plan(&self, plan: &Plan) -> Result<String> {
        let mut terms = plan.terms.clone();
        if !plan.beginnings.is_empty() {
            let patterns: Vec<String> =
                plan.beginnings.iter().map(|beginning| beginning_pattern(beginning)).collect();
            let rows =
                query_some(&self.connection, &any_like(&patterns), &[WORDS], Some(READ_FOR_BEGINNINGS))?;
            let mut counts: HashMap<&str, usize> = HashMap::new();
            for term in rows.iter().filter_map(|row| row.words.as_deref()).flat_map(|words| words.split(' '))
            {
                if plan.beginnings.iter().any(|beginning| term.starts_with(beginning.as_str())) {
                    *counts.entry(term).or_default() += 1;
                }
            }
            let mut found: Vec<(&str, usize)> = counts.into_iter().collect();
            found.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
            terms.extend(found.into_iter().take(TERMS_OF_BEGINNINGS).map(|(term, _)| term.to_owned()));
        }
        Ok(terms.join(" "))
    }

    /// The passages that may be found by words: they have the phrases themselves.
    fn restriction_of_words(&self, plan: &Plan, filter: Option<String>) -> Result<Restriction> {
        let restriction = Restriction::of(&self.connection, filter, &[], &plan.excluded)?;
        Ok(restriction.with_passages(&plan.required))
    }

    /// The documents that have words of a text, with some fields of their passages.
    fn documents_by_words<'a>(
        &self,
        text: &str,
        ask: &'a Ask,
        restriction: &'a Restriction,
        fields: &[&str],
    ) -> Result<Documents<'a>> {
        self.best_documents(ask, restriction, &|wanted| match text {
            "" => Ok(Vec::new()),
            _ => {
                let search = self.word_search(text, wanted);
                self.found_rows(search, restriction.expression.as_deref(), fields, &score_of)
            }
        })
    }

    fn word_search(&self, text: &str, wanted: usize) -> Search {
        let params = vec![
            Pair::new("anns_field", BM25_VECTOR),
            Pair::new("topk", wanted),
            Pair::new("params", "{}"),
            Pair::new("metric_type", "BM25"),
            Pair::new("round_decimal", -1),
        ];
        Search::for_words(self.connection.address.collection(), text, params)
    }

    /// The scores by words of passages that were found otherwise, 0 without any word.
    fn words_of(
        &self,
        text: &str,
        passages: &[(String, Vec<f32>)],
        found: &Documents<'_>,
    ) -> Result<Vec<f32>> {
        let mut scores: HashMap<String, f32> = HashMap::new();
        if !text.is_empty() {
            let keys: Vec<String> = passages.iter().map(|(key, _)| key.clone()).collect();
            for keys in keys.chunks(MOST_FOUND.min(super::write::KEYS)) {
                let search = self.word_search(text, keys.len());
                let rows = self.found_rows(search, Some(&keys_in(keys)), &["key"], &score_of)?;
                scores.extend(rows.into_iter().map(|found| (found.row.key, found.score)));
            }
            // Milvus Lite reckons the rarity of a word among the rows that fit the expression: other scores are better.
            let known = found.passages.iter().zip(&found.hits);
            scores.extend(known.map(|((key, _), hit)| (key.clone(), hit.score)));
        }
        Ok(passages.iter().map(|(key, _)| scores.get(key).copied().unwrap_or(0.0)).collect())
    }

    /// The similarities of a query with passages from all over the collection, which are read once.
    fn background(&mut self, query: &[f32]) -> Result<Background> {
        // A collection that has few documents yet may have others soon.
        if self.sample.as_ref().is_none_or(|sample| sample.len() < SAMPLE) {
            let all = count(&self.connection, "part >= 0")?;
            let some = match all > 2 * SAMPLE {
                // Somewhat more than are needed: they are not spread quite evenly.
                true => {
                    let share = 1.25 * SAMPLE as f64 / all as f64;
                    format!("key < \"{:08x}\"", (share * KEY_VALUES) as u32)
                }
                false => "part >= 0".into(),
            };
            let rows = query_some(&self.connection, &some, &[EMBEDDING], Some(2 * SAMPLE))?;
            self.sample = Some(rows.into_iter().map(|row| row.vector).collect());
        }
        let sample = self.sample.iter().flatten();
        let scores: Vec<f64> =
            sample.map(|vector| self.similarity_of(query, vector).map(f64::from)).collect::<Result<_>>()?;
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
        Ok(Background { mean: mean as f32, deviation: variance.sqrt() as f32 })
    }
}

/// Milvus tells a score, and Milvus Lite its contrary.
fn score_of(distance: f32) -> f32 {
    distance.abs()
}
