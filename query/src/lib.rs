//! Queries an index: a text goes in, the documents that are nearest in meaning come out.
//!
//! - [`Searcher`]: an open index with the encoder that it was built with; it gives an [`Answer`] to each query.
//! - [`batch`]: answers any number of queries in bounded memory, one JSON line for each.
//! - [`mode`]: by what documents are found: by meaning, by words, or by both.
//! - [`model`]: finds and loads models by name.
//! - [`remembered`]: the prompts and the similarity that an index remembers.
//! - [`measure`]: measures recall and speed of an index.
//! - [`tune`]: chooses its `ef` by the recall in all regions of what it holds.

pub mod answer;
pub mod batch;
pub mod error;
mod fuse;
pub mod measure;
pub mod mode;
pub mod model;
mod progress;
pub mod remembered;
pub mod searcher;
pub mod tune;

pub use answer::{Answer, RankedHit};
pub use error::{Error, Result};
pub use mode::Mode;
pub use searcher::Searcher;
