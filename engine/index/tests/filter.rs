//! What a search among selected documents promises: as many hits as there are, the right ones, and only those.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod synthetic;

use std::ops::Range;

use akin_index::{Document, Error, Filter};
use akin_index::{Index, SEAL_PASSAGES, SearchOptions};
use synthetic::{document, embedding, embeddings, go_on, model};
use tempfile::TempDir;

/// Documents in a graph, and some more that wait for one.
const SEALED: u64 = SEAL_PASSAGES as u64 + 900;
const ALL: u64 = SEALED + 300;

/// A number below 1000 that has nothing to do with the embedding of document `i`.
fn share(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xffff_ffff
}

fn with_fields(range: Range<u64>) -> Vec<Document> {
    let documents = range.map(|i| {
        let mut document = document(i);
        document.metadata.insert("share".into(), (share(i) % 1000).into());
        // Embeddings gather around as many centers.
        document.metadata.insert("topic".into(), format!("topic {}", i % 61).into());
        document
    });
    documents.collect()
}

fn index(folder: &TempDir) -> Index {
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    index.upsert(&with_fields(0..SEALED), &embeddings(0..SEALED)).unwrap();
    index.seal(&go_on).unwrap();
    index.upsert(&with_fields(SEALED..ALL), &embeddings(SEALED..ALL)).unwrap();
    index
}

fn found(index: &Index, query: &[f32], options: &SearchOptions) -> Vec<String> {
    let hits = index.search(query, options).unwrap();
    assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
    hits.into_iter().map(|hit| hit.document.id).collect()
}

/// The ids of the nearest `k` of the documents that `fits`, by comparing with each.
fn truth(query: &[f32], k: usize, fits: &dyn Fn(u64) -> bool) -> Vec<String> {
    let score = |i: u64| embedding(i).iter().zip(query).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let mut scored: Vec<(f64, u64)> = (0..ALL).filter(|i| fits(*i)).map(|i| (score(i), i)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.iter().take(k).map(|(_, i)| document(*i).id).collect()
}

#[test]
fn as_many_documents_that_fit_are_found_as_there_are_and_the_right_ones() {
    let folder = TempDir::new().unwrap();
    let index = index(&folder);
    let below = |limit: u64| move |i: u64| share(i) % 1000 < limit;
    // The topics that half of the queries are about: the walk begins where nothing fits.
    let asked = |i: u64| (0..15).any(|query| (1_000_000 + query) % 61 == i % 61);
    let topics: Vec<String> =
        (0..61).filter(|topic| asked(*topic)).map(|topic| format!("'topic {topic}'")).collect();
    let others = format!("topic not in ({})", topics.join(", "));
    let cases: [(&str, &dyn Fn(u64) -> bool); 9] = [
        ("share < 1000", &below(1000)),
        ("share < 500", &below(500)),
        ("share < 100", &below(100)),
        ("share < 10", &below(10)),
        ("share < 1", &below(1)),
        ("share < 0", &below(0)),
        ("topic = 'topic 7' and share >= 500", &|i| i % 61 == 7 && share(i) % 1000 >= 500),
        ("not topic in ('topic 0', 'topic 1')", &|i| i % 61 > 1),
        (&others, &|i| !asked(i)),
    ];
    for (filter, fits) in cases {
        let selection = index.select(&Filter::parse(filter).unwrap()).unwrap();
        let there = (0..ALL).filter(|i| fits(*i)).count();
        assert_eq!((selection.len(), selection.is_empty()), (there, there == 0), "{filter}");
        let among = SearchOptions { among: Some(selection.clone()), ..SearchOptions::default() };
        let (mut right, mut possible) = (0, 0);
        for query in (0..30).map(|i| embedding(1_000_000 + i)) {
            let truth = truth(&query, 10, fits);
            assert_eq!(
                found(&index, &query, &SearchOptions { exact: true, ..among.clone() }),
                truth,
                "{filter}"
            );
            let walked = found(&index, &query, &among);
            assert_eq!(walked.len(), there.min(10), "{filter}");
            right += truth.iter().filter(|id| walked.contains(id)).count();
            possible += truth.len();
        }
        assert!(right * 100 >= possible * 95, "{filter}: {right} of {possible}");
        // More than ef, and more than there are.
        let many = SearchOptions { k: 2000, ..among.clone() };
        assert!(found(&index, &embedding(3), &many).len() >= there.min(2000) * 99 / 100, "{filter}");
    }
}

#[test]
fn deleted_and_replaced_documents_are_not_selected() {
    let folder = TempDir::new().unwrap();
    let mut index = index(&folder);
    let filter = Filter::parse("topic = 'topic 7'").unwrap();
    let before = index.select(&filter).unwrap().len();
    index.delete(&["doc 7", "doc 8"]).unwrap();
    let mut moved = with_fields(68..69);
    moved[0].metadata.insert("topic".into(), "another".into());
    index.upsert(&moved, &embeddings(68..69)).unwrap();
    drop(index);
    let index = Index::open(folder.path()).unwrap();
    let selection = index.select(&filter).unwrap();
    assert_eq!(selection.len(), before - 2);
    let among = SearchOptions { k: 1000, among: Some(selection.clone()), ..SearchOptions::default() };
    let ids = found(&index, &embedding(7), &among);
    assert!(!ids.contains(&"doc 7".into()) && !ids.contains(&"doc 68".into()), "{ids:?}");
    let another = index.select(&Filter::parse("topic = another").unwrap()).unwrap();
    let among = SearchOptions { among: Some(another), ..SearchOptions::default() };
    assert_eq!(found(&index, &embedding(1), &among), ["doc 68"]);
}

#[test]
fn fields_behind_a_text_of_many_parts_count() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    let mut documents = with_fields(0..60);
    for (n, document) in documents.iter_mut().enumerate() {
        // Around the length of one part of a record, of two, and of many.
        let length = [7000 + n * 4, 14_200 + n * 4, 100_000][n % 3];
        document.text = "x".repeat(length);
        document.metadata.insert("long".into(), "y".repeat(n * 997).into());
    }
    index.upsert(&documents, &embeddings(0..60)).unwrap();
    let selection = index.select(&Filter::parse("zeta >= 20 and zeta < 50 and alpha = é").unwrap()).unwrap();
    assert_eq!(selection.len(), 30);
}

#[test]
fn a_selection_of_an_index_that_changed_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut index = index(&folder);
    let selection = index.select(&Filter::parse("share < 500").unwrap()).unwrap();
    index.delete(&["doc 3"]).unwrap();
    let among = SearchOptions { among: Some(selection.clone()), ..SearchOptions::default() };
    let refusal = index.nearest(&embedding(1), &among).unwrap_err();
    assert!(matches!(refusal, Error::Stale(_)), "{refusal}");
}
