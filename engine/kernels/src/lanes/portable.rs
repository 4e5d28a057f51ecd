//! Four floats at a time in plain Rust: what any processor can do, and the twin of the others.

use half::bf16;

use super::Lanes;

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

const LEN: usize = 4;

#[inline(always)]
fn zip(a: [f32; LEN], b: [f32; LEN], f: impl Fn(f32, f32) -> f32) -> [f32; LEN] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Portable {
    type V = [f32; LEN];
    const LEN: usize = LEN;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 2;
    type W = [u32; LEN];
    const CODES: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LEN]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; an array of floats needs no more alignment than a float.
        unsafe { *p.cast() }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize, fill: f32) -> Self::V {
        // SAFETY: only the first `n` floats are read, which the caller promises.
        std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { fill })
    }
    #[inline(always)]
    unsafe fn load_columns(self, p: *const f32, stride: usize, last: usize) -> [Self::V; 4] {
        // SAFETY: the caller's promise; an array of floats needs no more alignment than a float.
        let rows: [[f32; 4]; LEN] = std::array::from_fn(|i| unsafe { *p.add(i.min(last) * stride).cast() });
        std::array::from_fn(|column| rows.map(|row| row[column]))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { *p.cast() = v }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize) {
        for (i, x) in v.into_iter().enumerate().take(n) {
            // SAFETY: `i < n`, which the caller promises.
            unsafe { *p.add(i) = x }
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Not `f32::mul_add`, which is a slow library call where the processor has no FMA.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn round(self, v: Self::V) -> Self::V {
        // Adding and taking away 1.5 * 2^23 leaves no room for a fraction.
        v.map(|x| (x + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    fn scale(self, a: Self::V, n: Self::V) -> Self::V {
        zip(a, n, |a, n| a * f32::from_bits(((n as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    fn greatest(self, v: Self::V) -> f32 {
        v.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    fn prefetch(self, _: *const u32) {}
    #[inline(always)]
    fn splat_word(self, word: u32) -> Self::W {
        [word; LEN]
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> Self::W {
        // SAFETY: the caller's promise; an array of words needs no more alignment than a word.
        unsafe { *p.cast() }
    }
    #[inline(always)]
    fn as_floats(self, words: Self::W) -> Self::V {
        words.map(f32::from_bits)
    }
    #[inline(always)]
    fn multiply_codes(self, x: Self::W, w: Self::W, sums: Self::W) -> Self::W {
        std::array::from_fn(|i| {
            let products = x[i].to_le_bytes().into_iter().zip(w[i].to_le_bytes());
            let sum = products.fold(0, |sum, (x, w)| sum + i32::from(x) * i32::from(w as i8));
            sums[i].wrapping_add(sum as u32)
        })
    }
    #[inline(always)]
    fn to_floats(self, sums: Self::W) -> Self::V {
        sums.map(|sum| sum as i32 as f32)
    }
    #[inline(always)]
    unsafe fn store_codes(self, p: *mut u8, v: Self::V) {
        // SAFETY: the caller's promise; bytes need no alignment.
        unsafe { *p.cast() = self.round(v).map(|x| x as u8) }
    }
    #[inline(always)]
    fn multiply_bf16(self, x: Self::W, w: Self::W, sums: Self::V) -> Self::V {
        let second = |v: Self::W| v.map(|word| f32::from_bits(word & !0xffff));
        let first = |v: Self::W| v.map(|word| f32::from_bits(word << 16));
        self.mul_add(second(x), second(w), self.mul_add(first(x), first(w), sums))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { narrow(&v, p) }
    }
}

/// Writes values as the nearest bf16.
///
/// # Safety
/// As many bf16 as there are values can be written at `p`.
#[inline(always)]
pub(super) unsafe fn narrow(values: &[f32], p: *mut u16) {
    for (i, x) in values.iter().enumerate() {
        // SAFETY: `i` is below the number of values, which the caller promises.
        unsafe { *p.add(i) = bf16::from_f32(*x).to_bits() }
    }
}
