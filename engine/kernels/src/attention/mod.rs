//! Scaled dot-product attention of one sentence over its own tokens (Vaswani et al. 2017, 3.2).
//!
//! `in_floats` computes in single precision on every processor; `in_tiles` computes in bf16 by the matrix unit of
//! Intel's processors. Both multiply a few queries at a time with all keys of the sentence, so that the memory needed
//! grows with the length of a sentence and not with its square.

mod in_floats;
#[cfg(target_arch = "x86_64")]
mod in_tiles;
mod transpose;

use crate::cpu::Isa;
use crate::lanes::dispatch;
use crate::rows::Precision;

/// Buffers of [`attention`], reused from one sentence to the next.
#[derive(Default)]
pub struct AttentionScratch {
    #[cfg(target_arch = "x86_64")]
    tiles: in_tiles::TileScratch,
    floats: in_floats::FloatScratch,
}

/// Attention over one sentence: `projected` is its tokens' queries, keys and values side by side,
/// `[tokens, 3 * heads * head_dim]`; `context` becomes `[tokens, heads * head_dim]`. Where the processor multiplies
/// tiles and `precision` is not f32, products are of bf16; elsewhere, of floats.
///
/// # Panics
/// If the lengths do not fit one another.
#[allow(clippy::too_many_arguments)]
pub fn attention(
    isa: Isa,
    precision: Precision,
    projected: &[f32],
    heads: usize,
    head_dim: usize,
    scratch: &mut AttentionScratch,
    context: &mut [f32],
) {
    let hidden = heads.checked_mul(head_dim).expect("a row fits the memory");
    assert_eq!(context.len() % hidden, 0, "whole rows");
    assert_eq!(projected.len(), 3 * context.len(), "queries, keys and values for every token");
    let tokens = context.len() / hidden;
    if tokens == 0 {
        return;
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = precision;
    #[cfg(target_arch = "x86_64")]
    if precision.in_tiles(isa) && in_tiles::takes(head_dim) {
        let scratch = &mut scratch.tiles;
        let work = in_tiles::InTiles { projected, tokens, heads, head_dim, scratch, context };
        return crate::lanes::dispatch_words(isa, work);
    }
    let scratch = &mut scratch.floats;
    dispatch(isa, in_floats::InFloats { projected, tokens, heads, head_dim, scratch, context });
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    /// As the paper defines it, in double precision, for one head and token.
    fn twin(projected: &[f32], heads: usize, dim: usize, head: usize, token: usize) -> Vec<f64> {
        let stride = 3 * heads * dim;
        let at = |t: usize, part: usize, d: usize| {
            f64::from(projected[t * stride + part * heads * dim + head * dim + d])
        };
        let tokens = projected.len() / stride;
        let scores: Vec<f64> = (0..tokens)
            .map(|t| (0..dim).map(|d| at(token, 0, d) * at(t, 1, d)).sum::<f64>() / (dim as f64).sqrt())
            .collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let shares: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let sum: f64 = shares.iter().sum();
        (0..dim).map(|d| (0..tokens).map(|t| shares[t] / sum * at(t, 2, d)).sum()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn attention_is_that_of_its_scalar_twin(
            tokens in 1usize..60,
            heads in 1usize..4,
            head_dim in prop::sample::select(vec![1usize, 4, 7, 16, 24, 32, 64]),
            size in prop::sample::select(vec![0.5f32, 3.0]),
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let projected: Vec<f32> = (0..tokens * 3 * heads * head_dim).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0) * size
            }).collect();
            for (isa, precision) in Isa::available().flat_map(|isa| [(isa, Precision::F32), (isa, Precision::Int8)]) {
                // Of bf16, which have 8 bits, all four factors err.
                let error = if precision.in_tiles(isa) { 2f64.powi(-6) * f64::from(size) } else { 2e-5 };
                let mut scratch = AttentionScratch::default();
                let mut context = vec![f32::NAN; tokens * heads * head_dim];
                // Twice: what an earlier sentence left in the scratch must not matter.
                for _ in 0..2 {
                    attention(isa, precision, &projected, heads, head_dim, &mut scratch, &mut context);
                }
                for token in 0..tokens {
                    for head in 0..heads {
                        let exact = twin(&projected, heads, head_dim, head, token);
                        let got = &context[token * heads * head_dim + head * head_dim..][..head_dim];
                        for (got, exact) in got.iter().zip(exact) {
                            prop_assert!((f64::from(*got) - exact).abs() < error * f64::from(size),
                                "{:?}: {} is not {}", isa, got, exact);
                        }
                    }
                }
            }
        }
    }
}
