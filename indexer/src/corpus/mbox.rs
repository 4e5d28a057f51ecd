//! Mailboxes: one document for each message.

use std::io::{BufRead, Read};

use akin_index::Document;

use super::source::Input;
use super::{MAX_ID_BYTES, check_id};
use crate::documents::{self, Extracted};
use crate::{Error, Result};

/// Of a message no more bytes are kept: 64 MiB. What follows are attachments.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A part of a line that is read at once: a line may be as long as a message.
const PART: u64 = 64 << 10;

/// The messages of a mailbox, known by their `Message-ID`, or as `FILE:NUMBER` where they have none.
pub(super) struct MboxDocuments {
    input: Input,
    file: String,
    /// The line that was read last, from 1.
    line: u64,
    /// Messages that were read.
    number: usize,
    part: Vec<u8>,
    began: bool,
    ended: bool,
}

impl MboxDocuments {
    pub(super) fn new(input: Input, file: String) -> Self {
        Self { input, file, line: 0, number: 0, part: Vec::new(), began: false, ended: false }
    }

    fn read(&mut self) -> Result<Option<Document>> {
        while let Some(message) = self.next_message()? {
            self.number += 1;
            // What cannot be read of it is no reason to end.
            let Ok(read) = documents::read_message(message) else { continue };
            let Extracted { text, metadata } = read.extracted;
            let id = read.id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES);
            let id = id.unwrap_or_else(|| format!("{}:{}", self.file, self.number));
            check_id(&id, &self.file, self.line)?;
            return Ok(Some(Document { id, text, metadata }));
        }
        Ok(None)
    }

    /// The bytes of the next message, without the line before it and the `>` before lines that begin like that one.
    fn next_message(&mut self) -> Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        let (mut begins_line, mut after_blank) = (true, true);
        while !self.ended {
            self.part.clear();
            let read = self.input.by_ref().take(PART).read_until(b'\n', &mut self.part);
            read.map_err(|error| Error::unread_on(&self.file, self.line + 1, &error))?;
            if self.part.is_empty() {
                self.ended = true;
                break;
            }
            self.line += u64::from(begins_line);
            if begins_line && after_blank && documents::is_mail_separator(&self.part) {
                if std::mem::replace(&mut self.began, true) {
                    return Ok(Some(message));
                }
                after_blank = false;
                continue;
            }
            if !self.began {
                let reason = "not a mailbox: it begins with a line of `From`, who sent the message, and when";
                return Err(Error::Corpus {
                    file: self.file.clone(),
                    line: self.line,
                    reason: reason.into(),
                });
            }
            let quotes = self.part.iter().take_while(|byte| **byte == b'>').count();
            let is_quoted = begins_line && quotes > 0 && self.part[quotes..].starts_with(b"From ");
            let kept = &self.part[usize::from(is_quoted)..];
            if message.len() + kept.len() <= MAX_MESSAGE_BYTES {
                message.extend_from_slice(kept);
            }
            after_blank = begins_line && matches!(&self.part[..], b"\n" | b"\r\n");
            begins_line = self.part.ends_with(b"\n");
        }
        Ok(std::mem::take(&mut self.began).then_some(message))
    }
}

impl Iterator for MboxDocuments {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mailbox: &str) -> Result<Vec<(String, String)>, String> {
        let input = Box::new(std::io::Cursor::new(mailbox.as_bytes().to_vec()));
        let documents = MboxDocuments::new(input, "all.mbox".into());
        let read = documents.map(|document| document.map(|read| (read.id, read.text)));
        read.collect::<Result<_>>().map_err(|error| error.to_string())
    }

    #[test]
    fn each_message_is_a_document_named_by_its_id_or_number() {
        let mailbox = "From a@b Fri Jul  8 12:08:34 2011\nFrom: a@b\nMessage-ID: <1@b>\nSubject: s\n\nfirst\n>From here\n\n\
            From the sea, 10:30 or so.\n\nFrom c@d Sat Jul  9 12:08:34 2011\nFrom: c@d\nSubject: t\n\nsecond\n";
        let first = "first\nFrom here\n\nFrom the sea, 10:30 or so.";
        let expected = [("1@b", first), ("all.mbox:2", "second")];
        assert_eq!(read(mailbox).unwrap(), expected.map(|(id, text)| (id.to_owned(), text.to_owned())));
        assert_eq!(read("").unwrap(), []);
        let error = read("From: a@b\n\ntext").unwrap_err();
        assert!(error.starts_with("all.mbox:1: not a mailbox"), "{error}");
    }
}
