//! What can go wrong in an index. Errors carry facts; what to do about them a program says in its own words.

use std::io;
use std::path::{Path, PathBuf};

use crate::ModelIdentity;
use crate::graph::Fault;
use crate::progress::Cancelled;
use crate::storage::Storage;

/// A result of an index.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "lock".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no index at the path.
    #[error("{} is not an Akin index: {found}", path.display())]
    NotAnIndex {
        /// The path that was given.
        path: PathBuf,
        /// What is there instead.
        found: Found,
    },
    /// Another writer holds the index.
    #[error("the index {} is being changed by another process", path.display())]
    Locked {
        /// The path of the index.
        path: PathBuf,
    },
    /// The index has a format that this version does not read.
    #[error("the index {} has format {found}, and this version of Akin reads format {known}", path.display())]
    Format {
        /// The path of the index.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version that is read and written.
        known: u32,
    },
    /// The index was built with another model.
    #[error(
        "the index {} was built with the model {} (fingerprint {}…), and this model has fingerprint {}…",
        path.display(), built_with.location, short(&built_with.fingerprint), short(fingerprint)
    )]
    OtherModel {
        /// The path of the index.
        path: PathBuf,
        /// The model that it was built with.
        built_with: Box<ModelIdentity>,
        /// The fingerprint of the model that was given.
        fingerprint: String,
    },
    /// The embeddings of the model have another length than those of the index.
    #[error("the index {} has embeddings of {expected} dimensions, and these have {found}", path.display())]
    Dimension {
        /// The path of the index.
        path: PathBuf,
        /// The dimensions of the index.
        expected: usize,
        /// Those that were given.
        found: usize,
    },
    /// A part that an index was to adopt is not like it.
    #[error("the index {} cannot be adopted by {}: {what}", part.display(), path.display())]
    OtherPart {
        /// The path of the part.
        part: PathBuf,
        /// The path of the index.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The vectors of the index came from elsewhere: it knows no model, and cannot be asked in words.
    #[error("the index {} was imported as vectors and knows no model", path.display())]
    UnknownModel {
        /// The path of the index.
        path: PathBuf,
    },
    /// A stored byte does not hold its checksum, or contradicts another.
    #[error("the index {} is damaged: {what}", path.display())]
    Damaged {
        /// The path of the index.
        path: PathBuf,
        /// Which part, and what was expected of it.
        what: String,
    },
    /// The catalogue, which only a writer needs, is damaged. The published index can be read.
    #[error("the catalogue of the index {} is damaged: {what}", path.display())]
    Catalogue {
        /// The path of the index.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The disk refused a write (full, or no permission). The last acknowledged commit is safe.
    #[error("cannot write to the index {}: {reason}", path.display())]
    Write {
        /// The path of the index.
        path: PathBuf,
        /// What the system said.
        reason: String,
        /// Whether it was for want of room (of the disk, a quota or a limit): it can be tried again when there is some.
        is_full: bool,
    },
    /// The expression of a filter cannot be read.
    #[error("at character {at} of the filter: {reason}")]
    Filter {
        /// The place of the mistake in characters, from 1.
        at: usize,
        /// What was expected there, or what to write instead.
        reason: String,
    },
    /// A selection or a merge belongs to another index, or to an older commit.
    #[error("{0}")]
    Stale(&'static str),
    /// A progress callback stopped the call. The last commit stands.
    #[error("stopped before it was done: the index is as it was at its last commit")]
    Cancelled,
    /// A caller asked for something that cannot be.
    #[error("{0}")]
    Invalid(String),
}

/// What is at a path that holds no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file.
    File,
    /// A folder with nothing in it.
    EmptyFolder,
    /// A folder of other things.
    OtherFolder,
    /// A folder in which the creation of an index was interrupted.
    Interrupted,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Found::Nothing => "there is nothing there",
            Found::File => "it is a file; an index is a folder",
            Found::EmptyFolder => "it is an empty folder",
            Found::OtherFolder => "it is a folder of other things",
            Found::Interrupted => "its creation was interrupted",
        })
    }
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl Error {
    /// The error of a write that failed.
    pub(crate) fn writing(storage: &dyn Storage, error: &io::Error) -> Self {
        Self::writing_at(storage.path(), error)
    }

    /// The error of a write to the index at `path` that failed.
    pub fn writing_at(path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let is_full = matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge);
        Self::Write { path: path.to_owned(), reason: reason(error), is_full }
    }

    /// The error of a read that failed.
    pub(crate) fn reading(storage: &dyn Storage, source: io::Error) -> Self {
        Self::Io { action: "read", path: storage.path().to_owned(), source }
    }

    /// What is stored contradicts itself.
    pub(crate) fn damaged(storage: &dyn Storage, what: impl Into<String>) -> Self {
        Self::Damaged { path: storage.path().to_owned(), what: what.into() }
    }

    /// A part of the index cannot be used.
    pub(crate) fn fault(storage: &dyn Storage, fault: Fault) -> Self {
        Self::damaged(storage, fault.0)
    }
}

/// What the system said, in words where its own are none.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "no space left on the disk".into(),
        io::ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}

/// The beginning of a fingerprint.
fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(12).collect()
}
