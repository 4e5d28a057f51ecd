//! Sentences a second (section 7 of the paper), and the time to find the best pair among many (sections 1 and 8).

use std::time::Instant;

use akin_encoder::{Embeddings, SentenceEncoder};
use akin_kernels::matmul::{Matrix, multiply};
use rayon::prelude::*;

use crate::Result;
use crate::dev::cross_encoder_scores;
use crate::sentence_pairs::ScoredPair;

/// Sentences of a batch without smart batching, as in the paper: they are padded to one length.
pub const BATCH: usize = 16;

/// Rows that one thread compares with all others at a time.
const ROWS: usize = 128;

/// Sentences a second in the order given, each batch padded to its longest, on the burn executor.
///
/// # Errors
/// What the encoder reports, unless it is on burn.
pub fn padded_rate(encoder: &SentenceEncoder, texts: &[&str]) -> Result<f64> {
    let clock = Instant::now();
    encoder.encode_padded(texts, BATCH)?;
    Ok(texts.len() as f64 / clock.elapsed().as_secs_f64())
}

/// Sentences a second with the encoder's own batching, and the embeddings.
///
/// # Errors
/// What the encoder reports.
pub fn batched_rate(encoder: &SentenceEncoder, texts: &[&str]) -> Result<(f64, Embeddings)> {
    let clock = Instant::now();
    let encoding = encoder.encode(texts)?;
    Ok((texts.len() as f64 / clock.elapsed().as_secs_f64(), encoding.embeddings))
}

/// Pairs a second through a cross-encoder, in batches of pairs of similar length, without padding.
///
/// # Errors
/// What the tokenizer reports.
pub fn cross_encoder_rate(
    network: &crate::network::Network,
    base: &crate::base::BaseModel,
    pairs: &[ScoredPair],
) -> Result<f64> {
    let clock = Instant::now();
    cross_encoder_scores(network, base, pairs)?;
    Ok(pairs.len() as f64 / clock.elapsed().as_secs_f64())
}

/// The two rows of unit vectors that are most alike, and their cosine, by comparing all pairs.
pub fn best_pair(embeddings: &Embeddings) -> Option<(usize, usize, f32)> {
    let (rows, width) = (embeddings.rows(), embeddings.dimension());
    let values = embeddings.as_slice();
    (0..rows.div_ceil(ROWS))
        .into_par_iter()
        .filter_map(|block| {
            let first = block * ROWS;
            let last = rows.min(first + ROWS);
            let own = Matrix::new(&values[first * width..last * width], width);
            // Each pair once: this block against itself and all after it.
            let after = rows - first;
            let mut cosines = vec![0.0; (last - first) * after];
            multiply(own, Matrix::new(&values[first * width..], width).transposed(), false, &mut cosines);
            let mut best: Option<(usize, usize, f32)> = None;
            for (row, cosines) in cosines.chunks_exact(after).enumerate() {
                for (other, cosine) in cosines.iter().enumerate().skip(row + 1) {
                    if best.is_none_or(|(_, _, most)| *cosine > most) {
                        best = Some((first + row, first + other, *cosine));
                    }
                }
            }
            best
        })
        .reduce_with(|a, b| if b.2 > a.2 { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_best_pair_is_that_of_all_pairs() {
        let mut random = Random::new(2);
        let mut embeddings = Embeddings::empty(8);
        for _ in 0..300 {
            let row: Vec<f32> = (0..8).map(|_| random.normal() as f32).collect();
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            embeddings.push(&row.iter().map(|x| x / length).collect::<Vec<_>>());
        }
        let dot = |a: usize, b: usize| -> f32 {
            embeddings.row(a).iter().zip(embeddings.row(b)).map(|(x, y)| x * y).sum()
        };
        let mut exact = (0, 0, f32::MIN);
        for a in 0..300 {
            for b in a + 1..300 {
                if dot(a, b) > exact.2 {
                    exact = (a, b, dot(a, b));
                }
            }
        }
        let (a, b, cosine) = best_pair(&embeddings).unwrap();
        assert_eq!((a, b), (exact.0, exact.1));
        assert!((cosine - exact.2).abs() < 1e-5);
        assert_eq!(best_pair(&Embeddings::empty(8)), None);
    }
}
