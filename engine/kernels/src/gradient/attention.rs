//! Scaled dot-product attention (Vaswani et al. 2017) of one sentence, with its gradient and dropout.

use std::ops::Range;

use super::dropout::Dropout;
use super::{add_scaled, dot};
use crate::cpu::Isa;
use crate::lanes::{Kernel, Lanes, dispatch};
use crate::softmax::softmax_row;

/// Queries, keys and values of a sentence, each `[tokens, heads * head_dim]`.
#[derive(Clone, Copy)]
pub struct Projections<'a> {
    /// What each token asks.
    pub queries: &'a [f32],
    /// What each token answers to.
    pub keys: &'a [f32],
    /// What each token gives.
    pub values: &'a [f32],
    /// The number of heads.
    pub heads: usize,
    /// Floats in a row: all heads side by side.
    pub width: usize,
    /// What is added to each score by how far the key is behind the query, before scores are multiplied by their scale:
    /// `[heads, 2 * reach - 1]`, distance `1 - reach` first, for sentences of up to `reach` tokens. Empty for nothing.
    pub by_distance: &'a [f32],
}

impl Projections<'_> {
    fn tokens(&self) -> usize {
        self.queries.len() / self.width
    }

    fn scale(&self) -> f32 {
        scale(self.width, self.heads)
    }

    /// Where `by_distance` has the numbers of one query with the keys of all tokens, the first first.
    #[inline(always)]
    fn distances(&self, head: usize, query: usize) -> Range<usize> {
        let distances = self.by_distance.len() / self.heads;
        let first = head * distances + distances / 2 - query;
        first..first + self.tokens()
    }

    fn check_distances(&self) {
        let distances = self.by_distance.len() / self.heads;
        let fits = distances % 2 == 1 && distances + 1 >= 2 * self.tokens();
        assert!(self.by_distance.is_empty() || fits, "a number for each distance in the sentence");
    }
}

/// What scores are multiplied by where `heads` heads are `width` floats wide together.
pub fn scale(width: usize, heads: usize) -> f32 {
    1.0 / ((width / heads) as f32).sqrt()
}

/// The shares that each token gives to each, `[heads, tokens, tokens]`, into `shares` (before dropout), and the mean
/// values under them into `context`.
///
/// # Panics
/// If a slice has another length.
pub fn forward(
    isa: Isa,
    projections: Projections<'_>,
    dropout: Dropout,
    shares: &mut [f32],
    context: &mut [f32],
) {
    let tokens = projections.tokens();
    assert_eq!(shares.len(), projections.heads * tokens * tokens, "shares of [heads, tokens, tokens]");
    assert_eq!(context.len(), projections.queries.len(), "a context as wide as the queries");
    projections.check_distances();
    dispatch(isa, Forward { projections, dropout, shares, context });
}

/// The gradients of queries, keys and values (each filled anew), from that of the context. That of `by_distance` is added
/// to the last of `gradients`.
///
/// # Panics
/// If a slice has another length.
pub fn backward(
    isa: Isa,
    projections: Projections<'_>,
    dropout: Dropout,
    shares: &[f32],
    of_context: &[f32],
    gradients: [&mut [f32]; 4],
) {
    let tokens = projections.tokens();
    assert_eq!(shares.len(), projections.heads * tokens * tokens, "shares of [heads, tokens, tokens]");
    for length in gradients[..3].iter().map(|gradient| gradient.len()).chain([of_context.len()]) {
        assert_eq!(length, projections.queries.len(), "gradients as wide as the queries");
    }
    assert_eq!(gradients[3].len(), projections.by_distance.len(), "a gradient for each distance");
    projections.check_distances();
    dispatch(isa, Backward { projections, dropout, shares, of_context, gradients });
}

struct Forward<'a> {
    projections: Projections<'a>,
    dropout: Dropout,
    shares: &'a mut [f32],
    context: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { projections: p, dropout, shares, context } = self;
        let (tokens, size, scale) = (p.tokens(), p.width / p.heads, p.scale());
        context.fill(0.0);
        for head in 0..p.heads {
            let part = |token: usize| token * p.width + head * size..token * p.width + (head + 1) * size;
            for i in 0..tokens {
                let row = (head * tokens + i) * tokens;
                let shares = &mut shares[row..row + tokens];
                for (j, share) in shares.iter_mut().enumerate() {
                    *share = dot(&p.queries[part(i)], &p.keys[part(j)]);
                }
                if !p.by_distance.is_empty() {
                    add_scaled(shares, 1.0, &p.by_distance[p.distances(head, i)]);
                }
                let whole = 1.0 / softmax_row(l, shares, scale);
                let context = &mut context[part(i)];
                for (j, share) in shares.iter_mut().enumerate() {
                    *share *= whole;
                    let kept = *share * dropout.factor((row + j) as u32);
                    add_scaled(context, kept, &p.values[part(j)]);
                }
            }
        }
    }
}

struct Backward<'a> {
    projections: Projections<'a>,
    dropout: Dropout,
    shares: &'a [f32],
    of_context: &'a [f32],
    gradients: [&'a mut [f32]; 4],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { projections: p, dropout, shares, of_context, gradients } = self;
        let (tokens, size, scale) = (p.tokens(), p.width / p.heads, p.scale());
        let [of_queries, of_keys, of_values, of_distances] = gradients;
        of_queries.fill(0.0);
        of_keys.fill(0.0);
        of_values.fill(0.0);
        let mut of_shares = vec![0.0; tokens];
        for head in 0..p.heads {
            let part = |token: usize| token * p.width + head * size..token * p.width + (head + 1) * size;
            for i in 0..tokens {
                let row = (head * tokens + i) * tokens;
                let shares = &shares[row..row + tokens];
                let of_context = &of_context[part(i)];
                for (j, (of_share, share)) in of_shares.iter_mut().zip(shares).enumerate() {
                    let kept = dropout.factor((row + j) as u32);
                    *of_share = kept * dot(of_context, &p.values[part(j)]);
                    add_scaled(&mut of_values[part(j)], kept * share, of_context);
                }
                let mean = dot(&of_shares, shares);
                for (of_share, share) in of_shares.iter_mut().zip(shares) {
                    *of_share = share * (*of_share - mean) * scale;
                }
                let of_scores = &of_shares;
                for (j, of_score) in of_scores.iter().enumerate() {
                    add_scaled(&mut of_queries[part(i)], *of_score, &p.keys[part(j)]);
                    add_scaled(&mut of_keys[part(j)], *of_score, &p.queries[part(i)]);
                }
                if !of_distances.is_empty() {
                    add_scaled(&mut of_distances[p.distances(head, i)], 1.0, of_scores);
                }
            }
        }
    }
}
