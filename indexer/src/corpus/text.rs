//! Plain text: one document for each line.

use akin_index::{Document, Metadata};

use super::lines::Lines;
use super::source::Input;
use crate::Result;

/// The lines of a text as documents with the id `FILE:LINE`.
pub(super) struct TextDocuments {
    lines: Lines,
    keep_blank_lines: bool,
}

impl TextDocuments {
    pub(super) fn new(input: Input, file: String, keep_blank_lines: bool) -> Self {
        Self { lines: Lines::new(input, file), keep_blank_lines }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        loop {
            let Some(line) = self.lines.next_line()? else {
                return Ok(None);
            };
            if self.keep_blank_lines || !line.trim().is_empty() {
                let text = line.to_owned();
                let id = format!("{}:{}", self.lines.file(), self.lines.number());
                super::check_id(&id, self.lines.file(), self.lines.number())?;
                return Ok(Some(Document { id, text, metadata: Metadata::new() }));
            }
        }
    }
}

impl Iterator for TextDocuments {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
