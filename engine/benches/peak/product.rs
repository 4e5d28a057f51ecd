//! Our product of matrices where memory is no limit.

use std::hint::black_box;
use std::time::{Duration, Instant};

use akin_engine::kernels::cpu;
use akin_engine::kernels::gemm::{PackedLinear, Then};

/// Rows, inner length and columns: all three matrices together lie in a second-level cache of 1 MiB.
const SHAPES: [(usize, usize, usize); 3] = [(128, 256, 256), (120, 384, 192), (96, 384, 384)];
const WHILE: Duration = Duration::from_millis(200);

/// Operations a second of one core: the best run of the best shape.
pub fn f32_product() -> f64 {
    SHAPES.into_iter().map(|(rows, inner, columns)| rate(rows, inner, columns)).fold(0.0, f64::max)
}

fn rate(rows: usize, inner: usize, columns: usize) -> f64 {
    let weights = vec![0.5f32; inner * columns];
    let linear = PackedLinear::pack(cpu::isa(), inner, columns, |c| &weights[c * inner..][..inner], &[]);
    let input = vec![0.25f32; rows * inner];
    let mut output = vec![0.0f32; rows * columns];
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < WHILE {
        let start = Instant::now();
        linear.apply(black_box(&input), rows, Then::Store, &mut output);
        best = best.min(start.elapsed().as_secs_f64());
        black_box(&mut output);
    }
    (2 * rows * inner * columns) as f64 / best
}
