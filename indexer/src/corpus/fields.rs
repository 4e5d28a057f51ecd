//! Makes a document of the fields of a record in JSON.

use akin_index::{Document, Metadata};
use serde_json::Value;

use super::{CorpusOptions, LISTED_FIELDS, check_id};
use crate::{Error, FieldRole, Result};

/// Which fields are the id and the text of a document.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    id: String,
    require_ids: bool,
    text: String,
}

/// Where a record begins.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: u64,
}

impl Place<'_> {
    pub(super) fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Corpus { file: self.file.to_owned(), line: self.line, reason: reason.into() }
    }
}

impl Fields {
    pub(super) fn new(options: &CorpusOptions) -> Self {
        Self {
            id: options.id_field.clone(),
            require_ids: options.require_ids,
            text: options.text_field.clone(),
        }
    }

    /// The document of a record; fields that are neither id nor text are its metadata. `json` is what the record was read from.
    pub(super) fn document(&self, mut fields: Metadata, json: &str, place: &Place<'_>) -> Result<Document> {
        // Both are checked before either is removed, so that an error can list all fields.
        let id = match fields.get(&self.id) {
            _ if !self.require_ids => format!("{}:{}", place.file, place.line),
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
            Some(_) => {
                let reason =
                    format!("the field \"{}\" is neither a string nor an integer of 64 bits", self.id);
                return Err(place.fault(reason));
            }
            None => return Err(self.missing(FieldRole::Id, &fields, place)),
        };
        if self.require_ids {
            check_id(&id, place.file, place.line)?;
        }
        let text = match fields.get(&self.text) {
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err(place.fault(format!("the field \"{}\" is not a string", self.text))),
            None => return Err(self.missing(FieldRole::Text, &fields, place)),
        };
        if fields.values().any(has_float)
            && let Some(digits) = long_integer(json)
        {
            return Err(place.fault(format!(
                "the integer {} has more than 64 bits and would lose digits: put it in quotes, and it is kept as a text",
                shortened(digits)
            )));
        }
        fields.shift_remove(&self.id);
        fields.shift_remove(&self.text);
        Ok(Document { id, text, metadata: fields })
    }

    fn missing(&self, role: FieldRole, fields: &Metadata, place: &Place<'_>) -> Error {
        let field = match role {
            FieldRole::Id => &self.id,
            FieldRole::Text => &self.text,
        };
        Error::MissingField {
            file: place.file.to_owned(),
            line: place.line,
            field: field.clone(),
            role,
            present: fields.keys().take(LISTED_FIELDS).cloned().collect(),
        }
    }
}

/// The parser's message without its position, which counts from the beginning of one record.
pub(super) fn kind_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or(&message).to_owned()
}

/// Whether a number in it was read as a float.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        _ => false,
    }
}

/// The first integer in some JSON that neither an `i64` nor a `u64` holds: it would be read as a float, which has 53 bits.
fn long_integer(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let end =
                    bytes[at..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |to| at + to);
                let number = &json[at..end];
                let is_integer = !number.contains(['.', 'e', 'E']);
                // Minus zero is a float, and loses nothing.
                if is_integer
                    && number != "-0"
                    && number.parse::<i64>().is_err()
                    && number.parse::<u64>().is_err()
                {
                    return Some(number);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// The byte after a string of JSON that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// A number that finds room in an error.
fn shortened(digits: &str) -> String {
    if digits.len() <= 40 { digits.to_owned() } else { format!("{}…", &digits[..40]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_would_lose_digits_are_found_and_no_other_numbers() {
        for (json, expected) in [
            (r#"{"a": 18446744073709551615, "b": -9223372036854775808}"#, None),
            (r#"{"a": 18446744073709551616}"#, Some("18446744073709551616")),
            (r#"[1, [-9223372036854775809]]"#, Some("-9223372036854775809")),
            (r#"{"a": "18446744073709551616", "b\"18446744073709551616": 1.5}"#, None),
            (r#"{"a": 1e30, "b": 0.12345678901234567890123, "c": -0}"#, None),
            (r#""\\" 99999999999999999999"#, Some("99999999999999999999")),
            (r#""open"#, None),
        ] {
            assert_eq!(long_integer(json), expected, "{json}");
        }
    }
}
