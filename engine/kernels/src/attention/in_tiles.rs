//! Attention by the matrix unit (`amx`), its products in bf16.
//!
//! For each head, queries times the transpose of the keys, 32 by 32 at a time, gives the scores; the softmax stays in
//! floats; shares times values gives the context.

#![allow(unsafe_code)]

use std::ops::Range;

use super::Heads;
use super::transpose::transpose;
use crate::aligned::{AlignedFloats, AlignedWords};
use crate::amx::{BLOCK, SIDE, TileOperands, Tiles, Words};
use crate::lanes::{Kernel, Lanes};
use crate::rows::narrow_row;
use crate::softmax::softmax_row_bf16;

/// Room for one head to work in, used again and again. Tokens are as many as fill blocks.
#[derive(Default)]
pub(super) struct TileScratch {
    /// `[tokens, head_dim / 2]`, a word two numbers of a query; of a key.
    queries: AlignedWords,
    rows_of_keys: AlignedWords,
    /// `[head_dim / 2, tokens]`, a word two numbers of a key.
    keys: AlignedWords,
    /// `[tokens / 2, head_dim]`, a word the numbers of two tokens.
    values: AlignedWords,
    /// Of a block of queries: `[BLOCK, width of the span]`.
    scores: AlignedFloats,
    /// Of a block of queries, not yet divided by their sums: `[BLOCK, width of the span / 2]`, a word those of two tokens.
    shares: AlignedWords,
    sums_of_shares: [f32; BLOCK],
    /// Of a block of queries, before that division: `[BLOCK, head_dim]`.
    context: AlignedFloats,
    /// How many scores were computed.
    pub(super) computed: u64,
}

/// What heads are made of, and how much.
#[derive(Clone, Copy)]
struct Shape {
    tokens: usize,
    /// As many as fill blocks.
    padded: usize,
    hidden: usize,
    head_dim: usize,
    /// Floats of a token's queries, keys and values.
    stride: usize,
}

/// A block of queries, and the tokens whose keys they may see.
#[derive(Clone, Copy)]
struct Span {
    /// The first query, and how many there are.
    row: usize,
    height: usize,
    /// The first token, which begins a block.
    first: usize,
    /// How many there are, and how many fill blocks.
    tokens: usize,
    padded: usize,
}

impl Span {
    fn new(heads: &Heads<'_>, shape: Shape, row: usize) -> Self {
        let height = BLOCK.min(shape.tokens - row);
        let seen = heads.bias.keys_seen(row..row + height, shape.tokens);
        let first = seen.start / BLOCK * BLOCK;
        let tokens = seen.end - first;
        Self { row, height, first, tokens, padded: tokens.next_multiple_of(BLOCK) }
    }
}

/// Whether heads of that width are whole tiles.
pub(super) fn takes(head_dim: usize) -> bool {
    head_dim > 0 && head_dim.is_multiple_of(BLOCK)
}

/// See [`super::attention`]; this processor has tiles.
pub(super) struct InTiles<'a> {
    pub projected: &'a [f32],
    pub tokens: usize,
    pub heads: &'a Heads<'a>,
    pub which: Range<usize>,
    pub scratch: &'a mut TileScratch,
    pub context: &'a mut [f32],
}

impl Kernel for InTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { projected, tokens, heads, which, scratch, context } = self;
        let head_dim = heads.dim;
        assert!(takes(head_dim) && tokens > 0);
        let (hidden, stride) = (heads.count * head_dim, heads.stride());
        assert!(projected.len() == tokens * stride && context.len() == tokens * hidden);
        let shape = Shape { tokens, padded: tokens.next_multiple_of(BLOCK), hidden, head_dim, stride };
        scratch.reserve(shape);
        // SAFETY: this is asked for only where there are tiles.
        let mut tiles = unsafe { Tiles::new() };
        for head in which {
            let column = head * head_dim;
            scratch.take(l, shape, projected, heads.columns(head));
            for row in (0..tokens).step_by(BLOCK) {
                let span = Span::new(heads, shape, row);
                scratch.score(&mut tiles, shape, span);
                scratch.share(l, shape, heads, head, span);
                scratch.mix(&mut tiles, shape, span);
                scratch.finish(l, shape, span.height, &mut context[row * hidden + column..]);
            }
        }
    }
}

impl TileScratch {
    pub(super) fn numbers(&self) -> usize {
        let words = [&self.queries, &self.rows_of_keys, &self.keys, &self.values, &self.shares];
        let words: usize = words.iter().map(|words| words.len()).sum();
        words + self.scores.len() + self.context.len()
    }

    fn reserve(&mut self, shape: Shape) {
        let Shape { padded, head_dim, .. } = shape;
        for words in [&mut self.queries, &mut self.rows_of_keys, &mut self.keys, &mut self.values] {
            words.reserve_len(padded * head_dim / 2);
        }
        self.scores.reserve_len(BLOCK * padded);
        self.shares.reserve_len(BLOCK * padded / 2);
        self.context.reserve_len(BLOCK * head_dim);
    }

    /// Queries, keys and values of the head whose columns of `projected` begin at these.
    #[inline(always)]
    fn take<L: Lanes>(&mut self, l: L, shape: Shape, projected: &[f32], columns: [usize; 3]) {
        let Shape { tokens, padded, head_dim, stride, .. } = shape;
        let [of_query, of_key, of_value] = columns;
        let words = head_dim / 2;
        let to = self.queries.chunks_exact_mut(words).zip(self.rows_of_keys.chunks_exact_mut(words));
        for (row, (query, key)) in projected.chunks_exact(stride).zip(to) {
            narrow_row(l, &row[of_query..][..head_dim], query);
            narrow_row(l, &row[of_key..][..head_dim], key);
        }
        let rows_of_keys = bytemuck::cast_slice(&self.rows_of_keys[..tokens * words]);
        transpose(l, rows_of_keys, words, tokens, words, padded, bytemuck::cast_slice_mut(&mut self.keys));

        let value = |token: usize| &projected[token * stride + of_value..][..head_dim];
        let (pairs, others) =
            self.values[..padded / 2 * head_dim].split_at_mut(tokens.div_ceil(2) * head_dim);
        for (pair, to) in pairs.chunks_exact_mut(head_dim).enumerate() {
            // The last may have no partner: its share is nothing.
            let (first, second) = (value(2 * pair), value((2 * pair + 1).min(tokens - 1)));
            for ((to, first), second) in
                to.chunks_exact_mut(L::LEN).zip(first.chunks_exact(L::LEN)).zip(second.chunks_exact(L::LEN))
            {
                // SAFETY: all three are a vector long.
                unsafe {
                    l.store_bf16_pairs(to.as_mut_ptr(), l.load(first.as_ptr()), l.load(second.as_ptr()))
                };
            }
        }
        // What an earlier sentence left may be no number, and nothing of it is none either.
        others.fill(0);
    }

    /// The products of a block of queries with the keys of its span.
    #[inline(always)]
    fn score(&mut self, tiles: &mut Tiles, shape: Shape, span: Span) {
        let (all, words) = (shape.padded, shape.head_dim / 2);
        let Span { row, height, first, padded, .. } = span;
        assert!(first + padded <= all, "a span of whole blocks of the sentence");
        self.computed += (height * padded) as u64;
        let queries = self.queries[row * words..][..height.next_multiple_of(SIDE) * words].as_ptr();
        let keys = self.keys[..words * all].as_ptr();
        let scores = self.scores[..BLOCK * padded].as_mut_ptr();
        for key in (0..padded).step_by(BLOCK) {
            // SAFETY: queries are whole tiles of `words` words; keys are [words, all], of which the span is a part, and
            // scores [BLOCK, padded].
            unsafe {
                let operands = TileOperands {
                    words: Words::Bf16s,
                    rows: height,
                    depth: words,
                    x: queries,
                    w: keys.add(first + key),
                    w_stride: all,
                };
                tiles.multiply(operands, scores.add(key).cast(), padded);
            }
        }
    }

    #[inline(always)]
    fn share<L: Lanes>(&mut self, l: L, shape: Shape, heads: &Heads<'_>, head: usize, span: Span) {
        let Span { row, height, first, tokens, padded } = span;
        let rows = self.scores.chunks_exact_mut(padded).zip(self.shares.chunks_exact_mut(padded / 2));
        for (i, ((scores, shares), sum)) in rows.zip(&mut self.sums_of_shares).take(height).enumerate() {
            heads.bias.add(head, row + i, shape.tokens, first, &mut scores[..tokens]);
            *sum = softmax_row_bf16(l, scores, tokens, heads.scale, shares);
        }
    }

    /// The products of shares and values.
    #[inline(always)]
    fn mix(&mut self, tiles: &mut Tiles, shape: Shape, span: Span) {
        let head_dim = shape.head_dim;
        let Span { height, first, padded, .. } = span;
        let shares = self.shares[..BLOCK * padded / 2].as_ptr();
        let values = self.values[first / 2 * head_dim..][..padded / 2 * head_dim].as_ptr();
        let context = self.context[..BLOCK * head_dim].as_mut_ptr();
        for d in (0..head_dim).step_by(BLOCK) {
            // SAFETY: shares are [BLOCK, padded / 2], values [padded / 2, head_dim] and the context [BLOCK, head_dim], all of
            // them whole tiles.
            unsafe {
                let operands = TileOperands {
                    words: Words::Bf16s,
                    rows: height,
                    depth: padded / 2,
                    x: shares,
                    w: values.add(d),
                    w_stride: head_dim,
                };
                tiles.multiply(operands, context.add(d).cast(), head_dim);
            }
        }
    }

    /// Writes the context to the first columns of `to`, the tail of `[tokens, hidden]`.
    #[inline(always)]
    fn finish<L: Lanes>(&self, l: L, shape: Shape, height: usize, to: &mut [f32]) {
        let Shape { hidden, head_dim, .. } = shape;
        let rows = to.chunks_mut(hidden).zip(self.context.chunks_exact(head_dim));
        for ((to, context), sum) in rows.zip(&self.sums_of_shares).take(height) {
            let scale = l.splat(1.0 / sum);
            for (to, context) in to[..head_dim].chunks_exact_mut(L::LEN).zip(context.chunks_exact(L::LEN)) {
                // SAFETY: both are a vector long.
                unsafe { l.store(to.as_mut_ptr(), l.mul(l.load(context.as_ptr()), scale)) };
            }
        }
    }
}
