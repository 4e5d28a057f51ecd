//! Queries an index: a text goes in, the documents that are nearest in meaning come out.
//!
//! - [`Searcher`]: an open index with the encoder that it was built with; it gives an [`Answer`] to each query.
//! - [`engine`]: asks an engine that keeps the documents, such as a table of PostgreSQL.
//! - [`options`]: what is asked beside the text: how many hits, from which on, like or unlike which documents.
//! - [`facets`]: how often each value of a field is among the best hits.
//! - [`highlight`]: which sentence and which words of a hit to show.
//! - [`batch`]: answers any number of queries in bounded memory, one JSON line for each.
//! - [`both`]: finds by meaning and by words together.
//! - [`mode`]: by what documents are found: by meaning, by words, or by both.
//! - [`model`]: finds and loads models by name.
//! - [`remembered`]: the prompts and the similarity that an index remembers.
//! - [`rerank`]: a cross-encoder, or a larger sentence encoder, ranks again what was found.
//! - [`json`]: what programs read of an index and its documents.
//! - [`measure`]: measures recall and speed of an index.
//! - [`tune`]: chooses its `ef` by the recall in all regions of what it holds.

pub mod answer;
pub mod batch;
pub mod both;
mod diverse;
pub mod engine;
pub mod error;
mod examples;
pub mod facets;
mod fuse;
pub mod highlight;
pub mod json;
pub mod measure;
pub mod mode;
pub mod model;
pub mod options;
mod passages;
mod progress;
pub mod remembered;
pub mod rerank;
mod retrieve;
pub mod searcher;
pub mod tune;

pub use answer::{Answer, RankedHit};
pub use engine::EngineSearcher;
pub use error::{Error, Result};
pub use highlight::Highlight;
pub use mode::Mode;
pub use options::AskOptions;
pub use searcher::{QueryEncoder, Searcher};
