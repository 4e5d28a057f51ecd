//! Our product of matrices where memory is no limit.

use std::hint::black_box;
use std::time::{Duration, Instant};

use akin_kernels::cpu;
use akin_kernels::gemm::{Epilogue, PackedLinear};
use akin_kernels::rows::{Precision, RowBuffer};

/// Rows, inner length and columns: all three matrices together lie in a second-level cache of 1 MiB.
const SHAPES: [(usize, usize, usize); 3] = [(128, 256, 256), (120, 384, 192), (96, 384, 384)];
const WHILE: Duration = Duration::from_millis(200);

/// Operations a second of one core: the best run of the best shape. The input is in `precision` already.
pub fn product(precision: Precision) -> f64 {
    let rate = |(rows, inner, columns)| rate(precision, rows, inner, columns);
    SHAPES.into_iter().map(rate).fold(0.0, f64::max)
}

fn rate(precision: Precision, rows: usize, inner: usize, columns: usize) -> f64 {
    let isa = cpu::isa();
    let weights = vec![0.5f32; inner * columns];
    let linear = PackedLinear::pack(isa, precision, inner, columns, |c| &weights[c * inner..][..inner], &[]);
    let input: Vec<f32> = (0..rows * inner).map(|i| (i % 7) as f32).collect();
    let mut buffer = RowBuffer::default();
    let input = buffer.rows(isa, precision, &input, inner);
    let mut output = vec![0.0f32; rows * columns];
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < WHILE {
        let start = Instant::now();
        linear.apply(black_box(input), rows, Epilogue::Store, &mut output);
        best = best.min(start.elapsed().as_secs_f64());
        black_box(&mut output);
    }
    (2 * rows * inner * columns) as f64 / best
}
