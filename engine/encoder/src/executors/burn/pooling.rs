//! Pooling of padded batches, as burn computes it.

use std::ops::Range;

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::pooling::Pooling;

/// Below any hidden state: what padding is worth to a maximum.
const LOWEST: f32 = f32::MIN;

/// Pools hidden states `[sentences, longest, hidden]` to `[sentences, hidden]`. `lengths` are the tokens of each sentence;
/// what follows them is padding.
pub fn pool(hidden: Tensor<3>, lengths: &[usize], pooling: Pooling) -> Tensor<2> {
    pool_without_prompt(hidden, lengths, pooling, 0)
}

/// Pools in each of several ways, without the first `skipped` tokens of each sentence, and joins the vectors:
/// `[sentences, poolings * hidden]`.
pub(super) fn pool_joined(
    hidden: Tensor<3>,
    lengths: &[usize],
    poolings: &[Pooling],
    skipped: usize,
) -> Tensor<2> {
    let pool = |pooling: &Pooling| pool_without_prompt(hidden.clone(), lengths, *pooling, skipped);
    match poolings {
        [pooling] => pool(pooling),
        several => Tensor::cat(several.iter().map(pool).collect(), 1),
    }
}

/// Pools without the first `skipped` tokens. Where no token is left, CLS takes the first token of all, and all others make
/// zeros, as `pooling::pool_without_prompt` does.
fn pool_without_prompt(hidden: Tensor<3>, lengths: &[usize], pooling: Pooling, skipped: usize) -> Tensor<2> {
    let [rows, longest, width] = hidden.dims();
    let counted = |length: &usize| match pooling {
        Pooling::Cls if skipped >= *length => 0..*length,
        _ => skipped.min(*length)..*length,
    };
    let spans: Vec<Range<usize>> = lengths.iter().map(counted).collect();
    let whole = spans.iter().all(|span| *span == (0..longest));
    match pooling {
        Pooling::Cls if spans.iter().all(|span| span.start == 0 && span.end > 0) => {
            hidden.slice([0..rows, 0..1]).reshape([rows, width])
        }
        Pooling::Mean if whole => hidden.mean_dim(1).reshape([rows, width]),
        Pooling::Max if whole => hidden.max_dim(1).reshape([rows, width]),
        Pooling::Max => greatest(hidden, &spans),
        _ => weighted_sum(hidden, &spans, pooling),
    }
}

/// The greatest value of each dimension over the tokens of a span; zeros for a span without tokens.
fn greatest(hidden: Tensor<3>, spans: &[Range<usize>]) -> Tensor<2> {
    let [rows, longest, width] = hidden.dims();
    let device = hidden.device();
    let outside = outside(spans, longest, &device).expand([rows, longest, width]);
    let greatest = hidden.mask_fill(outside, LOWEST).max_dim(1).reshape([rows, width]);
    let empty: Vec<bool> = spans.iter().map(Range::is_empty).collect();
    if !empty.contains(&true) {
        return greatest;
    }
    let empty = Tensor::<2, Bool>::from_data(TensorData::new(empty, [rows, 1]), &device);
    greatest.mask_fill(empty.expand([rows, width]), 0.0)
}

/// Adds the vectors of the tokens of each span, each multiplied by its share ([`Pooling::shares`]).
fn weighted_sum(hidden: Tensor<3>, spans: &[Range<usize>], pooling: Pooling) -> Tensor<2> {
    let [rows, longest, width] = hidden.dims();
    let device = hidden.device();
    let mut shares = vec![0.0; rows * longest];
    for (span, shares) in spans.iter().zip(shares.chunks_exact_mut(longest.max(1))) {
        let own = pooling.shares(span.len(), span.start).unwrap_or_default();
        shares[span.clone()].copy_from_slice(&own);
    }
    let shares = Tensor::<3>::from_data(TensorData::new(shares, [rows, longest, 1]), &device);
    let hidden = match spans.iter().all(|span| *span == (0..longest)) {
        true => hidden,
        // What stands in the place of padding may be anything.
        false => hidden.mask_fill(outside(spans, longest, &device).expand([rows, longest, width]), 0.0),
    };
    (hidden * shares).sum_dim(1).reshape([rows, width])
}

/// True for the tokens of a sentence that are not in its span, `[sentences, longest, 1]`.
fn outside(spans: &[Range<usize>], longest: usize, device: &Device) -> Tensor<3, Bool> {
    let values: Vec<bool> =
        spans.iter().flat_map(|span| (0..longest).map(move |token| !span.contains(&token))).collect();
    Tensor::from_data(TensorData::new(values, [spans.len(), longest, 1]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pooling;

    /// Two sentences of two dimensions: three tokens, and one token with two of padding.
    const LENGTHS: [usize; 2] = [3, 1];
    const HIDDEN: [f32; 12] = [1.0, -1.0, 2.0, -5.0, 6.0, 0.0, -3.0, -4.0, 9.0, f32::NAN, 9.0, 9.0];

    fn hidden() -> Tensor<3> {
        Tensor::from_data(TensorData::new(HIDDEN.to_vec(), [2, 3, 2]), &Device::flex())
    }

    fn pooled(pooling: Pooling) -> Vec<f32> {
        pool(hidden(), &LENGTHS, pooling).into_data().try_into_vec().unwrap()
    }

    #[track_caller]
    fn assert_near(found: &[f32], expected: &[f32], case: &str) {
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-6);
        assert!(near && found.len() == expected.len(), "{case}: {found:?} and not {expected:?}");
    }

    #[test]
    fn padding_weighs_nothing() {
        assert_eq!(pooled(Pooling::Mean), [3.0, -2.0, -3.0, -4.0]);
        assert_eq!(pooled(Pooling::Max), [6.0, 0.0, -3.0, -4.0]);
        assert_eq!(pooled(Pooling::Cls), [1.0, -1.0, -3.0, -4.0]);
        assert_eq!(pooled(Pooling::LastToken), [6.0, 0.0, -3.0, -4.0]);
    }

    #[test]
    fn a_sentence_alone_is_pooled_as_in_a_batch() {
        for pooling in Pooling::ALL {
            let mut alone = [f32::NAN; 2];
            pooling::pool_tokens(&HIDDEN[..6], &mut alone, pooling);
            assert_near(&pooled(pooling)[..2], &alone, &format!("{pooling:?}"));
        }
    }

    #[test]
    fn the_tokens_of_a_prompt_are_left_out_as_without_padding() {
        for skipped in 0..5 {
            let found = pool_joined(hidden(), &LENGTHS, &Pooling::ALL, skipped).into_data();
            let found: Vec<f32> = found.try_into_vec().unwrap();
            let mut expected = vec![f32::NAN; found.len()];
            let sentences = [&HIDDEN[..6], &HIDDEN[6..8]];
            for (expected, hidden) in expected.chunks_exact_mut(found.len() / 2).zip(sentences) {
                pooling::pool_joined(hidden, expected, &Pooling::ALL, skipped);
            }
            assert_near(&found, &expected, &format!("{skipped} skipped"));
        }
    }
}
