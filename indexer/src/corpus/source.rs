//! Opens a file of a corpus or stdin, and decompresses it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use encoding_rs::Encoding;

use super::encoding::in_utf8;
use super::folder::{DocumentFile, Stamp, files_of};
use super::json::shape_of;
use super::text::LinesSeen;
use super::unpack::{BUFFER, unpacked};
use super::{CorpusOptions, DocumentFiles, Format, extension, format_of, without_ending};
use crate::documents::{self, DocumentFormat};
use crate::{Error, Result};

/// Decompressed bytes of a source.
pub(super) type Input = Box<dyn BufRead + Send>;

/// Endings of names of texts whose lines are documents.
const LINES: [&str; 4] = ["txt", "text", "log", "lst"];

/// Bytes of a pipe that are kept between two reports.
const SPOOLED_AT_ONCE: u64 = 8 << 20;

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
    Files(Box<DocumentFiles>),
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
            source.content = Content::Files(Box::new(source.folder(options)?));
            return Ok(source);
        }
        let format = match options.format {
            Format::Auto if options.whole_files && !source.is_read_once() => told_by_content(path),
            Format::Auto => format_of(path),
            format => format,
        };
        source.content = match format {
            Format::Document(_) if !options.whole_files => Content::Records(Format::Text),
            Format::Document(format) => {
                let id = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                let file = DocumentFile { path: path.to_owned(), id, stamp: Stamp::of(&metadata) };
                Content::Files(Box::new(DocumentFiles::new(vec![file], Some(format), options)))
            }
            // A pipe has no name that says anything: it is told by what comes, as stdin is.
            Format::Text if options.format == Format::Auto && source.is_read_once() => {
                Content::Records(Format::Auto)
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
            Format::Jsonl | Format::Csv | Format::Tsv | Format::Mbox | Format::Parquet => {
                return refused(
                    "it is a directory, whose files are one document each: name files of records",
                );
            }
        };
        let root = std::fs::canonicalize(&self.path).map_err(|error| self.unreadable(&error))?;
        let files = files_of(&root, &options.include, &options.exclude)?;
        Ok(DocumentFiles::new(files, format, options))
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
            Content::Files(files) => Some(files.as_ref()),
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
    /// `tell` hears how many bytes came, and may stop it.
    pub(super) fn spool(&mut self, tell: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        if !self.is_read_once() || self.spool.is_some() {
            return Ok(());
        }
        let opened: io::Result<Box<dyn Read>> = match self.is_stdin() {
            true => Ok(Box::new(io::stdin().lock())),
            false => File::open(&self.path).map(|file| Box::new(file) as _),
        };
        let mut input = opened.map_err(|error| self.unreadable(&error))?;
        let mut file = tempfile::tempfile().map_err(|error| self.unreadable(&error))?;
        let mut bytes = 0;
        loop {
            tell(bytes)?;
            let part = io::copy(&mut input.by_ref().take(SPOOLED_AT_ONCE), &mut file);
            match part.map_err(|error| self.unreadable(&error))? {
                0 => break,
                part => bytes += part,
            }
        }
        self.spool = Some(file);
        Ok(())
    }

    /// The file itself, which can be read from any place on.
    pub(super) fn file(&self) -> Result<File> {
        let opened = match &self.spool {
            Some(file) => file.try_clone(),
            None if self.is_read_once() => {
                Err(io::Error::other("Parquet is read from files and not from a pipe"))
            }
            None => File::open(&self.path),
        };
        opened.map_err(|error| self.unreadable(&error))
    }

    /// Opens it at its beginning, unpacked.
    pub(super) fn open_bytes(&self, bytes_read: &Arc<AtomicU64>) -> Result<Input> {
        self.try_open(bytes_read).map_err(|error| self.unreadable(&error))
    }

    /// Opens it at its beginning, unpacked and in UTF-8.
    pub(super) fn open(
        &self,
        bytes_read: &Arc<AtomicU64>,
        encoding: Option<&'static Encoding>,
    ) -> Result<Input> {
        let opened = self.try_open(bytes_read).and_then(|input| in_utf8(input, encoding));
        opened.map_err(|error| self.unreadable(&error))
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
        let input = BufReader::with_capacity(BUFFER, Counted { raw, bytes_read: bytes_read.clone() });
        unpacked(input)
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        Error::unreadable(Path::new(&self.name()), error)
    }
}

/// The format of a file by its name, or by its beginning where the name says nothing.
fn told_by_content(path: &Path) -> Format {
    let by_name = format_of(path);
    let name = without_ending(path);
    if by_name != Format::Text || LINES.contains(&extension(&name).as_str()) {
        return by_name;
    }
    // What cannot be read is reported when it is.
    let opened = File::open(path).and_then(|file| unpacked(BufReader::with_capacity(BUFFER, file)));
    let Ok(mut input) = opened else { return by_name };
    let Ok(beginning) = input.fill_buf() else { return by_name };
    if documents::is_mailbox(beginning) {
        Format::Mbox
    } else if beginning.starts_with(b"PAR1") {
        Format::Parquet
    } else if shape_of(beginning).is_some() {
        Format::Jsonl
    } else {
        documents::of_beginning(beginning).map_or(Format::Text, Format::Document)
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
