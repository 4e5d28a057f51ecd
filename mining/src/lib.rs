//! Finds structure in a set of sentence embeddings: similar pairs, near duplicates, clusters, a map.
//!
//! Pairs and duplicates take [`Sentences`], of which equal ones are kept once; clusters take
//! [`Embeddings`](akin_kernels::Embeddings) whose rows have length one. All answer with the numbers of sentences. No
//! stored index is needed. Each call that may take long has a form that tells its progress and can be stopped.
//!
//! - [`sentences`]: sentences with their embeddings.
//! - [`negatives`]: texts that are close to an anchor and do not belong to it, for training.
//! - [`pairs`]: the most similar pairs (paraphrase mining).
//! - [`duplicates`]: groups of near duplicates.
//! - [`cluster`]: k-means and agglomerative clustering.
//! - [`map`]: a place in the plane for each document, regions and their names.
//! - [`compare`]: the comparison of all pairs that pairs and duplicates are built on.
//! - [`sampled`]: how many of the true neighbors that comparison found, measured on a sample.

pub mod cluster;
pub mod compare;
pub mod duplicates;
pub mod map;
pub mod negatives;
pub mod pairs;
pub mod sampled;
pub mod sentences;

pub use sampled::SampledRecall;
pub use sentences::Sentences;
