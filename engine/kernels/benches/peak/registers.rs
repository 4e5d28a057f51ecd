//! What the arithmetic units of one core give when nothing but them is at work: every operand is in a register.

#![allow(unsafe_code)] // calls to functions that are compiled for features of the processor, once these are found

use std::hint::black_box;
use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
use akin_kernels::cpu::{self, Isa};

/// Sums that run side by side: enough to hide the latency of a multiply-add, and few enough to stay with its
/// operands in 16 registers.
const SUMS: usize = 12;
/// Multiply-adds of each sum between two looks at the clock.
const STEPS: usize = 100_000;
/// How long each loop runs.
const WHILE: Duration = Duration::from_millis(300);

/// The numbers that are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// f32 x f32.
    F32,
    /// bf16 x bf16, added up in f32.
    Bf16,
    /// u8 x i8, added up in i32.
    U8I8,
}

impl Operands {
    pub const ALL: [Operands; 3] = [Operands::F32, Operands::Bf16, Operands::U8I8];

    pub fn name(self) -> &'static str {
        match self {
            Operands::F32 => "f32",
            Operands::Bf16 => "bf16",
            Operands::U8I8 => "u8 x i8",
        }
    }
}

/// Operations a second (a multiplication and an addition are two) of one core with its widest
/// instructions; nothing where it has none for these operands.
pub fn peak(operands: Operands) -> Option<f64> {
    let (products, run) = widest(operands)?;
    // SAFETY: `widest` names no function that is compiled for a feature that this processor lacks.
    Some(rate(products, || unsafe { run() }))
}

/// The loop for these operands, and how many multiply-adds one of its steps does in one sum.
#[cfg(target_arch = "x86_64")]
fn widest(operands: Operands) -> Option<(usize, unsafe fn())> {
    // As the kernels see the processor: AKIN_CPU masks the limit as it masks them.
    let at_least = |name| Isa::named(name).is_some_and(|level| cpu::isa() >= level);
    let (avx2, avx512, amx) = (at_least("avx2"), at_least("avx512"), at_least("amx"));
    match operands {
        Operands::Bf16 if amx => Some((x86::TILE * 32, x86::bf16_amx)),
        Operands::U8I8 if amx => Some((x86::TILE * 64, x86::u8i8_amx)),
        Operands::F32 if avx512 => Some((16, x86::f32_avx512)),
        Operands::F32 if avx2 => Some((8, x86::f32_avx2)),
        Operands::F32 => Some((LANES, f32_portable)),
        Operands::Bf16 if avx512 && is_x86_feature_detected!("avx512bf16") => Some((32, x86::bf16_avx512)),
        Operands::Bf16 => None,
        Operands::U8I8 if avx512 && is_x86_feature_detected!("avx512vnni") => Some((64, x86::u8i8_vnni)),
        Operands::U8I8 if avx2 => Some((64, x86::u8i8_avx2)),
        Operands::U8I8 => None,
    }
}

/// The loop for these operands, and how many multiply-adds one of its steps does in one sum.
#[cfg(not(target_arch = "x86_64"))]
fn widest(operands: Operands) -> Option<(usize, unsafe fn())> {
    (operands == Operands::F32).then_some((LANES, f32_portable as unsafe fn()))
}

/// Operations a second of a loop whose steps each do `products` multiply-adds in each sum: the fastest
/// of many runs.
fn rate(products: usize, run: impl Fn()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < WHILE {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    (2 * products * SUMS * STEPS) as f64 / best
}

/// Floats that a compiler makes one vector of where it knows nothing of the processor.
const LANES: usize = 4;

fn f32_portable() {
    let (a, b) = (black_box([1.0f32; LANES]), black_box([1e-9f32; LANES]));
    let mut sums = [[0.0f32; LANES]; SUMS];
    for _ in 0..STEPS {
        for sum in &mut sums {
            for lane in 0..LANES {
                sum[lane] = sum[lane] * a[lane] + b[lane];
            }
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::{STEPS, SUMS};

    /// `STEPS` times `sum = step(sum)` for each of `SUMS` sums. A macro, for a closure would not be
    /// compiled with the features of the function around it.
    macro_rules! repeat {
        ($zero:expr, |$sum:ident| $step:expr) => {{
            let mut sums = [$zero; SUMS];
            for _ in 0..STEPS {
                for $sum in &mut sums {
                    *$sum = $step;
                }
            }
            black_box(sums);
        }};
    }

    #[target_feature(enable = "avx512f")]
    pub fn f32_avx512() {
        let (a, b) = (black_box(_mm512_set1_ps(1.0)), black_box(_mm512_set1_ps(1e-9)));
        repeat!(_mm512_setzero_ps(), |sum| _mm512_fmadd_ps(a, b, *sum));
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn f32_avx2() {
        let (a, b) = (black_box(_mm256_set1_ps(1.0)), black_box(_mm256_set1_ps(1e-9)));
        repeat!(_mm256_setzero_ps(), |sum| _mm256_fmadd_ps(a, b, *sum));
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn bf16_avx512() {
        let a = black_box(_mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0), _mm512_set1_ps(1.0)));
        repeat!(_mm512_setzero_ps(), |sum| _mm512_dpbf16_ps(*sum, a, a));
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn u8i8_vnni() {
        let a = black_box(_mm512_set1_epi8(1));
        repeat!(_mm512_setzero_si512(), |sum| _mm512_dpbusd_epi32(*sum, a, a));
    }

    #[target_feature(enable = "avx2")]
    pub fn u8i8_avx2() {
        let (a, ones) = (black_box(_mm256_set1_epi8(1)), black_box(_mm256_set1_epi16(1)));
        repeat!(_mm256_setzero_si256(), |sum| {
            // Products of the sum itself: those of constants would be taken out of the loop.
            let (first, second) = (_mm256_maddubs_epi16(*sum, a), _mm256_maddubs_epi16(a, *sum));
            let pairs = _mm256_add_epi16(first, second);
            _mm256_add_epi32(a, _mm256_madd_epi16(pairs, ones))
        });
    }

    /// Sums of a tile.
    pub const TILE: usize = 16 * 16;

    /// What the instruction that shapes tiles reads.
    #[repr(C, align(64))]
    struct Shapes {
        palette: u8,
        start: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }

    /// `STEPS` times `SUMS` products of tiles, by four tiles of sums, which hide the latency.
    macro_rules! multiply_tiles {
        ($multiply:literal) => {{
            let mut shapes =
                Shapes { palette: 1, start: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
            shapes.row_bytes[..6].fill(64);
            shapes.rows[..6].fill(16);
            std::arch::asm!(
                "ldtilecfg [{shapes}]",
                "2:",
                concat!($multiply, " tmm0, tmm4, tmm5"),
                concat!($multiply, " tmm1, tmm4, tmm5"),
                concat!($multiply, " tmm2, tmm4, tmm5"),
                concat!($multiply, " tmm3, tmm4, tmm5"),
                "dec {steps}",
                "jnz 2b",
                "tilerelease",
                shapes = in(reg) &raw const shapes,
                steps = inout(reg) STEPS * SUMS / 4 => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
                options(nostack, readonly)
            )
        }};
    }

    /// # Safety
    /// The kernels use tiles: there are some, and the system has been asked for them.
    pub unsafe fn u8i8_amx() {
        // SAFETY: the caller's promise.
        unsafe { multiply_tiles!("tdpbusd") }
    }

    /// # Safety
    /// As [`u8i8_amx`].
    pub unsafe fn bf16_amx() {
        // SAFETY: the caller's promise.
        unsafe { multiply_tiles!("tdpbf16ps") }
    }
}
