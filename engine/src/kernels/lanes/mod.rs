//! Vectors of f32 of whatever width the processor has: a kernel is written once over [`Lanes`] and
//! compiled for each instruction set; [`dispatch`] picks one at run time.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::cpu::Isa;

/// An instruction set with vectors of [`Lanes::LEN`] floats.
///
/// A value of the type is the proof that this processor has the instructions, so that only the
/// methods that touch memory are unsafe. Whatever calls them must be `#[inline(always)]` up to
/// [`dispatch`], or the instructions become function calls.
pub(crate) trait Lanes: Copy {
    /// A vector of `LEN` floats.
    type V: Copy;
    /// Floats in a vector.
    const LEN: usize;
    /// Rows of the tile of a matrix product that fits the registers.
    const TILE_ROWS: usize;
    /// Vectors in a row of that tile.
    const TILE_VECTORS: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// # Safety
    /// `LEN` floats can be read at `p`.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// The first `n` lanes from memory, `fill` in the others.
    /// # Safety
    /// `n <= LEN` floats can be read at `p`.
    unsafe fn load_first(self, p: *const f32, n: usize, fill: f32) -> Self::V;
    /// # Safety
    /// `LEN` floats can be written at `p`.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// # Safety
    /// `n <= LEN` floats can be written at `p`.
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize);
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c, rounded once where the processor can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater of each pair; either operand where one is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The lesser of each pair; either operand where one is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The nearest integers, as floats. For |v| below 2^22.
    fn round(self, v: Self::V) -> Self::V;
    /// a * 2^n for whole n in -126..=127.
    fn scale(self, a: Self::V, n: Self::V) -> Self::V;
    /// The sum of the lanes.
    fn sum(self, v: Self::V) -> f32;
    /// The greatest lane.
    fn greatest(self, v: Self::V) -> f32;
    /// Asks for the cache line at `p`, which need not be readable.
    fn prefetch(self, p: *const f32);
}

/// Work that is written over [`Lanes`].
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// Does it. Implementations are `#[inline(always)]`.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Runs `kernel` compiled for `isa`.
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        // SAFETY: `Isa` names an instruction set only where the processor has it (see `cpu::isa`).
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::run(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::run(kernel) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::run(kernel),
        #[allow(unreachable_patterns)]
        _ => kernel.run(portable::Portable),
    }
}

/// Rows and columns of the tile in which [`dispatch`]ed matrix products work.
pub(crate) fn tile_shape(isa: Isa) -> (usize, usize) {
    struct Shape;
    impl Kernel for Shape {
        type Output = (usize, usize);
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> (usize, usize) {
            (L::TILE_ROWS, L::TILE_VECTORS * L::LEN)
        }
    }
    dispatch(isa, Shape)
}
