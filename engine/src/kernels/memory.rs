//! What the allocator does with memory that is freed.

#![allow(unsafe_code)]

/// Keeps freed memory for what is asked for next, in place of giving it back to the system.
///
/// Every step of training frees hundreds of megabytes and asks for as many again; each page of them that comes from the
/// system costs a fault. Elsewhere than under glibc this does nothing.
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
