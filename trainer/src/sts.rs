//! Semantic textual similarity: how a model's similarities correlate with the scores of people.

use crate::Result;
use crate::correlation::{pearson, spearman};
use crate::embedder::{Embedded, Embedder};
use crate::sentence_pairs::ScoredPair;
use akin_encoder::Similarity;

use crate::similarity::{COMPARED, compare};

/// How well similarities agree with people. Correlations are from -1 to 1; papers print them x 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StsResult {
    /// Pairs compared.
    pub pairs: usize,
    /// Each similarity with its correlations; the paper reports Spearman's of the cosine (section 4.1).
    pub correlations: [(Similarity, Correlations); 4],
    /// Sentences longer than the model reads, whose end was left out.
    pub truncated: usize,
}

/// The two correlations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlations {
    /// Spearman's: of the ranks.
    pub spearman: f64,
    /// Pearson's: of the values.
    pub pearson: f64,
}

impl StsResult {
    /// Spearman's correlation of the cosine.
    pub fn spearman(&self) -> f64 {
        self.correlations[0].1.spearman
    }

    /// Pearson's correlation of the cosine.
    pub fn pearson(&self) -> f64 {
        self.correlations[0].1.pearson
    }
}

/// Encodes both sides of `pairs` and correlates their similarities with the scores. `observer` is called with (sentences
/// encoded, sentences in all).
///
/// # Errors
/// What the encoder reports; [`crate::Error::Correlation`] when there is no correlation.
pub fn evaluate(
    embedder: &dyn Embedder,
    pairs: &[ScoredPair],
    observer: &mut dyn FnMut(usize, usize),
) -> Result<StsResult> {
    let sentences = pairs.iter().flat_map(|pair| [pair.sentence1.as_str(), pair.sentence2.as_str()]);
    let embedded = Embedded::of(embedder, sentences, observer)?;
    let scores: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
    let mut correlations =
        COMPARED.map(|similarity| (similarity, Correlations { spearman: f64::NAN, pearson: f64::NAN }));
    for (similarity, found) in &mut correlations {
        let values: Vec<f64> = pairs
            .iter()
            .map(|pair| {
                compare(*similarity, embedded.vector(&pair.sentence1), embedded.vector(&pair.sentence2))
            })
            .collect();
        *found = Correlations { spearman: spearman(&values, &scores)?, pearson: pearson(&values, &scores)? };
    }
    Ok(StsResult { pairs: pairs.len(), correlations, truncated: embedded.truncated })
}
