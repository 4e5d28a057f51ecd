//! Numbers that are packed in this process, or lie in memory that others hold, such as a mapped file.

use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::aligned::{Aligned, FourBytes, LINE_BYTES};

/// Bytes that several owners share. They must be the same bytes in the same place whenever they are asked for.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A range of shared bytes, read as numbers.
#[derive(Clone)]
pub struct Shared<T> {
    owner: SharedBytes,
    range: Range<usize>,
    number: PhantomData<T>,
}

impl<T: FourBytes> Shared<T> {
    /// The numbers in `range` of `owner`, counted in bytes. None where the range is beyond the bytes, does not begin on a
    /// cache line, or is no whole number of numbers.
    pub fn new(owner: SharedBytes, range: Range<usize>) -> Option<Self> {
        let bytes = (*owner).as_ref().get(range.clone())?;
        let whole =
            bytes.as_ptr().addr().is_multiple_of(LINE_BYTES) && bytes.len().is_multiple_of(size_of::<T>());
        whole.then_some(Self { owner, range, number: PhantomData })
    }
}

impl<T: FourBytes> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&(*self.owner).as_ref()[self.range.clone()])
    }
}

/// Numbers that begin on a cache line, of this process alone or shared.
#[derive(Clone)]
pub(crate) enum Numbers<T: FourBytes> {
    Own(Aligned<T>),
    Shared(Shared<T>),
}

impl<T: FourBytes> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Own(numbers) => numbers,
            Self::Shared(numbers) => numbers,
        }
    }
}

/// Takes ranges of shared bytes, one after the other. Each begins on a cache line.
pub struct SharedReader {
    owner: SharedBytes,
    rest: Range<usize>,
}

impl SharedReader {
    /// Reads the bytes in `range` of `owner`.
    pub fn new(owner: SharedBytes, range: Range<usize>) -> Self {
        Self { owner, rest: range }
    }

    /// The next `count` numbers; none where there are not as many.
    pub fn take<T: FourBytes>(&mut self, count: usize) -> Option<Shared<T>> {
        let bytes = count.checked_mul(size_of::<T>())?;
        let end = self.rest.start.checked_add(bytes).filter(|end| *end <= self.rest.end)?;
        let taken = Shared::new(self.owner.clone(), self.rest.start..end)?;
        self.rest.start = end.next_multiple_of(LINE_BYTES).min(self.rest.end);
        Some(taken)
    }

    /// Whether all has been taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that begin on a cache line.
    struct Lines(Aligned<u32>);

    impl AsRef<[u8]> for Lines {
        fn as_ref(&self) -> &[u8] {
            bytemuck::cast_slice(&self.0)
        }
    }

    fn counted(numbers: u32) -> SharedBytes {
        let mut lines = Aligned::zeroed(numbers as usize);
        lines.iter_mut().zip(0..).for_each(|(place, number)| *place = number);
        Arc::new(Lines(lines))
    }

    #[test]
    fn ranges_follow_one_another_and_begin_on_cache_lines() {
        let mut reader = SharedReader::new(counted(40), 0..160);
        assert_eq!(reader.take::<u32>(3).as_deref(), Some(&[0, 1, 2][..]));
        assert_eq!(reader.take::<u32>(2).as_deref(), Some(&[16, 17][..]));
        assert_eq!(reader.take::<u32>(9).map(|taken| taken.len()), None, "eight are left");
        assert!(!reader.is_empty());
        assert_eq!(reader.take::<u32>(8).map(|taken| taken[7]), Some(39));
        assert!(reader.is_empty());
        assert!(reader.take::<u32>(usize::MAX).is_none());
        assert!(reader.take::<u32>(1).is_none());
    }

    #[test]
    fn what_is_beyond_the_bytes_or_between_lines_is_none() {
        let bytes = counted(16);
        assert!(Shared::<u32>::new(bytes.clone(), 0..64).is_some());
        for range in [0..68, 4..64, 0..63, 128..128] {
            assert!(Shared::<u32>::new(bytes.clone(), range.clone()).is_none(), "{range:?}");
        }
    }
}
