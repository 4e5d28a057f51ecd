//! JSON lines: one document for each object.

use akin_index::{Document, Metadata};
use serde_json::Value;

use super::lines::Lines;
use super::source::Input;
use super::{CorpusOptions, LISTED_FIELDS, check_id};
use crate::{Error, FieldRole, Result};

/// The objects of a file as documents; fields that are neither id nor text become metadata.
pub(super) struct JsonDocuments {
    lines: Lines,
    id_field: String,
    text_field: String,
}

impl JsonDocuments {
    pub(super) fn new(input: Input, file: String, options: &CorpusOptions) -> Self {
        Self {
            lines: Lines::new(input, file),
            id_field: options.id_field.clone(),
            text_field: options.text_field.clone(),
        }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        let object = loop {
            let Some(line) = self.lines.next_line()? else {
                return Ok(None);
            };
            if !line.trim().is_empty() {
                break serde_json::from_str::<Metadata>(line);
            }
        };
        let mut fields = object.map_err(|error| {
            self.lines.fault(format!(
                "not a JSON object (column {}: {}): each line is one object",
                error.column(),
                kind_of(&error)
            ))
        })?;
        // Both are checked before either is removed, so that an error can list all fields.
        let id = match fields.get(&self.id_field) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
            Some(_) => {
                return Err(self
                    .lines
                    .fault(format!("the field \"{}\" is neither a string nor an integer", self.id_field)));
            }
            None => {
                return Err(self.missing(FieldRole::Id, &fields));
            }
        };
        check_id(&id, self.lines.file(), self.lines.number())?;
        let text = match fields.get(&self.text_field) {
            Some(Value::String(text)) => text.clone(),
            Some(_) => {
                return Err(self.lines.fault(format!("the field \"{}\" is not a string", self.text_field)));
            }
            None => {
                return Err(self.missing(FieldRole::Text, &fields));
            }
        };
        fields.shift_remove(&self.id_field);
        fields.shift_remove(&self.text_field);
        Ok(Some(Document { id, text, metadata: fields }))
    }

    fn missing(&self, role: FieldRole, fields: &Metadata) -> Error {
        let field = match role {
            FieldRole::Id => &self.id_field,
            FieldRole::Text => &self.text_field,
        };
        Error::MissingField {
            file: self.lines.file().to_owned(),
            line: self.lines.number(),
            field: field.clone(),
            role,
            present: fields.keys().take(LISTED_FIELDS).cloned().collect(),
        }
    }
}

/// The parser's message without its position, which counts lines of one object and not of the file.
fn kind_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or(&message).to_owned()
}

impl Iterator for JsonDocuments {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
