//! Sixteen floats at a time: AVX-512.

use std::arch::x86_64::*;

use super::{Kernel, Lanes};

/// AVX-512 F, BW, DQ and VL; from `LEVEL` [`VNNI`] on with VNNI, at [`BF16`] with BF16 too.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const LEVEL: u8>(());

const VNNI: u8 = 1;
const BF16: u8 = 2;

/// Runs `kernel` in `Avx512` lanes.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<0>(()))
}

/// Runs `kernel` in `Avx512` lanes with VNNI.
///
/// # Safety
/// As [`run`], and the processor has AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni")]
pub(super) unsafe fn run_vnni<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<VNNI>(()))
}

/// Runs `kernel` in `Avx512` lanes with VNNI and BF16.
///
/// # Safety
/// As [`run_vnni`], and the processor has AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,avx512vnni,avx512bf16")]
pub(super) unsafe fn run_bf16<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512::<BF16>(()))
}

#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

/// Four floats of each row, rows past `last` repeating it: row 4 i + `j` in quarter i.
///
/// # Safety
/// As for `Lanes::load_columns`, and the processor has AVX-512 DQ.
#[inline(always)]
unsafe fn quads(p: *const f32, stride: usize, last: usize, j: usize) -> __m512 {
    // SAFETY: the caller's promises.
    unsafe {
        let low = _mm256_castps128_ps256(_mm_loadu_ps(p.add(j.min(last) * stride)));
        let low = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(p.add((j + 4).min(last) * stride)));
        let high = _mm256_castps128_ps256(_mm_loadu_ps(p.add((j + 8).min(last) * stride)));
        let high = _mm256_insertf128_ps::<1>(high, _mm_loadu_ps(p.add((j + 12).min(last) * stride)));
        _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low), high)
    }
}

// SAFETY of every block below: `self` exists only inside `run`, whose caller has promised the
// instructions; where memory is touched, the trait's contract is the caller's promise for it.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<const LEVEL: u8> Lanes for Avx512<LEVEL> {
    type V = __m512;
    const LEN: usize = 16;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;
    type W = __m512i;
    const CODES: usize = if LEVEL >= VNNI { 4 } else { 2 };

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize, fill: f32) -> __m512 {
        unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), p) }
    }
    #[inline(always)]
    unsafe fn load_columns(self, p: *const f32, stride: usize, last: usize) -> [__m512; 4] {
        unsafe {
            let (a, b) = (quads(p, stride, last, 0), quads(p, stride, last, 1));
            let (c, d) = (quads(p, stride, last, 2), quads(p, stride, last, 3));
            let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            [
                _mm512_shuffle_ps::<0x44>(ab, cd),
                _mm512_shuffle_ps::<0xee>(ab, cd),
                _mm512_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm512_shuffle_ps::<0xee>(ab_high, cd_high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: __m512, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, first(n), v) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn round(self, v: __m512) -> __m512 {
        unsafe { _mm512_roundscale_ps::<0>(v) }
    }
    #[inline(always)]
    fn scale(self, a: __m512, n: __m512) -> __m512 {
        unsafe { _mm512_scalef_ps(a, n) }
    }
    const TABLES: bool = true;
    #[inline(always)]
    fn look_up(self, table: &[f32; 32], places: __m512) -> __m512 {
        unsafe {
            let (low, high) = (self.load(table.as_ptr()), self.load(table.as_ptr().add(16)));
            _mm512_permutex2var_ps(low, _mm512_castps_si512(places), high)
        }
    }
    #[inline(always)]
    fn sum(self, v: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    fn greatest(self, v: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(v) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const u32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    fn splat_word(self, word: u32) -> __m512i {
        unsafe { _mm512_set1_epi32(word as i32) }
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> __m512i {
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    fn as_floats(self, words: __m512i) -> __m512 {
        unsafe { _mm512_castsi512_ps(words) }
    }
    #[inline(always)]
    fn multiply_codes(self, x: __m512i, w: __m512i, sums: __m512i) -> __m512i {
        if LEVEL >= VNNI {
            unsafe { _mm512_dpbusd_epi32(sums, x, w) }
        } else {
            unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(x, w)) }
        }
    }
    #[inline(always)]
    fn to_floats(self, sums: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(sums) }
    }
    #[inline(always)]
    unsafe fn store_codes(self, p: *mut u8, v: __m512) {
        let whole = unsafe { _mm512_cvtps_epi32(v) };
        if Self::CODES == 4 {
            unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtusepi32_epi8(whole)) }
        } else {
            unsafe { _mm256_storeu_si256(p.cast(), _mm512_cvtusepi32_epi16(whole)) }
        }
    }
    #[inline(always)]
    fn multiply_bf16(self, x: __m512i, w: __m512i, sums: __m512) -> __m512 {
        if LEVEL >= BF16 {
            // The same bits by another name.
            let as_bf16 = |v| unsafe { std::mem::transmute::<__m512i, __m512bh>(v) };
            unsafe { _mm512_dpbf16_ps(sums, as_bf16(x), as_bf16(w)) }
        } else {
            let second = |v| unsafe { _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32(!0xffff))) };
            let first = |v| unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(v)) };
            self.mul_add(second(x), second(w), self.mul_add(first(x), first(w), sums))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, v: __m512) {
        if LEVEL >= BF16 {
            unsafe {
                _mm256_storeu_si256(p.cast(), std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v)))
            }
        } else {
            let mut lanes = [0f32; 16];
            unsafe {
                _mm512_storeu_ps(lanes.as_mut_ptr(), v);
                super::portable::narrow(&lanes, p);
            }
        }
    }
    #[inline(always)]
    unsafe fn store_bf16_pairs(self, p: *mut u32, first: __m512, second: __m512) {
        if LEVEL >= BF16 {
            unsafe {
                let narrow = |v| std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
                let wide = |v| _mm512_cvtepu16_epi32(narrow(v));
                let words = _mm512_or_si512(wide(first), _mm512_slli_epi32::<16>(wide(second)));
                _mm512_storeu_si512(p.cast(), words);
            }
        } else {
            unsafe { super::pair_halves(self, p, first, second) }
        }
    }
}
