//! Asking an index: a text goes in, the documents that mean the same come out.
//!
//! A [`Searcher`] holds an open index and the encoder it was built with, and gives an [`Answer`] to
//! each query. [`batch`] answers streams of queries of any length in bounded memory, a JSON line
//! each. [`measure`] tells how good and how fast an index is. Nothing here knows about terminals: the commands are
//! thin shells over it.

pub mod answer;
pub mod batch;
pub mod error;
pub mod measure;
pub mod searcher;

pub use answer::{Answer, RankedHit};
pub use error::{Error, Result};
pub use searcher::Searcher;
