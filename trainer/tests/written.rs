//! A model that `akin train` wrote, beside what sentence-transformers makes of it.
//!
//! The model in `fixtures/models/tiny-tuned` is eight steps of regression from `tiny-bert`; its embeddings are kept by
//! `reference/embeddings.py`.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use akin_encoder::SentenceEncoder;
use akin_fixtures::npy::reference;
use akin_fixtures::similarity::greatest_difference;
use akin_fixtures::{fixture, sentences};

#[test]
fn sentence_transformers_reads_what_was_written_with_equal_embeddings() {
    let texts = sentences();
    let expected = reference("tiny-tuned");
    let encoder = SentenceEncoder::load(&fixture("models/tiny-tuned")).unwrap();
    let encoding = encoder.encode(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let difference = greatest_difference(encoding.embeddings.as_slice(), expected.as_slice());
    assert!(difference < 1e-4, "{difference}");
}
