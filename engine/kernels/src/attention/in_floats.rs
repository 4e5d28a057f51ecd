//! Attention in single precision, on every processor.

#![allow(unsafe_code)]

use std::ops::Range;

use super::Heads;
use super::transpose::transpose;
use crate::aligned::AlignedFloats;
use crate::gemm_tile::{Ahead, Finish, Floats, multiply_tile, row_tiles};
use crate::lanes::{Kernel, Lanes};
use crate::softmax::softmax_row;

/// Buffers for one head, reused.
#[derive(Default)]
pub(super) struct FloatScratch {
    /// The keys of one head, transposed: `[head_dim, tokens]`, rows padded to whole vectors, and those of a long text by
    /// a cache line more where all of them would begin in one set of the cache.
    keys: AlignedFloats,
    /// Its values, `[tokens, head_dim]`, padded to whole vectors: when a head is not whole vectors, or the text is long.
    values: AlignedFloats,
    /// Of one tile of queries: `[tile rows, tokens]`, padded likewise.
    scores: AlignedFloats,
    /// How many scores were computed.
    pub(super) computed: u64,
}

impl FloatScratch {
    pub(super) fn numbers(&self) -> usize {
        self.keys.len() + self.values.len() + self.scores.len()
    }
}

/// Attention in single precision, its lengths checked by [`attention`](super::attention).
pub(super) struct InFloats<'a> {
    pub projected: &'a [f32],
    pub tokens: usize,
    pub heads: &'a Heads<'a>,
    pub which: Range<usize>,
    pub scratch: &'a mut FloatScratch,
    pub context: &'a mut [f32],
}

/// Floats of a cache line.
const LINE: usize = 16;

/// Floats after which lines of memory share a set of the first-level cache.
const SET: usize = 1024;

/// From so many tokens on, values are copied next to one another: every tile of queries reads them, and where they lie,
/// among queries and keys, a few of them fill a page.
const LONG: usize = 256;

/// The most rows that the tile of any instruction set has.
const MOST_ROWS: usize = 8;

impl Kernel for InFloats<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { projected, tokens, heads, which, scratch, context } = self;
        let head_dim = heads.dim;
        let hidden = heads.count * head_dim;
        let stride = heads.stride();
        let padded_tokens = tokens.next_multiple_of(L::LEN);
        let padded_dim = head_dim.next_multiple_of(L::LEN);
        let key_stride = if padded_tokens.is_multiple_of(SET) { padded_tokens + LINE } else { padded_tokens };
        let in_place = padded_dim == head_dim && tokens < LONG;
        scratch.keys.reserve_len(head_dim * key_stride);
        scratch.scores.reserve_len(L::TILE_ROWS * padded_tokens);
        if !in_place {
            scratch.values.reserve_len(tokens * padded_dim);
        }
        let factor = heads.scale;
        for head in which {
            let [query, key, value] = heads.columns(head);
            transpose(l, &projected[key..], stride, tokens, head_dim, key_stride, &mut scratch.keys);
            let (values, value_stride) = if in_place {
                (&projected[value..], stride)
            } else {
                for t in 0..tokens {
                    scratch.values[t * padded_dim..][..head_dim]
                        .copy_from_slice(&projected[t * stride + value..][..head_dim]);
                }
                (&scratch.values[..], padded_dim)
            };
            for (row, height) in row_tiles(tokens, L::TILE_ROWS) {
                let seen = heads.bias.keys_seen(row..row + height, tokens);
                let first = seen.start / L::LEN * L::LEN;
                let (width, padded) = (seen.end - first, (seen.end - first).next_multiple_of(L::LEN));
                scratch.computed += (height * padded) as u64;
                let scores = &mut scratch.scores[..L::TILE_ROWS * padded];
                // SAFETY: queries are rows `row..row + height` of `projected`, `head_dim` floats from
                // column `query` on; keys are [head_dim, padded_tokens] in rows of `key_stride`, of which
                // `padded` columns from `first` on are there because both are whole vectors; the scores have room for the rows
                // of a tile.
                unsafe {
                    let queries = projected.as_ptr().add(row * stride + query);
                    let finish = Finish::store(scores.as_mut_ptr(), padded, padded);
                    let keys = (scratch.keys.as_ptr().add(first), key_stride);
                    multiply_rows(l, height, head_dim, (queries, stride), keys, finish);
                }
                let mut scale = [0.0; MOST_ROWS];
                for (i, scale) in scale.iter_mut().enumerate().take(height) {
                    let scores = &mut scores[i * padded..][..width];
                    heads.bias.add(head, row + i, tokens, first, scores);
                    *scale = 1.0 / softmax_row(l, scores, factor);
                }
                // SAFETY: the scores are [height, width] with rows of `padded`; values are
                // [tokens, padded_dim] with rows of `value_stride`, of which `width` from `first` on are read,
                // and where they are read in place `padded_dim` is `head_dim`, so that no row is read past its
                // end; the context has `head_dim` columns from `query` on in each of its rows.
                unsafe {
                    let finish = Finish {
                        row_scale: scale.as_ptr(),
                        ..Finish::store(context.as_mut_ptr().add(row * hidden + query), hidden, head_dim)
                    };
                    let values = (values.as_ptr().add(first * value_stride), value_stride);
                    multiply_rows(l, height, width, (scores.as_ptr(), padded), values, finish);
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
