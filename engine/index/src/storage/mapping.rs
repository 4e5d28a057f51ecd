//! Mapped files: the one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

#[cfg(target_os = "linux")]
const RANDOM: libc::c_int = libc::POSIX_FADV_RANDOM;
#[cfg(target_os = "linux")]
const WILL_NEED: libc::c_int = libc::POSIX_FADV_WILLNEED;
#[cfg(not(target_os = "linux"))]
const RANDOM: i32 = 0;
#[cfg(not(target_os = "linux"))]
const WILL_NEED: i32 = 0;

/// A file that is mapped and can be read beside the mapping.
#[derive(Debug)]
pub(crate) struct Map {
    file: File,
    map: Option<Mmap>,
}

impl Map {
    /// Maps a whole file.
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(Self { file, map: None });
        }
        // SAFETY: files of an index are written once, under a name that is published only when they are
        // complete, and are never changed or cut afterwards, only removed, which leaves a mapping intact. Where
        // something outside the program cuts one all the same, the system ends the process by SIGBUS
        // (`explain_lost_files` has it say why); it never shows other bytes than those of the file, and
        // every block is checked before it is used.
        let map = unsafe { MmapOptions::new().len(to_usize(length)?).map(&file)? };
        // A walk jumps: reading ahead would fetch what nobody asked for.
        let _ = map.advise(Advice::Random);
        let mapped = Self { file, map: Some(map) };
        mapped.advise(0, 0, RANDOM);
        Ok(mapped)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }

    #[cfg(unix)]
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, out, offset)
    }

    #[cfg(not(unix))]
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.bytes().get(offset..));
        let source = from.and_then(|bytes| bytes.get(..out.len()));
        out.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Copies bytes if that needs no disk; tells whether it did.
    pub(crate) fn read_cached(&self, offset: u64, out: &mut [u8]) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let vector = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: out.len() };
            let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            // SAFETY: the one vector covers `out`, which nobody else can touch meanwhile, and the file is open.
            let read = unsafe { libc::preadv2(self.file.as_raw_fd(), &vector, 1, offset, libc::RWF_NOWAIT) };
            // Less than was asked for, or an error: where it matters, reading in the plain way reports it.
            Ok(usize::try_from(read) == Ok(out.len()))
        }
        #[cfg(not(target_os = "linux"))]
        self.read_at(offset, out).map(|()| true)
    }

    pub(crate) fn will_need(&self, offset: u64, length: usize) {
        self.advise(offset, length, WILL_NEED);
    }

    /// Tells the system how the file will be read, beside the mapping.
    #[cfg(target_os = "linux")]
    fn advise(&self, offset: u64, length: usize, advice: libc::c_int) {
        use std::os::fd::AsRawFd;
        let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
        // SAFETY: advice about a file that is open for as long as `self`; it touches no memory.
        unsafe { libc::posix_fadvise(self.file.as_raw_fd(), offset, length, advice) };
    }

    #[cfg(not(target_os = "linux"))]
    fn advise(&self, _: u64, _: usize, _: i32) {}

    pub(crate) fn forget(&self, range: Range<usize>) {
        let Some(map) = &self.map else { return };
        let end = range.end.min(map.len());
        if range.start < end {
            // SAFETY: the mapping is shared and read only, so its pages are read from the file again when they
            // are touched: nothing that anybody holds changes.
            let _ = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, end - range.start)
            };
        }
    }
}

fn to_usize(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// Has the process say why it ends when a mapped file was cut by another program, or its disk fails: the system
/// then sends SIGBUS, whose default is to end the process without a word. For the `main` of a program; the
/// library never calls it.
pub fn explain_lost_files() {
    #[cfg(unix)]
    {
        extern "C" fn explain(_: libc::c_int) {
            const SENTENCE: &[u8] =
                b"error: a file of the index was cut short or cannot be read while it is in use: \
                restore a copy of the index, or build it anew from its corpus\n";
            // SAFETY: `write` and `_exit` may be called from a signal handler, and the sentence is static.
            unsafe {
                libc::write(2, SENTENCE.as_ptr().cast(), SENTENCE.len());
                libc::_exit(2);
            }
        }
        // SAFETY: the handler only makes calls that are allowed in one.
        unsafe {
            let handler = explain as extern "C" fn(libc::c_int);
            libc::signal(libc::SIGBUS, handler as libc::sighandler_t);
        }
    }
}
