//! Ranks again what a search found: a cross-encoder reads the query and each passage together.
//!
//! Embeddings of query and passage are made apart, so a search over them is fast and coarse. A cross-encoder is slow and
//! knows better. It scores the best documents of a search, and those alone.

use std::sync::Arc;
use std::time::Instant;

use akin_encoder::CrossEncoder;
use akin_index::{Hit, Neighbor, Snapshot};

use crate::searcher::is_blank;
use crate::{AskOptions, Result};

/// Documents of a search that are ranked again, unless another number is given.
pub const DEFAULT_DEPTH: usize = 50;

/// Queries of a batch that are answered together: each has many documents in memory until they are ranked.
pub(crate) const CHUNK: usize = 16;

/// A cross-encoder, and how many documents it ranks.
pub(crate) struct Reranker {
    encoder: Arc<CrossEncoder>,
    depth: usize,
}

impl Reranker {
    pub(crate) fn new(encoder: Arc<CrossEncoder>, depth: usize) -> Self {
        Self { encoder, depth }
    }

    /// How many documents of each query are ranked, where so many are wanted.
    pub(crate) fn depth(&self, wanted: usize) -> usize {
        self.depth.max(wanted)
    }

    /// Puts the documents of each list in the order of the cross-encoder's scores, which take the place of their own. Of
    /// equal ones the order stays. What is behind those that are ranked is dropped. Without a text there is nothing to rank by.
    pub(crate) fn rerank(
        &self,
        snapshot: &Snapshot,
        queries: &[String],
        lists: &mut [Vec<Neighbor>],
        options: &AskOptions,
    ) -> Result<()> {
        let depth = self.depth(options.wanted());
        lists.iter_mut().for_each(|list| list.truncate(depth));
        let hits = snapshot.hits_all(lists.to_vec())?;
        let pairs: Vec<(&str, &str)> =
            queries.iter().zip(&hits).flat_map(|(query, hits)| pairs(query, hits)).collect();
        let started = Instant::now();
        let mut scores = self.encoder.score(&pairs)?.into_iter();
        tracing::info!("ranked {} passages again in {:.1?}", pairs.len(), started.elapsed());
        for (_, list) in queries.iter().zip(lists).filter(|(query, _)| !is_blank(query)) {
            list.iter_mut().zip(&mut scores).for_each(|(near, score)| near.score = score);
            list.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Ok(())
    }
}

/// The query with the passage of each hit; the whole text where the document is one passage. None without a query.
fn pairs<'a>(query: &'a str, hits: &'a [Hit]) -> Vec<(&'a str, &'a str)> {
    let passage = |hit: &'a Hit| {
        let text = &hit.document.text;
        let part = hit.passage.as_ref().and_then(|found| text.get(found.start as usize..found.end as usize));
        (query, part.unwrap_or(text))
    };
    if is_blank(query) { Vec::new() } else { hits.iter().map(passage).collect() }
}
