//! Semantic textual similarity: do an encoder's cosines rank pairs as people do?

use std::collections::HashMap;

use akin_engine::{Embeddings, SentenceEncoder};

use crate::Result;
use crate::correlation::{pearson, spearman};
use crate::pairs::ScoredPair;

/// How many sentences are encoded between two words to the observer.
const CHUNK: usize = 512;

/// How well cosines agree with people. Correlations are from -1 to 1; papers print them x 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StsResult {
    /// Pairs compared.
    pub pairs: usize,
    /// Spearman's correlation of cosine and human score: the figure the paper reports (section 4.1).
    pub spearman: f64,
    /// Pearson's correlation of the same.
    pub pearson: f64,
    /// Sentences longer than the model reads, whose end was left out.
    pub truncated: usize,
}

/// Encodes both sides of `pairs` and correlates their cosines with the scores. A sentence that
/// occurs more than once is encoded once. `observer` hears (sentences encoded, of how many).
///
/// # Errors
/// What the encoder reports; [`crate::Error::Correlation`] when the pairs have none.
pub fn evaluate(
    encoder: &SentenceEncoder,
    pairs: &[ScoredPair],
    observer: &mut dyn FnMut(usize, usize),
) -> Result<StsResult> {
    let mut sentences: Vec<&str> = Vec::new();
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for sentence in pairs.iter().flat_map(|pair| [&pair.sentence1, &pair.sentence2]) {
        rows.entry(sentence).or_insert_with(|| {
            sentences.push(sentence);
            sentences.len() - 1
        });
    }
    let mut embeddings = Embeddings::empty(encoder.dimension());
    let mut truncated = 0;
    for chunk in sentences.chunks(CHUNK) {
        let encoding = encoder.encode(chunk)?;
        truncated += encoding.truncated;
        for row in encoding.embeddings.iter() {
            embeddings.push(row);
        }
        observer(embeddings.rows(), sentences.len());
    }
    let cosines: Vec<f64> = pairs
        .iter()
        .map(|pair| {
            let row = |sentence: &String| embeddings.row(rows[sentence.as_str()]);
            cosine(row(&pair.sentence1), row(&pair.sentence2))
        })
        .collect();
    let scores: Vec<f64> = pairs.iter().map(|pair| pair.score).collect();
    Ok(StsResult {
        pairs: pairs.len(),
        spearman: spearman(&cosines, &scores)?,
        pearson: pearson(&cosines, &scores)?,
        truncated,
    })
}

/// Cosine similarity; models without a `Normalize` layer give vectors of any length.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum() };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_does_not_depend_on_length() {
        assert!((cosine(&[3.0, 4.0], &[30.0, 40.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 5.0]).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
    }
}
