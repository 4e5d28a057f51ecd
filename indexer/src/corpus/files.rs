//! Files that are one document each: which of them have changed, and what became of each.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use akin_index::Document;
use encoding_rs::Encoding;
use sha2::{Digest, Sha256};

use super::folder::{DocumentFile, Stamp};
use super::unpack::unpacked_bytes;
use super::{Next, check_id, without_ending};
use crate::documents::{self, DocumentFormat, Extracted, Unread};

/// No file that is a document is longer than this: 256 MiB. It is read whole.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A file that was changed less than this before it was read may change again without another time: 2 s, in nanoseconds.
const UNSURE: u64 = 2_000_000_000;

/// A file of which no document could be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// Why, in a few words.
    pub reason: String,
}

/// What is known of a file from the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownFile {
    pub(crate) stamp: Stamp,
    /// When it was read, in nanoseconds since 1970.
    pub(crate) read: u64,
    /// 128 bits of the SHA-256 of its bytes.
    pub(crate) hash: [u8; 16],
    pub(crate) outcome: FileOutcome,
}

/// What a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileOutcome {
    /// A document.
    Document,
    /// It should be one, and cannot be read.
    Skipped(String),
    /// It is no document: a picture, a program.
    LeftOut,
}

/// A file that was looked at, whether or not it had changed.
#[derive(Debug, Clone)]
pub(crate) struct ReadFile {
    pub(crate) id: String,
    /// Whether it is what it was.
    pub(crate) unchanged: bool,
    pub(crate) now: KnownFile,
}

/// Files, each of which is one document.
pub(crate) struct DocumentFiles {
    files: Vec<DocumentFile>,
    /// The format of all of them; that of each one's name and content if none is given.
    format: Option<DocumentFormat>,
    /// The encoding of texts without a mark; UTF-8 if none is given.
    encoding: Option<&'static Encoding>,
    /// What is known of them from the last time, by id.
    pub(crate) known: HashMap<String, KnownFile>,
    next: usize,
    /// Those that were looked at.
    pub(crate) read: Vec<ReadFile>,
}

impl DocumentFiles {
    pub(super) fn new(
        files: Vec<DocumentFile>,
        format: Option<DocumentFormat>,
        encoding: Option<&'static Encoding>,
    ) -> Self {
        Self { files, format, encoding, known: HashMap::new(), next: 0, read: Vec::new() }
    }

    /// How the files are read, where it is not as ever: what was read in another way is read again.
    pub(crate) fn way(&self) -> Option<&'static str> {
        self.encoding.map(Encoding::name)
    }

    /// The files in the order of their ids.
    pub(crate) fn files(&self) -> &[DocumentFile] {
        &self.files
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.stamp.bytes).sum()
    }

    pub(super) fn rewind(&mut self) {
        self.next = 0;
        self.read.clear();
    }

    /// Counts the next file.
    pub(super) fn pass_over(&mut self) -> Next {
        self.next += 1;
        if self.next > self.files.len() { Next::End } else { Next::PassedOver }
    }

    /// Those of which no document could be made, of those that were looked at.
    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let skipped = self.read.iter().filter_map(|file| match &file.now.outcome {
            FileOutcome::Skipped(reason) => Some(Skipped { file: file.id.clone(), reason: reason.clone() }),
            _ => None,
        });
        skipped.collect()
    }

    /// Reads the next file, unless it is what it was.
    pub(super) fn read_next(&mut self, bytes_read: &Arc<AtomicU64>) -> Next {
        let Some(file) = self.files.get(self.next) else { return Next::End };
        self.next += 1;
        bytes_read.fetch_add(file.stamp.bytes, Ordering::Relaxed);
        let known = self.known.get(&file.id);
        let (now, document) = look_at(file, known, self.format, self.encoding);
        let unchanged = known.is_some_and(|known| known.hash == now.hash && known.outcome == now.outcome);
        let read = ReadFile { id: file.id.clone(), unchanged: unchanged && document.is_none(), now };
        self.read.push(read);
        document.map_or(Next::PassedOver, Next::Document)
    }
}

/// What is to be known of a file, and its document if it is a new one.
fn look_at(
    file: &DocumentFile,
    known: Option<&KnownFile>,
    format: Option<DocumentFormat>,
    encoding: Option<&'static Encoding>,
) -> (KnownFile, Option<Document>) {
    let surely = |known: &&KnownFile| {
        known.stamp == file.stamp && known.stamp.modified.saturating_add(UNSURE) < known.read
    };
    if let Some(known) = known.filter(surely) {
        return (known.clone(), None);
    }
    let read = now();
    let known_as = |hash, outcome| KnownFile { stamp: file.stamp, read, hash, outcome };
    let bytes = match bytes_of(file) {
        Ok(bytes) => bytes,
        // Whatever it was, it is looked at again the next time.
        Err(reason) => {
            return (KnownFile { read: 0, ..known_as([0; 16], FileOutcome::Skipped(reason)) }, None);
        }
    };
    let hash = *Sha256::digest(&bytes).first_chunk().expect("a SHA-256 has 32 bytes");
    if let Some(known) = known.filter(|known| known.hash == hash) {
        return (known_as(hash, known.outcome.clone()), None);
    }
    let read = unpacked_file(&file.path, bytes)
        .and_then(|(name, bytes)| documents::read(&name, bytes, format, encoding));
    match read {
        Ok(Extracted { text, metadata }) => {
            let document = Document { id: file.id.clone(), text, metadata };
            match check_id(&document.id, &file.id, 0) {
                Ok(()) => (known_as(hash, FileOutcome::Document), Some(document)),
                Err(_) => {
                    (known_as(hash, FileOutcome::Skipped("its path is too long for an id".into())), None)
                }
            }
        }
        Err(Unread::NoDocument) => (known_as(hash, FileOutcome::LeftOut), None),
        Err(Unread::Because(reason)) => (known_as(hash, FileOutcome::Skipped(reason)), None),
    }
}

/// The bytes of a file and its name, both without their compression.
fn unpacked_file(path: &Path, bytes: Vec<u8>) -> Result<(PathBuf, Vec<u8>), Unread> {
    let unpacked = unpacked_bytes(bytes, MAX_FILE_BYTES)
        .map_err(|error| Unread::Because(format!("it cannot be unpacked: {error}")))?;
    match unpacked.len() as u64 > MAX_FILE_BYTES {
        true => Err(Unread::Because(format!("it unpacks to more than {} MiB", MAX_FILE_BYTES >> 20))),
        false => Ok((without_ending(path), unpacked)),
    }
}

/// The time, in nanoseconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn bytes_of(file: &DocumentFile) -> Result<Vec<u8>, String> {
    let too_long = || format!("it is longer than {} MiB", MAX_FILE_BYTES >> 20);
    if file.stamp.bytes > MAX_FILE_BYTES {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(file.stamp.bytes as usize);
    File::open(&file.path)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES { Err(too_long()) } else { Ok(bytes) }
}
