//! How near passages are to a query that have nothing to do with it: what tells whether the nearest stand out.

use akin_kernels::codes::encode;
use akin_kernels::{QuantizedQuery, Similarity, ZERO_CODE};

use super::Snapshot;
use super::snapshot::SegmentView;
use crate::graph::Fault;
use crate::graph::codes::{STRIDE_LIMIT, factor, set_query, stride};
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

impl Background {
    /// That of some scores; none of no scores.
    fn of(scores: &[f64]) -> Option<Self> {
        if scores.is_empty() {
            return None;
        }
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        Some(Self { mean: mean as f32, deviation: variance.sqrt() as f32 })
    }
}

/// What a background is told by.
pub(super) enum Sample {
    /// Codes of vectors of length one, `[rows, stride]`, and what a number was multiplied by. They are a quarter of the vectors:
    /// with those every query would drive a fourth of a megabyte more out of the nearest caches. The background they tell differs
    /// by less than a hundredth of the deviation.
    Codes { codes: Vec<u8>, rows: Vec<u32>, stride: usize, factor: f32 },
    /// Vectors that are compared otherwise.
    Vectors(Embeddings),
}

impl Sample {
    fn of(vectors: Embeddings, similarity: Similarity) -> Self {
        let stride = stride(vectors.dimension());
        if similarity != Similarity::Cosine || stride > STRIDE_LIMIT {
            return Self::Vectors(vectors);
        }
        let factor = factor(vectors.as_slice());
        let mut codes = vec![ZERO_CODE; vectors.rows() * stride];
        for (codes, vector) in codes.chunks_exact_mut(stride).zip(vectors.iter()) {
            encode(vector, factor, &mut codes[..vector.len()]);
        }
        Self::Codes { codes, rows: (0..vectors.rows() as u32).collect(), stride, factor }
    }

    /// The similarities of a query with all that it has.
    fn scores(&self, query: &[f32], similarity: Similarity) -> Vec<f64> {
        match self {
            Self::Vectors(vectors) => {
                vectors.iter().map(|vector| similarity.of(query, vector).into()).collect()
            }
            Self::Codes { codes, rows, stride, factor: of_rows } => {
                let (mut integers, mut sums) = (QuantizedQuery::default(), Vec::new());
                set_query(&mut integers, query, *stride);
                integers.dots(codes, rows, &mut sums);
                let factor = f64::from(*of_rows) * f64::from(factor(query));
                let score = |sum: &i32| if factor > 0.0 { f64::from(*sum) / factor } else { 0.0 };
                sums.iter().map(score).collect()
            }
        }
    }
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
        let similarity = self.model().similarity;
        let sample = match self.sample.get() {
            Some(sample) => sample,
            None => {
                let vectors = self.sample_vectors().map_err(|fault| self.fault(fault))?;
                self.sample.get_or_init(|| Sample::of(vectors, similarity))
            }
        };
        Ok(Background::of(&sample.scores(&query, similarity)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_the_background_of_the_vectors() {
        let mut random = akin_fixtures::Random::new(5);
        let mut unit = |dimension: usize| -> Vec<f32> {
            let values: Vec<f32> = (0..dimension).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect();
            let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
            values.iter().map(|value| value / length).collect()
        };
        for dimension in [1, 50, 384] {
            let mut vectors = Embeddings::empty(dimension);
            (0..256).for_each(|_| vectors.push(&unit(dimension)));
            let query = unit(dimension);
            let exact: Vec<f64> =
                vectors.iter().map(|vector| Similarity::Cosine.of(&query, vector).into()).collect();
            let sample = Sample::of(vectors, Similarity::Cosine);
            assert!(matches!(sample, Sample::Codes { .. }));
            let found = sample.scores(&query, Similarity::Cosine);
            assert_eq!(found.len(), exact.len());
            let (found, exact) = (Background::of(&found).unwrap(), Background::of(&exact).unwrap());
            let near = |one: f32, other: f32| (one - other).abs() < 0.01 * exact.deviation;
            let is_near = near(found.mean, exact.mean) && near(found.deviation, exact.deviation);
            assert!(is_near, "{dimension}: {found:?} and {exact:?}");
        }
    }

    #[test]
    fn a_query_or_vectors_of_zeros_have_a_background_of_nothing() {
        let zeros = Embeddings::from_values(4, vec![0.0; 8]);
        let sample = Sample::of(zeros, Similarity::Cosine);
        assert_eq!(sample.scores(&[1.0, 0.0, 0.0, 0.0], Similarity::Cosine), [0.0, 0.0]);
        let sample = Sample::of(Embeddings::from_values(2, vec![1.0, 0.0]), Similarity::Cosine);
        assert_eq!(sample.scores(&[0.0, 0.0], Similarity::Cosine), [0.0]);
    }
}
