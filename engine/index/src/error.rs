//! What can go wrong in an index: one sentence each, with the remedy.

use std::path::PathBuf;

/// A result of an index.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path holds something that is not an Akin index.
    #[error("{} is not an Akin index: {reason}", path.display())]
    NotAnIndex {
        /// The path that was given.
        path: PathBuf,
        /// What is there instead and what to do.
        reason: String,
    },
    /// Another process holds the index.
    #[error("the index {} is in use by another process: wait for it to finish, or stop it", path.display())]
    Locked {
        /// The path of the index.
        path: PathBuf,
    },
    /// The index has a format that this program does not know.
    #[error("the index {} has format {found}, and this akin reads format {known}: {}build it anew from its corpus in another folder with `akin index`",
        path.display(), if found > known { "use a newer akin, or " } else { "" })]
    Format {
        /// The path of the index.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version that this program reads and writes.
        known: u32,
    },
    /// The index was built with another model.
    #[error("{0}")]
    OtherModel(String),
    /// A stored record does not hold its checksum, or contradicts another.
    #[error("the index {} is damaged: {what}: build it anew from its corpus, or restore a copy", path.display())]
    Damaged {
        /// The path of the index.
        path: PathBuf,
        /// Which record, and what was expected of it.
        what: String,
    },
    /// The disk refused a write (full, or no permission); what was acknowledged before is safe.
    #[error("cannot write to the index {}: {reason}; everything committed before is safe, and the same command goes on from there", path.display())]
    Write {
        /// The path of the index.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The expression of a filter cannot be read.
    #[error("at character {at} of the filter: {reason}")]
    Filter {
        /// The place of the mistake in characters, from 1.
        at: usize,
        /// What was expected there, or what to write instead.
        reason: String,
    },
    /// A caller asked for something that cannot be.
    #[error("{0}")]
    Invalid(String),
}
