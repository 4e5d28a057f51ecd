//! Products with weight matrices that were packed once: y = x Wᵀ + b, and what follows it.
//!
//! The weights lie in panels as wide as the register tile, so that the inner loop reads them from
//! end to end; x is read in place. For each panel every tile of rows is multiplied: the panel comes
//! from memory once a call, and the next one is asked for meanwhile. After Goto & van de Geijn 2008,
//! without their packing of x, which a matrix of a few dozen rows does not repay.

#![allow(unsafe_code)]

use rayon::prelude::*;

use super::aligned::AlignedFloats;
use super::cpu::Isa;
use super::gelu::Gelu;
use super::gemm_tile::{Finish, multiply_tile, row_tiles};
use super::lanes::{Kernel, Lanes, dispatch, tile_shape};
use super::vecmath::map_in_place;

/// A linear layer, packed for one instruction set.
#[derive(Clone)]
pub struct PackedLinear {
    isa: Isa,
    inner: usize,
    columns: usize,
    panel_width: usize,
    /// `[panel][inner][panel_width]`, zeros in the columns past the last.
    panels: AlignedFloats,
    /// Of whole panels.
    bias: AlignedFloats,
}

/// What becomes of x Wᵀ + b.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is the output.
    Store,
    /// The output is its GELU.
    Gelu,
    /// It is added to the output.
    Add,
}

impl PackedLinear {
    /// Packs the weights of `columns` outputs, each `row(column)` of `inner` floats, as PyTorch stores
    /// them; `bias` may be empty for none.
    ///
    /// # Panics
    /// If a row has another length than `inner`, or the bias than `columns` or zero.
    pub fn pack<'a>(
        isa: Isa,
        inner: usize,
        columns: usize,
        row: impl Fn(usize) -> &'a [f32] + Sync,
        bias: &[f32],
    ) -> Self {
        assert!(bias.is_empty() || bias.len() == columns, "a bias for each column");
        let (_, width) = tile_shape(isa);
        let count = columns.div_ceil(width);
        let mut panels = AlignedFloats::zeroed(count * inner * width);
        panels.par_chunks_mut((inner * width).max(1)).enumerate().for_each(|(p, panel)| {
            let rows: Vec<_> = (p * width..columns.min((p + 1) * width)).map(&row).collect();
            for (k, values) in panel.chunks_exact_mut(width).enumerate() {
                for (value, row) in values.iter_mut().zip(&rows) {
                    assert_eq!(row.len(), inner, "rows as long as the input is wide");
                    *value = row[k];
                }
            }
        });
        let mut padded = AlignedFloats::zeroed(count * width);
        padded[..bias.len()].copy_from_slice(bias);
        Self { isa, inner, columns, panel_width: width, panels, bias: padded }
    }

    /// How many floats a row of the input has.
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
    /// If input or output do not have that shape.
    pub fn apply(&self, input: &[f32], rows: usize, then: Then, output: &mut [f32]) {
        assert_eq!(input.len(), rows * self.inner, "an input of [rows, inner]");
        assert_eq!(output.len(), rows * self.columns, "an output of [rows, columns]");
        // SAFETY: the shapes hold, and `output` is borrowed uniquely.
        unsafe {
            self.apply_panels(input, rows, then, output.as_mut_ptr(), 0..self.panel_count());
        }
    }

    /// The columns of a range of panels only.
    ///
    /// # Safety
    /// `input` is `[rows, inner]`; `output` points to `[rows, columns]` floats, of whose columns in
    /// these panels no other thread reads or writes meanwhile; the range is within `panel_count`.
    pub(crate) unsafe fn apply_panels(
        &self,
        input: &[f32],
        rows: usize,
        then: Then,
        output: *mut f32,
        panels: std::ops::Range<usize>,
    ) {
        dispatch(self.isa, Product { linear: self, input, rows, then, output, panels });
    }
}

struct Product<'a> {
    linear: &'a PackedLinear,
    input: &'a [f32],
    rows: usize,
    then: Then,
    output: *mut f32,
    panels: std::ops::Range<usize>,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { linear, input, rows, then, output, panels } = self;
        let (inner, columns) = (linear.inner, linear.columns);
        let width = L::TILE_VECTORS * L::LEN;
        debug_assert_eq!(width, linear.panel_width);
        for p in panels {
            let panel = linear.panels[p * inner * width..][..inner * width].as_ptr();
            let column = p * width;
            let valid = width.min(columns - column);
            let bias = linear.bias[column..][..width].as_ptr();
            for (t, (row, height)) in row_tiles(rows, L::TILE_ROWS).enumerate() {
                // Each tile asks for a line a step of the panel after this one, until it is all here.
                let ahead = panel.wrapping_add(inner * width + t.min(L::TILE_VECTORS - 1) * inner * L::LEN);
                // SAFETY: `row + height <= rows` and the input is [rows, inner]; a panel is
                // [inner, width]; the output is [rows, columns], `valid` of which from `column` on are
                // ours to write.
                unsafe {
                    let c = output.add(row * columns + column);
                    let finish = Finish {
                        c,
                        ldc: columns,
                        columns: valid,
                        bias: Some(bias),
                        accumulate: then == Then::Add,
                        row_scale: None,
                    };
                    let a = input.as_ptr().add(row * inner);
                    multiply_tile(l, height, L::TILE_VECTORS, inner, a, inner, panel, width, ahead, finish);
                    if then == Then::Gelu {
                        for i in 0..height {
                            let row = std::slice::from_raw_parts_mut(c.add(i * columns), valid);
                            map_in_place::<L, Gelu>(l, row);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::vecmath::erf_reference;
    use proptest::prelude::*;

    /// Its scalar twin: (value, sum of magnitudes), in double precision.
    fn twin(x: &[f32], w: &[f32], bias: f32) -> (f64, f64) {
        let products = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w));
        let bias = f64::from(bias);
        products.fold((bias, bias.abs()), |(sum, size), p| (sum + p, size + p.abs()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_packed_product_is_that_of_its_scalar_twin(
            rows in 0usize..20,
            inner in 1usize..40,
            columns in 1usize..110,
            then in prop::sample::select(vec![Then::Store, Then::Gelu, Then::Add]),
            with_bias in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
            };
            let x: Vec<f32> = (0..rows * inner).map(|_| next()).collect();
            let w: Vec<f32> = (0..columns * inner).map(|_| next()).collect();
            let bias: Vec<f32> = (0..if with_bias { columns } else { 0 }).map(|_| next()).collect();
            let before: Vec<f32> = (0..rows * columns).map(|_| next()).collect();
            for isa in Isa::available() {
                let linear = PackedLinear::pack(isa, inner, columns, |c| &w[c * inner..][..inner], &bias);
                let mut y = before.clone();
                linear.apply(&x, rows, then, &mut y);
                for r in 0..rows {
                    for c in 0..columns {
                        let b = bias.get(c).copied().unwrap_or(0.0);
                        let (sum, size) = twin(&x[r * inner..][..inner], &w[c * inner..][..inner], b);
                        let at = r * columns + c;
                        let exact = match then {
                            Then::Store => sum,
                            Then::Gelu => sum * 0.5 * (1.0 + erf_reference(sum / 2f64.sqrt())),
                            Then::Add => sum + f64::from(before[at]),
                        };
                        let bound = (size + 1.0) * 1e-6;
                        prop_assert!((f64::from(y[at]) - exact).abs() <= bound,
                            "{:?} {:?} row {} column {}: {} is not {}", isa, then, r, c, y[at], exact);
                    }
                }
            }
        }
    }
}
