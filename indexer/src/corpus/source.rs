//! Opens a file of a corpus or stdin, and decompresses it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::{Format, format_of};
use crate::{Error, Result};

/// Decompressed bytes of a source.
pub(super) type Input = Box<dyn BufRead + Send>;

const BUFFER: usize = 128 << 10;

/// One file of a corpus.
pub(super) struct Source {
    path: PathBuf,
    format: Format,
    /// What came by stdin, once it has been kept to be read twice. The file has no name: it goes
    /// with the process.
    spool: Option<File>,
}

impl Source {
    /// Checks that the path can be read, and decides on its format.
    pub(super) fn named(path: &Path, format: Format) -> Result<Self> {
        let mut source = Self { path: path.to_path_buf(), format, spool: None };
        if source.is_stdin() {
            return Ok(source);
        }
        let metadata = std::fs::metadata(path).map_err(|error| source.unreadable(&error))?;
        if metadata.is_dir() {
            let reason = "it is a directory: name the files in it".to_owned();
            return Err(Error::Read { path: path.to_path_buf(), reason });
        }
        if format == Format::Auto {
            source.format = format_of(path);
        }
        Ok(source)
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn name(&self) -> String {
        if self.is_stdin() { "stdin".to_owned() } else { self.path.display().to_string() }
    }

    /// The size, compressed as it is.
    pub(super) fn bytes(&self) -> Option<u64> {
        match &self.spool {
            Some(file) => file.metadata().ok().map(|metadata| metadata.len()),
            None if self.is_stdin() => None,
            None => std::fs::metadata(&self.path).ok().map(|metadata| metadata.len()),
        }
    }

    /// Keeps what comes by stdin in an unnamed temporary file, so that it can be read twice.
    pub(super) fn spool(&mut self) -> Result<()> {
        if self.is_stdin() && self.spool.is_none() {
            let kept = || -> io::Result<File> {
                let mut file = tempfile::tempfile()?;
                io::copy(&mut io::stdin().lock(), &mut file)?;
                Ok(file)
            };
            self.spool = Some(kept().map_err(|error| self.unreadable(&error))?);
        }
        Ok(())
    }

    /// Opens it from its beginning.
    pub(super) fn open(&self, bytes_read: &Arc<AtomicU64>) -> Result<Input> {
        self.try_open(bytes_read).map_err(|error| self.unreadable(&error))
    }

    fn try_open(&self, bytes_read: &Arc<AtomicU64>) -> io::Result<Input> {
        let raw: Box<dyn Read + Send> = match &self.spool {
            Some(file) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                Box::new(file)
            }
            None if self.is_stdin() => Box::new(io::stdin()),
            None => Box::new(File::open(&self.path)?),
        };
        let mut input = BufReader::with_capacity(BUFFER, Counted { raw, bytes_read: bytes_read.clone() });
        let magic = input.fill_buf()?;
        if magic.starts_with(&[0x1f, 0x8b]) {
            return Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input))));
        }
        if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(input)?)));
        }
        Ok(Box::new(input))
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        Error::unreadable(Path::new(&self.name()), error)
    }
}

/// Counts the bytes that pass, for a progress bar on another thread.
struct Counted {
    raw: Box<dyn Read + Send>,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
