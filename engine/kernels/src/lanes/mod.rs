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

use super::cpu::{Isa, Kind};
#[cfg(target_arch = "aarch64")]
pub(super) use neon::dot_bytes;

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
    /// A vector of `LEN` words of 32 bits: whole-number sums, or the small numbers they are made of.
    type W: Copy;
    /// Small whole numbers, *codes*, in a word of [`Lanes::multiply_codes`]: four of 8 bits, or two of 16.
    const CODES: usize;
    /// Rows of the tile of a product of codes.
    const CODE_ROWS: usize = Self::TILE_ROWS;
    /// Whether products of codes are made of two words at a time.
    const CODES_IN_PAIRS: bool = false;
    /// The greatest sum of codes of w of one sign, among those that
    /// [`Lanes::multiply_two_words`] adds in 16 bits: the first two of each word, and the last two.
    const CODE_SUM: i32 = i32::MAX;
    /// The code of the lowest value of a row of x, where [`Lanes::store_codes`] writes it.
    const LEAST_CODE: i32 = 0;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// # Safety
    /// `LEN` floats can be read at `p`.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// The first `n` lanes from memory, `fill` in the others.
    /// # Safety
    /// `n <= LEN` floats can be read at `p`.
    unsafe fn load_first(self, p: *const f32, n: usize, fill: f32) -> Self::V;
    /// Four columns of `LEN` rows, whose four floats lie `stride` floats from those of the row before; the rows past
    /// row `last` repeat it.
    /// # Safety
    /// Four floats can be read from each row up to `last`.
    unsafe fn load_columns(self, p: *const f32, stride: usize, last: usize) -> [Self::V; 4];
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
    /// Whether [`Lanes::look_up`] takes an instruction.
    const TABLES: bool = false;
    /// For each lane the number in the table whose place the lowest five bits of `places` say.
    #[inline(always)]
    fn look_up(self, table: &[f32; 32], places: Self::V) -> Self::V {
        let mut lanes = [0f32; MOST_LANES];
        // SAFETY: no vector is longer than the array.
        unsafe {
            self.store(lanes.as_mut_ptr(), places);
            lanes.iter_mut().for_each(|lane| *lane = table[lane.to_bits() as usize % table.len()]);
            self.load(lanes.as_ptr())
        }
    }
    /// The sum of the lanes.
    fn sum(self, v: Self::V) -> f32;
    /// The greatest lane.
    fn greatest(self, v: Self::V) -> f32;
    /// Asks for the cache line at `p`, which need not be readable.
    fn prefetch(self, p: *const u32);

    /// `word` in every lane.
    fn splat_word(self, word: u32) -> Self::W;
    /// # Safety
    /// `LEN` words can be read at `p`.
    unsafe fn load_words(self, p: *const u32) -> Self::W;
    /// The floats whose bits the words are.
    fn as_floats(self, words: Self::W) -> Self::V;
    /// Adds to each sum the products of a word of x, 256 codes from `LEAST_CODE` on, with a word of w, codes in
    /// -127..=127 that keep to `CODE_SUM`. Nothing saturates then.
    fn multiply_codes(self, x: Self::W, w: Self::W, sums: Self::W) -> Self::W;
    /// The same with two words of each.
    #[inline(always)]
    fn multiply_two_words(self, x: [Self::W; 2], w: [Self::W; 2], sums: Self::W) -> Self::W {
        self.multiply_codes(x[1], w[1], self.multiply_codes(x[0], w[0], sums))
    }
    /// Whole-number sums as floats.
    fn to_floats(self, sums: Self::W) -> Self::V;
    /// Writes `LEN` values in 0..=255, rounded to the nearest whole numbers, as codes of x: 0 becomes `LEAST_CODE`.
    /// # Safety
    /// `4 / CODES * LEN` bytes can be written at `p`.
    unsafe fn store_codes(self, p: *mut u8, v: Self::V);
    /// Adds to each sum the products of a word of x with a word of w, two bf16 in each.
    fn multiply_bf16(self, x: Self::W, w: Self::W, sums: Self::V) -> Self::V;
    /// Writes `LEN` values, rounded to the nearest bf16.
    /// # Safety
    /// `LEN` bf16 can be written at `p`.
    unsafe fn store_bf16(self, p: *mut u16, v: Self::V);
    /// Writes `LEN` words of two bf16: the nearest to a lane of `first`, and to that of `second` in the upper half.
    /// # Safety
    /// `LEN` words can be written at `p`.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn store_bf16_pairs(self, p: *mut u32, first: Self::V, second: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { pair_halves(self, p, first, second) }
    }
}

/// [`Lanes::store_bf16_pairs`] by [`Lanes::store_bf16`].
///
/// # Safety
/// `LEN` words can be written at `p`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn pair_halves<L: Lanes>(l: L, p: *mut u32, first: L::V, second: L::V) {
    let mut halves = [[0u16; MOST_LANES]; 2];
    // SAFETY: no vector is longer than an array, and the caller's promise.
    unsafe {
        l.store_bf16(halves[0].as_mut_ptr(), first);
        l.store_bf16(halves[1].as_mut_ptr(), second);
        for (i, (first, second)) in halves[0].into_iter().zip(halves[1]).enumerate().take(L::LEN) {
            p.add(i).write(u32::from(first) | u32::from(second) << 16);
        }
    }
}

/// Lanes of the longest vectors.
const MOST_LANES: usize = 16;

/// Work that is written over [`Lanes`].
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// Does it. Implementations are `#[inline(always)]`.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Runs `kernel`, which computes with floats only, compiled for `isa`.
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.kind() {
        // SAFETY: an `Isa` is made by detection only, so the processor has these instructions.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Bf16 | Kind::Amx => unsafe { avx512::run(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 | Kind::AvxVnni => unsafe { avx2::run(kernel) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon | Kind::NeonDot => neon::run(kernel),
        #[allow(unreachable_patterns)]
        _ => kernel.run(portable::Portable),
    }
}

/// Runs `kernel`, which also computes with codes or bf16, compiled for `isa`.
#[inline]
pub(crate) fn dispatch_words<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.kind() {
        // SAFETY: as for `dispatch`.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Bf16 | Kind::Amx => unsafe { avx512::run_bf16(kernel) },
        // SAFETY: as for `dispatch`.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni => unsafe { avx512::run_vnni(kernel) },
        // SAFETY: as for `dispatch`.
        #[cfg(target_arch = "x86_64")]
        Kind::AvxVnni => unsafe { avx2::run_vnni(kernel) },
        // SAFETY: as for `dispatch`.
        #[cfg(target_arch = "aarch64")]
        Kind::NeonDot => unsafe { neon::run_dot(kernel) },
        _ => dispatch(isa, kernel),
    }
}

/// How many codes lie in a word where [`dispatch_words`] multiplies them.
pub(crate) fn codes_a_word(isa: Isa) -> usize {
    code_format(isa).0
}

/// What codes of w are like where [`dispatch_words`] multiplies them: [`Lanes::CODES`] and [`Lanes::CODE_SUM`].
pub(crate) fn code_format(isa: Isa) -> (usize, i32) {
    struct Format;
    impl Kernel for Format {
        type Output = (usize, i32);
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> (usize, i32) {
            (L::CODES, L::CODE_SUM)
        }
    }
    dispatch_words(isa, Format)
}

/// The code that [`dispatch_words`] has for the lowest value of a row.
#[cfg(test)]
pub(crate) fn least_code(isa: Isa) -> i32 {
    struct Least;
    impl Kernel for Least {
        type Output = i32;
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> i32 {
            L::LEAST_CODE
        }
    }
    dispatch_words(isa, Least)
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
