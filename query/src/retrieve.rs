//! Retrieves the documents that hits are chosen from: by meaning, by words, or by both.

use std::time::Instant;

use akin_index::{Embeddings, Neighbor, SearchOptions, Snapshot, WordQuery};

use crate::both::nearest_by_both;
use crate::examples::Examples;
use crate::searcher::{count, is_blank};
use crate::{Error, Mode, Result, Searcher};

/// Queries as they are looked for.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Their embeddings, where meaning counts.
    pub(crate) embeddings: Option<Embeddings>,
    /// Their words, where words count.
    pub(crate) words: Vec<WordQuery>,
    /// How many were longer than the model reads.
    pub(crate) truncated: usize,
}

impl Searcher {
    /// The documents that are found for each question, best first.
    pub(crate) fn retrieve(
        &self,
        snapshot: &Snapshot,
        questions: &Questions,
        options: &SearchOptions,
    ) -> Result<Vec<Vec<Neighbor>>> {
        let started = Instant::now();
        let lists = match (&questions.embeddings, self.mode()) {
            (Some(embeddings), Mode::Hybrid) => {
                nearest_by_both(snapshot, &questions.words, embeddings, options)?
            }
            (Some(embeddings), _) => snapshot.nearest_all(embeddings, options)?,
            (None, _) => snapshot.nearest_words_all(&questions.words, options)?,
        };
        tracing::info!("searched {} in {:.1?}", count(lists.len()), started.elapsed());
        Ok(lists)
    }

    /// Reads the words of queries and encodes them, as far as the mode needs it. A text may be blank where the examples say
    /// what to look for.
    pub(crate) fn read(&self, snapshot: &Snapshot, texts: &[&str], examples: &Examples) -> Result<Questions> {
        let words: Vec<WordQuery> = match self.mode().needs_words() {
            true => self.word_queries(texts),
            false => Vec::new(),
        };
        if self.mode() == Mode::Keyword {
            return match examples.is_empty() {
                true => Ok(Questions { words, ..Questions::default() }),
                false => Err(Error::ExamplesOfWords),
            };
        }
        let words = words.into_iter().map(WordQuery::beside_meaning).collect();
        let plain = self.plain_texts(texts);
        let (embeddings, truncated) = self.embed(snapshot, &plain, examples)?;
        Ok(Questions { embeddings: Some(embeddings), words, truncated })
    }

    /// What to look for by meaning: the embedding of each text, or what examples make of it.
    fn embed(
        &self,
        snapshot: &Snapshot,
        texts: &[String],
        examples: &Examples,
    ) -> Result<(Embeddings, usize)> {
        if examples.is_empty() {
            let encoding = self.encode(snapshot, &texts.iter().map(String::as_str).collect::<Vec<_>>())?;
            return Ok((encoding.embeddings, encoding.truncated));
        }
        let said: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !is_blank(text)).collect();
        let (encoded, truncated) = match said.is_empty() {
            true => (None, 0),
            false => {
                let encoding = self.encode(snapshot, &said)?;
                (Some(encoding.embeddings), encoding.truncated)
            }
        };
        let mut encoded = encoded.iter().flat_map(Embeddings::iter);
        let mut embeddings = Embeddings::empty(snapshot.model().dimension);
        for text in texts {
            let embedding = if is_blank(text) { None } else { encoded.next() };
            embeddings.push(&examples.query(embedding));
        }
        Ok((embeddings, truncated))
    }
}
