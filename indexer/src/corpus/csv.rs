//! CSV and TSV with a header: one document for each record.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use akin_index::Document;
use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::Value;

use super::lines::{check_text, too_long};
use super::source::Input;
use super::{CorpusOptions, LISTED_FIELDS, MAX_LINE_BYTES, check_id};
use crate::{Error, FieldRole, Result};

/// The records of a file as documents; columns that are neither id nor text become metadata.
pub(super) struct CsvDocuments {
    records: Reader<Bounded>,
    since_record: Arc<AtomicUsize>,
    /// The last bytes that were read, the last one lowest.
    tail: Arc<AtomicU64>,
    is_quoting: bool,
    /// The line of the record read last, if its last field goes on over several.
    spread: Option<u64>,
    record: ByteRecord,
    file: String,
    columns: Vec<String>,
    /// The column of the id; `None` where lines have no need of one.
    id: Option<usize>,
    text: usize,
}

impl CsvDocuments {
    /// Reads the header.
    pub(super) fn new(input: Input, file: String, options: &CorpusOptions, delimiter: u8) -> Result<Self> {
        let since_record = Arc::<AtomicUsize>::default();
        let tail = Arc::<AtomicU64>::default();
        let bounded = Bounded { input, since_record: since_record.clone(), tail: tail.clone() };
        let is_quoting = delimiter == b',';
        let mut records = ReaderBuilder::new().delimiter(delimiter).quoting(is_quoting).from_reader(bounded);
        let header = records.byte_headers().map_err(|error| fault_of(&file, 1, &error))?.clone();
        let mut columns = Vec::with_capacity(header.len());
        for column in &header {
            let column = check_text(column).map_err(|fault| fault.at(&file, 1, "a column's name"))?;
            columns.push(column.trim_start_matches('\u{feff}').to_owned());
        }
        if let Some((at, twice)) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name))
        {
            let reason = format!("column {} is named {twice:?} as one before it: rename one of them", at + 1);
            return Err(fault(&file, 1, reason));
        }
        let place = |field: &str, role: FieldRole| {
            columns.iter().position(|column| column == field).ok_or_else(|| Error::MissingField {
                file: file.clone(),
                line: 1,
                field: field.to_owned(),
                role,
                present: columns.iter().take(LISTED_FIELDS).cloned().collect(),
            })
        };
        // An empty file is an empty corpus, not one without the right columns.
        let (id, text) = if columns.is_empty() {
            (None, 0)
        } else {
            require_delimiter(&columns, delimiter, &file)?;
            let id = options.require_ids.then(|| place(&options.id_field, FieldRole::Id));
            (id.transpose()?, place(&options.text_field, FieldRole::Text)?)
        };
        Ok(Self {
            records,
            since_record,
            tail,
            is_quoting,
            spread: None,
            record: ByteRecord::new(),
            file,
            columns,
            id,
            text,
        })
    }

    /// Refuses a file that ends within quotes: its last record is all that follows them. The last field of a file has line
    /// ends only if it is quoted, and then the file ends with a quote.
    fn require_closed(&self) -> Result<()> {
        let tail = self.tail.load(Ordering::Relaxed).to_be_bytes();
        let end = tail.trim_ascii_end();
        match self.spread {
            Some(line) if self.is_quoting && !end.ends_with(b"\"") => Err(fault(
                &self.file,
                line,
                "a quote is opened and never closed: close it, or double it if it is one of the text",
            )),
            _ => Ok(()),
        }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        self.since_record.store(0, Ordering::Relaxed);
        let line = self.records.position().line();
        match self.records.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return self.require_closed().map(|()| None),
            Err(error) => return Err(fault_of(&self.file, line, &error)),
        }
        let line = self.record.position().map_or(line, csv::Position::line);
        self.spread = self.record.iter().next_back().filter(|field| field.contains(&b'\n')).map(|_| line);
        let mut document = Document::default();
        for (place, (column, value)) in self.columns.iter().zip(&self.record).enumerate() {
            let value = check_text(value)
                .map_err(|fault| fault.at(&self.file, line, &format!("column \"{column}\"")))?;
            if Some(place) == self.id {
                document.id = value.to_owned();
            } else if place == self.text {
                document.text = value.to_owned();
            } else {
                document.metadata.insert(column.clone(), Value::String(value.to_owned()));
            }
        }
        match self.id {
            Some(_) => check_id(&document.id, &self.file, line)?,
            None => document.id = format!("{}:{line}", self.file),
        }
        Ok(Some(document))
    }
}

impl Iterator for CsvDocuments {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn fault(file: &str, line: u64, reason: impl Into<String>) -> Error {
    Error::Corpus { file: file.to_owned(), line, reason: reason.into() }
}

fn fault_of(file: &str, line: u64, error: &csv::Error) -> Error {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(line, csv::Position::line);
            fault(
                file,
                line,
                format!(
                    "{len} fields, where the header has {expected_len}: check the delimiter, the quotes and the format"
                ),
            )
        }
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            fault(file, line, too_long())
        }
        csv::ErrorKind::Io(error) => Error::unread_on(file, line, error),
        _ => fault(
            file,
            line,
            format!("cannot read on: {error}: the file is cut off or damaged, so fetch it again"),
        ),
    }
}

/// Refuses a header of one column in which another sign stands between names.
fn require_delimiter(columns: &[String], delimiter: u8, file: &str) -> Result<()> {
    let [only] = columns else { return Ok(()) };
    let others = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars"), (b',', "commas")];
    match others.into_iter().find(|(sign, _)| *sign != delimiter && only.as_bytes().contains(sign)) {
        None => Ok(()),
        Some((_, signs)) => {
            let right = if delimiter == b',' { "commas (csv) or tabs (tsv)" } else { "tabs" };
            Err(fault(file, 1, format!("the columns are separated by {signs}: separate them by {right}")))
        }
    }
}

/// An input that fails once a record is longer than the limit, so that a quote that is never closed does not read
/// the whole file into memory.
struct Bounded {
    input: Input,
    /// Bytes read since the end of the last record.
    since_record: Arc<AtomicUsize>,
    tail: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_record.load(Ordering::Relaxed) > MAX_LINE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.input.read(buffer)?;
        self.since_record.fetch_add(count, Ordering::Relaxed);
        let last = buffer[..count].iter().rev().take(8).rev();
        let tail = last.fold(self.tail.load(Ordering::Relaxed), |tail, byte| tail << 8 | u64::from(*byte));
        self.tail.store(tail, Ordering::Relaxed);
        Ok(count)
    }
}
