//! An index compares its vectors as its model does: by their cosine, their dot product, or a distance.

#![allow(clippy::unwrap_used)]

mod synthetic;

use akin_fixtures::random::Random;
use akin_index::recall::right_hits;
use akin_index::{Embeddings, Index, ModelIdentity, SearchOptions, Similarity};
use synthetic::{DIMENSION, document, documents, embedding, exact, go_on, model};
use tempfile::TempDir;

const DOCUMENTS: u64 = 6000;
const K: usize = 10;

/// Vectors around centers, of lengths from 0.5 to 3.5.
fn vector(i: u64) -> Vec<f32> {
    let length = 2.0 + 1.5 * Random::new(i).uniform();
    embedding(i).into_iter().map(|value| value * length).collect()
}

fn vectors(range: impl IntoIterator<Item = u64>) -> Embeddings {
    Embeddings::from_values(DIMENSION, range.into_iter().flat_map(vector).collect())
}

/// An index of one sealed segment and what was added after it, some of it replaced.
fn filled(folder: &TempDir, similarity: Similarity) -> Index {
    let model = ModelIdentity { similarity, ..model() };
    let mut index = Index::open_or_create(folder.path(), &model).unwrap();
    for first in (0..DOCUMENTS).step_by(1500) {
        let range = first..first + 1500;
        index.upsert(&documents(range.clone()), &vectors(range)).unwrap();
    }
    index.seal(&go_on).unwrap();
    let again: Vec<u64> = (0..DOCUMENTS).step_by(13).collect();
    index.upsert(&documents(again.iter().copied()), &vectors(again.iter().map(|i| i + DOCUMENTS))).unwrap();
    index
}

/// What [`filled`] has given a document last.
fn latest(i: u64) -> Vec<f32> {
    vector(if i.is_multiple_of(13) { i + DOCUMENTS } else { i })
}

/// The similarity by its definition, in double precision.
fn compare(similarity: Similarity, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let dot = || pairs().map(|(x, y)| x * y).sum::<f64>();
    let length = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match similarity {
        Similarity::Cosine => dot() / length(a) / length(b),
        Similarity::Dot => dot(),
        Similarity::Euclidean => -pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
        Similarity::Manhattan => -pairs().map(|(x, y)| (x - y).abs()).sum::<f64>(),
    }
}

/// Exact searches find the true best with their true scores; walks find nearly all of them.
fn check(index: &Index, similarity: Similarity, live: &[u64]) {
    let (mut right, mut possible) = (0, 0);
    for query in (2 * DOCUMENTS..2 * DOCUMENTS + 40).map(vector) {
        let mut truth: Vec<(f64, String)> =
            live.iter().map(|i| (compare(similarity, &query, &latest(*i)), document(*i).id)).collect();
        truth.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = index.search(&query, &exact(K)).unwrap();
        assert_eq!(found.len(), K);
        for (hit, (score, _)) in found.iter().zip(&truth) {
            assert!((f64::from(hit.score) - score).abs() < 1e-4, "{similarity:?}: {} and {score}", hit.score);
        }
        assert_eq!(found[0].document.id, truth[0].1);
        let scores: Vec<f32> = found.iter().map(|hit| hit.score).collect();
        let walked = index.nearest(&query, &SearchOptions::default()).unwrap();
        right += right_hits(walked.iter().map(|near| near.score), &scores);
        possible += K;
    }
    let least = if similarity.is_product() { possible * 97 / 100 } else { possible };
    assert!(right >= least, "{similarity:?}: {right} of {possible}");
}

#[test]
fn every_similarity_is_that_of_its_definition_through_deletes_merges_and_compaction() {
    for similarity in Similarity::ALL {
        let folder = TempDir::new().unwrap();
        let mut index = filled(&folder, similarity);
        let mut live: Vec<u64> = (0..DOCUMENTS).collect();
        check(&index, similarity, &live);
        let dead: Vec<String> = live.iter().filter(|i| *i % 7 == 3).map(|i| document(*i).id).collect();
        index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        live.retain(|i| i % 7 != 3);
        check(&index, similarity, &live);
        index.merge(&go_on).unwrap();
        index.compact(&go_on).unwrap();
        check(&index, similarity, &live);
        index.verify().unwrap();
        let graphs = index.stat().unwrap().segments.len();
        assert_eq!(graphs, usize::from(similarity.is_product()), "{similarity:?}");
        drop(index);
        let index = Index::open(folder.path()).unwrap();
        assert_eq!(index.model().similarity, similarity);
        check(&index, similarity, &live);
    }
}

#[test]
fn vectors_that_are_not_compared_by_their_cosine_are_kept_to_the_bit() {
    for similarity in Similarity::ALL {
        let folder = TempDir::new().unwrap();
        let index = filled(&folder, similarity);
        let snapshot = index.snapshot();
        for doc in snapshot.docs().unwrap().into_iter().step_by(101) {
            let number: u64 = snapshot.document(doc).unwrap().id["doc ".len()..].parse().unwrap();
            let stored = &snapshot.vectors(doc).unwrap()[0];
            let length = stored.iter().map(|x| x * x).sum::<f32>().sqrt();
            match similarity {
                Similarity::Cosine => assert!((length - 1.0).abs() < 1e-5),
                _ => assert_eq!(*stored, latest(number)),
            }
        }
    }
}

#[test]
fn an_index_is_rebuilt_from_its_segments_with_its_similarity() {
    let folder = TempDir::new().unwrap();
    drop(filled(&folder, Similarity::Euclidean));
    std::fs::remove_file(folder.path().join("manifest")).unwrap();
    Index::repair(folder.path()).unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.model().similarity, Similarity::Euclidean);
    check(&index, Similarity::Euclidean, &(0..DOCUMENTS).collect::<Vec<_>>());
}

#[test]
fn many_small_commits_of_what_has_no_graph_stay_few_segments() {
    let folder = TempDir::new().unwrap();
    let model = ModelIdentity { similarity: Similarity::Manhattan, ..model() };
    let mut index = Index::open_or_create(folder.path(), &model).unwrap();
    index.upsert(&documents(0..5000), &vectors(0..5000)).unwrap();
    for i in 5000..5200 {
        index.upsert(&documents([i]), &vectors([i])).unwrap();
        index.seal(&go_on).unwrap();
    }
    let files = std::fs::read_dir(folder.path().join("segments")).unwrap().count();
    assert!(files <= 70, "{files} segments");
    assert_eq!(index.len(), 5200);
}
