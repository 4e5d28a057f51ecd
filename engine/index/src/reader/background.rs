//! How near passages are to a query that have nothing to do with it: what tells whether the nearest stand out.

use super::Snapshot;
use super::snapshot::SegmentView;
use crate::graph::Fault;
use crate::{Embeddings, Result};

/// Passages that the background of a query is told by.
const SAMPLE: usize = 256;

/// The similarities of a query with passages from all over an index.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Background {
    /// Their mean.
    pub mean: f32,
    /// Their standard deviation.
    pub deviation: f32,
}

impl Snapshot {
    /// The background of a query: its similarities with some 256 passages, always the same ones. None where there are no
    /// passages. The first call reads their vectors, the others compare with those.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) as [`Snapshot::search`]; [`Error::Damaged`](crate::Error::Damaged) if a vector
    /// cannot be trusted.
    pub fn background(&self, query: &[f32]) -> Result<Option<Background>> {
        let query = self.checked(query)?;
        let vectors = match self.sample.get() {
            Some(vectors) => vectors,
            None => {
                let vectors = self.sample_vectors().map_err(|fault| self.fault(fault))?;
                self.sample.get_or_init(|| vectors)
            }
        };
        let similarity = self.model().similarity;
        let scores: Vec<f64> = vectors.iter().map(|vector| similarity.of(&query, vector).into()).collect();
        if scores.is_empty() {
            return Ok(None);
        }
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        Ok(Some(Background { mean: mean as f32, deviation: variance.sqrt() as f32 }))
    }

    /// The vectors of live passages that lie evenly in the index.
    fn sample_vectors(&self) -> std::result::Result<Embeddings, Fault> {
        let passages: usize = self.segments.iter().map(SegmentView::live_passages).sum();
        let step = passages.div_ceil(SAMPLE).max(1);
        let mut vectors = Embeddings::empty(self.model().dimension);
        let mut before = 0;
        for view in &self.segments {
            let first = (step - before % step) % step;
            let live = (0..view.segment.passages()).filter(|passage| view.is_live(*passage));
            let taken: Vec<usize> = match view.deleted {
                None => (first..view.segment.passages()).step_by(step).collect(),
                Some(_) => live.skip(first).step_by(step).collect(),
            };
            for passage in taken {
                vectors.push(&view.segment.vector(passage)?);
            }
            before += view.live_passages();
        }
        Ok(vectors)
    }
}
