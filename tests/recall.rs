//! How much of the truth the graph finds: recall@10 against exact search, on real embeddings of real
//! sentences (the glosses of WordNet, encoded here by the real model).

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use akin_encoder::{DEFAULT_MODEL, SentenceEncoder, hub};
use akin_fixtures::Folder;
use akin_fixtures::models::minilm;
use akin_fixtures::npy;
use akin_index::graph::Graph;
use akin_index::graph::exact::exact_search;
use akin_index::recall::right_hits;
use akin_index::{DEFAULT_EF, Index, ModelIdentity, SearchOptions};
use akin_index::{Document, Embeddings};

/// Sentences in the graph.
const ROWS: usize = 10_000;
/// Other sentences, that are looked for among them.
const QUERIES: usize = 200;
/// Hits a query.
const K: usize = 10;

/// The embeddings to search among, and those of the queries.
static SENTENCES: LazyLock<(Embeddings, Embeddings)> = LazyLock::new(|| {
    let all = embeddings();
    let (rows, queries) = all.as_slice().split_at(ROWS * all.dimension());
    let part = |values: &[f32]| Embeddings::from_values(all.dimension(), values.to_vec());
    (part(rows), part(queries))
});

static GRAPH: LazyLock<Graph> =
    LazyLock::new(|| Graph::build(&SENTENCES.0, &|_, _| ControlFlow::Continue(())).unwrap());

fn scores(hits: &[(f32, u32)]) -> impl Iterator<Item = f32> {
    hits.iter().map(|hit| hit.0)
}

/// The share of the true `K` nearest live rows that a walk with `ef` candidates finds.
fn recall(ef: usize, live: Option<&(dyn Fn(u32) -> bool + Sync)>) -> f64 {
    let (vectors, queries) = &*SENTENCES;
    let found: usize = queries
        .iter()
        .map(|query| {
            let truth = exact_search(vectors, query, K, live.unwrap_or(&|_| true));
            let hits = GRAPH.search(vectors, query, K, ef, live);
            assert_eq!(hits.len(), K);
            right_hits(scores(&hits), &scores(&truth).collect::<Vec<_>>())
        })
        .sum();
    found as f64 / (QUERIES * K) as f64
}

#[test]
fn the_graph_finds_98_of_100_true_neighbors_at_the_default_ef() {
    let recall = recall(DEFAULT_EF, None);
    println!("recall@10 of {ROWS} at ef {DEFAULT_EF}: {recall:.4}");
    assert!(recall >= 0.98, "recall@10 is {recall}");
}

/// The share of the true `K` nearest documents of an index that it finds by itself.
fn recall_of(index: &Index) -> f64 {
    let scores = |query: &[f32], exact| -> Vec<f32> {
        let options = SearchOptions { k: K, exact, ..SearchOptions::default() };
        index.nearest(query, &options).unwrap().iter().map(|near| near.score).collect()
    };
    let found = SENTENCES.1.iter().map(|query| {
        let (truth, found) = (scores(query, true), scores(query, false));
        assert_eq!(found.len(), K);
        right_hits(found, &truth)
    });
    found.sum::<usize>() as f64 / (QUERIES * K) as f64
}

#[test]
fn an_index_finds_as_many_after_half_of_it_was_deleted_and_came_back() {
    let folder = Folder::new();
    let model = ModelIdentity::unknown(SENTENCES.0.dimension());
    let mut index = Index::open_or_create(folder.root(), &model).unwrap();
    let rows = &SENTENCES.0;
    let upsert = |index: &mut Index, chosen: &dyn Fn(usize) -> bool| {
        let mut embeddings = Embeddings::empty(rows.dimension());
        let mut documents = Vec::new();
        for row in (0..ROWS).filter(|row| chosen(*row)) {
            embeddings.push(rows.row(row));
            documents.push(Document { id: row.to_string(), ..Document::default() });
        }
        index.upsert(&documents, &embeddings).unwrap();
        index.seal(&|_, _| ControlFlow::Continue(())).unwrap();
    };
    upsert(&mut index, &|_| true);
    let mut recalls = vec![recall_of(&index)];
    for round in 0..2 {
        let half: Vec<String> = (0..ROWS).filter(|row| row % 2 == round).map(|row| row.to_string()).collect();
        index.delete(&half.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        recalls.push(recall_of(&index));
        index.merge(&|_, _| ControlFlow::Continue(())).unwrap();
        recalls.push(recall_of(&index));
        upsert(&mut index, &|row| row % 2 == round);
        recalls.push(recall_of(&index));
    }
    assert_eq!(index.len(), ROWS);
    println!("recall@{K} with half deleted, merged, and back again, twice: {recalls:.4?}");
    assert!(recalls.iter().all(|recall| *recall >= 0.98), "{recalls:?}");
}

#[test]
fn it_finds_as_many_when_half_of_the_rows_are_dead() {
    let recall = recall(DEFAULT_EF, Some(&|row| row % 2 == 0));
    assert!(recall >= 0.98, "recall@10 is {recall}");
}

#[test]
fn a_wider_walk_finds_more() {
    let (narrow, wide) = (recall(10, None), recall(400, None));
    assert!(narrow < wide && wide >= 0.99, "recall@10 is {narrow} at ef 10 and {wide} at ef 400");
}

/// The embeddings of the sample of glosses. Encoding them takes a minute: they are kept in cargo's
/// target directory, under the name of the model and the sample.
fn embeddings() -> Embeddings {
    let encoder = SentenceEncoder::load(&minilm(hub::installed(DEFAULT_MODEL))).expect("the model loads");
    let sentences = sample();
    let bytes: Vec<u8> = sentences.iter().flat_map(|s| [s.as_bytes(), b"\n"].concat()).collect();
    let name = format!("recall-{}-{:08x}.npy", &encoder.fingerprint()[..16], crc32fast::hash(&bytes));
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if kept.exists() {
        return npy::read(&kept);
    }
    let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
    let mut embeddings = Embeddings::empty(encoder.dimension());
    for texts in texts.chunks(1024) {
        let encoding = encoder.encode(texts).expect("the glosses are encoded");
        encoding.embeddings.iter().for_each(|embedding| embeddings.push(embedding));
    }
    let part = kept.with_extension("part");
    fs::write(&part, npy::matrix(&embeddings)).expect("the target directory can be written");
    fs::rename(part, kept).expect("the target directory can be written");
    embeddings
}

/// A fixed sample of the glosses of WordNet, over the whole dictionary; no two are equal.
fn sample() -> Vec<String> {
    let glosses = akin_fixtures::files::glosses();
    let mut seen = HashSet::new();
    // A stride without a common divisor goes through all glosses, far from each other.
    let spread = (0..glosses.len()).map(|at| &glosses[at * 7919 % glosses.len()]);
    let sample: Vec<String> =
        spread.filter(|text| seen.insert(text.as_str())).take(ROWS + QUERIES).cloned().collect();
    assert_eq!(sample.len(), ROWS + QUERIES, "WordNet is cut off: `make wordnet` fetches it again");
    sample
}
