//! Plain text: one document for each line.

use std::sync::{Arc, Mutex, PoisonError};

use akin_index::{Document, Metadata};

use super::lines::Lines;
use super::source::Input;
use crate::Result;

/// The lines of a text as documents with the id `FILE:LINE`.
pub(super) struct TextDocuments {
    lines: Lines,
    keep_blank_lines: bool,
    seen: Arc<Mutex<LinesSeen>>,
}

/// Which lines of a text are documents, beside those that were the last time.
#[derive(Debug, Default)]
pub(crate) struct LinesSeen {
    /// The last line that was there the last time; 0 if nothing is known.
    pub(crate) known: u64,
    /// The last line that is there now; 0 before the whole text was read.
    pub(crate) last: u64,
    /// Lines that are blank now, of those up to `known`.
    pub(crate) blank: Vec<u64>,
}

impl TextDocuments {
    pub(super) fn new(
        input: Input,
        file: String,
        keep_blank_lines: bool,
        seen: Arc<Mutex<LinesSeen>>,
    ) -> Self {
        seen.lock().unwrap_or_else(PoisonError::into_inner).blank.clear();
        Self { lines: Lines::new(input, file), keep_blank_lines, seen }
    }

    /// Notes a line that is no document.
    fn note_blank(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lines.number() <= seen.known {
            seen.blank.push(self.lines.number());
        }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        loop {
            let Some(line) = self.lines.next_line()? else {
                // Its number is that of the line that is not there.
                let last = self.lines.number() - 1;
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).last = last;
                return Ok(None);
            };
            if self.keep_blank_lines || !line.trim().is_empty() {
                let text = line.to_owned();
                let id = format!("{}:{}", self.lines.file(), self.lines.number());
                super::check_id(&id, self.lines.file(), self.lines.number())?;
                return Ok(Some(Document { id, text, metadata: Metadata::new() }));
            }
            self.note_blank();
        }
    }
}

impl Iterator for TextDocuments {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
