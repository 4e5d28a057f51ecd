//! The errors of this crate.

use std::io;
use std::path::PathBuf;

use akin_encoder::{Role, Similarity};

/// The result of a call of this crate.
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
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] akin_engines::Error),
    /// The model that an index was built with is not where it was.
    #[error("the model that the index was built with is not where it was: {0}")]
    ModelMoved(#[source] akin_encoder::Error),
    /// A prompt was given that is not the one that the index was built with.
    #[error(
        "the index was built with {} before each {}, and {} was given",
        quoted(of_index), name(*role), quoted(given)
    )]
    OtherPrompt {
        /// Whose prompt it is.
        role: Role,
        /// The prompt of the index; empty if it has none.
        of_index: String,
        /// The prompt that was given.
        given: String,
    },
    /// The embeddings of the index have another length than those that were asked for.
    #[error("the index has embeddings of {of_index} numbers, and {given} were asked for")]
    OtherDimensions {
        /// The length of those of the index.
        of_index: usize,
        /// What was asked for.
        given: usize,
    },
    /// The index was built for another similarity than the model has now.
    #[error(
        "the index compares embeddings by similarity {:?}, and the model has similarity_fn_name {:?}",
        of_index.name(), of_model.name()
    )]
    OtherSimilarity {
        /// That of the index.
        of_index: Similarity,
        /// That of the model.
        of_model: Similarity,
    },
    /// The path of a model cannot be recorded in an index.
    #[error("cannot record the path of the model {}: {reason}", path.display())]
    ModelPath {
        /// The directory of the model.
        path: PathBuf,
        /// What is wrong with its path.
        reason: String,
    },
    /// A query was to be encoded by a searcher without a model.
    #[error("the searcher was opened without a model, which the text of a query needs")]
    NoEncoder,
    /// The call that encodes queries in place of the encoder's own did not.
    #[error(transparent)]
    QueryEncoder(Box<dyn std::error::Error + Send + Sync>),
    /// An example is no document of the index.
    #[error("no document has the id {id:?}, which is given as an example")]
    NoExample {
        /// The id that was given.
        id: String,
    },
    /// Examples were given where words are looked for alone.
    #[error("documents are like others in meaning, and only words are looked for")]
    ExamplesOfWords,
    /// An engine cannot do what was asked.
    #[error("{what} cannot be asked of {place}")]
    NotOfEngine {
        /// What was asked.
        what: &'static str,
        /// The engine.
        place: String,
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
    /// The threads to search with could not be started.
    #[error("cannot start the threads: {0}")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}

/// A prompt as it stands in a sentence.
fn quoted(prompt: &str) -> String {
    if prompt.is_empty() { "no prompt".into() } else { format!("the prompt {prompt:?}") }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Query => "query",
        Role::Document => "document",
    }
}
