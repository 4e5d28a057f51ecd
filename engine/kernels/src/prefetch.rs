//! Asking for memory before it is read.
#![allow(unsafe_code)]

/// Asks for the cache lines of `values`, to be read soon. It has no effect but on time, and none at
/// all where the processor offers no such instruction.
#[inline]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    for at in (0..std::mem::size_of_val(values)).step_by(LINE) {
        line(values.as_ptr().cast::<u8>().wrapping_add(at));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = values;
}

/// Bytes that come at once.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const LINE: usize = 64;

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that a program could see and faults at no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn line(at: *const u8) {
    // SAFETY: as on x86-64: a hint that faults at no address.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) at, options(nostack, preserves_flags, readonly))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_may_be_asked_for() {
        prefetch::<f32>(&[]);
        prefetch(&[1.0f32; 100]);
    }
}
