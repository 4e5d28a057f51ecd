//! Files within a folder that hold many documents: mailboxes, JSON lines and Parquet tables.
//!
//! Their documents are known as `FILE:NUMBER`. So the number of them is all that an index need remember of a file to remove
//! what the file no longer has. What a record calls itself becomes a field.

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use akin_index::{Document, Metadata};
use serde_json::Value;

use super::encoding::in_utf8;
use super::source::Input;
use super::{CorpusOptions, Documents, extension, jsonl, mbox, table};
use crate::Result;
use crate::documents::{self, Unread};

/// The field with the `Message-ID` of a mail.
const MESSAGE_ID: &str = "message_id";

/// The field with the id of a record.
const RECORD_ID: &str = "record_id";

/// How a file holds many documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mailbox,
    JsonLines,
    Parquet,
}

/// How documents are made of records.
#[derive(Debug, Clone)]
pub(super) struct RecordOptions {
    id_field: String,
    options: CorpusOptions,
}

impl RecordOptions {
    pub(super) fn of(options: &CorpusOptions) -> Self {
        let id_field = options.id_field.clone();
        // No record is asked for its id, which stays among the other fields.
        let options = CorpusOptions { require_ids: false, id_field: String::new(), ..options.clone() };
        Self { id_field, options }
    }
}

/// The documents of a file that holds many, and `None` for a file that is one document. `id` is that of the file.
///
/// Records are read through before the first is given: a file with a fault in it brings nothing.
///
/// # Errors
/// [`Unread`] for what cannot be read.
pub(super) fn documents_of(
    name: &Path,
    id: &str,
    bytes: &mut Vec<u8>,
    records: &RecordOptions,
) -> Result<Option<Documents>, Unread> {
    let Some(kind) = kind_of(name, bytes, &records.options) else { return Ok(None) };
    let bytes: Arc<[u8]> = std::mem::take(bytes).into();
    let opened = || open(kind, &bytes, id, &records.options);
    if kind != Kind::Mailbox {
        let all = opened()?.try_fold(0, |count, document| document.map(|_| count + 1));
        if all.map_err(|error| Unread::Because(error.to_string()))? == 0 {
            return Err(Unread::Because("there is no record in it".into()));
        }
    }
    let (file, id_field) = (id.to_owned(), records.id_field.clone());
    let numbered = opened()?.enumerate().map(move |(at, document)| {
        let mut document = document?;
        match kind {
            Kind::Mailbox if !document.id.starts_with(&format!("{file}:")) => {
                document.metadata.insert(MESSAGE_ID.into(), document.id.into());
            }
            Kind::Mailbox => {}
            Kind::JsonLines | Kind::Parquet => {
                if let Some(id) = document.metadata.shift_remove(&id_field) {
                    document.metadata.entry(RECORD_ID).or_insert(id);
                }
            }
        }
        Ok(Document { id: numbered_id(&file, at + 1), ..document })
    });
    Ok(Some(Box::new(numbered)))
}

/// The id of a document of a file, from 1.
pub(crate) fn numbered_id(file: &str, number: usize) -> String {
    format!("{file}:{number}")
}

/// How a file holds many documents, if it does. JSON lines are records if the first has the field of the text: settings and logs
/// in JSON are texts.
fn kind_of(name: &Path, bytes: &[u8], options: &CorpusOptions) -> Option<Kind> {
    match extension(name).as_str() {
        "parquet" => Some(Kind::Parquet),
        "jsonl" | "ndjson" => has_text(bytes, options).then_some(Kind::JsonLines),
        "mbox" => Some(Kind::Mailbox),
        _ if documents::of_name(name).is_none() && documents::is_mailbox(bytes) => Some(Kind::Mailbox),
        _ => None,
    }
}

/// Whether the first line is an object with a text.
fn has_text(bytes: &[u8], options: &CorpusOptions) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    serde_json::from_slice::<Metadata>(first)
        .is_ok_and(|record| record.get(&options.text_field).is_some_and(Value::is_string))
}

fn open(kind: Kind, bytes: &Arc<[u8]>, id: &str, options: &CorpusOptions) -> Result<Documents, Unread> {
    let unread = |error: std::io::Error| Unread::Because(format!("it cannot be read: {error}"));
    let input: Input = Box::new(Cursor::new(Arc::clone(bytes)));
    let file = id.to_owned();
    Ok(match kind {
        Kind::Mailbox => Box::new(mbox::MboxDocuments::new(input, file)),
        Kind::JsonLines => {
            let input = in_utf8(input, options.encoding).map_err(unread)?;
            Box::new(jsonl::JsonLines::new(input, file, options))
        }
        Kind::Parquet => {
            // The reader goes back and forth in a file, and this one may have been unpacked.
            let mut copy = tempfile::tempfile().map_err(unread)?;
            copy.write_all(bytes).map_err(unread)?;
            Box::new(table::TableDocuments::new(copy, file, options))
        }
    })
}
