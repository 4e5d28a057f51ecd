//! Equal vectors are kept once, cost nothing and hide nothing.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::collections::HashSet;

use akin_index::{Embeddings, Index, SEAL_PASSAGES, SearchOptions};
use synthetic::{DIMENSION, documents, embedding, exact, go_on, ids, model};
use tempfile::TempDir;

const COPIES: u64 = 20_000;
const OTHERS: u64 = 6_000;

/// The vector of a document: the first [`COPIES`] have the same.
fn vector(i: u64) -> Vec<f32> {
    embedding(i.saturating_sub(COPIES - 1))
}

/// Copies of one vector among others, added in a mixed order.
fn crowd(folder: &TempDir) -> Index {
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    let all = COPIES + OTHERS;
    let order: Vec<u64> = (0..all).map(|n| n * 7919 % all).collect();
    for part in order.chunks(6500) {
        let mut vectors = Embeddings::empty(DIMENSION);
        part.iter().for_each(|i| vectors.push(&vector(*i)));
        index.upsert(&documents(part.iter().copied()), &vectors).unwrap();
        index.seal(&go_on).unwrap();
    }
    index
}

fn bytes(folder: &TempDir) -> u64 {
    let files = std::fs::read_dir(folder.path().join("segments")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// The copies are all found, the others as if there were none, and every byte is sound.
fn check(index: &Index, copies: usize) {
    let found = ids(index, &vector(0), &SearchOptions { k: copies + 5, ..SearchOptions::default() });
    assert_eq!(found.iter().collect::<HashSet<_>>().len(), copies + 5);
    let near =
        index.nearest(&vector(0), &SearchOptions { k: copies + 1, ..SearchOptions::default() }).unwrap();
    assert!(near[copies - 1].score > 0.9999 && near[copies].score < 0.9999);
    let mut right = 0;
    for i in (COPIES..COPIES + OTHERS).step_by(97) {
        let truth = index.nearest(&vector(i), &exact(10)).unwrap();
        let found = index.nearest(&vector(i), &SearchOptions::default()).unwrap();
        assert_eq!(ids(index, &vector(i), &SearchOptions::default())[0], format!("doc {i}"));
        right += found.iter().filter(|near| near.score >= truth[9].score - 1e-6).count();
    }
    assert!(right as u64 * 97 >= 10 * OTHERS * 98 / 100, "{right}");
    index.verify().unwrap();
}

#[test]
fn copies_are_all_found_and_hide_nothing_after_deletes_and_compaction() {
    let folder = TempDir::new().unwrap();
    let mut index = crowd(&folder);
    check(&index, COPIES as usize);
    // Those are the lowest: others take their place.
    let dead: Vec<String> = (0..COPIES - 100).map(|i| format!("doc {i}")).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    check(&index, 100);
    index.compact(&go_on).unwrap();
    check(&index, 100);
    let dead: Vec<String> = (0..COPIES).map(|i| format!("doc {i}")).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert!(index.nearest(&vector(0), &SearchOptions::default()).unwrap()[0].score < 0.9999);
    assert_eq!(index.len() as u64, OTHERS);
}

#[test]
fn copies_take_no_room_for_vectors() {
    let folder = TempDir::new().unwrap();
    let mut index = crowd(&folder);
    index.compact(&go_on).unwrap();
    let with_copies = bytes(&folder);
    let dead: Vec<String> = (1..COPIES).map(|i| format!("doc {i}")).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    index.compact(&go_on).unwrap();
    let a_copy = (with_copies - bytes(&folder)) / (COPIES - 1);
    // Its record, its id and the value of its field, and no vector, which has 128 bytes more, and no point.
    assert!(a_copy < 160, "{a_copy} bytes");
}

#[test]
fn an_index_of_copies_alone_is_searched() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    let copies = 2 * SEAL_PASSAGES as u64;
    let vectors = Embeddings::from_values(DIMENSION, embedding(1).repeat(copies as usize));
    index.upsert(&documents(0..copies), &vectors).unwrap();
    index.seal(&go_on).unwrap();
    index.delete(&["doc 0", "doc 2"]).unwrap();
    assert_eq!(
        ids(&index, &embedding(1), &SearchOptions { k: 3, ..SearchOptions::default() }),
        ["doc 1", "doc 3", "doc 4"]
    );
    assert_eq!(index.nearest(&embedding(1), &exact(usize::MAX)).unwrap().len() as u64, copies - 2);
    index.verify().unwrap();
}
