//! Merging and compacting an index, and reading it meanwhile, on made-up vectors.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use akin_index::Document;
use akin_index::{Index, SEAL_PASSAGES, SearchOptions};
use synthetic::{document, documents, embedding, embeddings, exact, filled, go_on, ids, model};
use tempfile::TempDir;

/// The ids that are there, by comparing with all.
fn all_ids(index: &Index) -> Vec<String> {
    let mut all = ids(index, &embedding(1), &exact(usize::MAX));
    all.sort();
    all
}

#[test]
fn merging_keeps_what_is_live_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let n = SEAL_PASSAGES as u64;
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    for part in 0..4 {
        let own = part * n..(part + 1) * n;
        index.upsert(&documents(own.clone()), &embeddings(own)).unwrap();
        index.seal(&go_on).unwrap();
    }
    let dead: Vec<String> = (0..4 * n).step_by(3).map(|i| document(i).id).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let renewed = Document { text: "newer".into(), ..document(7) };
    index.upsert(std::slice::from_ref(&renewed), &embeddings([7])).unwrap();
    let live = all_ids(&index);

    let merge = index.due_merge().unwrap();
    let merged = merge
        .run(&|done, all| {
            assert!(done <= all);
            go_on(done, all)
        })
        .unwrap();
    // What happens meanwhile counts as well.
    index.delete(&[&document(1).id]).unwrap();
    index.upsert(&[document(0)], &embeddings([0])).unwrap();
    index.take_merged(merged).unwrap();
    assert!(index.due_merge().is_none());
    let mut expected: Vec<String> = live.into_iter().filter(|id| *id != document(1).id).collect();
    expected.push(document(0).id);
    expected.sort();
    for _ in 0..2 {
        assert_eq!(index.stat().unwrap().segments.len(), 1);
        assert_eq!(index.len(), expected.len());
        assert_eq!(all_ids(&index), expected);
        assert_eq!(index.verify().unwrap().documents, expected.len());
        assert_eq!(index.get(&renewed.id).unwrap().as_ref(), Some(&renewed));
        assert_eq!(index.get(&document(1).id).unwrap(), None);
        for i in [2, 100, 4 * n - 3] {
            assert_eq!(index.get(&document(i).id).unwrap(), Some(document(i)));
            assert_eq!(ids(&index, &embedding(i), &SearchOptions::default())[0], document(i).id);
        }
        drop(index);
        index = Index::open(folder.path()).unwrap();
    }
}

#[test]
fn a_merge_that_was_never_taken_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let n = SEAL_PASSAGES as u64;
    let mut index = filled(folder.path(), n);
    index.seal(&go_on).unwrap();
    let dead: Vec<String> = (0..n / 2).map(|i| document(i).id).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let files = || fs::read_dir(folder.path().join("segments")).unwrap().count();
    let before = files();
    let merged = index.due_merge().unwrap().run(&go_on).unwrap();
    assert_eq!(files(), before + 1);
    drop(merged);
    assert_eq!(files(), before);
    index.merge(&go_on).unwrap();
    let stat = index.stat().unwrap();
    assert_eq!((stat.documents as u64, stat.deleted), (n / 2, 0));
    // And all of it may go.
    let dead: Vec<String> = (n / 2..n).map(|i| document(i).id).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    index.merge(&go_on).unwrap();
    assert!(index.stat().unwrap().segments.is_empty() && index.is_empty());
    index.verify().unwrap();
    drop(index);
    Index::open(folder.path()).unwrap().verify().unwrap();
}

#[test]
fn what_is_replaced_again_and_again_takes_no_more_than_the_room_of_a_few() {
    let folder = TempDir::new().unwrap();
    let mut index = filled(folder.path(), 2000);
    for round in 0..60 {
        let first = round * 100 % 2000;
        let renewed: Vec<Document> = documents(first..first + 100)
            .into_iter()
            .map(|document| Document { text: format!("{} {round}", document.text), ..document })
            .collect();
        index.upsert(&renewed, &embeddings(first..first + 100)).unwrap();
        let stat = index.stat().unwrap();
        assert_eq!(stat.documents, 2000);
        assert!(stat.deleted <= 2000, "round {round}: {}", stat.deleted);
    }
    // Deleting frees room as well.
    let dead: Vec<String> = (0..1990).map(|i| document(i).id).collect();
    for part in dead.chunks(199) {
        index.delete(&part.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    }
    let stat = index.stat().unwrap();
    assert!(stat.deleted <= 1024 && stat.documents == 10, "{}", stat.deleted);
    assert_eq!(index.verify().unwrap().documents, 10);
    assert_eq!(ids(&index, &embedding(1995), &exact(1)), [document(1995).id]);
    drop(index);
    assert_eq!(Index::open(folder.path()).unwrap().len(), 10);
}

#[test]
fn compacting_leaves_one_segment_without_the_dead() {
    for n in [300, SEAL_PASSAGES as u64 + 500] {
        let folder = TempDir::new().unwrap();
        let mut index = filled(folder.path(), n);
        index.seal(&go_on).unwrap();
        let dead: Vec<String> = (0..n / 10).map(|i| document(i).id).collect();
        index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        index.set_default_ef(77).unwrap();
        index.upsert(&documents(n..n + 50), &embeddings(n..n + 50)).unwrap();
        let expected = all_ids(&index);
        let compaction = index.compact(&go_on).unwrap();
        assert_eq!((compaction.documents, compaction.removed), (expected.len(), dead.len()));
        // The log of a few hundred is one piece before and after.
        let is_smaller = compaction.bytes_after < compaction.bytes_before;
        assert!(is_smaller || n < SEAL_PASSAGES as u64, "{compaction:?}");
        for _ in 0..2 {
            assert_eq!(all_ids(&index), expected);
            assert_eq!(index.verify().unwrap().documents, expected.len());
            let stat = index.stat().unwrap();
            assert_eq!((stat.documents, stat.deleted, stat.ef), (expected.len(), 0, 77));
            assert_eq!(stat.segments.len(), usize::from(expected.len() >= SEAL_PASSAGES));
            assert_eq!(index.get(&document(n + 3).id).unwrap(), Some(document(n + 3)));
            drop(index);
            index = Index::open(folder.path()).unwrap();
        }
        index.upsert(&documents(0..1), &embeddings(0..1)).unwrap();
        assert_eq!(ids(&index, &embedding(0), &exact(1)), [document(0).id]);
        let reader = index.reader();
        index.compact(&go_on).unwrap();
        assert_eq!(all_ids(&index).len(), reader.len());
    }
}

/// Documents are written in pairs that must never be seen apart, while others read.
#[test]
fn readers_see_one_commit_or_the_next_and_nothing_between() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    let pair = |i: u64, text: &str| {
        [i, i + 1].map(|i| Document { text: format!("{text} {}", i / 2), ..document(i) })
    };
    index.upsert(&pair(0, "first"), &embeddings([0, 0])).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let reader = index.reader();
            scope.spawn({
                let done = &done;
                move || {
                    let mut searches = 0;
                    while !done.load(Ordering::Relaxed) {
                        // Both of a pair have one vector, and one text at any time.
                        let hits = reader.search(&embedding(0), &exact(2)).unwrap();
                        assert_eq!(hits[0].document.text, hits[1].document.text);
                        assert_eq!(reader.len() % 2, 0);
                        searches += 1;
                    }
                    assert!(searches > 10, "{searches} searches");
                }
            });
        }
        for round in 0..40u64 {
            let text = format!("round {round}");
            index.upsert(&pair(0, &text), &embeddings([0, 0])).unwrap();
            let own = 2 + round * 200..2 + (round + 1) * 200;
            index.upsert(&documents(own.clone()), &embeddings(own.clone())).unwrap();
            if round % 3 == 2 {
                let ids: Vec<String> = own.map(|i| document(i).id).collect();
                index.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            }
            if round % 10 == 9 {
                index.seal(&go_on).unwrap();
                index.merge(&go_on).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(!index.stat().unwrap().segments.is_empty());
    index.verify().unwrap();
}
