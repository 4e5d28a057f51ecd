//! What can go wrong in an evaluation.

use std::io;
use std::path::PathBuf;

/// A result of the trainer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder failed.
    #[error(transparent)]
    Engine(#[from] akin_engine::Error),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of a file of pairs is not what it should be.
    #[error("{}:{line}: {reason}", path.display())]
    Pairs {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it and what was expected.
        reason: String,
    },
    /// Two series of numbers have no correlation.
    #[error("there is no correlation to compute: {0}")]
    Correlation(&'static str),
}
