//! Training and evaluation of sentence encoders: Sentence-BERT (Reimers & Gurevych 2019) from end to end.
//!
//! Training, in the order that data passes: [`table`] and [`pairs`] read files of sentences, [`examples`] makes batches'
//! worth of them, [`network`] is the encoder under an [`objective`] (section 3 of the paper), [`training`] runs the
//! steps with [`optimizer`] and [`schedule`], evaluates on a [`dev`] set in between, and keeps [`checkpoint`]s and the
//! loss [`curve`].
//!
//! Evaluation: [`sts`] compares similarities with people's scores (section 4), [`triplets`] asks which of two sentences
//! is closer (section 4.4), and [`correlation`] holds the figures that comparisons are stated in.

pub mod checkpoint;
pub mod correlation;
pub mod curve;
pub mod dev;
pub mod embedder;
pub mod error;
pub mod examples;
pub mod network;
pub mod objective;
pub mod optimizer;
pub mod pairs;
pub mod schedule;
pub mod similarity;
pub mod sts;
pub mod table;
pub mod training;
pub mod triplets;

pub use error::{Error, Result};
