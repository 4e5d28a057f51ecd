//! JSON that is not lines: an array of objects, or objects one after another, each over as many lines as it likes. An object is
//! held at a time.

use std::io::BufRead;

use akin_index::{Document, Metadata};

use super::fields::{Fields, Place, kind_of};
use super::source::Input;
use super::{CorpusOptions, MAX_LINE_BYTES};
use crate::{Error, Result};

/// The objects of a file as documents; fields that are neither id nor text become metadata.
pub(super) struct JsonValues {
    input: Input,
    file: String,
    fields: Fields,
    /// The line that is read now, from 1.
    line: u64,
    state: State,
    /// The object that is read now.
    object: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Beginning,
    /// In an array, before its first element.
    First,
    /// In an array, after an element.
    Array,
    /// Between objects that are in no array.
    Objects,
    /// After the array.
    Ended,
}

/// How a file of JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// An object a line.
    Lines,
    /// An array, or objects over several lines.
    Values,
}

/// How JSON is written that begins so; `None` if it does not begin as objects do. The beginning need not be whole.
pub(super) fn shape_of(beginning: &[u8]) -> Option<Shape> {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let within = beginning.get(1..).unwrap_or_default().trim_ascii_start();
    match beginning.first()? {
        b'[' if matches!(within.first(), Some(b'{' | b']')) => Some(Shape::Values),
        b'{' => {
            let end = beginning.iter().position(|byte| *byte == b'\n');
            let line = &beginning[..end.unwrap_or(beginning.len())];
            match serde_json::from_slice::<Metadata>(line) {
                Ok(_) => Some(Shape::Lines),
                // The line ends before its object does.
                Err(error)
                    if error.is_eof() && end.is_some() && matches!(within.first(), Some(b'"' | b'}')) =>
                {
                    Some(Shape::Values)
                }
                Err(error) if error.is_eof() && end.is_none() => Some(Shape::Lines),
                Err(_) => None,
            }
        }
        _ => None,
    }
}

/// Whether an input begins as an array does, whatever is in it. One that cannot be read is none: reading it says why.
pub(super) fn is_array(input: &mut Input) -> bool {
    let Ok(beginning) = input.fill_buf() else { return false };
    beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start().starts_with(b"[")
}

impl JsonValues {
    pub(super) fn new(input: Input, file: String, options: &CorpusOptions) -> Self {
        let fields = Fields::new(options);
        Self { input, file, fields, line: 1, state: State::Beginning, object: Vec::new() }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        loop {
            let next = self.peek()?;
            self.state = match (self.state, next) {
                (State::Beginning, Some(b'[')) => State::First,
                (State::First | State::Array, Some(b']')) => State::Ended,
                (State::Beginning | State::Objects, Some(b'{')) => {
                    self.state = State::Objects;
                    return self.document().map(Some);
                }
                (State::First, Some(b'{')) => {
                    self.state = State::Array;
                    return self.document().map(Some);
                }
                (State::Array, Some(b',')) => {
                    self.input.consume(1);
                    if self.peek()? == Some(b'{') {
                        return self.document().map(Some);
                    }
                    return Err(self.fault("not an object: each element of the array is to be one"));
                }
                (State::Beginning | State::Objects | State::Ended, None) => return Ok(None),
                (_, None) => {
                    return Err(
                        self.fault("the array is never closed: the file is cut off, so fetch it again")
                    );
                }
                (State::First, _) => {
                    return Err(self.fault("not an object: each element of the array is to be one"));
                }
                (State::Array, _) => return Err(self.fault("no comma after an element of the array")),
                (State::Ended, _) => return Err(self.fault("there is more after the end of the array")),
                _ => {
                    return Err(self.fault(
                        "not a JSON object: the file is to be an object a line, an array of objects, or objects one \
                         after another",
                    ));
                }
            };
            self.input.consume(1);
        }
    }

    /// The next byte that is not blank. It stays to be read.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let bytes =
                self.input.fill_buf().map_err(|error| Error::unread_on(&self.file, self.line, &error))?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let begins = self.state == State::Beginning;
            // The mark at the beginning of a file.
            let is_blank =
                |byte: &u8| byte.is_ascii_whitespace() || begins && matches!(byte, 0xef | 0xbb | 0xbf);
            let blanks = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
            self.line += bytes[..blanks].iter().filter(|byte| **byte == b'\n').count() as u64;
            let next = bytes.get(blanks).copied();
            self.input.consume(blanks);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Reads the object that begins here.
    fn document(&mut self) -> Result<Document> {
        let begin = self.line;
        self.object.clear();
        let mut extent = Extent::default();
        loop {
            let bytes =
                self.input.fill_buf().map_err(|error| Error::unread_on(&self.file, self.line, &error))?;
            let place = Place { file: &self.file, line: begin };
            if bytes.is_empty() {
                return Err(place.fault("the object is never closed: the file is cut off, so fetch it again"));
            }
            let end = bytes.iter().position(|byte| extent.ends_with(*byte));
            let part = &bytes[..end.map_or(bytes.len(), |at| at + 1)];
            if self.object.len() + part.len() > MAX_LINE_BYTES {
                return Err(
                    place.fault(format!("the object is longer than {} MiB: split it", MAX_LINE_BYTES >> 20))
                );
            }
            self.object.extend_from_slice(part);
            self.line += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            let read = part.len();
            self.input.consume(read);
            if end.is_some() {
                break;
            }
        }
        let place = Place { file: &self.file, line: begin };
        let json = std::str::from_utf8(&self.object).map_err(|error| {
            let before = &self.object[..error.valid_up_to()];
            let lines = before.iter().filter(|byte| **byte == b'\n').count();
            let at = before.len() - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |line| line + 1);
            let place = format!("byte {} of the line", at + 1);
            Error::NotUtf8 { file: self.file.clone(), line: begin + lines as u64, place }
        })?;
        let object = serde_json::from_str::<Metadata>(json).map_err(|error| {
            let line = begin + (error.line() as u64).saturating_sub(1);
            Place { file: &self.file, line }.fault(format!("not JSON: {}", kind_of(&error)))
        })?;
        self.fields.document(object, json, &place)
    }

    fn fault(&self, reason: &str) -> Error {
        Place { file: &self.file, line: self.line }.fault(reason)
    }
}

/// How deep in an object a reader is.
#[derive(Debug, Default)]
struct Extent {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Extent {
    /// Whether the object ends with this byte.
    fn ends_with(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => return false,
        }
        self.depth == 0
    }
}

impl Iterator for JsonValues {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_json_is_told_by_its_beginning() {
        for (beginning, expected) in [
            ("{\"id\": 1}\n{\"id\"", Some(Shape::Lines)),
            ("\u{feff}\n[ {\"id\": 1", Some(Shape::Values)),
            ("[]", Some(Shape::Values)),
            ("{\n  \"id\": 1", Some(Shape::Values)),
            ("{\"id\": \"a long line that the beginning cu", Some(Shape::Lines)),
            ("{ a note in braces }\n", None),
            ("{\n", None),
            ("[1] a reference\n", None),
            ("text", None),
            ("", None),
        ] {
            assert_eq!(shape_of(beginning.as_bytes()), expected, "{beginning}");
        }
    }

    fn read(json: &str) -> Result<Vec<(String, u64)>, String> {
        let input = Box::new(std::io::Cursor::new(json.as_bytes().to_vec()));
        let documents = JsonValues::new(input, "a.json".into(), &CorpusOptions::default());
        let read = documents.map(|document| document.map(|read| (read.id, read.text.len() as u64)));
        read.collect::<Result<_>>().map_err(|error| error.to_string())
    }

    #[test]
    fn arrays_and_objects_one_after_another_are_read_whatever_lines_they_are_on() {
        let expected = Ok(vec![("a".to_owned(), 3), ("2".to_owned(), 1)]);
        let first = r#"{"id": "a", "text": "}\"]", "n": [{"x": {}}]}"#;
        for json in [
            format!("[{first},\n {{\"id\": 2,\n\"text\": \"b\"}}\n]\n"),
            format!("{first}\n{{\"id\": 2,\n\"text\": \"b\"}}"),
            format!("\u{feff} {first}{{\"id\": 2,\"text\": \"b\"}}"),
        ] {
            assert_eq!(read(&json), expected, "{json}");
        }
        assert_eq!(read("[ ]"), Ok(Vec::new()));
    }

    #[test]
    fn a_fault_has_its_line_and_what_would_be_right() {
        for (json, expected) in [
            ("[\n\"a\"]", "a.json:2: not an object"),
            ("[{\"id\":1,\"text\":\"a\"}\n{\"id\":1,\"text\":\"a\"}]", "a.json:2: no comma"),
            ("[{\"id\":1,\"text\":\"a\"},\n]", "a.json:2: not an object"),
            ("[\n{\"id\":1,\n\"text\":\"a\"", "a.json:2: the object is never closed"),
            ("[\n{\"id\":1,\"text\":\"a\"}", "a.json:2: the array is never closed"),
            ("[\n{\"id\":1,\n\"text\":a}]", "a.json:3: not JSON: expected value"),
            ("[]\n1", "a.json:2: there is more"),
            ("7", "a.json:1: not a JSON object"),
            ("[{\"id\":1}]", "a.json:1: there is no field \"text\" (fields here: id)"),
            (
                "[{\"id\":1,\"text\":\"a\",\"n\":[18446744073709551616]}]",
                "a.json:1: the integer 18446744073709551616",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(expected), "{error:?} of {json:?}");
        }
    }
}
