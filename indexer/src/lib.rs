//! The offline side of Akin: a corpus becomes an index.
//!
//! [`corpus`] reads files of texts, a document at a time; [`pipeline`] has them encoded and commits
//! them to an [`akin_index::Index`] batch by batch. Nothing is encoded before the whole corpus has
//! been looked through once, so that a fault on its last line costs seconds and leaves the index as
//! it was.

pub mod corpus;
mod error;
pub mod npy;
pub mod pipeline;

pub use corpus::CorpusReader;
pub use error::{Error, Result};
pub use pipeline::{IndexingReport, Phase, Progress, index_corpus};
