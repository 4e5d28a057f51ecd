//! The engine of Akin: texts become vectors, vectors become a searchable index, and the index lives
//! on the disk.
//!
//! Read it in the order that data passes through it: [`encoder`] turns sentences into
//! [`Embeddings`] (Sentence-BERT, Reimers & Gurevych 2019, section 3), [`index`] keeps them in
//! segments with an HNSW graph each and answers nearest-neighbour queries, and `store` puts every
//! byte into an embedded database under a checksum. The inner loops are in [`kernels`]. The engine
//! knows no file formats of corpora, no terminals and no progress bars.

pub mod document;
pub mod embeddings;
pub mod encoder;
pub mod error;
pub mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod index;
pub mod kernels;
mod store;

pub use document::{Document, Metadata};
pub use embeddings::Embeddings;
pub use encoder::SentenceEncoder;
pub use error::{Error, Result};
pub use filter::Filter;
pub use index::Index;
