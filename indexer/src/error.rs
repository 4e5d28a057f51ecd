//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use crate::corpus::NotEncoded;

/// A result of the indexer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong when a corpus or a file of vectors is read, encoded and indexed. Each message is one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] akin_encoder::Error),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] akin_index::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] akin_engines::Error),
    /// A line of the corpus is not what its format promises.
    #[error("{file}:{line}: {reason}")]
    Corpus {
        /// The file as the user named it, or `stdin`.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A line of the corpus is in another encoding.
    #[error("{file}:{line}: not UTF-8 at {place}: the file is in another encoding")]
    NotUtf8 {
        /// The file as the user named it, or `stdin`.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The first byte that is not UTF-8, from 1, and what it is a byte of.
        place: String,
    },
    /// A document lacks the field of its id or of its text.
    #[error("{file}:{line}: there is no field {field:?} (fields here: {})", listed(present))]
    MissingField {
        /// The file as the user named it, or `stdin`.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The name of the field.
        field: String,
        /// What the field should hold.
        role: FieldRole,
        /// Names of the fields that there are: the first eight.
        present: Vec<String>,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said, or what to do.
        reason: String,
    },
    /// A pattern that files are chosen by is none.
    #[error("{glob:?} is not a pattern of file names: {reason}")]
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of vectors is not a matrix of floats in NumPy's format.
    #[error("{} is not a NumPy file of vectors: it has {found}, expected {expected}", path.display())]
    Matrix {
        /// The file.
        path: PathBuf,
        /// What the file has.
        found: String,
        /// What it should have instead.
        expected: String,
    },
    /// Passages were asked for that the model cannot read whole.
    #[error("passages of {asked} tokens are longer than the {window} tokens of a text that the model reads")]
    PassageSize {
        /// The tokens that were asked for.
        asked: usize,
        /// The tokens of a text that the model reads.
        window: usize,
    },
    /// What the corpus brought was to be remembered under its name.
    #[error("what comes by a pipe has no name by which it could be remembered: name files or folders")]
    NoName,
    /// There is no document in the corpus.
    #[error(
        "the corpus is empty: {0} has no document; a document is a line with text, or a file of a folder"
    )]
    Empty(String),
}

/// What a field of a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRole {
    /// It names the document.
    Id,
    /// It is the text that is encoded.
    Text,
}

/// The names in a list, or `none`.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Error {
    /// What the system said of a file that was opened or read.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file: check its name".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied: check who may read it".to_owned(),
            _ => error.to_string(),
        };
        Self::Read { path: path.to_owned(), reason }
    }

    /// What went wrong in the middle of a file.
    pub(crate) fn unread_on(file: &str, line: u64, error: &io::Error) -> Self {
        let reason = match error.get_ref().is_some_and(|inner| inner.is::<NotEncoded>()) {
            true => format!("{error}: say another encoding, or convert the file"),
            false => format!("cannot read on: {error}: the file is cut off or damaged, so fetch it again"),
        };
        Self::Corpus { file: file.to_owned(), line, reason }
    }
}
