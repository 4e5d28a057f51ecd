//! What an index promises while nothing goes wrong with the machine, on made-up vectors.

#![allow(clippy::unwrap_used)]

mod synthetic;

use std::fs;

use akin_index::{DEFAULT_EF, Index, ModelIdentity, Reader, SEAL_PASSAGES, SearchOptions, Upserted};
use akin_index::{Document, Embeddings, Error, Found};
use synthetic::{DIMENSION, document, documents, embedding, embeddings, exact, filled, go_on, ids, model};
use tempfile::TempDir;

/// The ids of the `k` most similar of documents `0..n`, by comparing with each.
fn nearest(query: &[f32], n: u64, k: usize) -> Vec<String> {
    let mut scored: Vec<(f64, u64)> = (0..n)
        .map(|i| {
            let dot = embedding(i).iter().zip(query).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            (dot, i)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored[..k].iter().map(|(_, i)| document(*i).id).collect()
}

#[test]
fn an_index_is_sent_between_threads_and_searched_by_many() {
    fn assert_send_and_sync<T: Send + Sync>() {}
    assert_send_and_sync::<Index>();
}

#[test]
fn a_reopened_index_has_the_documents_and_finds_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/notes");
    let mut index = Index::open_or_create(&path, &model()).unwrap();
    assert!(index.is_empty());
    let added = index.upsert(&documents(0..50), &embeddings(0..50)).unwrap();
    assert_eq!(added, Upserted { added: 50, replaced: 0 });
    drop(index);

    let index = Index::open(&path).unwrap();
    assert_eq!(index.model(), model());
    assert_eq!(index.len(), 50);
    let hits = index.search(&embedding(7), &SearchOptions::default()).unwrap();
    assert_eq!(hits.len(), 10);
    assert_eq!(hits[0].document, document(7));
    assert!((hits[0].score - 1.0).abs() < 1e-6);
    assert_eq!(index.get("doc 49").unwrap(), Some(document(49)));
    assert_eq!(index.get("doc 50").unwrap(), None);
    assert_eq!(index.verify().unwrap().documents, 50);
}

#[test]
fn a_known_id_replaces_the_document_and_its_vector() {
    let folder = TempDir::new().unwrap();
    let mut index = filled(folder.path(), 20);
    let newer = Document { text: "newer".into(), ..document(3) };
    let upserted = index.upsert(&[newer.clone(), document(100)], &embeddings([500, 100])).unwrap();
    assert_eq!(upserted, Upserted { added: 1, replaced: 1 });
    for _ in 0..2 {
        assert_eq!(index.len(), 21);
        assert_eq!(index.get("doc 3").unwrap(), Some(newer.clone()));
        assert_eq!(ids(&index, &embedding(500), &exact(1)), ["doc 3"]);
        assert_eq!(ids(&index, &embedding(3), &exact(21)).len(), 21);
        assert_ne!(ids(&index, &embedding(3), &exact(1)), ["doc 3"]);
        index.verify().unwrap();
        drop(index);
        index = Index::open(folder.path()).unwrap();
    }
}

#[test]
fn a_deleted_document_is_gone_and_may_come_back() {
    let folder = TempDir::new().unwrap();
    let mut index = filled(folder.path(), 20);
    let existed = index.delete(&["doc 3", "other", "doc 3", "doc 4"]).unwrap();
    assert_eq!(existed, [true, false, false, true]);
    for _ in 0..2 {
        assert_eq!(index.len(), 18);
        assert_eq!(index.get("doc 3").unwrap(), None);
        assert!(!index.is_unchanged(&document(3)).unwrap());
        assert_eq!(ids(&index, &embedding(3), &exact(20)).len(), 18);
        index.verify().unwrap();
        drop(index);
        index = Index::open(folder.path()).unwrap();
    }
    let back = index.upsert(&documents(3..4), &embeddings(3..4)).unwrap();
    assert_eq!(back, Upserted { added: 1, replaced: 0 });
    assert_eq!(ids(&index, &embedding(3), &exact(1)), ["doc 3"]);
    let stat = index.stat().unwrap();
    assert_eq!((stat.documents, stat.deleted, stat.pending), (19, 2, 19));
    assert!(stat.bytes_on_disk > 0);
}

#[test]
fn only_the_same_text_and_metadata_is_unchanged() {
    let folder = TempDir::new().unwrap();
    let index = filled(folder.path(), 3);
    let mut other = document(1);
    assert!(index.is_unchanged(&other).unwrap());
    other.metadata.insert("extra".into(), 1.into());
    assert!(!index.is_unchanged(&other).unwrap());
    let other = Document { text: "else".into(), ..document(1) };
    assert!(!index.is_unchanged(&other).unwrap());
    assert!(!index.is_unchanged(&document(3)).unwrap());
}

#[test]
fn text_of_every_length_comes_back() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    let texts: Vec<Document> = (0..20)
        .chain(7100..7180)
        .chain(14_250..14_340)
        .chain([3_000_000])
        .map(|length| Document {
            id: format!("{length}"),
            text: "ß".repeat(length / 2) + &"x".repeat(length % 2),
            ..Document::default()
        })
        .collect();
    index.upsert(&texts, &embeddings(0..texts.len() as u64)).unwrap();
    drop(index);
    let mut index = Index::open(folder.path()).unwrap();
    assert_eq!(index.verify().unwrap().documents, texts.len());
    for text in &texts {
        assert_eq!(index.get(&text.id).unwrap().as_ref(), Some(text));
        assert!(index.is_unchanged(text).unwrap());
    }
    let ids: Vec<&str> = texts.iter().map(|text| text.id.as_str()).collect();
    index.delete(&ids).unwrap();
    assert_eq!(index.verify().unwrap().documents, 0);
}

#[test]
fn vectors_are_compared_by_direction_only() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    let mut long = Embeddings::empty(DIMENSION);
    for i in 0..10 {
        let scale = (i + 1) as f32 * 3.0;
        long.push(&embedding(i).iter().map(|x| x * scale).collect::<Vec<_>>());
    }
    long.push(&[0.0; DIMENSION]);
    index.upsert(&documents(0..11), &long).unwrap();
    let query: Vec<f32> = embedding(4).iter().map(|x| x * 0.01).collect();
    let hits = index.search(&query, &exact(11)).unwrap();
    assert_eq!(hits[0].document.id, "doc 4");
    assert!((hits[0].score - 1.0).abs() < 1e-6);
    assert_eq!(hits.iter().find(|hit| hit.document.id == "doc 10").unwrap().score, 0.0);
    index.verify().unwrap();
}

#[test]
fn equal_scores_come_in_the_order_of_the_corpus() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    index.upsert(&documents(0..6), &embeddings([1, 1, 1, 1, 1, 1])).unwrap();
    assert_eq!(ids(&index, &embedding(1), &exact(3)), ["doc 0", "doc 1", "doc 2"]);
}

#[test]
fn asking_for_nothing_or_for_everything_is_answered() {
    let folder = TempDir::new().unwrap();
    let index = filled(folder.path(), 30);
    for exact in [true, false] {
        let ask = |k, ef| SearchOptions { k, ef, exact, among: None };
        assert!(ids(&index, &embedding(1), &ask(0, None)).is_empty());
        assert_eq!(ids(&index, &embedding(1), &ask(usize::MAX, Some(0))).len(), 30);
        assert_eq!(ids(&index, &embedding(1), &ask(7, Some(usize::MAX))).len(), 7);
    }
    let empty = TempDir::new().unwrap();
    let index = Index::open_or_create(empty.path(), &model()).unwrap();
    assert!(index.search(&embedding(1), &SearchOptions::default()).unwrap().is_empty());
    assert_eq!(index.verify().unwrap().documents, 0);
}

#[test]
fn a_sealed_index_finds_what_comparing_with_all_finds() {
    let folder = TempDir::new().unwrap();
    let n = SEAL_PASSAGES as u64 + 1000;
    let mut index = filled(folder.path(), n);
    index
        .seal(&|done, all| {
            assert!(done <= all);
            go_on(done, all)
        })
        .unwrap();
    index.upsert(&documents(n..n + 100), &embeddings(n..n + 100)).unwrap();
    index.seal(&|_, _| panic!("a hundred documents need no graph")).unwrap();
    drop(index);
    let index = Index::open(folder.path()).unwrap();
    let stat = index.stat().unwrap();
    assert_eq!((stat.segments.len(), stat.pending), (1, 100));
    assert_eq!(stat.segments[0].documents as u64, n);
    assert!(stat.segments[0].graph_edges as u64 > n);
    index.verify().unwrap();
    let mut found = 0;
    for query in (0..50).map(|i| embedding(1_000_000 + i)) {
        let truth = nearest(&query, n + 100, 10);
        assert_eq!(ids(&index, &query, &exact(10)), truth);
        let walked = ids(&index, &query, &SearchOptions::default());
        assert_eq!(walked.len(), 10);
        found += truth.iter().filter(|id| walked.contains(id)).count();
    }
    assert!(found >= 485, "{found} of 500 at ef {DEFAULT_EF}");
    let all = SearchOptions { k: 3000, ..SearchOptions::default() };
    assert!(ids(&index, &embedding(5), &all).len() > 2900);
}

#[test]
fn documents_deleted_from_a_graph_are_not_found_and_the_rest_are() {
    let folder = TempDir::new().unwrap();
    let n = SEAL_PASSAGES as u64;
    let mut index = filled(folder.path(), n);
    index.seal(&go_on).unwrap();
    let query = embedding(1_000_000);
    let truth = nearest(&query, n, 30);
    let dead: Vec<&str> = truth[..20].iter().map(String::as_str).collect();
    assert_eq!(index.delete(&dead).unwrap(), [true; 20]);
    for _ in 0..2 {
        assert_eq!(ids(&index, &query, &exact(10)), truth[20..]);
        let walked = ids(&index, &query, &SearchOptions::default());
        assert_eq!(walked.len(), 10);
        assert!(walked.iter().all(|id| !dead.contains(&id.as_str())));
        assert_eq!(index.stat().unwrap().segments[0].deleted, 20);
        drop(index);
        index = Index::open(folder.path()).unwrap();
    }
    index.verify().unwrap();
}

#[test]
fn another_model_is_refused_and_a_moved_one_is_noted() {
    let folder = TempDir::new().unwrap();
    drop(filled(folder.path(), 3));
    let other = ModelIdentity { fingerprint: "b".repeat(64), ..model() };
    let error = Index::open_or_create(folder.path(), &other).unwrap_err();
    assert!(matches!(error, Error::OtherModel { .. }), "{error}");
    let moved = ModelIdentity { location: "/elsewhere".into(), ..model() };
    drop(Index::open_or_create(folder.path(), &moved).unwrap());
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.model(), moved);
    assert_eq!(index.len(), 3);
    index.snapshot().require_model(&model().fingerprint).unwrap();
    assert!(index.snapshot().require_model("b").is_err());
}

#[test]
fn documents_and_embeddings_that_do_not_fit_are_refused_whole() {
    let folder = TempDir::new().unwrap();
    let mut index = filled(folder.path(), 3);
    let long = Document { id: "x".repeat(5000), ..Document::default() };
    let nameless = Document::default();
    let mut nan = embeddings(10..12);
    nan.as_mut_slice()[DIMENSION + 1] = f32::NAN;
    let refused: [(&[Document], Embeddings); 6] = [
        (&documents(10..12), embeddings(10..11)),
        (&documents(10..12), Embeddings::from_values(2, vec![1.0; 4])),
        (&documents(10..12), nan),
        (&[document(10), document(10)], embeddings(10..12)),
        (&[document(10), long], embeddings(10..12)),
        (&[document(10), nameless], embeddings(10..12)),
    ];
    for (documents, embeddings) in refused {
        let error = index.upsert(documents, &embeddings).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    assert_eq!(index.len(), 3);
    assert_eq!(index.upsert(&[], &Embeddings::default()).unwrap(), Upserted::default());
    let short = index.search(&[1.0], &SearchOptions::default()).unwrap_err();
    assert!(matches!(short, Error::Invalid(_)));
    let nan = index.search(&[f32::NAN; DIMENSION], &SearchOptions::default()).unwrap_err();
    assert!(matches!(nan, Error::Invalid(_)));
}

#[test]
fn a_path_that_is_something_else_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    let other = folder.path().join("other");
    let empty = folder.path().join("empty");
    fs::write(&file, "text").unwrap();
    fs::create_dir(&other).unwrap();
    fs::create_dir(&empty).unwrap();
    fs::write(other.join("thesis.txt"), "years of work").unwrap();
    let not_an_index = |result: Result<Index, Error>| {
        assert!(matches!(result.unwrap_err(), Error::NotAnIndex { .. }));
    };
    for path in [&file, &other] {
        not_an_index(Index::open(path));
        not_an_index(Index::open_or_create(path, &model()));
    }
    not_an_index(Index::open(&empty));
    not_an_index(Index::open(&folder.path().join("nothing")));
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    fs::write(other.join("akin-index"), "a note on the akin index").unwrap();
    not_an_index(Index::open_or_create(&other, &model()));
}

#[test]
fn a_creation_that_was_interrupted_is_completed() {
    let stages: [&[&str]; 3] = [&["catalogue"], &["catalogue", "segments"], &[]];
    for folders in stages {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("writer.lock"), "").unwrap();
        folders.iter().for_each(|name| fs::create_dir(folder.path().join(name)).unwrap());
        let error = Index::open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::NotAnIndex { found: Found::Interrupted, .. }), "{error}");
        drop(filled(folder.path(), 3));
        assert_eq!(Index::open(folder.path()).unwrap().len(), 3);
    }
}

#[test]
fn an_index_has_one_writer_at_a_time() {
    let folder = TempDir::new().unwrap();
    let index = filled(folder.path(), 3);
    assert!(matches!(Index::open(folder.path()).unwrap_err(), Error::Locked { .. }));
    let again = Index::open_or_create(folder.path(), &model());
    assert!(matches!(again.unwrap_err(), Error::Locked { .. }));
    assert_eq!(Reader::open(folder.path()).unwrap().len(), 3);
    drop(index);
    assert_eq!(Index::open(folder.path()).unwrap().len(), 3);
}

#[test]
fn the_background_of_a_query_is_that_of_passages_all_over_the_index() {
    let folder = TempDir::new().unwrap();
    let mut index = Index::open_or_create(folder.path(), &model()).unwrap();
    assert_eq!(index.snapshot().background(&embedding(1)).unwrap(), None);
    for part in [0..300, 300..1000, 1000..1010] {
        index.upsert(&documents(part.clone()), &embeddings(part)).unwrap();
    }
    let dead: Vec<String> = (0..1010).filter(|i| i % 3 == 0).map(|i| format!("doc {i}")).collect();
    index.delete(&dead.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let snapshot = index.snapshot();
    for query in (2000..2010).map(embedding) {
        let background = snapshot.background(&query).unwrap().unwrap();
        let all = snapshot.nearest(&query, &exact(2000)).unwrap();
        let mean = all.iter().map(|near| near.score).sum::<f32>() / all.len() as f32;
        let variance = all.iter().map(|near| (near.score - mean).powi(2)).sum::<f32>() / all.len() as f32;
        assert!((background.mean - mean).abs() < 0.03, "{background:?} and {mean}");
        assert!((background.deviation - variance.sqrt()).abs() < 0.03, "{background:?} and {variance}");
        assert_eq!(snapshot.background(&query).unwrap(), Some(background));
    }
}
