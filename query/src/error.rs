//! The errors of this crate.

use std::io;
use std::path::PathBuf;

/// A result of asking.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a query and its answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] akin_encoder::Error),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] akin_index::Error),
    /// The model that an index was built with is not where it was.
    #[error("the model that the index was built with is not where it was: {0}")]
    ModelMoved(#[source] akin_encoder::Error),
    /// Where a model is cannot be noted.
    #[error("cannot note the model at {}: {reason}", path.display())]
    ModelPath {
        /// The directory of the model.
        path: PathBuf,
        /// What is wrong with its path.
        reason: String,
    },
    /// The queries could not be read.
    #[error(transparent)]
    Queries(#[from] akin_indexer::Error),
    /// The answers could not be written.
    #[error("cannot write the answers: {0}")]
    Write(#[source] io::Error),
    /// There are no queries to measure an index with.
    #[error("there are no queries to measure the index with")]
    NoQueries,
    /// There are no threads to search with.
    #[error("cannot start the threads: {0}")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}
