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
pub(crate) struct Pages<T> {
    map: MmapMut,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Pod> Pages<T> {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        // The system maps no empty range.
        let bytes = (len * size_of::<T>()).max(1);
        let map = MmapMut::map_anon(bytes).expect("the system has the memory");
        // Where it has no large pages the small ones do.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Self { map, len, of: PhantomData }
    }

    /// `len` times `value`.
    pub(crate) fn filled(value: T, len: usize) -> Self {
        let mut pages = Self::zeroed(len);
        pages.fill(value);
        pages
    }

    /// A copy of `values`.
    pub(crate) fn of(values: &[T]) -> Self {
        Self::joined(std::iter::once(values))
    }

    /// A copy of all `parts`, one after another.
    pub(crate) fn joined<'a>(parts: impl Iterator<Item = &'a [T]> + Clone) -> Self {
        let mut pages = Self::zeroed(parts.clone().map(<[T]>::len).sum());
        let mut rest = &mut pages[..];
        for part in parts {
            let place;
            (place, rest) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
        }
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

/// Bytes of memory that this process may still take, as far as the system tells: what is free or easily freed,
/// and what its control group leaves it.
pub(crate) fn memory_available() -> Option<u64> {
    let number = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let free = number("/proc/meminfo", "MemAvailable:").map(|kilobytes| kilobytes << 10);
    // The group of this process: `0::/path` in version 2, `n:memory:/path` in version 1.
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let left = groups.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let (folder, limit, anonymous) = match controllers {
            "" => (format!("/sys/fs/cgroup{path}"), "memory.max", "anon "),
            "memory" => (format!("/sys/fs/cgroup/memory{path}"), "memory.limit_in_bytes", "total_rss "),
            _ => return None,
        };
        let limit = number(&format!("{folder}/{limit}"), "")?;
        Some(limit.saturating_sub(number(&format!("{folder}/memory.stat"), anonymous).unwrap_or(0)))
    });
    left.chain(free).min()
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
