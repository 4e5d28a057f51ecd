//! An open index together with the encoder it was built with.

use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_index::{Filter, Index};
use akin_index::{SearchOptions, Selection};
use rayon::prelude::*;

use crate::{Answer, Result};

/// Answers queries from one index.
pub struct Searcher {
    index: Index,
    encoder: SentenceEncoder,
}

impl Searcher {
    /// Puts an index and its encoder together.
    ///
    /// # Errors
    /// [`akin_index::Error::OtherModel`] when the index was built with another model.
    pub fn new(index: Index, encoder: SentenceEncoder) -> Result<Self> {
        index.require_model(encoder.fingerprint())?;
        Ok(Self { index, encoder })
    }

    /// The index that is searched.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The encoder of the queries.
    pub fn encoder(&self) -> &SentenceEncoder {
        &self.encoder
    }

    /// The documents that fit a filter, to be searched among by any number of queries.
    ///
    /// # Errors
    /// What the index reports.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        let started = Instant::now();
        let selection = self.index.select(filter)?;
        tracing::info!(
            "selected {} of {} documents in {:.1?}",
            selection.len(),
            self.index.len(),
            started.elapsed()
        );
        Ok(selection)
    }

    /// The documents that mean what `text` means. A blank text means nothing and finds nothing.
    ///
    /// # Errors
    /// What the encoder or the index reports; `k` of zero is refused.
    pub fn ask(&self, text: &str, options: &SearchOptions<'_>) -> Result<Answer> {
        let (mut answers, truncated) = self.ask_all(&[text], options)?;
        if truncated > 0 {
            tracing::warn!(
                "the query is longer than the {} tokens the model reads: its end was left out",
                self.encoder.max_tokens()
            );
        }
        Ok(answers.pop().expect("one text has one answer"))
    }

    /// The answers to `texts`, in their order, and how many of the texts lost their end to the
    /// encoder. The texts are encoded together and searched in parallel.
    ///
    /// # Errors
    /// As [`Searcher::ask`].
    pub fn ask_all(&self, texts: &[&str], options: &SearchOptions<'_>) -> Result<(Vec<Answer>, usize)> {
        let asked: Vec<&str> = texts.iter().copied().filter(|text| !is_blank(text)).collect();
        let started = Instant::now();
        let encoding = self.encoder.encode(&asked)?;
        tracing::info!("encoded {} in {:.1?}", count(asked.len()), started.elapsed());

        let started = Instant::now();
        let rows: Vec<&[f32]> = encoding.embeddings.iter().collect();
        let search = |row: &&[f32]| self.index.search(row, options);
        // A lone query stays on this thread: the index may use the others for it.
        let found = if rows.len() == 1 {
            rows.iter().map(search).collect::<akin_index::Result<Vec<_>>>()?
        } else {
            rows.par_iter().map(search).collect::<akin_index::Result<Vec<_>>>()?
        };
        tracing::info!("searched {} in {:.1?}", count(rows.len()), started.elapsed());

        let mut found = found.into_iter();
        let answers = texts
            .iter()
            .map(|text| {
                let hits = if is_blank(text) { Some(Vec::new()) } else { found.next() };
                Answer::new(text, hits.expect("every text that was asked was searched"))
            })
            .collect();
        Ok((answers, encoding.truncated))
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn count(queries: usize) -> String {
    if queries == 1 { "1 query".into() } else { format!("{queries} queries") }
}
