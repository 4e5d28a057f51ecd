//! Splits an input into lines of UTF-8, and refuses lines that are too long.

use std::io::{BufRead, Read};

use super::MAX_LINE_BYTES;
use super::source::Input;
use crate::{Error, Result};

/// Splits an input into lines without their ends, and counts them.
pub(super) struct Lines {
    input: Input,
    file: String,
    /// The line read last, from 1.
    number: u64,
    bytes: Vec<u8>,
}

impl Lines {
    pub(super) fn new(input: Input, file: String) -> Self {
        Self { input, file, number: 0, bytes: Vec::new() }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// An error on the line read last.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Corpus { file: self.file.clone(), line: self.number, reason: reason.into() }
    }

    /// The next line, or `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<&str>> {
        self.bytes.clear();
        self.number += 1;
        let limit = MAX_LINE_BYTES as u64 + 2;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.bytes);
        if let Err(error) = read {
            return Err(Error::unread_on(&self.file, self.number, &error));
        }
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if self.bytes.last() == Some(&b'\n') {
            self.bytes.pop();
            if self.bytes.last() == Some(&b'\r') {
                self.bytes.pop();
            }
        }
        if self.bytes.len() > MAX_LINE_BYTES {
            return Err(self.fault(too_long()));
        }
        let mark: &[u8] =
            if self.number == 1 && self.bytes.starts_with(b"\xef\xbb\xbf") { b"\xef\xbb\xbf" } else { b"" };
        match check_text(&self.bytes[mark.len()..]) {
            Ok(_) => Ok(std::str::from_utf8(&self.bytes[mark.len()..]).ok()),
            Err(fault) => Err(fault.at(&self.file, self.number, "the line")),
        }
    }
}

/// The reason that a line is refused which is longer than the limit.
pub(super) fn too_long() -> String {
    format!(
        "the line is longer than {} MiB: split it, or read the file in another format if a document is not a line",
        MAX_LINE_BYTES >> 20
    )
}

/// Bytes of a line that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoText {
    /// Not UTF-8 from this byte on, from 1.
    Encoding(u64),
    /// A NUL at this byte, from 1.
    Nul(u64),
}

impl NoText {
    /// The error on a line, of which `part` was read.
    pub(super) fn at(self, file: &str, line: u64, part: &str) -> Error {
        let file = file.to_owned();
        match self {
            Self::Encoding(byte) => Error::NotUtf8 { file, line, place: format!("byte {byte} of {part}") },
            Self::Nul(byte) => {
                let reason = format!(
                    "a NUL byte at byte {byte} of {part}: this looks like a binary file, and only text can be indexed"
                );
                Error::Corpus { file, line, reason }
            }
        }
    }
}

/// Accepts UTF-8 without NUL; otherwise says where it fails.
pub(super) fn check_text(bytes: &[u8]) -> Result<&str, NoText> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| NoText::Encoding(error.valid_up_to() as u64 + 1))?;
    match text.find('\0') {
        Some(at) => Err(NoText::Nul(at as u64 + 1)),
        None => Ok(text),
    }
}
