//! What the system does with memory that is asked for and freed.

#![allow(unsafe_code)]

/// Makes the allocator keep freed memory for the next allocation, instead of returning it to the system.
///
/// For the `main` of a program that trains: no library of Akin's calls it, because it changes the allocator of the
/// whole process for good. A training step frees hundreds of megabytes and allocates as many again, and each page that
/// comes from the system costs a page fault. Does nothing unless the C library is glibc.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MEGABYTE: libc::c_int = 1 << 20;
        // SAFETY: `mallopt` changes settings of the allocator and touches no memory of ours. What it refuses stays as it
        // was.
        unsafe {
            // One heap that grows; other threads' are small and fall back to the system.
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 * MEGABYTE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            libc::mallopt(libc::M_TOP_PAD, 64 * MEGABYTE);
        }
    }
}

/// Has all threads allocate from one arena for each core, in place of eight.
///
/// For the `main` of a program that serves for days: no library of Akin's calls it, because it changes the allocator of the
/// whole process for good. What a thread frees stays in its arena, for the next thread that gets this arena. The threads of a
/// server come and go, and each arena grows to what the largest of them needed. Does nothing unless the C library is
/// glibc.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let most = libc::c_int::try_from(cores.max(2)).unwrap_or(libc::c_int::MAX);
        // SAFETY: `mallopt` changes settings of the allocator and touches no memory of ours. What it refuses stays as it
        // was.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, most);
        }
    }
}

/// Gives memory that was freed back to the system, where it can be given back.
///
/// Opening an index reads all of it through the database's cache, a page after another; what that leaves behind
/// would count as ours for as long as the index is open. Elsewhere than under glibc this does nothing.
pub fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` touches only what the allocator has and nobody holds.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Asks the system for large pages behind `values`, which nothing was written to yet: filling a hundred
/// megabytes then costs fifty faults, not twenty-five thousand. Where there are none it does nothing.
pub fn prefer_large_pages<T>(values: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let bytes = size_of_val(values);
        let address = values.as_mut_ptr().addr();
        let skipped = address.next_multiple_of(PAGE) - address;
        let whole = bytes.saturating_sub(skipped) / PAGE * PAGE;
        if whole > 0 {
            // SAFETY: the range lies within `values`, which nobody else can touch meanwhile, and the advice
            // changes how its memory is held, not what is in it. What the system refuses stays as it was.
            unsafe {
                libc::madvise(values.as_mut_ptr().byte_add(skipped).cast(), whole, libc::MADV_HUGEPAGE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_leaves_what_is_there() {
        for length in [0, 1, 5000, 3 << 20] {
            let mut values: Vec<u32> = (0..length).collect();
            prefer_large_pages(&mut values);
            assert!(values.iter().copied().eq(0..length));
        }
    }
}
