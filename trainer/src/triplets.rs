//! Accuracy on triplets: the task on sections of Wikipedia articles (section 4.4 of the paper).

use crate::Result;
use crate::embedder::{Embedded, Embedder};
use crate::sentence_pairs::Triplet;
use akin_encoder::Similarity;

use crate::similarity::compare;

/// The share of triplets in which the anchor is more similar to the positive than to the negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripletsResult {
    /// How many triplets there are.
    pub triplets: usize,
    /// By Euclidean distance, as the paper trains.
    pub euclidean: f64,
    /// By Manhattan distance.
    pub manhattan: f64,
    /// By cosine.
    pub cosine: f64,
    /// Sentences longer than the model reads, whose end was left out.
    pub truncated: usize,
}

/// Encodes the sentences of `triplets` and computes the shares. `observer` is called with (sentences encoded, sentences
/// in all).
///
/// # Errors
/// What the encoder reports.
pub fn evaluate(
    embedder: &dyn Embedder,
    triplets: &[Triplet],
    observer: &mut dyn FnMut(usize, usize),
) -> Result<TripletsResult> {
    let sentences = triplets
        .iter()
        .flat_map(|triplet| [triplet.anchor.as_str(), triplet.positive.as_str(), triplet.negative.as_str()]);
    let embedded = Embedded::of(embedder, sentences, observer)?;
    let accuracy = |similarity: Similarity| {
        let right = triplets.iter().filter(|triplet| {
            let anchor = embedded.vector(&triplet.anchor);
            compare(similarity, anchor, embedded.vector(&triplet.positive))
                > compare(similarity, anchor, embedded.vector(&triplet.negative))
        });
        right.count() as f64 / triplets.len().max(1) as f64
    };
    Ok(TripletsResult {
        triplets: triplets.len(),
        euclidean: accuracy(Similarity::Euclidean),
        manhattan: accuracy(Similarity::Manhattan),
        cosine: accuracy(Similarity::Cosine),
        truncated: embedded.truncated,
    })
}
