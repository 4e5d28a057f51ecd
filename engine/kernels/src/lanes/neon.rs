//! Four floats at a time: NEON, which every 64-bit ARM processor has.
//!
//! Compiled for it and tested under qemu; how fast it is has not been measured on a processor.

use std::arch::aarch64::*;

use super::{Kernel, Lanes};

/// NEON, with its dot product of bytes where `DOT`.
#[derive(Clone, Copy)]
pub(super) struct Neon<const DOT: bool>(());

/// Runs `kernel` in `Neon` lanes.
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<false>(()))
}

/// Runs `kernel` in `Neon` lanes with the dot product of bytes.
///
/// # Safety
/// The processor has it.
#[target_feature(enable = "dotprod")]
pub(super) unsafe fn run_dot<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<true>(()))
}

/// Adds to each sum the products of four signed bytes with four signed bytes.
///
/// In assembly: the intrinsic is not stable in Rust 1.95.
///
/// # Safety
/// The processor has the dot product of bytes.
#[inline(always)]
pub(in crate::kernels) unsafe fn dot_bytes(x: uint32x4_t, w: uint32x4_t, sums: uint32x4_t) -> uint32x4_t {
    let mut sums = sums;
    // SAFETY: the caller's promise; it touches no memory.
    unsafe {
        std::arch::asm!(
            "sdot {sums:v}.4s, {x:v}.16b, {w:v}.16b",
            sums = inout(vreg) sums,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

// SAFETY of every block below: NEON is part of the target; where memory is touched, the trait's
// contract is the caller's promise for it.
#[allow(clippy::undocumented_unsafe_blocks, unused_unsafe)]
impl<const DOT: bool> Lanes for Neon<DOT> {
    type V = float32x4_t;
    const LEN: usize = 4;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;
    type W = uint32x4_t;
    const CODES: usize = if DOT { 4 } else { 2 };
    // Bytes are multiplied by bytes of the same kind only: those of w have a sign.
    const LEAST_CODE: i32 = if DOT { -128 } else { 0 };

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize, fill: f32) -> float32x4_t {
        let lanes: [f32; 4] = std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { fill });
        unsafe { vld1q_f32(lanes.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_columns(self, p: *const f32, stride: usize, last: usize) -> [float32x4_t; 4] {
        unsafe {
            let (a, b) = (vld1q_f32(p), vld1q_f32(p.add(last.min(1) * stride)));
            let (c, d) = (vld1q_f32(p.add(last.min(2) * stride)), vld1q_f32(p.add(last.min(3) * stride)));
            // Columns 0 and 2, 1 and 3, of two rows each.
            let (ab_even, ab_odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
            let (cd_even, cd_odd) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
            [
                vcombine_f32(vget_low_f32(ab_even), vget_low_f32(cd_even)),
                vcombine_f32(vget_low_f32(ab_odd), vget_low_f32(cd_odd)),
                vcombine_f32(vget_high_f32(ab_even), vget_high_f32(cd_even)),
                vcombine_f32(vget_high_f32(ab_odd), vget_high_f32(cd_odd)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: float32x4_t, n: usize) {
        let mut lanes = [0f32; 4];
        unsafe { vst1q_f32(lanes.as_mut_ptr(), v) }
        for (i, x) in lanes.into_iter().enumerate().take(n) {
            unsafe { *p.add(i) = x }
        }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    fn round(self, v: float32x4_t) -> float32x4_t {
        unsafe { vrndnq_f32(v) }
    }
    #[inline(always)]
    fn scale(self, a: float32x4_t, n: float32x4_t) -> float32x4_t {
        unsafe {
            let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        }
    }
    #[inline(always)]
    fn sum(self, v: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    fn greatest(self, v: float32x4_t) -> f32 {
        unsafe { vmaxvq_f32(v) }
    }
    #[inline(always)]
    fn prefetch(self, _: *const u32) {}
    #[inline(always)]
    fn splat_word(self, word: u32) -> uint32x4_t {
        unsafe { vdupq_n_u32(word) }
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> uint32x4_t {
        unsafe { vld1q_u32(p) }
    }
    #[inline(always)]
    fn as_floats(self, words: uint32x4_t) -> float32x4_t {
        unsafe { vreinterpretq_f32_u32(words) }
    }
    #[inline(always)]
    fn multiply_codes(self, x: uint32x4_t, w: uint32x4_t, sums: uint32x4_t) -> uint32x4_t {
        if DOT {
            return unsafe { dot_bytes(x, w, sums) };
        }
        unsafe {
            let (x, w) = (vreinterpretq_s16_u32(x), vreinterpretq_s16_u32(w));
            let low = vmull_s16(vget_low_s16(x), vget_low_s16(w));
            let products = vpaddq_s32(low, vmull_high_s16(x, w));
            vaddq_u32(sums, vreinterpretq_u32_s32(products))
        }
    }
    #[inline(always)]
    fn to_floats(self, sums: uint32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(vreinterpretq_s32_u32(sums)) }
    }
    #[inline(always)]
    unsafe fn store_codes(self, p: *mut u8, v: float32x4_t) {
        unsafe {
            let codes = vqmovn_u32(vcvtnq_u32_f32(v));
            if DOT {
                let bytes = vmovn_u16(vcombine_u16(codes, codes));
                let signed = vreinterpret_u32_u8(veor_u8(bytes, vdup_n_u8(128)));
                p.cast::<u32>().write_unaligned(vget_lane_u32::<0>(signed));
            } else {
                vst1_u16(p.cast(), codes);
            }
        }
    }
    #[inline(always)]
    fn multiply_bf16(self, x: uint32x4_t, w: uint32x4_t, sums: float32x4_t) -> float32x4_t {
        let second = |v| unsafe { vreinterpretq_f32_u32(vandq_u32(v, vdupq_n_u32(!0xffff))) };
        let first = |v| unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(v)) };
        self.mul_add(second(x), second(w), self.mul_add(first(x), first(w), sums))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16, v: float32x4_t) {
        let mut lanes = [0f32; 4];
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), v);
            super::portable::narrow(&lanes, p);
        }
    }
}
