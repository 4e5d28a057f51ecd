//! Reads corpora: files of records (text, JSON, CSV and TSV, plain or compressed), files that are one document
//! each, and folders of those.
//!
//! A reader holds one document at a time, so memory does not grow with the corpus.

mod contained;
mod csv;
mod encoding;
mod fields;
mod files;
mod folder;
mod json;
mod jsonl;
mod lines;
mod mbox;
mod source;
mod survey;
mod table;
mod text;
mod unpack;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use akin_index::Document;

use crate::documents::{self, DocumentFormat, Worker};
use crate::{Error, Result};
pub(crate) use encoding::NotEncoded;
pub use encoding_rs::Encoding;
pub use files::Skipped;
pub(crate) use files::{DocumentFiles, FileOutcome, KnownFile, ReadFile};
pub(crate) use folder::Stamp;
pub(crate) use source::{Content, Source};
pub use survey::{Survey, Surveyed};

/// No line of a corpus is longer than this: 16 MiB. A longer one is nearly always a binary file or a
/// JSON array, and is refused before it is held in memory.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// No id is longer than this many bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// An error lists so many of the fields that a document has.
const LISTED_FIELDS: usize = 8;

/// How the documents of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// By the file's extension, below that of a compression; text for any other. Stdin and pipes are JSON if they begin
    /// so, else text. In a folder a file is one document, whatever its format.
    #[default]
    Auto,
    /// A document a line, known as `FILE:LINE`. Blank lines are passed over.
    Text,
    /// JSON objects: one a line, or in an array, or one after another.
    Jsonl,
    /// Comma-separated with a header, fields quoted where they need it.
    Csv,
    /// Tab-separated with a header, nothing quoted.
    Tsv,
    /// A mailbox: a message is a document, known by its `Message-ID` or as `FILE:NUMBER`.
    Mbox,
    /// Parquet: a row is a document.
    Parquet,
    /// Each file is one document of this format.
    Document(DocumentFormat),
}

/// How a corpus is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusOptions {
    /// The format of its files.
    pub format: Format,
    /// The field that names a document, in all formats but text.
    pub id_field: String,
    /// Whether a document without an id is refused. Otherwise, as in a file of queries, it is known by the line it is on.
    pub require_ids: bool,
    /// The field with the text that is encoded, in all formats but text.
    pub text_field: String,
    /// The encoding of texts, where no mark says another: of text, CSV and TSV, Markdown and HTML. UTF-8 if none is given.
    pub encoding: Option<&'static Encoding>,
    /// Whether a blank line of a text is a document too, and not skipped. A file of queries is read so: the answer
    /// to line n is then line n of the output.
    pub keep_blank_lines: bool,
    /// Whether a path may be a folder, whose files are one document each, or such a file. Queries are always records.
    pub whole_files: bool,
    /// Whether documents with ids of their own are removed that their file brought once and no longer has.
    pub sync: bool,
    /// Of a folder, only the files that one of these globs matches; all where there is none.
    pub include: Vec<String>,
    /// Of a folder, not the files and folders that one of these globs matches.
    pub exclude: Vec<String>,
    /// What reads files whose readers may hang or end their process; none for a thread.
    pub worker: Option<Worker>,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            id_field: "id".into(),
            require_ids: true,
            text_field: "text".into(),
            encoding: None,
            keep_blank_lines: false,
            whole_files: true,
            sync: false,
            include: Vec::new(),
            exclude: Vec::new(),
            worker: None,
        }
    }
}

/// Reads the documents of some files and folders, in order.
pub struct CorpusReader {
    sources: Vec<Source>,
    options: CorpusOptions,
    /// The records of the source that is read now, if it has any.
    records: Option<Documents>,
    /// The source that is read now.
    source: usize,
    /// How many documents and files came before.
    place: usize,
    /// Whether files that are documents are counted only.
    surveying: bool,
    bytes_read: Arc<AtomicU64>,
}

/// The documents of one file.
type Documents = Box<dyn Iterator<Item = Result<Document>> + Send>;

/// A document, and where it came from.
pub(crate) struct Placed {
    /// How many documents and files came before it.
    pub(crate) place: usize,
    /// Its source, from 0.
    pub(crate) source: usize,
    /// Whether it is a file, and has an id that no other file of its source has.
    pub(crate) is_file: bool,
    pub(crate) document: Document,
}

impl CorpusReader {
    /// Opens a corpus of files and folders, or of stdin where a path is `-`.
    ///
    /// # Errors
    /// [`Error::Read`] for the first path that is missing or may not be read, or is a folder where none may be;
    /// [`Error::Glob`] for a glob that is none. To sync what comes by a pipe is refused.
    pub fn open(paths: &[PathBuf], options: &CorpusOptions) -> Result<Self> {
        let sources: Vec<Source> =
            paths.iter().map(|path| Source::named(path, options)).collect::<Result<_>>()?;
        if options.sync
            && let Some(pipe) = sources.iter().find(|source| source.is_read_once())
        {
            let reason = "what comes by a pipe cannot be synced, for nothing is known of what came before: name a file";
            return Err(Error::Read { path: pipe.name().into(), reason: reason.into() });
        }
        Ok(Self {
            sources,
            options: options.clone(),
            records: None,
            source: 0,
            place: 0,
            surveying: false,
            bytes_read: Arc::default(),
        })
    }

    /// Bytes taken from the files so far, compressed as they are.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes of all files together; `None` if one of them is stdin and has not been surveyed.
    pub fn bytes_total(&self) -> Option<u64> {
        self.sources.iter().map(Source::bytes).sum()
    }

    /// The names of the files, for an error.
    pub fn name(&self) -> String {
        self.sources.iter().map(Source::name).collect::<Vec<_>>().join(", ")
    }

    /// The files of which no document could be made, of those that were read so far.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.sources.iter().filter_map(Source::files).flat_map(DocumentFiles::skipped).collect()
    }

    /// How many documents are in files that are what they were, of those that were looked at.
    pub(crate) fn unchanged(&self) -> usize {
        let files = self.sources.iter().filter_map(Source::files).flat_map(|files| &files.read);
        files.filter(|file| file.unchanged).map(|file| file.now.outcome.documents()).sum()
    }

    /// Whether what a file no longer has is removed.
    pub(crate) fn is_synced(&self) -> bool {
        self.options.sync
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(crate) fn sources_mut(&mut self) -> &mut [Source] {
        &mut self.sources
    }

    /// How many documents and files were read, or passed over.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// The next document, with its place.
    pub(crate) fn next_placed(&mut self) -> Option<Result<Placed>> {
        loop {
            let source = self.source;
            let read = match self.next_of_source() {
                Ok(read) => read,
                Err(error) => {
                    // After an error there is no next document.
                    self.records = None;
                    self.source = self.sources.len();
                    return Some(Err(error));
                }
            };
            match read {
                Next::Document(document) => {
                    let is_file = self.sources[source].files().is_some();
                    self.place += 1;
                    return Some(Ok(Placed { place: self.place - 1, source, is_file, document }));
                }
                Next::Further(document) => {
                    let place = self.place.saturating_sub(1);
                    return Some(Ok(Placed { place, source, is_file: true, document }));
                }
                Next::PassedOver => self.place += 1,
                Next::End if source >= self.sources.len() => return None,
                Next::End => {
                    self.records = None;
                    self.source += 1;
                }
            }
        }
    }

    fn next_of_source(&mut self) -> Result<Next> {
        let Some(source) = self.sources.get_mut(self.source) else { return Ok(Next::End) };
        if let Content::Files(files) = &mut source.content {
            return Ok(match self.surveying {
                true => files.pass_over(),
                false => files.read_next(&self.bytes_read),
            });
        }
        if self.records.is_none() {
            self.records = Some(documents_of(source, &self.options, &self.bytes_read)?);
        }
        match self.records.as_mut().and_then(Iterator::next) {
            Some(document) => Ok(Next::Document(document?)),
            None => Ok(Next::End),
        }
    }

    /// Goes back to the first document.
    pub(crate) fn rewind(&mut self) {
        self.records = None;
        (self.source, self.place) = (0, 0);
        self.sources.iter_mut().for_each(Source::rewind);
        self.bytes_read.store(0, Ordering::Relaxed);
    }
}

/// What comes next in a source.
pub(crate) enum Next {
    Document(Document),
    /// Another document of the same file of a folder.
    Further(Document),
    /// A file that has not changed, or that is none.
    PassedOver,
    End,
}

impl Iterator for CorpusReader {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_placed()?.map(|placed| placed.document))
    }
}

fn documents_of(source: &Source, options: &CorpusOptions, bytes_read: &Arc<AtomicU64>) -> Result<Documents> {
    let name = source.name();
    if source.format() == Format::Mbox {
        return Ok(Box::new(mbox::MboxDocuments::new(source.open_bytes(bytes_read)?, name)));
    }
    if source.format() == Format::Parquet {
        return Ok(Box::new(table::TableDocuments::new(source.file()?, name, options)));
    }
    let mut input = source.open(bytes_read, options.encoding)?;
    let shape = input.fill_buf().ok().and_then(json::shape_of);
    let format = match source.format() {
        Format::Auto if options.whole_files && shape.is_some() => Format::Jsonl,
        format => format,
    };
    Ok(match format {
        Format::Auto | Format::Text | Format::Mbox | Format::Parquet | Format::Document(_) => {
            Box::new(text::TextDocuments::new(input, name, options.keep_blank_lines, source.lines()))
        }
        Format::Jsonl if shape == Some(json::Shape::Values) || json::is_array(&mut input) => {
            Box::new(json::JsonValues::new(input, name, options))
        }
        Format::Jsonl => Box::new(jsonl::JsonLines::new(input, name, options)),
        Format::Csv => Box::new(csv::CsvDocuments::new(input, name, options, b',')?),
        Format::Tsv => Box::new(csv::CsvDocuments::new(input, name, options, b'\t')?),
    })
}

/// Refuses an id that nobody could ask for again.
fn check_id(id: &str, file: &str, line: u64) -> Result<()> {
    let reason = if id.is_empty() {
        "the id is empty: give each document an id of its own".to_owned()
    } else if id.len() > MAX_ID_BYTES {
        format!("the id has {} bytes, and at most {MAX_ID_BYTES} are allowed: shorten it", id.len())
    } else {
        return Ok(());
    };
    Err(Error::Corpus { file: file.to_owned(), line, reason })
}

/// The ending of a name, in small letters.
fn extension(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// A name without the ending of a compression.
fn without_ending(path: &Path) -> PathBuf {
    let mut name = path.to_path_buf();
    if unpack::ENDINGS.contains(&extension(path).as_str()) {
        name.set_extension("");
    }
    name
}

/// The format of a file by its name.
fn format_of(path: &Path) -> Format {
    let name = without_ending(path);
    match extension(&name).as_str() {
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        "csv" => Format::Csv,
        "tsv" => Format::Tsv,
        "mbox" => Format::Mbox,
        "parquet" => Format::Parquet,
        _ => documents::of_name(&name).map_or(Format::Text, Format::Document),
    }
}
