//! What training computes beside matrix products: each forward pass that keeps what its gradient needs, the gradient,
//! and the step that AdamW takes.
//!
//! These loops are plain Rust. `dispatch` compiles them for each instruction set, and sums run
//! in `WIDTH` lanes that the compiler can see.

pub mod adamw;
pub mod attention;
pub mod dropout;
pub mod gelu;
pub mod norm;

/// The lanes that sums run in: a vector of the widest instruction set.
const WIDTH: usize = 16;

/// The sum of `f(a, b)` over two slices of one length.
#[inline(always)]
fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; WIDTH];
    let (a_lanes, a_rest) = a.as_chunks::<WIDTH>();
    let (b_lanes, b_rest) = b.as_chunks::<WIDTH>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f(*a, *b);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += f(*a, *b);
    }
    // In halves, as a vector is summed.
    let mut half = WIDTH / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Their dot product.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_pairs(a, b, |a, b| a * b)
}

/// y += factor x
#[inline(always)]
fn add_scaled(y: &mut [f32], factor: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// Adds the rows of `matrix` to `sums`, a column each: the gradient of a bias.
pub fn add_column_sums(matrix: &[f32], sums: &mut [f32]) {
    for row in matrix.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// Puts `row` into every row of `matrix`: what a product is then added to.
pub fn fill_rows(matrix: &mut [f32], row: &[f32]) {
    for place in matrix.chunks_exact_mut(row.len()) {
        place.copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_every_element_once() {
        for length in 0..70 {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected: usize = (0..length).map(|i| i * i).sum();
            assert_eq!(dot(&a, &a), expected as f32);
        }
    }

    #[test]
    fn columns_are_summed_and_rows_filled() {
        let mut sums = [100.0, 200.0];
        add_column_sums(&[1.0, 2.0, 3.0, 4.0], &mut sums);
        assert_eq!(sums, [104.0, 206.0]);
        let mut matrix = [0.0; 4];
        fill_rows(&mut matrix, &[7.0, 8.0]);
        assert_eq!(matrix, [7.0, 8.0, 7.0, 8.0]);
    }
}
