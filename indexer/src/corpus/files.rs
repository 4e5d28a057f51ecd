//! Files that are one document each, or hold many: which of them have changed, and what became of each.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use akin_index::Document;
use encoding_rs::Encoding;
use sha2::{Digest, Sha256};

use super::contained::{self, RecordOptions, numbered_id};
use super::folder::{DocumentFile, Stamp};
use super::unpack::unpacked_bytes;
use super::{CorpusOptions, Documents, Next, check_id, without_ending};
use crate::documents::{self, DocumentFormat, Extracted, Unread, Worker};

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
    /// So many documents.
    Documents(usize),
    /// It should be one, and cannot be read.
    Skipped(String),
    /// It is no document: a picture, a program.
    LeftOut,
}

impl FileOutcome {
    /// How many documents it came to.
    pub(crate) fn documents(&self) -> usize {
        match self {
            Self::Document => 1,
            Self::Documents(count) => *count,
            Self::Skipped(_) | Self::LeftOut => 0,
        }
    }

    /// The ids of these documents, of a file of an id.
    pub(crate) fn ids(&self, file: &str) -> Vec<String> {
        match self {
            Self::Document => vec![file.to_owned()],
            Self::Documents(count) => (1..=*count).map(|number| numbered_id(file, number)).collect(),
            Self::Skipped(_) | Self::LeftOut => Vec::new(),
        }
    }
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
    records: RecordOptions,
    worker: Option<Worker>,
    /// What is known of them from the last time, by id.
    pub(crate) known: HashMap<String, KnownFile>,
    next: usize,
    /// Those that were looked at.
    pub(crate) read: Vec<ReadFile>,
    /// Further documents of the last one.
    further: Option<Documents>,
}

impl DocumentFiles {
    pub(super) fn new(
        files: Vec<DocumentFile>,
        format: Option<DocumentFormat>,
        options: &CorpusOptions,
    ) -> Self {
        Self {
            files,
            format,
            encoding: options.encoding,
            records: RecordOptions::of(options),
            worker: options.worker.clone(),
            known: HashMap::new(),
            next: 0,
            read: Vec::new(),
            further: None,
        }
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
        self.further = None;
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
        if let Some(document) = self.next_further() {
            return Next::Further(document);
        }
        let Some(file) = self.files.get(self.next) else { return Next::End };
        self.next += 1;
        bytes_read.fetch_add(file.stamp.bytes, Ordering::Relaxed);
        // Another file may have come that has the name of one of its documents.
        let is_free = |known: &&KnownFile| {
            !matches!(known.outcome, FileOutcome::Documents(_)) || !self.is_numbered(&file.id)
        };
        let known = self.known.get(&file.id).filter(is_free);
        let (now, found) = self.look_at(file, known);
        let unchanged = known.is_some_and(|known| known.hash == now.hash && known.outcome == now.outcome);
        let unchanged = unchanged && matches!(found, Found::Nothing);
        self.read.push(ReadFile { id: file.id.clone(), unchanged, now });
        match found {
            Found::Nothing => Next::PassedOver,
            Found::Document(document) => Next::Document(document),
            Found::Documents(documents) => {
                self.further = Some(documents);
                match self.next_further() {
                    Some(document) => Next::Document(document),
                    None => self.without_documents(),
                }
            }
        }
    }

    /// The next document of the file that was read last. A fault ends them: what holds many was read through before.
    fn next_further(&mut self) -> Option<Document> {
        let document = self.further.as_mut()?.next().and_then(Result::ok);
        match (&document, self.read.last_mut()) {
            (Some(_), Some(file)) => {
                file.now.outcome = FileOutcome::Documents(file.now.outcome.documents() + 1);
            }
            _ => self.further = None,
        }
        document
    }

    fn without_documents(&mut self) -> Next {
        if let Some(file) = self.read.last_mut() {
            file.now.outcome = FileOutcome::Skipped("there is no mail in it that can be read".into());
        }
        Next::PassedOver
    }

    /// Whether there is a file of an id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.files.binary_search_by(|file| file.id.as_str().cmp(id)).is_ok()
    }

    /// Whether a file has the id of a document of another, as `a.mbox:1` has.
    fn is_numbered(&self, id: &str) -> bool {
        let prefix = format!("{id}:");
        let from = self.files.partition_point(|file| file.id < prefix);
        let like = self.files[from..].iter().map_while(|file| file.id.strip_prefix(&prefix));
        like.into_iter().any(|rest| rest.parse::<usize>().is_ok())
    }

    /// What is to be known of a file, and what is new in it.
    fn look_at(&self, file: &DocumentFile, known: Option<&KnownFile>) -> (KnownFile, Found) {
        let surely = |known: &&KnownFile| {
            known.stamp == file.stamp && known.stamp.modified.saturating_add(UNSURE) < known.read
        };
        if let Some(known) = known.filter(surely) {
            return (known.clone(), Found::Nothing);
        }
        let read = now();
        let known_as = |hash, outcome| KnownFile { stamp: file.stamp, read, hash, outcome };
        let bytes = match bytes_of(file) {
            Ok(bytes) => bytes,
            // Whatever it was, it is looked at again the next time.
            Err(reason) => {
                let skipped = known_as([0; 16], FileOutcome::Skipped(reason));
                return (KnownFile { read: 0, ..skipped }, Found::Nothing);
            }
        };
        let hash = *Sha256::digest(&bytes).first_chunk().expect("a SHA-256 has 32 bytes");
        if let Some(known) = known.filter(|known| known.hash == hash) {
            return (known_as(hash, known.outcome.clone()), Found::Nothing);
        }
        match self.read(file, bytes) {
            Ok(Found::Document(document)) => {
                (known_as(hash, FileOutcome::Document), Found::Document(document))
            }
            // They are counted as they are read.
            Ok(found) => (known_as(hash, FileOutcome::Documents(0)), found),
            Err(Unread::NoDocument) => (known_as(hash, FileOutcome::LeftOut), Found::Nothing),
            Err(Unread::Because(reason)) => (known_as(hash, FileOutcome::Skipped(reason)), Found::Nothing),
        }
    }

    fn read(&self, file: &DocumentFile, bytes: Vec<u8>) -> Result<Found, Unread> {
        let (name, mut bytes) = unpacked_file(&file.path, bytes)?;
        let because = |reason: &str| Unread::Because(reason.to_owned());
        let fits = |id: &str| {
            let checked = check_id(id, &file.id, 0);
            checked.map_err(|_| because("its path is too long for an id"))
        };
        if self.format.is_none()
            && let Some(documents) = contained::documents_of(&name, &file.id, &mut bytes, &self.records)?
        {
            fits(&numbered_id(&file.id, usize::MAX))?;
            return match self.is_numbered(&file.id) {
                true => Err(because("another file has the name of one of its documents")),
                false => Ok(Found::Documents(documents)),
            };
        }
        let Extracted { text, metadata } =
            documents::read_with(&name, bytes, self.format, self.encoding, self.worker.as_ref())?;
        fits(&file.id)?;
        Ok(Found::Document(Document { id: file.id.clone(), text, metadata }))
    }
}

/// What is new in a file.
enum Found {
    Nothing,
    Document(Document),
    Documents(Documents),
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
