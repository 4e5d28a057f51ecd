//! Ranks again what a search found, by a model that is slower and knows better ([`RerankModel`]).
//!
//! It scores the best documents of a search, and those alone.

mod model;

use std::time::Instant;

use akin_index::{Hit, Neighbor, Snapshot};

pub use self::model::RerankModel;
use crate::searcher::is_blank;
use crate::{AskOptions, Result};

/// Documents of a search that are ranked again, unless another number is given.
pub const DEFAULT_DEPTH: usize = 50;

/// Queries of a batch that are answered together: each has many documents in memory until they are ranked.
pub(crate) const CHUNK: usize = 16;

/// A model that ranks again, and how many documents it ranks.
pub(crate) struct Reranker {
    model: RerankModel,
    depth: usize,
    /// How much its scores count beside those of the search; none where they count alone.
    weight: Option<f32>,
}

impl Reranker {
    pub(crate) fn new(model: RerankModel, depth: usize) -> Self {
        Self { model, depth, weight: None }
    }

    /// The same reranker, whose scores are added to those of the search, this much of them.
    pub(crate) fn weighing(self, weight: f32) -> Self {
        Self { weight: Some(weight), ..self }
    }

    /// How many documents of each query are ranked, where so many are wanted.
    pub(crate) fn depth(&self, wanted: usize) -> usize {
        self.depth.max(wanted)
    }

    /// Puts the documents of each list in the order of the model's scores, or with a weight of their sums with the
    /// scores of the search. Both take the place of the scores of the search. Of equal ones the order stays. What is behind
    /// those that are ranked is dropped. Without a text there is nothing to rank by.
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
        let mut scores = self.model.score(&pairs)?.scores.into_iter();
        tracing::info!("ranked {} passages again in {:.1?}", pairs.len(), started.elapsed());
        for (_, list) in queries.iter().zip(lists).filter(|(query, _)| !is_blank(query)) {
            let read: Vec<f32> = scores.by_ref().take(list.len()).collect();
            let scores = match self.weight {
                None => read,
                Some(weight) => self.sums(list.iter().map(|near| near.score).collect(), read, weight),
            };
            list.iter_mut().zip(scores).for_each(|(near, score)| near.score = score);
            list.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Ok(())
    }

    /// The same for the hits of one query, of which `wanted` are wanted.
    pub(crate) fn rerank_hits(&self, query: &str, hits: &mut Vec<Hit>, wanted: usize) -> Result<()> {
        hits.truncate(self.depth(wanted));
        if is_blank(query) {
            return Ok(());
        }
        let read = self.model.score(&pairs(query, hits))?.scores;
        let scores = match self.weight {
            None => read,
            Some(weight) => self.sums(hits.iter().map(|hit| hit.score).collect(), read, weight),
        };
        hits.iter_mut().zip(scores).for_each(|(hit, score)| hit.score = score);
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(())
    }

    /// The standardised scores of the search and, `weight` times, the standardised scores of the model, without its sigmoid.
    fn sums(&self, mut found: Vec<f32>, mut read: Vec<f32>, weight: f32) -> Vec<f32> {
        if self.model.has_sigmoid() {
            // A sigmoid pushes good scores together, and their distances say how much better one passage is.
            read.iter_mut().for_each(|score| *score = logit(*score));
        }
        standardise(&mut found);
        standardise(&mut read);
        found.iter().zip(read).map(|(found, read)| found + weight * read).collect()
    }
}

/// The number whose sigmoid is `share`, kept finite where `share` was rounded to 0 or 1.
fn logit(share: f32) -> f32 {
    let share = share.clamp(f32::EPSILON, 1.0 - f32::EPSILON);
    (share / (1.0 - share)).ln()
}

/// Moves and scales scores to a mean of 0 and a standard deviation of 1. Equal scores become 0.
fn standardise(scores: &mut [f32]) {
    let count = scores.len().max(1) as f64;
    let mean = scores.iter().map(|score| f64::from(*score)).sum::<f64>() / count;
    let variance = scores.iter().map(|score| (f64::from(*score) - mean).powi(2)).sum::<f64>() / count;
    // Rounding leaves equal scores a deviation that is not quite 0.
    let deviation = variance.sqrt();
    let scale = if deviation > 1e-6 * mean.abs() { deviation.recip() } else { 0.0 };
    scores.iter_mut().for_each(|score| *score = ((f64::from(*score) - mean) * scale) as f32);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_get_a_mean_of_0_and_a_deviation_of_1() {
        let mut scores = [1.0, 3.0, 1.0, 3.0];
        standardise(&mut scores);
        assert_eq!(scores, [-1.0, 1.0, -1.0, 1.0]);
    }

    #[test]
    fn equal_scores_and_none_say_nothing() {
        let mut equal = [0.1; 7];
        standardise(&mut equal);
        assert_eq!(equal, [0.0; 7]);
        let mut zeros = [0.0; 3];
        standardise(&mut zeros);
        assert_eq!(zeros, [0.0; 3]);
        standardise(&mut []);
    }

    #[test]
    fn logits_undo_a_sigmoid_and_are_finite() {
        for x in [-6.0_f32, -0.5, 0.0, 2.0] {
            assert!((logit(1.0 / (1.0 + (-x).exp())) - x).abs() < 1e-3, "{x}");
        }
        assert!(logit(0.0).is_finite() && logit(1.0).is_finite() && logit(0.0) < logit(0.5));
    }
}
