//! Long calls tell how much is done, and can be stopped: the index is then as it was.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use akin_index::{Document, Embeddings, Error, Filter, Index, ModelIdentity, Result, SEGMENT_PASSAGES};
use synthetic::{filled, go_on};
use tempfile::TempDir;

/// Documents: more than two threads look at together.
const ALL: u64 = 10_000;

/// A call that tells its progress.
type Call<'a> = &'a dyn Fn(&(dyn Fn(usize, usize) -> ControlFlow<()> + Sync)) -> Result<()>;

/// The call tells how much is done: all of `total` in the end, never less than before. Stopped at any time it
/// reports that it was.
fn tells_and_stops(call: Call<'_>, total: usize) {
    let heard = Mutex::new(Vec::new());
    call(&|done, all| {
        heard.lock().unwrap().push((done, all));
        ControlFlow::Continue(())
    })
    .unwrap();
    let heard = heard.into_inner().unwrap();
    assert!(heard.is_sorted() && heard.iter().all(|(_, all)| *all == total), "{heard:?}");
    assert_eq!((heard[0].0, heard.last().unwrap().0), (0, total));
    for until in 0..heard.len() {
        let calls = Mutex::new(0);
        let stopped = call(&|_, _| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            if *calls > until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(Error::Cancelled)), "stopped after {until}: {stopped:?}");
    }
}

/// Every file below a folder, and its bytes.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = akin_fixtures::files::files_below(folder);
    let mut content: Vec<_> =
        files.iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    content.sort();
    content
}

#[test]
fn a_selection_tells_how_many_documents_it_looked_at_and_can_be_stopped() {
    let folder = TempDir::new().unwrap();
    let mut index = filled(folder.path(), ALL);
    index.delete(&["doc 7"]).unwrap();
    index.seal(&go_on).unwrap();
    let snapshot = index.snapshot();
    let filter = Filter::parse("zeta < 5000").unwrap();
    tells_and_stops(&|progress| snapshot.select_with(&filter, progress).map(drop), ALL as usize - 1);
    assert_eq!(snapshot.select_with(&filter, &go_on).unwrap(), snapshot.select(&filter).unwrap());
}

#[test]
fn a_verification_can_be_stopped_between_all_its_checks() {
    let folder = TempDir::new().unwrap();
    let index = filled(folder.path(), 3000);
    let snapshot = index.snapshot();
    let bytes = snapshot.stat().unwrap().bytes_on_disk;
    let heard = Mutex::new(Vec::new());
    let total = Mutex::new(0);
    let verify = |progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync)| {
        let verified = snapshot.verify_with(&|done, all| {
            heard.lock().unwrap().push(done);
            *total.lock().unwrap() = all;
            progress(done as usize, all as usize)
        });
        verified.map(drop)
    };
    verify(&go_on).unwrap();
    let total = *total.lock().unwrap();
    assert!(total > 3000 * 32 * 4 && total < bytes, "{total} of {bytes}");
    tells_and_stops(&verify, total as usize);
}

#[test]
fn a_repair_that_is_stopped_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("index");
    let mut index = filled(&path, 3000);
    index.delete(&["doc 7", "doc 2500"]).unwrap();
    drop(index);
    let files = fs::read_dir(path.join("segments")).unwrap().count();
    let no_catalogue = || fs::remove_dir_all(path.join("catalogue")).unwrap_or_default();
    let nothing_but_segments = || {
        no_catalogue();
        fs::write(path.join("manifest"), "lost").unwrap();
    };
    let losses: [&dyn Fn(); 2] = [&no_catalogue, &nothing_but_segments];
    for lose in losses {
        lose();
        let before = content(&path);
        let stopped = Index::repair_with(&path, &|_, _| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
        assert_eq!(content(&path), before);
        let lose_and_repair = |progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync)| {
            lose();
            Index::repair_with(&path, progress).map(drop)
        };
        tells_and_stops(&lose_and_repair, files);
        Index::repair(&path).unwrap();
        let index = Index::open(&path).unwrap();
        assert_eq!((index.len(), index.verify().unwrap().documents), (2998, 2998));
    }
}

#[test]
fn an_addition_that_builds_a_graph_can_be_stopped_and_its_documents_stay() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(&folder.path().join("index"), &ModelIdentity::unknown(2)).unwrap();
    let count = SEGMENT_PASSAGES;
    let documents: Vec<Document> =
        (0..count).map(|id| Document { id: id.to_string(), ..Document::default() }).collect();
    let values = (0..count).flat_map(|row| {
        let (sine, cosine) = (row as f32 * 1e-5).sin_cos();
        [cosine, sine]
    });
    let vectors = Embeddings::from_values(2, values.collect());
    let stopped = index.upsert_passages_with(&documents, None, &vectors, &|_, _| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert_eq!(index.len(), count);
    assert!(index.snapshot().find("7").unwrap().is_some());
}
