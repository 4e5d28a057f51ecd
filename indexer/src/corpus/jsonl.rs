//! JSON lines: one document for each object.

use akin_index::{Document, Metadata};

use super::CorpusOptions;
use super::fields::{Fields, Place, kind_of};
use super::lines::Lines;
use super::source::Input;
use crate::Result;

/// The objects of a file as documents; fields that are neither id nor text become metadata.
pub(super) struct JsonLines {
    lines: Lines,
    file: String,
    fields: Fields,
}

impl JsonLines {
    pub(super) fn new(input: Input, file: String, options: &CorpusOptions) -> Self {
        Self { lines: Lines::new(input, file.clone()), file, fields: Fields::new(options) }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        loop {
            let number = self.lines.number() + 1;
            let Some(line) = self.lines.next_line()? else { return Ok(None) };
            if line.trim().is_empty() {
                continue;
            }
            let place = Place { file: &self.file, line: number };
            let object = serde_json::from_str::<Metadata>(line).map_err(|error| {
                place.fault(format!(
                    "not a JSON object (column {}: {}): each line is one object",
                    error.column(),
                    kind_of(&error)
                ))
            })?;
            return self.fields.document(object, line, &place).map(Some);
        }
    }
}

impl Iterator for JsonLines {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
