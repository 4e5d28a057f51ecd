//! Opens a file of a corpus or stdin, and decompresses it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use flate2::bufread::GzDecoder;

use super::folder::{DocumentFile, Stamp, files_of};
use super::text::LinesSeen;
use super::{CorpusOptions, DocumentFiles, Format, format_of};
use crate::documents::DocumentFormat;
use crate::{Error, Result};

/// Decompressed bytes of a source.
pub(super) type Input = Box<dyn BufRead + Send>;

const BUFFER: usize = 128 << 10;

/// One file or folder of a corpus, or stdin.
pub(crate) struct Source {
    path: PathBuf,
    pub(crate) content: Content,
    /// What came by stdin, once it has been kept to be read twice. The file has no name: it goes
    /// with the process.
    spool: Option<File>,
    lines: Arc<Mutex<LinesSeen>>,
}

/// What a source is made of.
pub(crate) enum Content {
    /// Records of a format in one file.
    Records(Format),
    /// Files, each of which is one document.
    Files(DocumentFiles),
}

impl Source {
    /// Checks that the path can be read, and decides on its format.
    pub(super) fn named(path: &Path, options: &CorpusOptions) -> Result<Self> {
        let content = Content::Records(options.format);
        let mut source = Self { path: path.to_path_buf(), content, spool: None, lines: Arc::default() };
        if source.is_stdin() {
            return Ok(source);
        }
        let metadata = std::fs::metadata(path).map_err(|error| source.unreadable(&error))?;
        if metadata.is_dir() {
            source.content = Content::Files(source.folder(options)?);
            return Ok(source);
        }
        let format = if options.format == Format::Auto { format_of(path) } else { options.format };
        source.content = match format {
            Format::Document(_) if !options.whole_files => Content::Records(Format::Text),
            Format::Document(format) => {
                let id = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                let file = DocumentFile { path: path.to_owned(), id, stamp: Stamp::of(&metadata) };
                Content::Files(DocumentFiles::new(vec![file], Some(format)))
            }
            format => Content::Records(format),
        };
        Ok(source)
    }

    /// The files of a folder.
    fn folder(&self, options: &CorpusOptions) -> Result<DocumentFiles> {
        let refused = |reason: &str| Err(Error::Read { path: self.path.clone(), reason: reason.to_owned() });
        let format = match options.format {
            _ if !options.whole_files => return refused("it is a directory: name the files in it"),
            Format::Auto => None,
            Format::Text => Some(DocumentFormat::Text),
            Format::Document(format) => Some(format),
            Format::Jsonl | Format::Csv | Format::Tsv => {
                return refused(
                    "it is a directory, whose files are one document each: name files of records",
                );
            }
        };
        let root = std::fs::canonicalize(&self.path).map_err(|error| self.unreadable(&error))?;
        Ok(DocumentFiles::new(files_of(&root, &options.include, &options.exclude)?, format))
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// Whether it is stdin or a pipe, and not a file that can be read again.
    pub(super) fn is_read_once(&self) -> bool {
        self.is_stdin()
            || std::fs::metadata(&self.path).is_ok_and(|found| !found.is_file() && !found.is_dir())
    }

    pub(super) fn format(&self) -> Format {
        match &self.content {
            Content::Records(format) => *format,
            Content::Files(_) => Format::Auto,
        }
    }

    /// The files, if each is one document.
    pub(super) fn files(&self) -> Option<&DocumentFiles> {
        match &self.content {
            Content::Files(files) => Some(files),
            Content::Records(_) => None,
        }
    }

    /// The path as the user named it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was seen of the lines of a text.
    pub(crate) fn lines(&self) -> Arc<Mutex<LinesSeen>> {
        Arc::clone(&self.lines)
    }

    pub(super) fn name(&self) -> String {
        if self.is_stdin() { "stdin".to_owned() } else { self.path.display().to_string() }
    }

    pub(super) fn rewind(&mut self) {
        if let Content::Files(files) = &mut self.content {
            files.rewind();
        }
    }

    /// The size, compressed as it is.
    pub(super) fn bytes(&self) -> Option<u64> {
        match (&self.spool, &self.content) {
            (Some(file), _) => file.metadata().ok().map(|metadata| metadata.len()),
            (None, Content::Files(files)) => Some(files.bytes()),
            (None, _) if self.is_read_once() => None,
            (None, _) => std::fs::metadata(&self.path).ok().map(|metadata| metadata.len()),
        }
    }

    /// Keeps what comes by stdin or by a pipe in an unnamed temporary file, so that it can be read twice.
    pub(super) fn spool(&mut self) -> Result<()> {
        if self.is_read_once() && self.spool.is_none() {
            let kept = || -> io::Result<File> {
                let mut file = tempfile::tempfile()?;
                match self.is_stdin() {
                    true => io::copy(&mut io::stdin().lock(), &mut file)?,
                    false => io::copy(&mut File::open(&self.path)?, &mut file)?,
                };
                Ok(file)
            };
            self.spool = Some(kept().map_err(|error| self.unreadable(&error))?);
        }
        Ok(())
    }

    /// Opens it at its beginning.
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
            let members = GzipMembers { member: Some(GzDecoder::new(input)) };
            return Ok(Box::new(BufReader::with_capacity(BUFFER, members)));
        }
        // A file may begin with a frame that is passed over: pzstd writes sizes into one.
        let is_zstd = magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
            || matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if is_zstd {
            return Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(input)?)));
        }
        let other = [
            (&b"BZh"[..], "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"PK\x03\x04", "zip"),
            (b"\x04\x22\x4d\x18", "lz4"),
        ];
        match other.into_iter().find(|(first, _)| magic.starts_with(first)) {
            Some((_, name)) => Err(io::Error::other(format!(
                "it is compressed with {name}: unpack it, for only gzip and zstd are read as they are"
            ))),
            None => Ok(Box::new(input)),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        Error::unreadable(Path::new(&self.name()), error)
    }
}

/// The members of a gzip file, one after another. As with `gzip -d`, what follows the last one is passed over: tapes and
/// block devices pad with zeros.
struct GzipMembers<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            if rest.fill_buf()?.first() == Some(&0x1f) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
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
