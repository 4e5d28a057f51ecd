//! Products with packed weights by the matrix unit, a block of 32 rows and 32 columns at a time.

use super::{Epilogue, Work};
use crate::activation::Activation;
use crate::amx;
use crate::gelu::gelu;
use crate::gemm_tile::{Dequantize, Finish, Product};
use crate::lanes::Lanes;

impl Work<'_> {
    /// [`Work::run`] by the matrix unit.
    #[inline(always)]
    pub(super) fn run_in_tiles<L: Lanes, P: Product>(self, l: L, words: amx::Words) {
        let Self { linear, input, rows, epilogue, output, panels } = self;
        let (depth, columns) = (linear.depth, linear.columns);
        // SAFETY: the weights are packed for this instruction set only where it is available.
        let mut tiles = unsafe { amx::Tiles::new() };
        let mut sums = amx::Sums::zeroed();
        for p in panels {
            let column = p * amx::BLOCK;
            let of_panel = |values: &[f32]| values[column..][..amx::BLOCK].as_ptr();
            let (bias, scales, of_columns) =
                (of_panel(&linear.bias), of_panel(&linear.scales), of_panel(&linear.sums));
            for row in (0..rows).step_by(amx::BLOCK) {
                let operands = amx::TileOperands {
                    words,
                    rows: rows - row,
                    depth,
                    x: input.words[row * depth..].as_ptr(),
                    w: linear.panels[p * depth * amx::BLOCK..][..depth * amx::BLOCK].as_ptr(),
                    w_stride: amx::BLOCK,
                };
                let rows_of_codes = input.ranges.as_ptr().wrapping_add(row);
                let codes = Dequantize { rows: rows_of_codes, scales, sums: of_columns };
                let c = output.wrapping_add(row * columns + column);
                let valid = amx::BLOCK.min(columns - column);
                let accumulate = epilogue == Epilogue::Add;
                let finish = Finish { bias, accumulate, codes, ..Finish::store(c, columns, valid) };
                // SAFETY: the input is [rows, depth] and whole tiles, and so is a panel, [depth, BLOCK]; the sums are a block;
                // the output is [rows, columns], and `finish` says what is ours to write of it.
                unsafe {
                    tiles.multiply(operands, sums.0.as_mut_ptr().cast(), amx::BLOCK);
                    finish_block::<L, P>(l, &sums, amx::BLOCK.min(rows - row), epilogue, finish);
                }
            }
        }
    }
}

/// Writes `height` rows of a block.
///
/// # Safety
/// `finish` says what can be written, and has a value for every row and column.
#[inline(always)]
unsafe fn finish_block<L: Lanes, P: Product>(
    l: L,
    sums: &amx::Sums,
    height: usize,
    epilogue: Epilogue,
    finish: Finish,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match epilogue {
            Epilogue::Activate(Activation::Gelu) => finish_rows::<L, P, true>(l, sums, height, finish),
            Epilogue::Store | Epilogue::Add => finish_rows::<L, P, false>(l, sums, height, finish),
            Epilogue::Activate(activation) => {
                finish_rows::<L, P, false>(l, sums, height, finish);
                for i in 0..height {
                    let row = finish.c.add(i * finish.ldc);
                    activation.map(l, std::slice::from_raw_parts_mut(row, finish.columns));
                }
            }
        }
    }
}

/// The same, GELU or none.
///
/// # Safety
/// As for [`finish_block`].
#[inline(always)]
unsafe fn finish_rows<L: Lanes, P: Product, const GELU: bool>(
    l: L,
    sums: &amx::Sums,
    height: usize,
    finish: Finish,
) {
    const VECTORS: usize = amx::BLOCK / amx::SIDE;
    assert_eq!(L::LEN, amx::SIDE, "a vector as long as the row of a tile");
    // SAFETY: the caller's promise; the sums of a row are so many vectors.
    unsafe {
        let columns: [_; VECTORS] = std::array::from_fn(|j| finish.of_columns::<L, P>(l, j * L::LEN));
        for (i, sums) in sums.0[..height].iter().enumerate() {
            let row = finish.of_row::<L, P>(l, i);
            for (j, columns) in columns.into_iter().enumerate() {
                let sum = P::floats_of_words(l, l.load_words(sums.as_ptr().add(j * L::LEN)));
                let value = columns.value::<P>(l, row, sum);
                let value = if GELU { gelu(l, value) } else { value };
                let valid = finish.columns.saturating_sub(j * L::LEN).min(L::LEN);
                if valid > 0 {
                    finish.put(l, i, j * L::LEN, valid, value);
                }
            }
        }
    }
}
