//! Finds structure in a set of sentence embeddings: similar pairs, near duplicates, clusters.
//!
//! Every function takes [`Embeddings`](akin_kernels::Embeddings) whose rows have length one, and answers with row
//! numbers. No stored index is needed.
//!
//! - [`pairs`]: the most similar pairs (paraphrase mining).
//! - [`duplicates`]: groups of near duplicates.
//! - [`cluster`]: k-means and agglomerative clustering.
//! - [`compare`]: the comparison of all pairs that the first two are built on.

pub mod cluster;
pub mod compare;
pub mod duplicates;
pub mod pairs;
