//! Calls that fail: at every operation on the disk, by being stopped, or because they came from elsewhere.
//! The last commit stands, the index can be used, and nothing is left behind.

#![allow(clippy::unwrap_used)]

mod faulty;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use akin_fixtures::Random;
use akin_index::storage::{Memory, Storage};
use akin_index::{Error, Filter, Index, Result, SearchOptions};
use faulty::model::{Entry, Model, SEALED, identity, sealed, sealed_id, upsert};
use faulty::{Faulty, Plan};

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn open(disk: &Faulty) -> Index {
    Index::open_in(Arc::new(disk.clone())).unwrap()
}

fn files(disk: &Faulty) -> Vec<(String, u64)> {
    disk.list().unwrap()
}

fn entries(ids: &[&str], passages: Option<u64>, random: &mut Random) -> Vec<Entry> {
    ids.iter().map(|id| Entry::random(id, passages, random)).collect()
}

/// A closed index with three segments without a graph, all with tombstones.
fn small() -> (Faulty, Model) {
    let (disk, mut random) = (Faulty::new(3), Random::new(5));
    let mut index = Index::open_or_create_in(Arc::new(disk.clone()), &identity()).unwrap();
    let mut model = Model::default();
    for ids in [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]] {
        let added = entries(&ids, Some(2), &mut random);
        upsert(&mut index, &added).unwrap();
        model = model.with(&added);
    }
    let dead = ["a", "d", "g"];
    index.delete(&dead).unwrap();
    (disk, model.without(&dead))
}

/// An index that is opened again holds what it held or what it was to hold.
fn reopened(disk: &Faulty, (_, before): &(Faulty, Model), after: &Model, context: &str) {
    let index = Index::open_in(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{context}: {error}"));
    let seen = before.compare(&index.snapshot());
    seen.or_else(|_| after.compare(&index.snapshot())).unwrap();
    index.verify().unwrap();
}

/// Goes on after a write that failed, where recovering fails itself at first.
fn recover(index: &mut Index, disk: &Faulty, at: u64) -> Result<()> {
    disk.plan(Plan::Fail(at % 3));
    if index.recover().is_err() {
        assert!(!index.is_sound());
    }
    disk.plan(Plan::Sound);
    index.recover()
}

/// Fails every operation of a call, one after another. Whatever it says, the index holds what it held or what it
/// was to hold, now and when it is opened again; where it can be written on, no file is left.
fn fail_everywhere(from: &(Faulty, Model), after: &Model, call: &dyn Fn(&mut Index) -> Result<()>) {
    let (disk, before) = from;
    for at in 0.. {
        let disk = disk.copy(at);
        let mut index = open(&disk);
        let (left, generation) = (files(&disk), index.snapshot().generation());
        disk.plan(Plan::Fail(at));
        let result = call(&mut index);
        let reached = disk.operations() > at;
        disk.plan(Plan::Sound);
        let context = format!("operation {at}: {result:?}");
        match &result {
            Ok(()) => after.compare(&index.snapshot()).unwrap(),
            Err(error) => {
                assert!(matches!(error, Error::Write { .. } | Error::Io { .. }), "{context}");
                let seen = before.compare(&index.snapshot());
                seen.or_else(|_| after.compare(&index.snapshot())).unwrap();
            }
        }
        let committed = index.snapshot().generation() > generation;
        let usable = index.set_default_ef(index.snapshot().default_ef()).is_ok();
        if result.is_err() && usable && !committed {
            assert_eq!(files(&disk), left, "{context}");
            call(&mut index).unwrap();
            after.compare(&index.snapshot()).unwrap();
        }
        assert!(usable || result.is_err(), "{context}");
        assert_eq!(index.is_sound(), usable, "{context}");
        if !usable {
            recover(&mut index, &disk, at).unwrap_or_else(|error| panic!("{context}: {error}"));
            let seen = before.compare(&index.snapshot());
            seen.or_else(|_| after.compare(&index.snapshot())).unwrap();
            if index.snapshot().generation() == generation {
                assert_eq!(files(&disk), left, "{context}");
            }
            reopened(&disk.copy(at), from, after, &context);
            call(&mut index).unwrap();
            after.compare(&index.snapshot()).unwrap();
        }
        drop(index);
        reopened(&disk, from, after, &context);
        if !reached {
            assert!(at > 0 && result.is_ok());
            break;
        }
    }
}

/// A call that is stopped after so many looks at its progress.
type Call<'a> = &'a dyn Fn(&mut Index, usize) -> Result<()>;

#[test]
fn a_call_that_fails_at_any_operation_leaves_the_last_commit_and_no_file() {
    let from = small();
    let added = entries(&["b", "e", "x", "h"], None, &mut Random::new(9));
    let after = from.1.clone().with(&added);
    fail_everywhere(&from, &after, &|index| upsert(index, &added).map(drop));
    let after = from.1.clone().without(&["b", "e", "f", "i"]);
    fail_everywhere(&from, &after, &|index| index.delete(&["b", "e", "f", "i"]).map(drop));
    let after = Model { ef: Some(77), ..from.1.clone() };
    fail_everywhere(&from, &after, &|index| index.set_default_ef(77));
    fail_everywhere(&from, &from.1, &|index| index.compact(&go_on).map(drop));
}

#[test]
fn a_merge_that_fails_at_any_operation_leaves_the_last_commit_and_no_file() {
    let (disk, model) = sealed();
    let disk = disk.copy(1);
    let dead: Vec<String> = (0..SEALED / 2 - 20).map(sealed_id).collect();
    let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
    open(&disk).delete(&dead).unwrap();
    let from = (disk, model.clone().without(&dead));
    fail_everywhere(&from, &from.1, &|index| index.merge(&go_on));
    // While it ran, one of its documents was deleted.
    let late = sealed_id(SEALED / 2 - 2);
    let after = from.1.clone().without(&[&late]);
    let delete_meanwhile = |index: &mut Index| {
        let Some(merge) = index.due_merge() else { return Ok(()) };
        let merged = merge.run(&go_on)?;
        index.delete(&[&late])?;
        index.take_merged(merged)
    };
    fail_everywhere(&from, &after, &delete_meanwhile);
}

#[test]
fn an_empty_index_takes_its_settings() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &identity()).unwrap();
    index.set_default_ef(70).unwrap();
    drop(index);
    let moved = akin_index::ModelIdentity { location: "moved".into(), ..identity() };
    let index = Index::open_or_create(folder.path(), &moved).unwrap();
    assert_eq!((index.snapshot().default_ef(), index.model()), (70, moved));
}

#[test]
fn a_stopped_seal_merge_or_compaction_leaves_the_last_commit_and_no_file() {
    let (disk, model) = sealed();
    let disk = disk.copy(2);
    let mut index = open(&disk);
    let dead: Vec<String> = (0..SEALED / 2 - 20).map(sealed_id).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let model = model.clone().without(&dead.iter().map(String::as_str).collect::<Vec<_>>());
    let mut random = Random::new(1);
    let fresh: Vec<Entry> =
        (0..4200).map(|i| Entry::random(&format!("fresh {i}"), None, &mut random)).collect();
    upsert(&mut index, &fresh).unwrap();
    let model = model.with(&fresh);
    let calls: [Call<'_>; 3] =
        [&|index, n| index.seal(&stop_after(n)), &|index, n| index.merge(&stop_after(n)), &|index, n| {
            index.compact(&stop_after(n)).map(drop)
        }];
    // The commit before is kept for readers until the next one.
    index.set_default_ef(50).unwrap();
    let left = files(&disk);
    for call in calls {
        for n in [0, 1, 2, 3, 5, 9] {
            match call(&mut index, n) {
                Err(Error::Cancelled) => {}
                other => panic!("stopped after {n}: {other:?}"),
            }
            assert_eq!(files(&disk), left, "stopped after {n}");
            model.compare(&index.snapshot()).unwrap();
        }
    }
    index.verify().unwrap();
    index.compact(&go_on).unwrap();
    model.compare(&index.snapshot()).unwrap();
}

/// Stops at the call after `n`.
fn stop_after(n: usize) -> impl Fn(usize, usize) -> ControlFlow<()> + Sync {
    let calls = AtomicUsize::new(0);
    move |_, _| match calls.fetch_add(1, Ordering::Relaxed) < n {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

/// A large index of which half a segment is deleted, so that a merge is due.
fn half_dead(seed: u64) -> (Faulty, Index, Model) {
    let (disk, model) = sealed();
    let disk = disk.copy(seed);
    let mut index = open(&disk);
    let dead: Vec<String> = (0..SEALED / 4 + 200).map(sealed_id).collect();
    let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
    index.delete(&dead).unwrap();
    (disk, index, model.clone().without(&dead))
}

#[test]
fn what_was_merged_for_another_index_or_an_older_commit_is_refused() {
    let (_disk, mut index, model) = half_dead(3);
    let mut other = Index::open_or_create_in(Arc::new(Memory::new()), &identity()).unwrap();
    let merged = index.due_merge().unwrap().run(&go_on).unwrap();
    assert!(matches!(other.take_merged(merged), Err(Error::Stale(_))));
    // Two of one commit: only the first counts.
    let (first, second) = (index.due_merge().unwrap(), index.due_merge().unwrap());
    let (first, second) = (first.run(&go_on).unwrap(), second.run(&go_on).unwrap());
    index.take_merged(first).unwrap();
    assert!(matches!(index.take_merged(second), Err(Error::Stale(_))));
    model.compare(&index.snapshot()).unwrap();
    // A compaction took the sources away.
    let (_disk, mut index, model) = half_dead(4);
    let merged = index.due_merge().unwrap().run(&go_on).unwrap();
    index.compact(&go_on).unwrap();
    assert!(matches!(index.take_merged(merged), Err(Error::Stale(_))));
    model.compare(&index.snapshot()).unwrap();
    index.verify().unwrap();
}

#[test]
fn a_merge_under_way_keeps_other_writers_out_until_it_is_dropped() {
    let (disk, mut index, model) = half_dead(5);
    let merge = index.due_merge().unwrap();
    drop(index);
    // Another writer would give its first segment the id of the merged one.
    let open_again = || Index::open_in(Arc::new(disk.clone()));
    assert!(matches!(open_again(), Err(Error::Locked { .. })));
    let merged = merge.run(&go_on).unwrap();
    assert!(matches!(open_again(), Err(Error::Locked { .. })));
    drop(merged);
    let mut index = open_again().unwrap();
    let added = entries(&["new"], None, &mut Random::new(2));
    upsert(&mut index, &added).unwrap();
    drop(index);
    let index = open_again().unwrap();
    model.with(&added).compare(&index.snapshot()).unwrap();
    index.verify().unwrap();
}

#[test]
fn a_selection_of_another_index_or_commit_is_refused() {
    let (one, mut other) = (open(&small().0), open(&small().0));
    let all = Filter::parse("parity >= 0").unwrap();
    let ask = |index: &Index, among| {
        index.search(&[1.0, 0.0, 0.0, 0.0], &SearchOptions { among: Some(among), ..Default::default() })
    };
    let selection = other.select(&all).unwrap();
    assert_eq!(ask(&other, selection.clone()).unwrap().len(), 6);
    assert!(matches!(ask(&one, selection.clone()), Err(Error::Stale(_))));
    other.set_default_ef(9).unwrap();
    assert!(matches!(ask(&other, selection), Err(Error::Stale(_))));
    let selection = other.select(&all).unwrap();
    other.compact(&go_on).unwrap();
    assert!(matches!(ask(&other, selection), Err(Error::Stale(_))));
}

#[test]
fn a_million_of_twenty_thousand_are_all_of_them_in_order() {
    let mut index = Index::open_or_create_in(Arc::new(Memory::new()), &identity()).unwrap();
    let mut random = Random::new(11);
    let all: Vec<Entry> =
        (0..10_000).map(|i| Entry::random(&format!("{i}"), Some(1 + i % 3), &mut random)).collect();
    for part in all.chunks(2500) {
        upsert(&mut index, part).unwrap();
    }
    assert!(index.stat().unwrap().passages > 19_000);
    for sealed in [false, true] {
        if sealed {
            index.compact(&go_on).unwrap();
        }
        let even = index.select(&Filter::parse("parity = 0").unwrap()).unwrap();
        for (exact, among, expected) in
            [(true, None, all.len()), (false, None, all.len()), (false, Some(even.clone()), even.len())]
        {
            for k in [expected - 1, expected, 1_000_000, usize::MAX] {
                let options = SearchOptions { k, exact, among: among.clone(), ..SearchOptions::default() };
                let near = index.nearest(&all[7].vectors[0], &options).unwrap();
                assert_eq!(near.len(), k.min(expected));
                assert!(near.is_sorted_by(|a, b| a.score >= b.score));
                let mut docs: Vec<_> = near.iter().map(|near| near.doc).collect();
                docs.sort_unstable();
                docs.dedup();
                assert_eq!(docs.len(), near.len());
            }
        }
    }
}
