//! Eight floats at a time: AVX2 with FMA.

use std::arch::x86_64::*;

use super::{Kernel, Lanes};

/// AVX2 and FMA, with AVX-VNNI where `VNNI`.
#[derive(Clone, Copy)]
pub(super) struct Avx2<const VNNI: bool>(());

/// Runs `kernel` in `Avx2` lanes.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<false>(()))
}

/// Runs `kernel` in `Avx2` lanes with AVX-VNNI.
///
/// # Safety
/// The processor has AVX2, FMA and AVX-VNNI.
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn run_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<true>(()))
}

/// What the codes of w that are added in 16 bits may come to: with 255 times as much the sum still fits.
const SUM_IN_16_BITS: i32 = i16::MAX as i32 / 255;

/// Adds pairs of sums of 16 bits to sums of 32.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn widen_and_add(pairs: __m256i, sums: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))) }
}

#[inline(always)]
fn first(n: usize) -> __m256i {
    const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: AVX is there (see below), and eight numbers from `8 - n` on lie in the array.
    unsafe { _mm256_loadu_si256(MASKS[8 - n..][..8].as_ptr().cast()) }
}

/// Four floats of each row, rows past `last` repeating it: row `j` in the lower half, row 4 + `j` in the upper.
///
/// # Safety
/// As for `Lanes::load_columns`, and the processor has AVX.
#[inline(always)]
unsafe fn quads(p: *const f32, stride: usize, last: usize, j: usize) -> __m256 {
    // SAFETY: the caller's promises.
    unsafe {
        let low = _mm256_castps128_ps256(_mm_loadu_ps(p.add(j.min(last) * stride)));
        _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(p.add((j + 4).min(last) * stride)))
    }
}

// SAFETY of every block below: `self` exists only inside `run`, whose caller has promised the
// instructions; where memory is touched, the trait's contract is the caller's promise for it.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<const VNNI: bool> Lanes for Avx2<VNNI> {
    type V = __m256;
    const LEN: usize = 8;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;
    type W = __m256i;
    const CODES: usize = 4;
    // Two words of x, four of w, and three in between: 4 x 2 sums are what the 16 registers have room for.
    const CODE_ROWS: usize = if VNNI { Self::TILE_ROWS } else { 4 };
    const CODES_IN_PAIRS: bool = !VNNI;
    const CODE_SUM: i32 = if VNNI { i32::MAX } else { SUM_IN_16_BITS };

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize, fill: f32) -> __m256 {
        unsafe {
            let mask = first(n);
            let fill = _mm256_set1_ps(fill);
            _mm256_blendv_ps(fill, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))
        }
    }
    #[inline(always)]
    unsafe fn load_columns(self, p: *const f32, stride: usize, last: usize) -> [__m256; 4] {
        unsafe {
            let (a, b) = (quads(p, stride, last, 0), quads(p, stride, last, 1));
            let (c, d) = (quads(p, stride, last, 2), quads(p, stride, last, 3));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: __m256, n: usize) {
        unsafe { _mm256_maskstore_ps(p, first(n), v) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn round(self, v: __m256) -> __m256 {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v) }
    }
    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn sum(self, v: __m256) -> f32 {
        unsafe {
            let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
        }
    }
    #[inline(always)]
    fn greatest(self, v: __m256) -> f32 {
        unsafe {
            let half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)))
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const u32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    fn splat_word(self, word: u32) -> __m256i {
        unsafe { _mm256_set1_epi32(word as i32) }
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> __m256i {
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    fn as_floats(self, words: __m256i) -> __m256 {
        unsafe { _mm256_castsi256_ps(words) }
    }
    #[inline(always)]
    fn multiply_codes(self, x: __m256i, w: __m256i, sums: __m256i) -> __m256i {
        if VNNI {
            unsafe { _mm256_dpbusd_avx_epi32(sums, x, w) }
        } else {
            // `maddubs` adds two products in 16 bits and saturates; `CODE_SUM` keeps them from it.
            unsafe { widen_and_add(_mm256_maddubs_epi16(x, w), sums) }
        }
    }
    #[inline(always)]
    fn multiply_two_words(self, x: [__m256i; 2], w: [__m256i; 2], sums: __m256i) -> __m256i {
        if VNNI {
            self.multiply_codes(x[1], w[1], self.multiply_codes(x[0], w[0], sums))
        } else {
            // Four products in 16 bits: one widening for two multiplications, where 16-bit factors would need
            // as many multiplications and twice the room.
            unsafe {
                let (first, second) = (_mm256_maddubs_epi16(x[0], w[0]), _mm256_maddubs_epi16(x[1], w[1]));
                widen_and_add(_mm256_add_epi16(first, second), sums)
            }
        }
    }
    #[inline(always)]
    fn to_floats(self, sums: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(sums) }
    }
    #[inline(always)]
    unsafe fn store_codes(self, p: *mut u8, v: __m256) {
        unsafe {
            let whole = _mm256_cvtps_epi32(v);
            let halves = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
            _mm_storel_epi64(p.cast(), _mm_packus_epi16(halves, halves));
        }
    }
    #[inline(always)]
    fn multiply_bf16(self, x: __m256i, w: __m256i, sums: __m256) -> __m256 {
        let second = |v| unsafe { _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32(!0xffff))) };
        let first = |v| unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(v)) };
        self.mul_add(second(x), second(w), self.mul_add(first(x), first(w), sums))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, v: __m256) {
        let mut lanes = [0f32; 8];
        unsafe {
            _mm256_storeu_ps(lanes.as_mut_ptr(), v);
            super::portable::narrow(&lanes, p);
        }
    }
}
