//! Reads corpora and vectors, and builds indexes from them.
//!
//! - [`corpus`]: reads files of texts, one document at a time.
//! - [`pipeline`]: encodes the documents, and commits them to an [`akin_index::Index`] in batches.
//! - [`tables`]: the same for a table or collection of an engine.
//! - [`documents`]: reads files that are one document each.
//! - [`passages`]: cuts long texts into passages.
//! - [`distinct`]: encodes equal texts once.
//! - [`trust`]: estimates how well the model understands what is in an index.
//! - [`shard`]: cuts a corpus into parts of about equal work.
//! - [`adopt`]: makes one index of several.
//! - [`npy`]: reads and writes vectors as NumPy files.
//!
//! The whole corpus is read once before the first text is encoded. So a malformed line anywhere in it is reported
//! within seconds, and leaves the index as it was.

pub mod adopt;
pub mod corpus;
pub mod distinct;
pub mod documents;
mod error;
mod merging;
pub mod npy;
mod own_ids;
pub mod passages;
pub mod pipeline;
pub mod shard;
mod sources;
pub mod tables;
pub mod trust;

pub use corpus::CorpusReader;
pub use error::{Error, FieldRole, Result};
pub use pipeline::{IndexingReport, Phase, Progress, index_corpus};
pub use sources::skipped_files;
