//! Documents and vectors that any number makes, the same ones every time.

#![allow(dead_code)]

use std::ops::ControlFlow;
use std::path::Path;

use akin_index::{Document, Embeddings};
use akin_index::{Index, ModelIdentity, SearchOptions};

/// The length of every vector here.
pub const DIMENSION: usize = 32;

/// Whether there is an hour for what otherwise takes seconds: `make torture` sets it.
pub fn is_torture() -> bool {
    std::env::var_os("AKIN_TORTURE").is_some()
}

pub fn model() -> ModelIdentity {
    ModelIdentity::new("a".repeat(64), "synthetic", DIMENSION)
}

pub fn document(i: u64) -> Document {
    let mut document =
        Document { id: format!("doc {i}"), text: format!("The text of {i}."), ..Document::default() };
    document.metadata.insert("zeta".into(), i.into());
    document.metadata.insert("alpha".into(), "é".into());
    document
}

pub fn documents(range: impl IntoIterator<Item = u64>) -> Vec<Document> {
    range.into_iter().map(document).collect()
}

/// A unit vector near one of a few dozen centers, as sentences gather around topics.
pub fn embedding(i: u64) -> Vec<f32> {
    let center = noise(i % 61 + (1 << 40));
    let own = noise(i);
    let sum: Vec<f32> = center.iter().zip(&own).map(|(c, o)| c + 0.7 * o).collect();
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    sum.iter().map(|x| x / norm).collect()
}

pub fn embeddings(range: impl IntoIterator<Item = u64>) -> Embeddings {
    let mut embeddings = Embeddings::empty(DIMENSION);
    for i in range {
        embeddings.push(&embedding(i));
    }
    embeddings
}

/// An index with documents `0..n`, not sealed.
pub fn filled(path: &Path, n: u64) -> Index {
    let mut index = Index::open_or_create(path, &model()).unwrap();
    for start in (0..n).step_by(1000) {
        let range = start..(start + 1000).min(n);
        index.upsert(&documents(range.clone()), &embeddings(range)).unwrap();
    }
    index
}

/// Progress that nobody listens to.
pub fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A search that compares with every document.
pub fn exact(k: usize) -> SearchOptions {
    SearchOptions { k, exact: true, ..SearchOptions::default() }
}

/// The ids of the hits, best first.
pub fn ids(index: &Index, query: &[f32], options: &SearchOptions) -> Vec<String> {
    let hits = index.search(query, options).unwrap();
    assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
    hits.into_iter().map(|hit| hit.document.id).collect()
}

/// Roughly normal noise: sums of uniform numbers from a splitmix64 sequence.
fn noise(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..DIMENSION).map(|_| (0..4).map(|_| uniform()).sum()).collect()
}
