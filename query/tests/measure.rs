//! Measuring an index, and what cannot be measured.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use akin_fixtures::Folder;
use akin_fixtures::random::{clustered, unit_vectors};
use akin_index::{DEFAULT_EF, Document, Embeddings, Index, ModelIdentity, SearchOptions, Snapshot};
use akin_query::Error;
use akin_query::measure::Bench;
use akin_query::tune::{MOST, tune, tune_with};

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
    assert_eq!((measurement.recall_p1, measurement.recall_p10), (1.0, 1.0));
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

/// 6,000 documents in one dense group, and 200 others anywhere: the others, and the index.
fn with_a_minority(folder: &Folder) -> (Embeddings, Index) {
    let mut vectors = clustered(6000, DIMENSION, 1, 0.1, 3);
    let minority = unit_vectors(200, DIMENSION, 4);
    minority.iter().for_each(|row| vectors.push(row));
    let mut index = Index::open_or_create(&folder.path("index"), &ModelIdentity::unknown(DIMENSION)).unwrap();
    let documents: Vec<Document> =
        (0..vectors.rows()).map(|id| Document { id: id.to_string(), ..Document::default() }).collect();
    index.upsert(&documents, &vectors).unwrap();
    index.seal(&|_, _| ControlFlow::Continue(())).unwrap();
    (minority, index)
}

#[test]
fn the_worst_region_reaches_the_recall_that_is_asked_for() {
    let folder = Folder::new();
    let (minority, index) = with_a_minority(&folder);
    let tuning = tune(&index.snapshot(), 0.97).unwrap().unwrap();
    assert!(tuning.reached && tuning.worst >= 0.97 && tuning.recall >= tuning.worst, "{tuning:?}");
    assert!(tuning.regions > 2, "{tuning:?}");
    assert_eq!(tune(&index.snapshot(), 0.97).unwrap().unwrap(), tuning);
    let snapshot = index.snapshot();
    let bench = Bench::new(&snapshot, &minority, SearchOptions::default()).unwrap();
    let found = bench.run(tuning.ef, 1).unwrap();
    assert!(found.recall >= 0.95, "the minority has {found:?} with {tuning:?}");
}

#[test]
fn a_recall_that_no_search_reaches_is_not_said_to_be_reached() {
    let folder = Folder::new();
    let (_, index) = with_a_minority(&folder);
    let tuning = tune(&index.snapshot(), 1.1).unwrap().unwrap();
    assert!(!tuning.reached && tuning.recall <= 1.0, "{tuning:?}");
    assert!((DEFAULT_EF..=MOST).contains(&tuning.ef), "{tuning:?}");
}

/// A call that tells its progress.
type Call<'a> = &'a dyn Fn(&(dyn Fn(usize, usize) -> ControlFlow<()> + Sync)) -> akin_query::Result<()>;

/// The call tells how much is done, never less than before and all of it in the end. Stopped at once or later it reports
/// that it was.
fn tells_and_stops(call: Call<'_>) {
    let heard = Mutex::new(Vec::new());
    call(&|done, total| {
        heard.lock().unwrap().push((done, total));
        ControlFlow::Continue(())
    })
    .unwrap();
    let heard = heard.into_inner().unwrap();
    assert!(heard.is_sorted() && heard.first().unwrap().0 == 0, "{heard:?}");
    assert!(heard.last().is_some_and(|(done, total)| done == total && *done > 0), "{heard:?}");
    for until in [0, 1, heard.len() - 1] {
        let calls = AtomicUsize::new(0);
        let stopped = call(&|_, _| match calls.fetch_add(1, Ordering::Relaxed) < until {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        });
        assert!(matches!(stopped, Err(Error::Index(akin_index::Error::Cancelled))), "{until}: {stopped:?}");
    }
}

#[test]
fn tuning_and_measuring_tell_how_many_searches_are_done_and_can_be_stopped() {
    let folder = Folder::new();
    let (minority, index) = with_a_minority(&folder);
    let snapshot = index.snapshot();
    tells_and_stops(&|progress| tune_with(&snapshot, 0.9, progress).map(drop));
    let options = SearchOptions::default();
    tells_and_stops(&|progress| Bench::new_with(&snapshot, &minority, options.clone(), progress).map(drop));
    assert_eq!(snapshot.default_ef(), index.snapshot().default_ef());
}

#[test]
fn a_measurement_can_be_stopped_while_the_recall_and_while_the_time_is_taken() {
    let folder = Folder::new();
    let index = snapshot(&folder, 30);
    let queries = unit_vectors(200, DIMENSION, 2);
    let bench = Bench::new(&index, &queries, SearchOptions::default()).unwrap();
    for threads in [1, 2] {
        for until in [0, 1, 2, 20] {
            let heard = AtomicUsize::new(0);
            let stopped = bench.run_with(16, threads, &|done, total| {
                assert!(done <= total && total == 200, "{done} of {total}");
                match heard.fetch_add(1, Ordering::Relaxed) < until {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            assert!(matches!(stopped, Err(Error::Index(akin_index::Error::Cancelled))), "{stopped:?}");
        }
    }
}
