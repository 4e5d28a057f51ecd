//! Products with weight matrices that were packed once: y = x Wᵀ + b, and what follows it.
//!
//! The weights lie in panels as wide as the register tile, so that the inner loop reads them from
//! end to end; x is read in place. For each panel every tile of rows is multiplied: the panel comes
//! from memory once a call, and the next one is asked for meanwhile. After Goto & van de Geijn 2008,
//! without their packing of x, which a matrix of a few dozen rows does not repay.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod in_tiles;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use half::bf16;

use super::activation::Activation;
use super::aligned::{AlignedFloats, AlignedWords};
#[cfg(target_arch = "x86_64")]
use super::amx;
use super::cpu::Isa;
use super::gemm_tile::{
    Ahead, Bf16s, Codes, Dequantize, Finish, Floats, LINE, Product, multiply_tile, row_tiles,
};
use super::lanes::{Kernel, Lanes, code_format, dispatch, dispatch_words, tile_shape};
use super::rows::{InputRows, Precision};
use super::shared::{Numbers, SharedReader};

/// A linear layer, packed for one instruction set and precision.
#[derive(Clone)]
pub struct PackedLinear {
    isa: Isa,
    precision: Precision,
    inner: usize,
    /// Words in a row of the input.
    depth: usize,
    columns: usize,
    panel_width: usize,
    /// `[panel][depth][panel_width]` words, zeros in the columns past the last.
    panels: Numbers<u32>,
    /// Of whole panels.
    bias: Numbers<f32>,
    /// Of codes, of whole panels: what a code stands for, and the sum of the column.
    scales: Numbers<f32>,
    sums: Numbers<f32>,
}

/// What is done with x Wᵀ + b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// Stores it in the output.
    Store,
    /// Stores in the output what the activation makes of it.
    Activate(Activation),
    /// Adds it to the output.
    Add,
}

/// The greatest code of a weight.
const GREATEST: f32 = 127.0;

impl PackedLinear {
    /// The number of the form that weights are packed in. It must change with what [`pack`](Self::pack) makes of equal
    /// weights: packed weights are kept on disks under it.
    pub const FORMAT: u32 = 1;

    /// Packs the weights of `columns` outputs, each `row(column)` of `inner` floats, as PyTorch stores
    /// them; `bias` may be empty for none. Codes are made column by column: weight = scale * code, with
    /// codes in -127..=127. Where products are added in 16 bits (AVX2 without VNNI) the scale is great enough for
    /// these sums never to saturate, whatever the input: codes are coarser by about a quarter, and sums exact. A
    /// column with a weight that is not finite gives nothing but NaN.
    ///
    /// # Panics
    /// If a row has another length than `inner`, or the bias than `columns` or zero.
    pub fn pack<'a>(
        isa: Isa,
        precision: Precision,
        inner: usize,
        columns: usize,
        row: impl Fn(usize) -> &'a [f32] + Sync,
        bias: &[f32],
    ) -> Self {
        assert!(bias.is_empty() || bias.len() == columns, "a bias for each column");
        let width = panel_width(isa, precision);
        let (count, depth) = (columns.div_ceil(width), precision.words(isa, inner));
        let padded = || AlignedFloats::zeroed(count * width);
        let (mut scales, mut sums, mut padded_bias) = (padded(), padded(), padded());
        padded_bias[..bias.len()].copy_from_slice(bias);
        let words = (count * width).checked_mul(depth).expect("the weights fit the memory");
        let mut panels = AlignedWords::zeroed(words);
        let (codes, most) = code_format(isa);
        panels
            .par_chunks_mut((depth * width).max(1))
            .zip(scales.par_chunks_mut(width).zip(sums.par_chunks_mut(width)))
            .enumerate()
            .for_each(|(p, (panel, (scales, sums)))| {
                for c in p * width..columns.min((p + 1) * width) {
                    let row = row(c);
                    assert_eq!(row.len(), inner, "rows as long as the input is wide");
                    let c = c - p * width;
                    let column = panel[c..].iter_mut().step_by(width);
                    match precision {
                        Precision::F32 => column.zip(row).for_each(|(word, x)| *word = x.to_bits()),
                        Precision::Bf16 => {
                            column.zip(row.chunks(2)).for_each(|(word, x)| *word = bf16_word(x));
                        }
                        Precision::Int8 => {
                            scales[c] = scale(row, most);
                            let sum: i32 = row.iter().map(|x| i32::from(code(*x, scales[c]))).sum();
                            sums[c] = scales[c] * sum as f32;
                            let words = row.chunks(codes).map(|x| code_word(x, scales[c], codes));
                            column.zip(words).for_each(|(to, word)| *to = word);
                        }
                    }
                }
            });
        Self {
            isa,
            precision,
            inner,
            depth,
            columns,
            panel_width: width,
            panels: Numbers::Own(panels),
            bias: Numbers::Own(padded_bias),
            scales: Numbers::Own(scales),
            sums: Numbers::Own(sums),
        }
    }

    /// The packed numbers as bytes of this machine, to be kept and [`restore`](Self::restore)d.
    pub fn stored(&self) -> [&[u8]; 4] {
        let Self { panels, bias, scales, sums, .. } = self;
        [bytemuck::cast_slice(panels), floats(bias), floats(scales), floats(sums)]
    }

    /// What [`pack`](Self::pack) made earlier of weights of this shape for this instruction set and precision: takes
    /// what [`stored`](Self::stored) gave, each part on a cache line of its own. None where there are not as many
    /// numbers. The numbers themselves are believed.
    pub fn restore(
        isa: Isa,
        precision: Precision,
        inner: usize,
        columns: usize,
        from: &mut SharedReader,
    ) -> Option<Self> {
        let (panel_width, depth) = (panel_width(isa, precision), precision.words(isa, inner));
        let padded = columns.div_ceil(panel_width).checked_mul(panel_width)?;
        let panels = Numbers::Shared(from.take(padded.checked_mul(depth)?)?);
        let mut of_columns = || from.take(padded).map(Numbers::Shared);
        let (bias, scales, sums) = (of_columns()?, of_columns()?, of_columns()?);
        Some(Self { isa, precision, inner, depth, columns, panel_width, panels, bias, scales, sums })
    }

    /// In what its products are computed.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// How many numbers a row of the input has.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// How many floats a row of the output has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many panels the work can be divided into.
    pub fn panel_count(&self) -> usize {
        self.columns.div_ceil(self.panel_width)
    }

    /// `output` (`[rows, columns]`) from `input` (`[rows, inner]`), in this thread.
    ///
    /// # Panics
    /// If the input is of another precision, or input or output do not have that shape.
    pub fn apply(&self, input: InputRows<'_>, rows: usize, epilogue: Epilogue, output: &mut [f32]) {
        assert_eq!(Some(output.len()), rows.checked_mul(self.columns), "an output of [rows, columns]");
        // SAFETY: the shape holds, and `output` is borrowed uniquely.
        unsafe { self.apply_panels(input, rows, epilogue, output.as_mut_ptr(), 0..self.panel_count()) }
    }

    /// The columns of a range of panels only.
    ///
    /// # Panics
    /// If the input is of another precision or shape, or the range beyond `panel_count`.
    ///
    /// # Safety
    /// `output` points to `[rows, columns]` floats, of whose columns in these panels no other thread
    /// reads or writes meanwhile.
    pub(crate) unsafe fn apply_panels(
        &self,
        input: InputRows<'_>,
        rows: usize,
        epilogue: Epilogue,
        output: *mut f32,
        panels: std::ops::Range<usize>,
    ) {
        assert_eq!(input.precision, self.precision, "an input of the precision of the weights");
        let in_memory = self.precision.rows(self.isa, rows);
        assert_eq!(Some(input.words.len()), in_memory.checked_mul(self.depth), "an input of [rows, inner]");
        let codes = self.precision == Precision::Int8;
        assert!(!codes || input.ranges.len() == rows, "a range for each row of codes");
        assert!(panels.end <= self.panel_count(), "panels that there are");
        let work = Work { linear: self, input, rows, epilogue, output, panels };
        match self.precision {
            Precision::F32 => dispatch(self.isa, FloatWork(work)),
            Precision::Bf16 | Precision::Int8 => dispatch_words(self.isa, WordWork(work)),
        }
    }
}

fn floats(numbers: &[f32]) -> &[u8] {
    bytemuck::cast_slice(numbers)
}

/// Columns of a panel.
fn panel_width(isa: Isa, precision: Precision) -> usize {
    #[cfg(target_arch = "x86_64")]
    if precision.in_tiles(isa) {
        return amx::BLOCK;
    }
    tile_shape(isa).1
}

fn bf16_word(pair: &[f32]) -> u32 {
    let bits = |i: usize| pair.get(i).map_or(0, |x| u32::from(bf16::from_f32(*x).to_bits()));
    bits(0) | bits(1) << 16
}

/// What a code of a column stands for: so little that the greatest weight has a code, and so much that codes of one
/// sign that are added in 16 bits come to at most `most`.
fn scale(row: &[f32], most: i32) -> f32 {
    if !row.iter().all(|x| x.is_finite()) {
        return f32::NAN;
    }
    let greatest = row.iter().fold(0f32, |most, x| most.max(x.abs())) / GREATEST;
    if most == i32::MAX {
        return greatest;
    }
    // Rounding takes each of the four codes up by a half at most.
    greatest.max(greatest_sum(row) / (most as f32 - 2.0))
}

/// The greatest sum of the weights of one sign among any four that [`Lanes::multiply_two_words`] adds in 16 bits.
fn greatest_sum(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<8>();
    let mut last = [0.0; 8];
    last[..rest.len()].copy_from_slice(rest);
    blocks.iter().chain([&last]).fold(0f32, |most, block| {
        let sum = |sign: f32| {
            let part = |i: usize| (sign * block[i]).max(0.0);
            (part(0) + part(1) + part(4) + part(5)).max(part(2) + part(3) + part(6) + part(7))
        };
        most.max(sum(1.0)).max(sum(-1.0))
    })
}

fn code(x: f32, scale: f32) -> i8 {
    // 0 / 0, where all weights of a column are zero, is the code 0.
    (x / scale).round().clamp(-GREATEST, GREATEST) as i8
}

fn code_word(weights: &[f32], scale: f32, codes_a_word: usize) -> u32 {
    let bits = 32 / codes_a_word as u32;
    let mask = u32::MAX >> (32 - bits);
    let codes = weights.iter().map(|x| i32::from(code(*x, scale)) as u32 & mask);
    codes.enumerate().fold(0, |word, (i, code)| word | code << (i as u32 * bits))
}

struct Work<'a> {
    linear: &'a PackedLinear,
    input: InputRows<'a>,
    rows: usize,
    epilogue: Epilogue,
    output: *mut f32,
    panels: std::ops::Range<usize>,
}

struct FloatWork<'a>(Work<'a>);

impl Kernel for FloatWork<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        self.0.run::<L, Floats>(l);
    }
}

struct WordWork<'a>(Work<'a>);

impl Kernel for WordWork<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self(work) = self;
        #[cfg(target_arch = "x86_64")]
        if work.linear.precision.in_tiles(work.linear.isa) {
            return match work.linear.precision {
                Precision::Int8 => work.run_in_tiles::<L, Codes>(l, amx::Words::Codes),
                _ => work.run_in_tiles::<L, Bf16s>(l, amx::Words::Bf16s),
            };
        }
        match work.linear.precision {
            Precision::Int8 => work.run::<L, Codes>(l),
            _ => work.run::<L, Bf16s>(l),
        }
    }
}

impl Work<'_> {
    #[inline(always)]
    fn run<L: Lanes, P: Product>(self, l: L) {
        let Self { linear, input, rows, epilogue, output, panels } = self;
        let (depth, columns) = (linear.depth, linear.columns);
        let width = L::TILE_VECTORS * L::LEN;
        debug_assert_eq!(width, linear.panel_width);
        let of_linear = [&linear.bias, &linear.scales, &linear.sums].map(|numbers| &numbers[..]);
        let words = &linear.panels[..];
        for p in panels {
            let panel = words[p * depth * width..][..depth * width].as_ptr();
            let column = p * width;
            let valid = width.min(columns - column);
            let [bias, scales, sums] = of_linear.map(|numbers| numbers[column..][..width].as_ptr());
            let share = width.div_ceil(rows.div_ceil(P::rows::<L>()).max(1)).min(LINE);
            for (t, (row, height)) in row_tiles(rows, P::rows::<L>()).enumerate() {
                // Each tile asks for its share of the panel after this one: all at once would wait for the memory.
                let ahead = Ahead { from: panel.wrapping_add(depth * (width + t * share)), step: share };
                let codes = Dequantize { rows: input.ranges.as_ptr().wrapping_add(row), scales, sums };
                // SAFETY: `row + height <= rows` and the input is [rows, depth], with a range for each
                // row of codes; a panel is [depth, width]; the output is [rows, columns],
                // `valid` of which from `column` on are ours to write.
                unsafe {
                    let c = output.add(row * columns + column);
                    let finish = Finish {
                        bias,
                        accumulate: epilogue == Epilogue::Add,
                        codes,
                        ..Finish::store(c, columns, valid)
                    };
                    let a = input.words.as_ptr().add(row * depth);
                    multiply_tile::<L, P>(
                        l,
                        height,
                        L::TILE_VECTORS,
                        depth,
                        a,
                        depth,
                        panel,
                        width,
                        ahead,
                        finish,
                    );
                    if let Epilogue::Activate(activation) = epilogue {
                        for i in 0..height {
                            let row = std::slice::from_raw_parts_mut(c.add(i * columns), valid);
                            activation.map(l, row);
                        }
                    }
                }
            }
        }
    }
}
