//! Scaled dot-product attention of one sentence over its own tokens (Vaswani et al. 2017, 3.2).
//!
//! `in_floats` computes in single precision on every processor; `in_tiles` computes in bf16 by the matrix unit of
//! Intel's processors. Both multiply a few queries at a time with the keys that these may see: all of the sentence, or
//! those of a window. So the memory needed grows with the length of a sentence and not with its square, and a window
//! costs its width.

mod bias;
mod in_floats;
#[cfg(target_arch = "x86_64")]
mod in_tiles;
mod transpose;

pub use bias::{BucketBias, DistanceBias, ScoreBias};

use std::ops::Range;

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

impl AttentionScratch {
    /// How many numbers these buffers hold, 4 bytes each.
    pub fn numbers(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let in_tiles = self.tiles.numbers();
        #[cfg(not(target_arch = "x86_64"))]
        let in_tiles = 0;
        self.floats.numbers() + in_tiles
    }

    /// How many scores of a query and a key were computed in these buffers, all sentences together.
    pub fn scores_computed(&self) -> u64 {
        #[cfg(target_arch = "x86_64")]
        let in_tiles = self.tiles.computed;
        #[cfg(not(target_arch = "x86_64"))]
        let in_tiles = 0;
        self.floats.computed + in_tiles
    }
}

/// The heads of an attention, and what becomes of their scores.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    /// Heads of queries.
    pub count: usize,
    /// Heads of keys and values: a divisor of `count`. Each serves as many heads of queries (Ainslie et al. 2023).
    pub key_values: usize,
    /// Numbers of a head.
    pub dim: usize,
    /// What scores are multiplied by before the softmax: above zero, in most networks 1 / sqrt(dim).
    pub scale: f32,
    /// What is added to scores.
    pub bias: ScoreBias<'a>,
}

impl Heads<'_> {
    /// Heads as most networks have them: with keys and values of their own, and nothing added.
    pub fn plain(count: usize, dim: usize) -> Self {
        Self { count, key_values: count, dim, scale: 1.0 / (dim as f32).sqrt(), bias: ScoreBias::None }
    }

    /// Floats of a token's queries, keys and values.
    pub fn stride(&self) -> usize {
        (self.count + 2 * self.key_values) * self.dim
    }

    /// Where query, key and value of a head begin in a row.
    fn columns(&self, head: usize) -> [usize; 3] {
        let shared = head / (self.count / self.key_values);
        [head, self.count + shared, self.count + self.key_values + shared].map(|head| head * self.dim)
    }
}

/// Attention over one sentence: `projected` is its tokens' queries, keys and values side by side,
/// `[tokens, heads.stride()]`; `context` becomes `[tokens, heads.count * heads.dim]`. Where the processor multiplies
/// tiles and `precision` is not f32, products are of bf16; elsewhere, of floats.
///
/// # Panics
/// If the lengths do not fit one another, or the heads of keys do not divide those of queries.
pub fn attention(
    isa: Isa,
    precision: Precision,
    projected: &[f32],
    heads: &Heads<'_>,
    scratch: &mut AttentionScratch,
    context: &mut [f32],
) {
    attention_of(isa, precision, projected, heads, 0..heads.count, scratch, context);
}

/// The same for the heads `which` alone, whose columns of `context` are written. The numbers of a [`BucketBias`] are
/// of one head, so that they need not be held for all at once.
///
/// # Panics
/// As [`attention`], and if there are no such heads.
pub fn attention_of(
    isa: Isa,
    precision: Precision,
    projected: &[f32],
    heads: &Heads<'_>,
    which: Range<usize>,
    scratch: &mut AttentionScratch,
    context: &mut [f32],
) {
    assert!(which.end <= heads.count, "heads there are");
    let hidden = heads.count.checked_mul(heads.dim).expect("a row fits the memory");
    assert!(heads.key_values > 0 && heads.count.is_multiple_of(heads.key_values), "groups of heads");
    assert_eq!(context.len() % hidden, 0, "whole rows");
    let tokens = context.len() / hidden;
    assert_eq!(projected.len(), tokens * heads.stride(), "queries, keys and values for every token");
    heads.bias.check(heads.count, tokens);
    if tokens == 0 {
        return;
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = precision;
    #[cfg(target_arch = "x86_64")]
    if precision.in_tiles(isa) && in_tiles::takes(heads.dim) {
        let scratch = &mut scratch.tiles;
        let work = in_tiles::InTiles { projected, tokens, heads, which, scratch, context };
        return crate::lanes::dispatch_words(isa, work);
    }
    let scratch = &mut scratch.floats;
    dispatch(isa, in_floats::InFloats { projected, tokens, heads, which, scratch, context });
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    /// As the paper defines it, in double precision, for one head and token.
    fn twin(projected: &[f32], heads: &Heads<'_>, head: usize, token: usize) -> Vec<f64> {
        let (stride, dim) = (heads.stride(), heads.dim);
        let shared = head * heads.key_values / heads.count;
        let at = |t: usize, part: usize, d: usize| {
            let first = [head, heads.count + shared, heads.count + heads.key_values + shared][part] * dim;
            f64::from(projected[t * stride + first + d])
        };
        let bias = |t: usize| match heads.bias {
            ScoreBias::None => 0.0,
            ScoreBias::ByDistance { first_head, .. } => {
                bias_of(first_head + head, t as isize - token as isize)
            }
            ScoreBias::ByBucket(bias) => {
                let bucket = bias.buckets[projected.len() / stride - 1 + token - t] as usize;
                let said =
                    |said: &[f32], at: usize| said.get(at * bias.count + bucket).copied().unwrap_or(0.0);
                f64::from((said(bias.of_queries, token) + said(bias.of_keys, t)) * heads.scale)
            }
        };
        let tokens = projected.len() / stride;
        let scores: Vec<f64> = (0..tokens)
            .map(|t| {
                (0..dim).map(|d| at(token, 0, d) * at(t, 1, d)).sum::<f64>() * f64::from(heads.scale)
                    + bias(t)
            })
            .collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let shares: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let sum: f64 = shares.iter().sum();
        (0..dim).map(|d| (0..tokens).map(|t| shares[t] / sum * at(t, 2, d)).sum()).collect()
    }

    /// What the test adds by head and distance: nothing can be seen beyond 40 tokens, or to the right of head 0.
    fn bias_of(head: usize, distance: isize) -> f64 {
        if distance.abs() > 40 || (head == 0 && distance > 0) {
            return f64::NEG_INFINITY;
        }
        head as f64 / 4.0 - distance as f64 / 8.0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn attention_is_that_of_its_scalar_twin(
            tokens in 1usize..60,
            groups in 1usize..3,
            each in 1usize..3,
            added in 0usize..5,
            head_dim in prop::sample::select(vec![1usize, 4, 7, 16, 24, 32, 64]),
            size in prop::sample::select(vec![0.5f32, 3.0]),
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
            };
            let scale = 1.0 / (head_dim as f32).sqrt();
            let heads = Heads { key_values: groups, scale, ..Heads::plain(groups * each, head_dim) };
            let table = DistanceBias::new(heads.count + 1, 60, scale, |head, distance| bias_of(head, distance) as f32);
            let buckets: Vec<u32> = (0..2 * tokens - 1).map(|distance| distance as u32 / 3).collect();
            let count = (2 * tokens - 1).div_ceil(3);
            let said: [Vec<f32>; 2] = [(); 2].map(|()| (0..tokens * count).map(|_| next()).collect());
            let asked = |queries: bool, keys: bool| ScoreBias::ByBucket(BucketBias {
                of_queries: if queries { &said[0] } else { &[] },
                of_keys: if keys { &said[1] } else { &[] },
                count,
                buckets: &buckets,
            });
            let first_head = seed as usize % 2;
            let bias = [ScoreBias::None, ScoreBias::ByDistance { table: &table, first_head }, asked(true, true), asked(true, false), asked(false, true)];
            let heads = &Heads { bias: bias[added], ..heads };
            let projected: Vec<f32> = (0..tokens * heads.stride()).map(|_| next() * size).collect();
            for (isa, precision) in Isa::available().flat_map(|isa| [(isa, Precision::F32), (isa, Precision::Int8)]) {
                // Of bf16, which have 8 bits, all four factors err.
                let error = if precision.in_tiles(isa) { 2f64.powi(-6) * f64::from(size) } else { 2e-5 };
                let mut scratch = AttentionScratch::default();
                let hidden = heads.count * head_dim;
                let mut context = vec![f32::NAN; tokens * hidden];
                // Twice: what an earlier sentence left in the scratch must not matter.
                for _ in 0..2 {
                    attention(isa, precision, &projected, heads, &mut scratch, &mut context);
                }
                for token in 0..tokens {
                    for head in 0..heads.count {
                        let exact = twin(&projected, heads, head, token);
                        let got = &context[token * hidden + head * head_dim..][..head_dim];
                        for (got, exact) in got.iter().zip(exact) {
                            prop_assert!((f64::from(*got) - exact).abs() < error * f64::from(size),
                                "{:?}: {} is not {}", isa, got, exact);
                        }
                    }
                }
            }
        }
    }

    /// Numbers of chance between -1 and 1.
    fn chance(count: usize) -> Vec<f32> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_window_costs_its_width_and_not_the_length_of_the_text() {
        let (tokens, dim, window) = (4096, 32, 64);
        let projected = chance(tokens * 2 * 3 * dim);
        let sees = |distance: isize| distance.unsigned_abs() <= window;
        let table = DistanceBias::new(1, tokens, 1.0, |_, d| if sees(d) { 0.0 } else { f32::NEG_INFINITY });
        let causal = DistanceBias::new(1, tokens, 1.0, |_, d| if d <= 0 { 0.0 } else { f32::NEG_INFINITY });
        let heads = Heads::plain(2, dim);
        for isa in Isa::available() {
            let computed = |precision, tokens: usize, bias| {
                let mut scratch = AttentionScratch::default();
                let mut context = vec![0.0; tokens * 2 * dim];
                let heads = Heads { bias, ..heads };
                attention(
                    isa,
                    precision,
                    &projected[..tokens * 2 * 3 * dim],
                    &heads,
                    &mut scratch,
                    &mut context,
                );
                scratch.scores_computed() as usize
            };
            for precision in [Precision::F32, Precision::Int8] {
                let near = |table| ScoreBias::ByDistance { table, first_head: 0 };
                let long = computed(precision, tokens, near(&table));
                // A tile of at most 32 queries sees the window on both sides of it, in whole blocks of 32 keys.
                assert!(long <= 2 * tokens * (2 * window + 32 + 2 * 32), "{isa:?}: {long} scores");
                assert!(long >= 2 * (tokens - 2 * window) * (2 * window + 1), "{isa:?}: {long} scores");
                let half = computed(precision, tokens / 2, near(&table));
                assert!(long <= half * 2 + 2 * tokens * 32, "{isa:?}: {half}, then {long}");
                let all = computed(precision, 512, ScoreBias::None);
                assert_eq!(all, 2 * 512 * 512, "{isa:?}");
                let before = computed(precision, 512, near(&causal));
                assert!(before < 2 * 512 * (256 + 64), "{isa:?}: {before} scores of tokens before");
            }
        }
    }
}
