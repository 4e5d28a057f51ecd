//! What a collection of Milvus does when something is wrong. The tests start a server of their own, or take that of the variable
//! AKIN_MILVUS; they say that they are left out where its package cannot be installed.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use akin_engines::copy::copy as copy_documents;
use akin_engines::folder::{FolderEngine, FolderSource};
use akin_engines::milvus::{Address, MilvusEngine};
use akin_engines::{Ask, Engine, Error, Source};
use akin_fixtures::random;
use akin_index::{Document, Embeddings, Filter, ModelIdentity, Passage, Similarity};
use serde_json::{Value, json};

/// A name of its own for a collection.
fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("m{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn address(server: &str, collection: &str) -> Address {
    Address::parse(&format!("{server}/{collection}")).unwrap()
}

fn model(dimension: usize) -> ModelIdentity {
    ModelIdentity::new("a".repeat(64), "somewhere", dimension)
}

fn document(id: &str, text: &str, metadata: Value) -> Document {
    let Value::Object(metadata) = metadata else { panic!("no object") };
    Document { id: id.into(), text: text.into(), metadata }
}

#[test]
fn a_collection_of_another_model_or_dimension_is_refused_by_name() {
    let Some(server) = akin_fixtures::milvus() else { return };
    let collection = name();
    let open = |model: &ModelIdentity| MilvusEngine::open_or_create(address(&server, &collection), model);
    let error = MilvusEngine::open(address(&server, &collection)).err().unwrap();
    assert!(matches!(&error, Error::NoTable { .. }), "{error}");
    assert_eq!(open(&model(2)).unwrap().model(), &model(2));
    for other in [ModelIdentity::new("b".repeat(64), "elsewhere", 2), model(3)] {
        let error = open(&other).err().unwrap();
        assert!(matches!(&error, Error::OtherModel { .. }), "{error}");
        assert!(error.to_string().contains(&collection), "{error}");
    }
    open(&ModelIdentity { location: "moved".into(), ..model(2) }).unwrap();
}

#[test]
fn a_similarity_that_milvus_has_not_is_refused_before_anything_is_made() {
    let Some(server) = akin_fixtures::milvus() else { return };
    let collection = name();
    let manhattan = ModelIdentity { similarity: Similarity::Manhattan, ..model(2) };
    let error = MilvusEngine::open_or_create(address(&server, &collection), &manhattan).err().unwrap();
    assert!(matches!(&error, Error::NoVectors { .. }) && error.to_string().contains("manhattan"), "{error}");
    let none = MilvusEngine::open(address(&server, &collection)).err().unwrap();
    assert!(matches!(none, Error::NoTable { .. }));
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_address() {
    let error = MilvusEngine::open(address("milvus://a:b@127.0.0.1:9", "notes")).err().unwrap();
    assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:9") && !error.to_string().contains("a:b"), "{error}");
}

/// Passes what it hears on to a server, until its connections are cut.
struct Between {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Between {
    fn new(server: &str) -> Self {
        let server = server.rsplit(['/', '@']).next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let connections = Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                connections.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, open }
    }

    fn cut(&self) {
        let cut = std::mem::take(&mut *self.open.lock().unwrap());
        assert!(!cut.is_empty());
        cut.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

#[test]
fn a_connection_that_is_cut_is_made_again_and_nothing_is_doubled() {
    let Some(server) = akin_fixtures::milvus() else { return };
    let between = Between::new(&server);
    let server = format!("milvus://127.0.0.1:{}", between.port);
    let mut engine = MilvusEngine::open_or_create(address(&server, &name()), &model(2)).unwrap();
    for n in 0..4 {
        let documents = [document(&n.to_string(), "", json!({}))];
        between.cut();
        engine.upsert(&documents, None, &Embeddings::from_values(2, vec![1.0, n as f32])).unwrap();
        between.cut();
        assert_eq!(engine.unchanged(&documents).unwrap(), [true]);
    }
    between.cut();
    assert_eq!(engine.figures().unwrap().documents, 4);
    between.cut();
    assert_eq!(engine.nearest(&[1.0, 0.0], &Ask::default()).unwrap().len(), 4);
}

#[test]
fn a_text_longer_than_a_row_comes_back_whole_and_what_cannot_be_kept_is_refused_by_its_id() {
    let Some(server) = akin_fixtures::milvus() else { return };
    let mut engine = MilvusEngine::open_or_create(address(&server, &name()), &model(2)).unwrap();
    let long = document("long", &"ä ".repeat(60_000), json!({"n": 1}));
    let span = |start, end| Passage { start, end };
    let spans = vec![span(0, 3), span(3, 6), span(6, 9), span(9, 180_000)];
    let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.9, 0.1, 0.8, 0.3, 0.0, 1.0]);
    engine.upsert(std::slice::from_ref(&long), Some(std::slice::from_ref(&spans)), &vectors).unwrap();
    let hits = engine.nearest(&[0.0, 1.0], &Ask::default()).unwrap();
    assert_eq!((hits.len(), hits[0].document == long, hits[0].passage), (1, true, Some(spans[3])));
    engine
        .each(&mut |stored| {
            assert!(stored.document == long && stored.passages.as_ref() == Some(&spans));
            Ok(())
        })
        .unwrap();
    // A document that is replaced by one of fewer passages leaves none behind.
    let short = document("long", "short", json!({}));
    engine.upsert(&[short], None, &Embeddings::from_values(2, vec![1.0, 0.0])).unwrap();
    assert_eq!(engine.figures().unwrap().passages, 1);
    let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0]);
    let good = document("good", "", json!({}));
    for bad in [
        document("bad", &"x".repeat(70_000), json!({})),
        document("bad", "", json!({"a": "x".repeat(70_000)})),
        document("good", "", json!({})),
    ] {
        let id = format!("{:?}", bad.id);
        let error = engine.upsert(&[good.clone(), bad], None, &vectors).err().unwrap();
        assert!(matches!(&error, Error::Document { .. }) && error.to_string().contains(&id), "{error}");
    }
    assert_eq!(engine.figures().unwrap().documents, 1);
}

#[test]
fn a_filter_that_the_server_cannot_tell_exactly_is_still_answered_exactly() {
    let Some(server) = akin_fixtures::milvus() else { return };
    let mut engine = MilvusEngine::open_or_create(address(&server, &name()), &model(3)).unwrap();
    let long = "x".repeat(100);
    let documents: Vec<Document> = (0..60)
        .map(|n| {
            let metadata = match n % 4 {
                0 => json!({"a": 9_007_199_254_740_992u64 + n}),
                1 => json!({"a": format!("{long}{n}")}),
                2 => json!({"a": ["2023-01-01", format!("2025-{:02}", 1 + n % 12)]}),
                _ => json!({"a": ["2024-05-01T10:00:00.5", "2024-05-01T10:00:00.75", format!("{n}\" or part >= 0")]}),
            };
            document(&format!("{n:02}"), "", metadata)
        })
        .collect();
    engine.upsert(&documents, None, &random::unit_vectors(60, 3, 1)).unwrap();
    for text in [
        "a = 9007199254740996".to_owned(),
        "a != 9007199254740996".into(),
        "a < 9007199254741000".into(),
        "not a > 9007199254741000".into(),
        format!("a = {long}5"),
        format!("a > {long}33"),
        format!("not a in ({long}5, {long}9)"),
        "a = 2024".into(),
        "a > 2024-06".into(),
        "not a > 2024-06".into(),
        "a < 2024-05-01T10:00:00.6 and a >= 2024-05-01T10:00:00.6".into(),
        "a = '3\" or part >= 0'".into(),
    ] {
        let filter = Filter::parse(&text).unwrap();
        let right: Vec<&str> =
            documents.iter().filter(|one| filter.matches(&one.metadata)).map(|one| one.id.as_str()).collect();
        for exact in [false, true] {
            let ask = Ask { k: 60, exact, filter: Some(filter.clone()), ..Ask::default() };
            let mut found: Vec<String> = engine
                .nearest(&[1.0, 0.0, 0.0], &ask)
                .unwrap()
                .into_iter()
                .map(|hit| hit.document.id)
                .collect();
            found.sort();
            assert_eq!(found, right, "{text}");
        }
    }
}

#[test]
fn a_copy_goes_there_and_back_and_a_second_one_sends_nothing() {
    let Some(server) = akin_fixtures::milvus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (from, back) = (folder.path().join("from"), folder.path().join("back"));
    let mut original = FolderEngine::open_or_create(&from, &model(3)).unwrap();
    let documents: Vec<Document> = (0..1300)
        .map(|n| document(&n.to_string(), &format!("text {n}"), json!({"n": n, "f": n as f64 / 7.0})))
        .collect();
    let spans: Vec<Vec<Passage>> = (0..1300)
        .map(|n| {
            if n % 7 == 0 {
                vec![Passage { start: 0, end: 2 }, Passage { start: 2, end: 6 }]
            } else {
                vec![Passage { start: 0, end: 6 }]
            }
        })
        .collect();
    let rows = spans.iter().map(Vec::len).sum();
    original.upsert(&documents, Some(&spans), &random::unit_vectors(rows, 3, 2)).unwrap();
    drop(original);
    let watch: akin_engines::copy::Watch<'_> = &|_, _, _| ControlFlow::Continue(());
    let mut source = FolderSource::open(&from).unwrap();
    let mut milvus = MilvusEngine::open_or_create(address(&server, &name()), &model(3)).unwrap();
    let copied = copy_documents(&mut source, &mut milvus, watch).unwrap();
    assert_eq!((copied.documents, copied.added, copied.passages), (1300, 1300, rows));
    let again = copy_documents(&mut source, &mut milvus, watch).unwrap();
    assert_eq!((again.added, again.replaced, again.unchanged), (0, 0, 1300));
    let mut target = FolderEngine::open_or_create(&back, &model(3)).unwrap();
    let copied = copy_documents(&mut milvus, &mut target, watch).unwrap();
    assert_eq!((copied.documents, copied.added, copied.passages), (1300, 1300, rows));
    let mut ids = Vec::new();
    target
        .each(&mut |stored| {
            ids.push(stored.document.id);
            Ok(())
        })
        .unwrap();
    assert_eq!(ids, (0..1300).map(|n| n.to_string()).collect::<Vec<_>>(), "oldest first");
}
