//! Buffers that begin on a cache line.

#![allow(unsafe_code)]

pub(crate) use sealed::FourBytes;

mod sealed {
    /// Numbers of four bytes. Nobody else may add a type: one of another size would leave gaps between lines.
    pub trait FourBytes: bytemuck::Pod {}

    impl FourBytes for f32 {}
    impl FourBytes for u32 {}
}

/// A cache line of numbers.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line<T>([T; LINE]);

const LINE: usize = 16;

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

/// A buffer that begins on a cache line, so that no vector of a packed matrix straddles two.
#[derive(Clone, Default)]
pub struct Aligned<T: FourBytes> {
    lines: Vec<Line<T>>,
    len: usize,
}

/// An [`Aligned`] buffer of floats.
pub type AlignedFloats = Aligned<f32>;

/// An [`Aligned`] buffer of words in which smaller numbers lie.
pub type AlignedWords = Aligned<u32>;

impl<T: FourBytes> Aligned<T> {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([T::zeroed(); LINE]); len.div_ceil(LINE)], len }
    }

    /// Makes it at least `len` long; what it held is kept, what is new is zero.
    pub fn reserve_len(&mut self, len: usize) {
        if len > self.len {
            self.lines.resize(len.div_ceil(LINE), Line([T::zeroed(); LINE]));
            self.len = len;
        }
    }
}

impl<T: FourBytes> std::ops::Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `lines` is that many whole lines of initialised numbers without padding, and `len`
        // is at most their number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: FourBytes> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and the borrow of `self` is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
