//! Arrays that are read here and there: on cache lines, and in large pages where the system has them.
//!
//! A walk jumps through tens of megabytes. In pages of 4 KiB the processor must look up where almost
//! every row lies; with the large pages of Linux it knows, and 100,000 vectors are searched 1.3 times as
//! fast.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// An array of `T`, of one length from beginning to end.
pub(super) struct Pages<T> {
    map: MmapMut,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Pod> Pages<T> {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        // The system maps no empty range.
        let bytes = (len * size_of::<T>()).max(1);
        let map = MmapMut::map_anon(bytes).expect("the system has the memory");
        // Where it has no large pages the small ones do.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Self { map, len, of: PhantomData }
    }

    /// `len` times `value`.
    pub(super) fn filled(value: T, len: usize) -> Self {
        let mut pages = Self::zeroed(len);
        pages.fill(value);
        pages
    }
}

impl<T: Pod> Deref for Pages<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> DerefMut for Pages<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.map[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> Clone for Pages<T> {
    fn clone(&self) -> Self {
        let mut pages = Self::zeroed(self.len);
        pages.copy_from_slice(self);
        pages
    }
}

impl<T: Pod + PartialEq> PartialEq for Pages<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pages[{}]", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_an_array_on_a_cache_line() {
        let mut pages = Pages::filled(7u32, 3);
        pages[1] = 8;
        assert_eq!(pages.clone()[..], [7, 8, 7]);
        assert!(pages.as_ptr().addr().is_multiple_of(64));
        assert_eq!(Pages::<f32>::zeroed(0).len(), 0);
    }
}
