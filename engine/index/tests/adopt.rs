//! Segments of other indexes are taken over whole or not at all, and answer as if their documents had been added here.

#![allow(clippy::unwrap_used)]

mod faulty;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use akin_fixtures::{Random, random};
use akin_index::storage::Memory;
use akin_index::{
    Adopted, Adoption, Document, Embeddings, Error, Index, Keep, ModelIdentity, Part, PassageSize,
    SEAL_PASSAGES, SearchOptions,
};
use faulty::catalogue::fresh_folder;
use faulty::model::{Entry, Model, identity, upsert};
use faulty::{Faulty, Plan};

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn adopt(index: &mut Index, parts: &[Part], keep: Keep) -> akin_index::Result<Adopted> {
    index.adopt(parts, Adoption { keep, copy: false }, &go_on)
}

fn documents(ids: std::ops::Range<usize>) -> Vec<Document> {
    ids.map(|id| Document { id: id.to_string(), text: format!("document {id}"), ..Document::default() })
        .collect()
}

fn rows(vectors: &Embeddings, rows: std::ops::Range<usize>) -> Embeddings {
    let dimension = vectors.dimension();
    let values = vectors.as_slice()[rows.start * dimension..rows.end * dimension].to_vec();
    Embeddings::from_values(dimension, values)
}

/// Ids and scores of the best, as a set: equal scores may come in any order.
fn nearest(index: &Index, query: &[f32], exact: bool) -> BTreeSet<(String, u32)> {
    let options = SearchOptions { k: 10, exact, ..SearchOptions::default() };
    let hits = index.search(query, &options).unwrap();
    hits.into_iter().map(|hit| (hit.document.id, hit.score.to_bits())).collect()
}

#[test]
fn adopted_parts_answer_as_an_index_of_the_whole_and_outlive_the_parts() {
    const PART: usize = SEAL_PASSAGES + 400;
    let folder = fresh_folder();
    let vectors = random::clustered(3 * PART, 12, 40, 0.4, 3);
    let model = ModelIdentity::unknown(12);
    let mut whole = Index::open_or_create(&folder.path().join("whole"), &model).unwrap();
    whole.upsert(&documents(0..3 * PART), &vectors).unwrap();
    whole.seal(&go_on).unwrap();
    let places: Vec<_> = (0..3).map(|part| folder.path().join(format!("part{part}"))).collect();
    for (part, place) in places.iter().enumerate() {
        let range = part * PART..(part + 1) * PART;
        let mut index = Index::open_or_create(place, &model).unwrap();
        index.upsert(&documents(range.clone()), &rows(&vectors, range)).unwrap();
        index.seal(&go_on).unwrap();
    }
    let path = folder.path().join("index");
    let mut index = Index::open_or_create(&path, &model).unwrap();
    let before: Vec<_> = places.iter().map(|place| fs::read(place.join("manifest")).unwrap()).collect();
    let parts: Vec<Part> = places.iter().map(|place| Part::open(place).unwrap()).collect();
    let adopted = adopt(&mut index, &parts, Keep::Last).unwrap();
    assert_eq!((adopted.documents, adopted.segments, adopted.copied), (3 * PART, 3, 0));
    assert!(adopted.linked > 0);
    drop(parts);
    for (place, before) in places.iter().zip(before) {
        assert_eq!(fs::read(place.join("manifest")).unwrap(), before);
        Index::open(place).unwrap().verify().unwrap();
        fs::remove_dir_all(place).unwrap();
    }
    let mut random = Random::new(5);
    let (mut found, mut right) = (0, 0);
    for _ in 0..50 {
        let query = random.unit_vector(12);
        let exact = nearest(&index, &query, true);
        assert_eq!(exact, nearest(&whole, &query, true));
        right += exact.len();
        found += nearest(&index, &query, false).intersection(&exact).count();
    }
    assert!(found * 100 >= right * 99, "{found} of {right}");
    // It is an index as any other.
    drop(index);
    let mut index = Index::open(&path).unwrap();
    index.verify().unwrap();
    index.delete(&["7", "9000"]).unwrap();
    index.upsert(&documents(8..9), &rows(&vectors, 8..9)).unwrap();
    assert_eq!(index.len(), 3 * PART - 2);
    index.compact(&go_on).unwrap();
    index.verify().unwrap();
    assert_eq!(index.stat().unwrap().segments.len(), 1);
}

/// An index in memory of entries, of which some are deleted.
fn part_of(entries: &[Entry], dead: &[&str]) -> Arc<Memory> {
    let storage = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(storage.clone(), &identity()).unwrap();
    upsert(&mut index, entries).unwrap();
    index.delete(dead).unwrap();
    storage
}

fn open(parts: &[Arc<Memory>]) -> Vec<Part> {
    parts.iter().map(|part| Part::open_in(part.clone()).unwrap()).collect()
}

fn entries(ids: &[&str], seed: u64) -> Vec<Entry> {
    let mut random = Random::new(seed);
    ids.iter().map(|id| Entry::random(id, Some(1 + random.below(3)), &mut random)).collect()
}

#[test]
fn of_documents_with_one_id_the_last_or_the_first_counts_and_what_is_unchanged_stays() {
    let (old, first, last) =
        (entries(&["a", "b", "c"], 1), entries(&["b", "c", "d"], 2), entries(&["c", "d", "e"], 3));
    let same = vec![first[0].clone(), old[0].clone()];
    for (keep, model, replaced, left_out) in [
        (Keep::Last, Model::default().with(&old).with(&first).with(&last), 2, 4),
        (Keep::First, Model::default().with(&last).with(&first).with(&old), 0, 6),
    ] {
        let mut index = Index::open_or_create_in(Arc::new(Memory::new()), &identity()).unwrap();
        upsert(&mut index, &old).unwrap();
        let parts = [part_of(&first, &[]), part_of(&last, &[]), part_of(&same, &[])];
        let adopted = adopt(&mut index, &open(&parts), keep).unwrap();
        model.compare(&index.snapshot()).unwrap();
        index.verify().unwrap();
        assert_eq!((adopted.replaced, adopted.left_out), (replaced, left_out), "{keep:?}");
        // Again there is nothing to do.
        let generation = index.snapshot().generation();
        let again = adopt(&mut index, &open(&parts), keep).unwrap();
        assert_eq!((again.documents, again.replaced), (0, 0));
        model.compare(&index.snapshot()).unwrap();
        assert_eq!(index.snapshot().generation(), generation);
    }
}

#[test]
fn what_a_part_has_deleted_does_not_come() {
    let mut index = Index::open_or_create_in(Arc::new(Memory::new()), &identity()).unwrap();
    let own = entries(&["a"], 1);
    upsert(&mut index, &own).unwrap();
    let theirs = entries(&["a", "b", "c"], 2);
    let adopted = adopt(&mut index, &open(&[part_of(&theirs, &["a", "b"])]), Keep::Last).unwrap();
    assert_eq!((adopted.documents, adopted.replaced), (1, 0));
    Model::default().with(&own).with(&theirs[2..]).compare(&index.snapshot()).unwrap();
}

#[test]
fn a_part_that_is_not_alike_is_refused_by_what_differs() {
    let base = ModelIdentity::new("a".repeat(64), "one", 4);
    let others = [
        (
            ModelIdentity::new("b".repeat(64), "two", 4),
            "its model is two (fingerprint bbbbbbbbbbbb…), and not one",
        ),
        (ModelIdentity::new("a".repeat(64), "one", 5), "its number of dimensions is 5, and not 4"),
        (
            ModelIdentity { query_prompt: Some("q: ".into()), ..base.clone() },
            "its prompt of queries is \"q: \"",
        ),
        (ModelIdentity { document_prompt: Some("d: ".into()), ..base.clone() }, "its prompt of documents"),
        (ModelIdentity { similarity: akin_index::Similarity::Dot, ..base.clone() }, "its similarity is dot"),
        (
            ModelIdentity { passages: PassageSize::Tokens(9), ..base.clone() },
            "its size of passages is 9 tokens",
        ),
        (ModelIdentity::unknown(4), "its model is none, but vectors from elsewhere"),
    ];
    let mut index = Index::open_or_create_in(Arc::new(Memory::new()), &base).unwrap();
    for (other, what) in others {
        let storage = Arc::new(Memory::new());
        drop(Index::open_or_create_in(storage.clone(), &other).unwrap());
        let error = adopt(&mut index, &[Part::open_in(storage).unwrap()], Keep::Last).unwrap_err();
        assert!(matches!(error, Error::OtherPart { .. }) && error.to_string().contains(what), "{error}");
    }
    // Where its files are does not matter.
    let moved = Arc::new(Memory::new());
    let elsewhere = ModelIdentity { location: "elsewhere".into(), ..base };
    drop(Index::open_or_create_in(moved.clone(), &elsewhere).unwrap());
    adopt(&mut index, &[Part::open_in(moved).unwrap()], Keep::Last).unwrap();
}

#[test]
fn a_part_that_is_being_changed_is_refused() {
    let storage = Arc::new(Memory::new());
    let writer = Index::open_or_create_in(storage.clone(), &identity()).unwrap();
    assert!(matches!(Part::open_in(storage.clone()), Err(Error::Locked { .. })));
    drop(writer);
    let part = Part::open_in(storage.clone()).unwrap();
    assert!(matches!(Index::open_in(storage), Err(Error::Locked { .. })));
    drop(part);
}

#[test]
fn whatever_fails_or_loses_power_it_is_all_there_or_nothing_and_the_same_call_completes_it() {
    let (old, first, last) =
        (entries(&["a", "b", "c"], 1), entries(&["b", "c", "d"], 2), entries(&["c", "d", "e"], 3));
    let disk = Faulty::new(4);
    let mut index = Index::open_or_create_in(Arc::new(disk.clone()), &identity()).unwrap();
    upsert(&mut index, &old).unwrap();
    drop(index);
    let before = Model::default().with(&old);
    let after = before.clone().with(&first).with(&last);
    let parts = [part_of(&first, &[]), part_of(&last, &[])];
    let mut operations = 0;
    for kind in [Plan::Fail, Plan::FailFrom, Plan::PowerLoss] {
        for at in 0.. {
            let disk = disk.copy(at * 3 + 1);
            let mut index = Index::open_in(Arc::new(disk.clone())).unwrap();
            disk.plan(kind(at));
            let outcome = adopt(&mut index, &open(&parts), Keep::Last);
            let reached = disk.operations() > at;
            let survived = if disk.is_off() { disk.surviving() } else { disk.clone() };
            disk.plan(Plan::Sound);
            drop(index);
            let mut index = Index::open_in(Arc::new(survived)).unwrap();
            index.verify().unwrap();
            if outcome.is_ok() || before.compare(&index.snapshot()).is_err() {
                after.compare(&index.snapshot()).unwrap();
            }
            adopt(&mut index, &open(&parts), Keep::Last).unwrap();
            after.compare(&index.snapshot()).unwrap();
            index.verify().unwrap();
            index.compact(&go_on).unwrap();
            after.compare(&index.snapshot()).unwrap();
            operations = operations.max(at);
            if !reached {
                break;
            }
        }
    }
    assert!(operations > 10, "{operations}");
}

fn files(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_index_of_adopted_segments_alone_is_repaired_from_its_files() {
    let folder = fresh_folder();
    let (first, last) = (entries(&["a", "b", "c"], 2), entries(&["c", "d", "e"], 3));
    for (own, keep) in [
        (None, Keep::Last),
        (Some(entries(&["e", "x"], 4)), Keep::Last),
        (Some(entries(&["q"], 5)), Keep::First),
    ] {
        let path = folder.path().join("index");
        let _ = fs::remove_dir_all(&path);
        let mut index = Index::open_or_create(&path, &identity()).unwrap();
        let mut model = Model::default();
        if let Some(own) = own {
            upsert(&mut index, &own).unwrap();
            model = model.with(&own);
        }
        adopt(&mut index, &open(&[part_of(&first, &["a"]), part_of(&last, &[])]), keep).unwrap();
        model = match keep {
            Keep::Last => model.with(&first[1..]).with(&last),
            Keep::First => Model::default()
                .with(&last)
                .with(&first[1..])
                .with(&model.entries.values().map(|entry| (**entry).clone()).collect::<Vec<_>>()),
        };
        drop(index);
        let before = files(&path);
        fs::remove_file(path.join("manifest")).unwrap();
        fs::remove_dir_all(path.join("catalogue")).unwrap();
        let repaired = Index::repair(&path).unwrap();
        assert!(repaired.lost.is_empty(), "{repaired:?}");
        let index = Index::open(&path).unwrap();
        model.compare(&index.snapshot()).unwrap();
        index.verify().unwrap();
        assert_eq!(files(&path), before);
    }
}

#[test]
fn notes_of_a_part_are_read_and_its_catalogue_is_left_as_it_was() {
    let folder = fresh_folder();
    let (path, part) = (folder.path().join("index"), folder.path().join("part"));
    let mut writer = Index::open_or_create(&part, &identity()).unwrap();
    upsert(&mut writer, &entries(&["a"], 1)).unwrap();
    writer.write_notes(&[(b"source/x".to_vec(), b"1".to_vec())], &[]).unwrap();
    drop(writer);
    let before = fs::read(part.join("catalogue/db")).unwrap();
    let index = Index::open_or_create(&path, &identity()).unwrap();
    let opened = Part::open(&part).unwrap();
    assert_eq!(index.notes_of_part(&opened), [(b"source/x".to_vec(), b"1".to_vec())]);
    assert_eq!(fs::read(part.join("catalogue/db")).unwrap(), before);
    assert!(!path.join("catalogue.adopting").exists());
}

#[test]
fn stopping_it_leaves_the_index_as_it_was() {
    let storage = Arc::new(Memory::new());
    let mut index = Index::open_or_create_in(storage, &identity()).unwrap();
    let stop = |_: usize, _: usize| ControlFlow::Break(());
    let error =
        index.adopt(&open(&[part_of(&entries(&["a"], 1), &[])]), Adoption::default(), &stop).unwrap_err();
    assert!(matches!(error, Error::Cancelled));
    assert!(index.is_empty());
    index.verify().unwrap();
}
