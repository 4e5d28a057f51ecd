//! What can go wrong between a corpus and an index.

use std::path::PathBuf;

/// A result of the indexer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a corpus and an index: one sentence each, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] akin_encoder::Error),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] akin_index::Error),
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
    /// A file of the corpus cannot be opened or read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said, or what to do.
        reason: String,
    },
    /// There is no document in the corpus.
    #[error("the corpus is empty: {0} has no document; a document is a line with text")]
    Empty(String),
}
