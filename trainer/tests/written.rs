//! A model that `akin train` wrote, beside what sentence-transformers makes of it.
//!
//! The model in `fixtures/models/tiny-tuned` is eight steps of regression from `tiny-bert`; its embeddings are kept by
//! `reference/embeddings.py`.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::path::{Path, PathBuf};

use akin_encoder::SentenceEncoder;

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

#[test]
fn sentence_transformers_reads_what_was_written_with_equal_embeddings() {
    let lines = std::fs::read_to_string(fixtures("sentences.jsonl")).unwrap();
    let texts: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned()
        })
        .collect();
    let bytes = std::fs::read(fixtures("references/tiny-tuned.npy")).unwrap();
    let header = 10 + u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let (words, _) = bytes[header..].as_chunks::<4>();
    let expected: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let encoder = SentenceEncoder::load(&fixtures("models/tiny-tuned")).unwrap();
    let encoding = encoder.encode(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!(encoding.embeddings.as_slice().len(), expected.len());
    for (found, expected) in encoding.embeddings.as_slice().iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}
