//! Products of any two matrices, transposed or not: what the gradient of a linear layer asks for.
//!
//! The packed weights of [`gemm`](super::gemm) are for layers that never change. In training every matrix is
//! multiplied from both sides and changes after each step, so this leaves the packing to the crate `gemm`.

#![allow(unsafe_code)]

/// A matrix in memory, or its transpose, or columns of a wider one.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `values` as rows of `columns` floats.
    ///
    /// # Panics
    /// If they are not whole rows.
    pub fn new(values: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "whole rows");
        Self { values, rows: values.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// Its transpose; nothing moves.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Some of its rows.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn rows(self, range: std::ops::Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows, "rows of the matrix");
        let start = (range.start * self.row_stride).min(self.values.len());
        Self { values: &self.values[start..], rows: range.len(), ..self }
    }
}

/// `output = a b`, or `output += a b`, in this thread; `output` is row-major.
///
/// # Panics
/// If the shapes do not match.
pub fn multiply(a: Matrix<'_>, b: Matrix<'_>, accumulate: bool, output: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "as many columns in a as rows in b");
    assert_eq!(Some(output.len()), a.rows.checked_mul(b.columns), "an output of [rows of a, columns of b]");
    if a.columns == 0 && !accumulate {
        output.fill(0.0);
    }
    if output.is_empty() || a.columns == 0 {
        return;
    }
    for matrix in [&a, &b] {
        let last = (matrix.rows - 1) * matrix.row_stride + (matrix.columns - 1) * matrix.column_stride;
        assert!(last < matrix.values.len(), "a matrix within its values");
    }
    // SAFETY: the last element of each matrix lies within its slice, and the strides are not negative, so
    // all of them do; the output is borrowed uniquely and has a float for each row of a and column of b.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            output.as_mut_ptr(),
            1,
            b.columns as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_product_is_that_of_the_definition(
            (m, k, n) in (1usize..20, 0usize..30, 1usize..40),
            transposed in any::<[bool; 2]>(),
            accumulate in any::<bool>(),
            values in prop::collection::vec(-1f32..1.0, 20 * 30 + 30 * 40),
        ) {
            let (x, y) = values.split_at(20 * 30);
            let matrix = |values, rows, columns, transposed| {
                if transposed { Matrix::new(values, rows).transposed() } else { Matrix::new(values, columns) }
            };
            prop_assume!(k > 0);
            let a = matrix(&x[..m * k], m, k, transposed[0]);
            let b = matrix(&y[..k * n], k, n, transposed[1]);
            let mut output = vec![0.5; m * n];
            multiply(a, b, accumulate, &mut output);
            for i in 0..m {
                for j in 0..n {
                    let mut exact = if accumulate { 0.5 } else { 0.0 };
                    for l in 0..k {
                        let left = if transposed[0] { x[l * m + i] } else { x[i * k + l] };
                        let right = if transposed[1] { y[j * k + l] } else { y[l * n + j] };
                        exact += f64::from(left) * f64::from(right);
                    }
                    prop_assert!((f64::from(output[i * n + j]) - exact).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn rows_of_a_transpose_are_columns() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut output = [0.0; 1];
        let columns = Matrix::new(&values, 3).transposed().rows(1..2);
        multiply(columns, Matrix::new(&[1.0, 10.0], 1), false, &mut output);
        assert_eq!(output, [52.0]);
    }
}
