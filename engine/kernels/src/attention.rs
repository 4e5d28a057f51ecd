//! Scaled dot-product attention of one sentence over its own tokens (Vaswani et al. 2017, 3.2).
//!
//! A tile of a few queries at a time meets all keys of the sentence, so that the memory needed grows
//! with the length of a sentence and not with its square.

#![allow(unsafe_code)]

use super::aligned::AlignedFloats;
#[cfg(target_arch = "x86_64")]
use super::attention_tiles;
use super::cpu::Isa;
use super::gemm_tile::{Ahead, Finish, Floats, multiply_tile, row_tiles};
use super::lanes::{Kernel, Lanes, dispatch};
use super::rows::Precision;
use super::softmax::softmax_row;

/// Room to work in, used again and again.
#[derive(Default)]
pub struct AttentionScratch {
    #[cfg(target_arch = "x86_64")]
    tiles: attention_tiles::TileScratch,
    /// The keys of one head, transposed: `[head_dim, tokens]`, rows padded to whole vectors.
    keys: AlignedFloats,
    /// Its values, when a head is not whole vectors: `[tokens, head_dim]`, padded likewise.
    values: AlignedFloats,
    /// Of one tile of queries: `[tile rows, tokens]`, padded likewise.
    scores: AlignedFloats,
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
    if precision.in_tiles(isa) && attention_tiles::takes(head_dim) {
        let scratch = &mut scratch.tiles;
        let work = attention_tiles::InTiles { projected, tokens, heads, head_dim, scratch, context };
        return super::lanes::dispatch_words(isa, work);
    }
    dispatch(isa, Attention { projected, tokens, heads, head_dim, scratch, context });
}

struct Attention<'a> {
    projected: &'a [f32],
    tokens: usize,
    heads: usize,
    head_dim: usize,
    scratch: &'a mut AttentionScratch,
    context: &'a mut [f32],
}

/// The most rows that the tile of any instruction set has.
const MOST_ROWS: usize = 8;

impl Kernel for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { projected, tokens, heads, head_dim, scratch, context } = self;
        let hidden = heads * head_dim;
        let stride = 3 * hidden;
        let padded_tokens = tokens.next_multiple_of(L::LEN);
        let padded_dim = head_dim.next_multiple_of(L::LEN);
        scratch.keys.reserve_len(head_dim * padded_tokens);
        scratch.scores.reserve_len(L::TILE_ROWS * padded_tokens);
        if padded_dim != head_dim {
            scratch.values.reserve_len(tokens * padded_dim);
        }
        let factor = 1.0 / (head_dim as f32).sqrt();
        for head in 0..heads {
            let (query, key) = (head * head_dim, hidden + head * head_dim);
            let value = 2 * hidden + head * head_dim;
            transpose(l, &projected[key..], stride, tokens, head_dim, padded_tokens, &mut scratch.keys);
            let (values, value_stride) = if padded_dim == head_dim {
                (&projected[value..], stride)
            } else {
                for t in 0..tokens {
                    scratch.values[t * padded_dim..][..head_dim]
                        .copy_from_slice(&projected[t * stride + value..][..head_dim]);
                }
                (&scratch.values[..], padded_dim)
            };
            for (row, height) in row_tiles(tokens, L::TILE_ROWS) {
                let scores = &mut scratch.scores[..L::TILE_ROWS * padded_tokens];
                // SAFETY: queries are rows `row..row + height` of `projected`, `head_dim` floats from
                // column `query` on; keys are [head_dim, padded_tokens]; the scores have room for the
                // rows of a tile.
                unsafe {
                    let queries = projected.as_ptr().add(row * stride + query);
                    let finish = Finish::store(scores.as_mut_ptr(), padded_tokens, padded_tokens);
                    let keys = (scratch.keys.as_ptr(), padded_tokens);
                    multiply_rows(l, height, head_dim, (queries, stride), keys, finish);
                }
                let mut scale = [0.0; MOST_ROWS];
                for (i, scale) in scale.iter_mut().enumerate().take(height) {
                    let row = &mut scores[i * padded_tokens..][..tokens];
                    *scale = 1.0 / softmax_row(l, row, factor);
                }
                // SAFETY: the scores are [height, tokens] with rows of `padded_tokens`; values are
                // [tokens, padded_dim] with rows of `value_stride`, and where they are read in place
                // `padded_dim` is `head_dim`, so that no row is read past its end; the context has
                // `head_dim` columns from `query` on in each of its rows.
                unsafe {
                    let finish = Finish {
                        row_scale: scale.as_ptr(),
                        ..Finish::store(context.as_mut_ptr().add(row * hidden + query), hidden, head_dim)
                    };
                    let (scores, values) =
                        ((scores.as_ptr(), padded_tokens), (values.as_ptr(), value_stride));
                    multiply_rows(l, height, tokens, scores, values, finish);
                }
            }
        }
    }
}

/// A tile of rows of a b, of all the columns that `finish` has: each matrix with the floats from one row to the next.
///
/// # Safety
/// As for [`multiply_tile`], and whole vectors of b's columns can be read.
#[inline(always)]
unsafe fn multiply_rows<L: Lanes>(
    l: L,
    rows: usize,
    depth: usize,
    (a, lda): (*const f32, usize),
    (b, ldb): (*const f32, usize),
    finish: Finish,
) {
    let mut column = 0;
    while column < finish.columns {
        let columns = finish.columns - column;
        let vectors = columns.div_ceil(L::LEN).min(L::TILE_VECTORS);
        // SAFETY: the caller's promises, and `column` is below the number of columns.
        unsafe {
            let finish = Finish { c: finish.c.add(column), columns, ..finish };
            let b = b.add(column).cast();
            multiply_tile::<L, Floats>(
                l,
                rows,
                vectors,
                depth,
                a.cast(),
                lda,
                b,
                ldb,
                Ahead::stay(b),
                finish,
            );
        }
        column += vectors * L::LEN;
    }
}

/// `rows` (`[tokens, dim]`, `stride` floats from one to the next) as columns of `out`, whose rows are `out_stride`
/// long, whole vectors; the columns past `tokens` repeat the last.
#[inline(always)]
pub(super) fn transpose<L: Lanes>(
    l: L,
    rows: &[f32],
    stride: usize,
    tokens: usize,
    dim: usize,
    out_stride: usize,
    out: &mut [f32],
) {
    assert!(tokens > 0 && (tokens - 1) * stride + dim <= rows.len() && dim * out_stride <= out.len());
    assert!(tokens <= out_stride && out_stride.is_multiple_of(L::LEN));
    let whole = dim / 4 * 4;
    for first in (0..tokens).step_by(L::LEN) {
        let last = (tokens - 1 - first).min(L::LEN - 1);
        for d in (0..whole).step_by(4) {
            // SAFETY: rows up to `first + last` have `dim` floats, four of them from `d` on, and each of the
            // `dim` rows of `out` has a vector from `first` on, because it is whole vectors.
            unsafe {
                let columns = l.load_columns(rows.as_ptr().add(first * stride + d), stride, last);
                for (i, column) in columns.into_iter().enumerate() {
                    l.store(out.as_mut_ptr().add((d + i) * out_stride + first), column);
                }
            }
        }
        for d in whole..dim {
            for i in 0..L::LEN {
                out[d * out_stride + first + i] = rows[(first + i.min(last)) * stride + d];
            }
        }
    }
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
