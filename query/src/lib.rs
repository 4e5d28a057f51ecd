//! Asking an index: a text goes in, the documents that mean the same come out.
//!
//! A [`Searcher`] holds an open index and the encoder it was built with, and gives an [`Answer`] to
//! each query. [`batch`] answers streams of queries of any length in bounded memory, a JSON line
//! each. What needs no index but a corpus compares every two sentences ([`compare`]): [`pairs`] finds the most
//! similar, [`duplicates`] groups those that say the same, and [`cluster`] groups them by what they are about.
//! [`measure`] tells how good and how fast an index is. Nothing here knows about terminals: the commands are
//! thin shells over it.

pub mod answer;
pub mod batch;
pub mod cluster;
pub mod compare;
pub mod duplicates;
pub mod error;
pub mod measure;
pub mod pairs;
pub mod searcher;

pub use answer::{Answer, RankedHit};
pub use error::{Error, Result};
pub use searcher::Searcher;
