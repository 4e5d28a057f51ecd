//! Writes documents as JSON lines: those of a corpus that is written again, or of an index.

use std::io::{self, Write};

use akin_index::Document;
use anyhow::bail;
use serde_json::{Map, Value};

/// Writes a document as a JSON line: its id and its text under these names, and its other fields.
///
/// Refuses one that has a field of such a name besides: one of the two would be lost.
pub fn write_line(
    output: &mut dyn Write,
    document: Document,
    id_field: &str,
    text_field: &str,
) -> anyhow::Result<()> {
    for (own, option) in [(id_field, "--id-field"), (text_field, "--text-field")] {
        if document.metadata.contains_key(own) {
            bail!(
                "the document {:?} has a field {own:?} besides, and one of the two would be lost: name \
                 another with {option}",
                document.id
            );
        }
    }
    let mut line = Map::new();
    line.insert(id_field.to_owned(), document.id.into());
    line.insert(text_field.to_owned(), document.text.into());
    line.extend(document.metadata);
    serde_json::to_writer(&mut *output, &Value::Object(line)).map_err(io::Error::from)?;
    Ok(output.write_all(b"\n")?)
}
