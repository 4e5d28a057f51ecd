//! Evaluation of sentence encoders.
//!
//! [`pairs`] reads sentence pairs with human similarity scores, [`sts`] compares an encoder's cosines
//! with them (Sentence-BERT, Reimers & Gurevych 2019, section 4), and [`correlation`] holds the two
//! figures that the comparison is stated in.

pub mod correlation;
pub mod error;
pub mod pairs;
pub mod sts;

pub use error::{Error, Result};
