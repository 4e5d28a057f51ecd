//! Measuring an index, and what cannot be measured.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::ops::ControlFlow;
use std::sync::Arc;

use akin_fixtures::Folder;
use akin_fixtures::random::unit_vectors;
use akin_index::{Document, Embeddings, Index, ModelIdentity, SearchOptions, Snapshot};
use akin_query::Error;
use akin_query::measure::{Bench, tune};

const DIMENSION: usize = 8;

fn index(folder: &Folder, documents: usize) -> Index {
    let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(DIMENSION)).unwrap();
    let documents: Vec<Document> =
        (0..documents).map(|id| Document { id: id.to_string(), ..Document::default() }).collect();
    index.upsert(&documents, &unit_vectors(documents.len(), DIMENSION, 1)).unwrap();
    index
}

fn snapshot(folder: &Folder, documents: usize) -> Arc<Snapshot> {
    index(folder, documents).snapshot()
}

#[test]
fn no_queries_are_refused() {
    let folder = Folder::new();
    let index = snapshot(&folder, 3);
    let none = Embeddings::empty(DIMENSION);
    let refused = Bench::new(&index, &none, SearchOptions::default());
    assert!(matches!(refused, Err(Error::NoQueries)));
}

#[test]
fn queries_of_an_index_without_a_graph_find_all_neighbors() {
    let folder = Folder::new();
    let index = snapshot(&folder, 30);
    let queries = unit_vectors(4, DIMENSION, 2);
    let measurement = Bench::new(&index, &queries, SearchOptions::default()).unwrap().run(16, 1).unwrap();
    assert_eq!((measurement.ef, measurement.recall), (16, 1.0));
    assert!(measurement.qps > 0.0 && measurement.p50_ms <= measurement.p99_ms, "{measurement:?}");
}

#[test]
fn an_index_without_documents_has_no_ef_to_choose() {
    let folder = Folder::new();
    let mut index = index(&folder, 30);
    index.seal(&|_, _| ControlFlow::Continue(())).unwrap();
    let ids: Vec<String> = (0..30).map(|id| id.to_string()).collect();
    index.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!(tune(&index.snapshot(), 0.9).unwrap(), None);
}
