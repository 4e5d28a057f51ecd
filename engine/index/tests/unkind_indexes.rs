//! Documents of unkind corpora are found after anything that happens to an index.

#![allow(clippy::unwrap_used)]

mod synthetic;
mod unkind;

use akin_index::{Document, Embeddings, Filter, Index, ModelIdentity, SearchOptions, Snapshot};
use synthetic::go_on;
use tempfile::TempDir;

const ROWS: usize = 20_000;

fn documents(rows: std::ops::Range<usize>) -> Vec<Document> {
    let document = |row: usize| {
        let mut document = Document { id: row.to_string(), ..Document::default() };
        document.metadata.insert("place".into(), (row % 100).into());
        document
    };
    rows.map(document).collect()
}

/// The documents that are not found by their own vectors, one in `step`.
fn lost(
    snapshot: &Snapshot,
    rows: &Embeddings,
    live: impl Fn(usize) -> bool,
    options: &SearchOptions,
) -> usize {
    let asked: Vec<usize> = (0..ROWS).step_by(3).filter(|row| live(*row)).collect();
    let mut queries = Embeddings::empty(rows.dimension());
    asked.iter().for_each(|row| queries.push(rows.row(*row)));
    let found = snapshot.nearest_all(&queries, options).unwrap();
    found.iter().filter(|found| found.first().is_none_or(|near| near.score < 0.999)).count()
}

#[test]
fn every_document_is_found_after_deletes_merges_and_compaction() {
    let folder = TempDir::new().unwrap();
    let set = unkind::mixed(ROWS);
    let model = ModelIdentity::new("a".repeat(64), "unkind", set.rows.dimension());
    let mut index = Index::open_or_create(folder.path(), &model).unwrap();
    for first in (0..ROWS).step_by(5000) {
        let part =
            set.rows.as_slice()[first * set.rows.dimension()..][..5000 * set.rows.dimension()].to_vec();
        let part = Embeddings::from_values(set.rows.dimension(), part);
        index.upsert(&documents(first..first + 5000), &part).unwrap();
        index.seal(&go_on).unwrap();
    }
    let one = SearchOptions { k: 1, ..SearchOptions::default() };
    let few = |lost: usize| assert!(lost <= ROWS / 3 / 1000, "{lost} are lost");
    few(lost(&index.snapshot(), &set.rows, |_| true, &one));
    let is_dead = |row: usize| row.is_multiple_of(7);
    let dead: Vec<String> = (0..ROWS).filter(|row| is_dead(*row)).map(|row| row.to_string()).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    few(lost(&index.snapshot(), &set.rows, |row| !is_dead(row), &one));
    let merged = index.due_merge().unwrap().run(&go_on).unwrap();
    index.take_merged(merged).unwrap();
    few(lost(&index.snapshot(), &set.rows, |row| !is_dead(row), &one));
    let dead: Vec<String> =
        (0..ROWS).filter(|row| row.is_multiple_of(11)).map(|row| row.to_string()).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    index.compact(&go_on).unwrap();
    few(lost(&index.snapshot(), &set.rows, |row| !is_dead(row) && !row.is_multiple_of(11), &one));
    // One in a hundred.
    let snapshot = index.snapshot();
    let selection = snapshot.select(&Filter::parse("place = 42").unwrap()).unwrap();
    let among = SearchOptions { among: Some(selection), ..one };
    let fits = |row: usize| !is_dead(row) && !row.is_multiple_of(11) && row % 100 == 42;
    assert_eq!(lost(&snapshot, &set.rows, fits, &among), 0);
}
