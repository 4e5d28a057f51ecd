//! Reads corpora: text, JSON lines, CSV and TSV, plain, gzip or zstd.
//!
//! A reader holds one document at a time, so memory does not grow with the corpus.

mod csv;
mod jsonl;
mod lines;
mod source;
mod survey;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use akin_index::Document;

use crate::{Error, Result};
use source::Source;
pub use survey::Survey;

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
    /// By the file's extension, below `.gz` or `.zst`; text for any other, and for stdin.
    #[default]
    Auto,
    /// A document a line, known as `FILE:LINE`. Blank lines are passed over.
    Text,
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated with a header, fields quoted where they need it.
    Csv,
    /// Tab-separated with a header, nothing quoted.
    Tsv,
}

/// How a corpus is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusOptions {
    /// The format of its files.
    pub format: Format,
    /// The field that names a document, in all formats but text.
    pub id_field: String,
    /// The field with the text that is encoded, in all formats but text.
    pub text_field: String,
    /// Whether a blank line of a text is a document too, and not skipped. Queries want that: the answer to line n
    /// is then line n.
    pub keep_blank_lines: bool,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            id_field: "id".into(),
            text_field: "text".into(),
            keep_blank_lines: false,
        }
    }
}

/// Reads the documents of some files, in order.
pub struct CorpusReader {
    sources: Vec<Source>,
    options: CorpusOptions,
    /// The source that is read now, and how its documents are cut.
    current: Option<Documents>,
    next_source: usize,
    bytes_read: Arc<AtomicU64>,
}

/// The documents of one file.
type Documents = Box<dyn Iterator<Item = Result<Document>> + Send>;

impl CorpusReader {
    /// Opens a corpus of files, or of stdin where a path is `-`.
    ///
    /// # Errors
    /// [`Error::Read`] for the first path that is missing, is a directory or may not be read.
    pub fn open(paths: &[PathBuf], options: &CorpusOptions) -> Result<Self> {
        let sources = paths.iter().map(|path| Source::named(path, options.format)).collect::<Result<_>>()?;
        Ok(Self {
            sources,
            options: options.clone(),
            current: None,
            next_source: 0,
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

    /// The names of the files, as an error says them.
    pub fn name(&self) -> String {
        self.sources.iter().map(Source::name).collect::<Vec<_>>().join(", ")
    }

    fn next_document(&mut self) -> Option<Result<Document>> {
        loop {
            if let Some(documents) = &mut self.current {
                match documents.next() {
                    Some(Ok(document)) => return Some(Ok(document)),
                    Some(Err(error)) => {
                        self.end();
                        return Some(Err(error));
                    }
                    None => self.current = None,
                }
            }
            let source = self.sources.get(self.next_source)?;
            self.next_source += 1;
            match documents_of(source, &self.options, &self.bytes_read) {
                Ok(documents) => self.current = Some(documents),
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
    }

    /// After an error there is no next document.
    fn end(&mut self) {
        self.current = None;
        self.next_source = self.sources.len();
    }

    /// Begins again at the first document.
    fn rewind(&mut self) {
        self.current = None;
        self.next_source = 0;
        self.bytes_read.store(0, Ordering::Relaxed);
    }
}

impl Iterator for CorpusReader {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_document()
    }
}

fn documents_of(source: &Source, options: &CorpusOptions, bytes_read: &Arc<AtomicU64>) -> Result<Documents> {
    let input = source.open(bytes_read)?;
    let name = source.name();
    Ok(match source.format() {
        Format::Auto | Format::Text => {
            Box::new(text::TextDocuments::new(input, name, options.keep_blank_lines))
        }
        Format::Jsonl => Box::new(jsonl::JsonDocuments::new(input, name, options)),
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

/// The format that a file's name tells.
fn format_of(path: &Path) -> Format {
    let mut name = path.to_path_buf();
    let extension =
        |path: &Path| path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if matches!(extension(&name).as_str(), "gz" | "zst") {
        name.set_extension("");
    }
    match extension(&name).as_str() {
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        "csv" => Format::Csv,
        "tsv" => Format::Tsv,
        _ => Format::Text,
    }
}
