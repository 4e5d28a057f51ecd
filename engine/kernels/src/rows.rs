//! The rows of a matrix in the form that a product takes them: as floats, as bf16, or as codes of 8 bits.
//!
//! A row becomes whole words of four bytes: one float, two bf16, or as many codes as the instruction set
//! multiplies at once. Codes are made on the fly, each row over its own range: x = scale * code + lowest,
//! with 256 codes from the lowest value of the row to the greatest. A range that need not lie about zero
//! spends no codes where there are no values, which halves the error of what GELU gives.

#![allow(unsafe_code)]

use super::aligned::AlignedWords;
use super::cpu::{Isa, Kind};
use super::lanes::{Kernel, Lanes, codes_a_word, dispatch_words};

/// In what numbers products of matrices are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision: the reference.
    #[default]
    F32,
    /// Both factors rounded to bf16, sums in f32.
    Bf16,
    /// Both factors in whole numbers of 8 bits, sums exact.
    Int8,
}

impl Precision {
    /// Words in a row of `width` numbers.
    pub(super) fn words(self, isa: Isa, width: usize) -> usize {
        let words = match self {
            Self::F32 => width,
            Self::Bf16 => width.div_ceil(2),
            Self::Int8 => width.div_ceil(codes_a_word(isa)),
        };
        if self.in_tiles(isa) { words.next_multiple_of(TILE_WORDS) } else { words }
    }

    /// Rows in memory for so many rows: tiles are read whole.
    pub(super) fn rows(self, isa: Isa, rows: usize) -> usize {
        if self.in_tiles(isa) { rows.next_multiple_of(TILE_ROWS) } else { rows }
    }

    /// Whether the instruction set multiplies it tile by tile, each row of one [`TILE_WORDS`] long.
    pub(super) fn in_tiles(self, isa: Isa) -> bool {
        isa.kind() == Kind::Amx && self != Self::F32
    }
}

/// Rows of a tile of x, and words in a row, where products are made of tiles (`amx`).
pub(super) const TILE_ROWS: usize = 16;
pub(super) const TILE_WORDS: usize = 16;

/// Rows of a matrix, converted to the words that a product reads.
#[derive(Clone, Copy)]
pub struct InputRows<'a> {
    pub(super) precision: Precision,
    /// `[rows, words]`, and behind them what fills a tile.
    pub(super) words: &'a [u32],
    /// Of codes: (scale, lowest) of each row.
    pub(super) ranges: &'a [[f32; 2]],
}

impl<'a> InputRows<'a> {
    /// Floats as they are.
    pub fn floats(values: &'a [f32]) -> Self {
        Self { precision: Precision::F32, words: bytemuck::cast_slice(values), ranges: &[] }
    }
}

/// A buffer for [`InputRows`], reused.
#[derive(Default)]
pub struct RowBuffer {
    words: AlignedWords,
    ranges: Vec<[f32; 2]>,
}

impl RowBuffer {
    /// Makes room for so many rows of `width` numbers.
    pub fn reserve(&mut self, isa: Isa, precision: Precision, rows: usize, width: usize) {
        if precision != Precision::F32 {
            self.words.reserve_len(precision.rows(isa, rows) * precision.words(isa, width));
            self.ranges.resize(self.ranges.len().max(rows), [0.0; 2]);
        }
    }

    /// `values` (`[rows, width]`) in `precision`. Floats stay where they are.
    ///
    /// # Panics
    /// If the values are not whole rows.
    pub fn rows<'a>(
        &'a mut self,
        isa: Isa,
        precision: Precision,
        values: &'a [f32],
        width: usize,
    ) -> InputRows<'a> {
        self.scaled_rows(isa, precision, values, width, &[])
    }

    /// The same with each column multiplied by its factor, if there are any: for codes only.
    ///
    /// # Panics
    /// If the values are not whole rows, or there are factors and not one for each column or not for codes.
    pub fn scaled_rows<'a>(
        &'a mut self,
        isa: Isa,
        precision: Precision,
        values: &'a [f32],
        width: usize,
        factors: &'a [f32],
    ) -> InputRows<'a> {
        match precision {
            Precision::F32 => {
                assert!(factors.is_empty(), "factors for codes only");
                InputRows::floats(values)
            }
            _ => self.converted(isa, precision, values, width, factors),
        }
    }

    /// The same where nothing stays what it is: the rows no longer need the values.
    ///
    /// # Panics
    /// As [`RowBuffer::scaled_rows`], or for floats.
    pub fn converted(
        &mut self,
        isa: Isa,
        precision: Precision,
        values: &[f32],
        width: usize,
        factors: &[f32],
    ) -> InputRows<'_> {
        assert!(precision != Precision::F32, "floats stay what they are");
        let fit = factors.is_empty() || (precision == Precision::Int8 && factors.len() == width);
        assert!(fit, "a factor for each column of codes");
        assert_eq!(values.len() % width, 0, "whole rows");
        let rows = values.len() / width;
        self.reserve(isa, precision, rows, width);
        let depth = precision.words(isa, width);
        let words = &mut self.words[..precision.rows(isa, rows) * depth];
        let ranges = &mut self.ranges[..rows];
        if rows > 0 {
            let words = &mut words[..rows * depth];
            dispatch_words(isa, Convert { precision, values, width, factors, words, ranges });
        }
        InputRows { precision, words, ranges: if precision == Precision::Int8 { ranges } else { &[] } }
    }
}

struct Convert<'a> {
    precision: Precision,
    /// `[rows, width]`
    values: &'a [f32],
    width: usize,
    /// One for each column, or none.
    factors: &'a [f32],
    /// `[rows, words]`
    words: &'a mut [u32],
    ranges: &'a mut [[f32; 2]],
}

impl Kernel for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        match self.precision {
            Precision::Int8 if self.factors.is_empty() => self.quantize::<L, false>(l),
            Precision::Int8 => self.quantize::<L, true>(l),
            _ => {
                let words = self.words.len() / self.ranges.len();
                let rows = self.values.chunks_exact(self.width).zip(self.words.chunks_exact_mut(words));
                rows.for_each(|(row, words)| narrow_row(l, row, words));
            }
        }
    }
}

/// Rows whose ranges are found before the codes of the first are made: what waits for a row's extremes, a long chain,
/// does so beside the other rows.
const ROWS_AT_ONCE: usize = 4;

impl Convert<'_> {
    #[inline(always)]
    fn quantize<L: Lanes, const SCALED: bool>(self, l: L) {
        let words = self.words.len() / self.ranges.len();
        let rows = self.values.chunks(ROWS_AT_ONCE * self.width);
        let words_of_rows = self.words.chunks_mut(ROWS_AT_ONCE * words);
        for ((rows, words_of_rows), ranges) in
            rows.zip(words_of_rows).zip(self.ranges.chunks_mut(ROWS_AT_ONCE))
        {
            for (row, range) in rows.chunks_exact(self.width).zip(&mut *ranges) {
                *range = range_of_row::<L, SCALED>(l, row, self.factors);
            }
            let rows = rows.chunks_exact(self.width).zip(words_of_rows.chunks_exact_mut(words));
            for ((row, words), range) in rows.zip(ranges) {
                quantize_row::<L, SCALED>(l, row, self.factors, *range, words);
            }
        }
    }
}

/// The greatest code.
const GREATEST: f32 = 255.0;

/// The least that a code stands for. What is multiplied by the scale of a column then is not subnormal, which some
/// processors take many times as long for.
const LEAST_SCALE: f32 = 1e-30;

/// A row's values, each times its factor if they are `SCALED`, by vectors.
#[derive(Clone, Copy)]
struct Scaled<'a, const SCALED: bool> {
    row: &'a [f32],
    factors: &'a [f32],
}

impl<'a, const SCALED: bool> Scaled<'a, SCALED> {
    #[inline(always)]
    fn new(row: &'a [f32], factors: &'a [f32]) -> Self {
        assert!(!SCALED || factors.len() == row.len());
        Self { row, factors }
    }

    /// # Safety
    /// The row has a vector from `at` on.
    #[inline(always)]
    unsafe fn vector<L: Lanes>(self, l: L, at: usize) -> L::V {
        // SAFETY: the caller's promise; factors, where there are any, are as many.
        unsafe {
            let value = l.load(self.row.as_ptr().add(at));
            if SCALED { l.mul(value, l.load(self.factors.as_ptr().add(at))) } else { value }
        }
    }

    /// What the row has behind its whole vectors, and `fill` in the other lanes.
    #[inline(always)]
    fn last<L: Lanes>(self, l: L, fill: f32) -> L::V {
        let (at, rest) = (self.row.len() / L::LEN * L::LEN, self.row.len() % L::LEN);
        // SAFETY: only the `rest` lanes that the row has are read.
        unsafe {
            let value = l.load_first(self.row.as_ptr().add(at), rest, fill);
            match SCALED {
                true => l.mul(value, l.load_first(self.factors.as_ptr().add(at), rest, 1.0)),
                false => value,
            }
        }
    }
}

/// What the codes of a row stand for: (scale, lowest).
#[inline(always)]
fn range_of_row<L: Lanes, const SCALED: bool>(l: L, row: &[f32], factors: &[f32]) -> [f32; 2] {
    let values = Scaled::<SCALED>::new(row, factors);
    let (whole, rest) = (row.len() / L::LEN, row.len() % L::LEN);
    // Four at once, or each comparison would wait for the one before it.
    let (mut lows, mut highs) = ([l.splat(f32::INFINITY); 4], [l.splat(f32::NEG_INFINITY); 4]);
    let fours = whole / 4 * 4;
    // SAFETY: whole vectors.
    unsafe {
        for first in (0..fours).step_by(4) {
            for (i, (low, high)) in lows.iter_mut().zip(&mut highs).enumerate() {
                let x = values.vector(l, (first + i) * L::LEN);
                (*low, *high) = (l.min(*low, x), l.max(*high, x));
            }
        }
        for i in fours..whole {
            let x = values.vector(l, i * L::LEN);
            (lows[0], highs[0]) = (l.min(lows[0], x), l.max(highs[0], x));
        }
    }
    if rest > 0 {
        lows[0] = l.min(lows[0], values.last(l, f32::INFINITY));
        highs[0] = l.max(highs[0], values.last(l, f32::NEG_INFINITY));
    }
    let low = l.min(l.min(lows[0], lows[1]), l.min(lows[2], lows[3]));
    let high = l.max(l.max(highs[0], highs[1]), l.max(highs[2], highs[3]));
    let lowest = -l.greatest(l.sub(l.splat(0.0), low));
    [((l.greatest(high) - lowest) / GREATEST).max(LEAST_SCALE), lowest]
}

/// Writes the codes of a row, the least code behind them.
#[inline(always)]
fn quantize_row<L: Lanes, const SCALED: bool>(
    l: L,
    row: &[f32],
    factors: &[f32],
    [scale, lowest]: [f32; 2],
    words: &mut [u32],
) {
    let values = Scaled::<SCALED>::new(row, factors);
    let (whole, rest) = (row.len() / L::LEN, row.len() % L::LEN);
    let bytes = 4 / L::CODES;
    assert!(words.len() * L::CODES >= row.len());
    let (shift, inverse) = (l.splat(lowest), l.splat(1.0 / scale));
    // Between 0 and GREATEST, for no value is less than the lowest.
    let code = |x| l.mul(l.sub(x, shift), inverse);
    // SAFETY: whole vectors start at multiples of LEN below `whole`. A row of words has `bytes` for each of the row's
    // values, and the codes of the last lanes go through an array.
    unsafe {
        let codes = words.as_mut_ptr().cast::<u8>();
        for i in 0..whole {
            l.store_codes(codes.add(i * L::LEN * bytes), code(values.vector(l, i * L::LEN)));
        }
        let used = whole * L::LEN * bytes;
        let tail = words.len() * 4 - used;
        if tail > 0 {
            let mut lanes = [L::LEAST_CODE as u8; MOST_BYTES];
            if rest > 0 {
                l.store_codes(lanes.as_mut_ptr(), code(values.last(l, lowest)));
            }
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), codes.add(used), tail);
        }
    }
}

/// The most bytes behind the last whole vector of a row: the codes or bf16 of one more and of a word, or a row of a
/// tile.
const MOST_BYTES: usize = 4 * TILE_WORDS;

/// Writes a row as bf16, a zero behind it where their number is odd.
#[inline(always)]
pub(super) fn narrow_row<L: Lanes>(l: L, row: &[f32], words: &mut [u32]) {
    let (whole, rest) = (row.len() / L::LEN, row.len() % L::LEN);
    assert!(words.len() * 2 >= row.len());
    let p = row.as_ptr();
    // SAFETY: as for `quantize_row`, with two bytes a value.
    unsafe {
        let narrow = words.as_mut_ptr().cast::<u16>();
        for i in 0..whole {
            l.store_bf16(narrow.add(i * L::LEN), l.load(p.add(i * L::LEN)));
        }
        let tail = words.len() * 2 - whole * L::LEN;
        if tail > 0 {
            let mut lanes = [0u16; MOST_BYTES / 2];
            if rest > 0 {
                l.store_bf16(lanes.as_mut_ptr(), l.load_first(p.add(whole * L::LEN), rest, 0.0));
            }
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), narrow.add(whole * L::LEN), tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::lanes::least_code;
    use half::bf16;
    use proptest::prelude::*;

    /// The codes of rows above the least, a number each, whatever the width of their words.
    fn codes(isa: Isa, words: &[u32]) -> Vec<u32> {
        let count = codes_a_word(isa);
        let bits = 32 / count as u32;
        let mask = if bits == 32 { u32::MAX } else { (1 << bits) - 1 };
        let above_least = move |code: u32| code.wrapping_add_signed(-least_code(isa)) & mask;
        words
            .iter()
            .flat_map(|word| (0..count as u32).map(move |i| above_least(word >> (i * bits))))
            .collect()
    }

    proptest! {
        #[test]
        fn a_row_of_codes_stands_for_the_row_within_half_a_step_on_every_instruction_set(
            width in 1usize..80,
            rows in 0usize..4,
            size in prop::sample::select(vec![1e-20f32, 1.0, 1e6]),
            shift in prop::sample::select(vec![0f32, 3.0, -100.0]),
            values in prop::collection::vec(-1f32..1.0, 4 * 80),
        ) {
            let values: Vec<f32> = values[..rows * width].iter().map(|x| (x + shift) * size).collect();
            let mut buffer = RowBuffer::default();
            let factors: Vec<f32> = (0..width).map(|at| 0.5 + at as f32 / 16.0).collect();
            for (isa, scaled) in Isa::available().flat_map(|isa| [(isa, false), (isa, true)]) {
                let factors = if scaled { &factors[..] } else { &[] };
                let made = buffer.scaled_rows(isa, Precision::Int8, &values, width, factors);
                let words = Precision::Int8.words(isa, width);
                for (r, row) in values.chunks(width).enumerate() {
                    let [scale, lowest] = made.ranges[r];
                    let codes = codes(isa, &made.words[r * words..][..words]);
                    prop_assert!(codes[width..].iter().all(|code| *code == 0));
                    for (at, (x, code)) in row.iter().zip(&codes).enumerate() {
                        let x = x * factors.get(at).unwrap_or(&1.0);
                        prop_assert!(*code <= 255);
                        let stands_for = f64::from(scale) * f64::from(*code) + f64::from(lowest);
                        let bound = 0.5001 * f64::from(scale) + 1e-6 * f64::from(x.abs());
                        prop_assert!((stands_for - f64::from(x)).abs() <= bound,
                            "{:?}: {} is not {}", isa, stands_for, x);
                    }
                }
            }
        }

        #[test]
        fn a_row_of_bf16_is_rounded_to_the_nearest_on_every_instruction_set(
            width in 1usize..80,
            values in prop::collection::vec(-1e3f32..1e3, 160),
        ) {
            let values = &values[..2 * width];
            let mut buffer = RowBuffer::default();
            for isa in Isa::available() {
                let made = buffer.rows(isa, Precision::Bf16, values, width);
                let words = Precision::Bf16.words(isa, width);
                for (row, words) in values.chunks(width).zip(made.words.chunks(words)) {
                    let halves = words.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
                    let expected = row.iter().map(|x| bf16::from_f32(*x).to_bits());
                    let expected = expected.chain(std::iter::repeat_n(0, 2 * words.len() - width));
                    prop_assert!(halves.eq(expected), "{:?}", isa);
                }
            }
        }
    }

    #[test]
    fn rows_of_one_value_and_of_none_too_many_stay_what_they_are() {
        let mut buffer = RowBuffer::default();
        for isa in Isa::available() {
            for value in [0.0, -7.5, 1e30] {
                let values = [value; 37];
                let made = buffer.rows(isa, Precision::Int8, &values, 37);
                let [scale, lowest] = made.ranges[0];
                assert_eq!(lowest, value);
                assert!(scale >= 0.0 && codes(isa, made.words).iter().all(|code| *code == 0));
            }
        }
    }
}
