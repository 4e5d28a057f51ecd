//! Keyword search: which words a text has, how passages are found by them, and how they are ranked (BM25).
//!
//! `segmentation` finds the words of a text in any script, `parts` takes identifiers apart, `fold` removes case and
//! accents, `language` stems; `analysis` makes terms of a word by these. Nothing here knows segments or files.

pub(crate) mod analysis;
mod fold;
pub(crate) mod language;
mod parts;
mod segmentation;

/// Changes whenever the same text would get other terms: postings of another version are not searched.
pub(crate) const ANALYSIS_VERSION: u32 = 1;
