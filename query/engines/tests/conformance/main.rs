//! Every engine keeps and finds the same. The tests of PostgreSQL start a server of their own, or take that of the variable
//! AKIN_POSTGRES; those of Milvus take that of AKIN_MILVUS. They say that they are left out where its package cannot be installed.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod chosen;
mod words;
mod writers;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use akin_engines::folder::FolderEngine;
use akin_engines::milvus::{self, MilvusEngine};
use akin_engines::postgres::{Address, PostgresEngine};
use akin_engines::{Ask, Engine, EngineOptions, Error, Source, Stored};
use akin_fixtures::random::{self, clustered};
use akin_index::{Document, Embeddings, Filter, ModelIdentity, Passage, Similarity, WordQuery};
use serde_json::{Value, json};

/// The address of a table of its own, if there is a server.
fn table() -> Option<String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let server = akin_fixtures::postgres()?;
    Some(format!("{server}/t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// The address of a collection of its own, if there is a server of Milvus.
fn collection() -> Option<String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let server = akin_fixtures::milvus()?;
    Some(format!("{server}/t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Runs a test on each engine there is.
fn on_each(model: &ModelIdentity, test: &dyn Fn(&mut dyn Engine)) {
    let folder = tempfile::tempdir().unwrap();
    test(&mut FolderEngine::open_or_create(&folder.path().join("index"), model).unwrap());
    if let Some(table) = table() {
        test(&mut PostgresEngine::open_or_create(Address::parse(&table).unwrap(), model).unwrap());
    }
    // Milvus has no such similarity.
    if model.similarity != Similarity::Manhattan
        && let Some(collection) = collection()
    {
        let address = milvus::Address::parse(&collection).unwrap();
        test(&mut MilvusEngine::open_or_create(address, model).unwrap());
    }
}

fn model(dimension: usize) -> ModelIdentity {
    ModelIdentity::new("a".repeat(64), "somewhere", dimension)
}

fn document(id: &str, text: &str, metadata: Value) -> Document {
    let Value::Object(metadata) = metadata else { panic!("no object") };
    Document { id: id.into(), text: text.into(), metadata }
}

fn ids(engine: &mut dyn Engine, query: &[f32], ask: &Ask) -> Vec<String> {
    engine.nearest(query, ask).unwrap().into_iter().map(|hit| hit.document.id).collect()
}

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn all(engine: &mut dyn Engine) -> Vec<Stored> {
    let mut all = Vec::new();
    engine
        .each(&mut |stored| {
            all.push(stored);
            Ok(())
        })
        .unwrap();
    all
}

#[test]
fn documents_are_added_replaced_deleted_and_come_back_as_they_were() {
    on_each(&model(2), &|engine| {
        let first = document(
            "a",
            "one\ttwo \u{1f600} \\N",
            json!({"z": 1, "a": [1.5, null, {"b": "c"}], "n": 12345678901234567890u64}),
        );
        let second = document("b'\"\\", "", json!({}));
        let vectors = Embeddings::from_values(2, vec![2.0, 0.0, 0.0, 1.0]);
        let both = [first.clone(), second.clone()];
        assert_eq!(engine.unchanged(&both).unwrap(), [false, false]);
        let upserted = engine.upsert(&both, None, &vectors).unwrap();
        assert_eq!((upserted.added, upserted.replaced), (2, 0));
        assert_eq!(engine.unchanged(&both).unwrap(), [true, true]);
        let stored = all(engine);
        assert_eq!(stored.iter().map(|one| &one.document).collect::<Vec<_>>(), [&first, &second]);
        let fields: Vec<&String> = stored[0].document.metadata.keys().collect();
        assert_eq!(fields, ["z", "a", "n"]);
        assert_eq!(stored[0].vectors, [[1.0, 0.0]]);
        let changed = document("a", "three", json!({"z": 1}));
        assert_eq!(engine.unchanged(std::slice::from_ref(&changed)).unwrap(), [false]);
        let upserted =
            engine.upsert(&[changed.clone(), document("c", "", json!({}))], None, &vectors).unwrap();
        assert_eq!((upserted.added, upserted.replaced), (1, 1));
        let hits = engine.nearest(&[1.0, 0.0], &Ask { k: 1, ..Ask::default() }).unwrap();
        assert_eq!((&hits[0].document, hits[0].passage), (&changed, None));
        assert!((hits[0].score - 1.0).abs() < 1e-3);
        assert_eq!(engine.delete(&["a", "nobody"]).unwrap(), [true, false]);
        assert_eq!(engine.delete(&["a"]).unwrap(), [false]);
        assert_eq!(engine.figures().unwrap().documents, 2);
        let nothing = engine.upsert(&[], None, &Embeddings::empty(2)).unwrap();
        assert_eq!((nothing.added, nothing.replaced), (0, 0));
    });
}

#[test]
fn a_document_of_several_passages_is_found_once_by_the_best() {
    on_each(&model(2), &|engine| {
        let texts =
            [document("long", "aaa bbb ccc", json!({"n": 1})), document("short", "ddd", json!({"n": 2}))];
        let span = |start, end| Passage { start, end };
        let passages = [vec![span(0, 3), span(4, 7), span(8, 11)], vec![span(0, 3)]];
        let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.9, 0.1, 0.8, 0.3, 0.0, 1.0]);
        engine.upsert(&texts, Some(&passages), &vectors).unwrap();
        let hits = engine.nearest(&[1.0, 0.35], &Ask { k: 2, ..Ask::default() }).unwrap();
        let found: Vec<_> = hits.iter().map(|hit| (hit.document.id.as_str(), hit.passage)).collect();
        assert_eq!(found, [("long", Some(span(8, 11))), ("short", None)]);
        assert_eq!(hits[0].document, texts[0]);
        let figures = engine.figures().unwrap();
        assert_eq!((figures.documents, figures.passages), (2, 4));
        assert_eq!(all(engine)[0].vectors.len(), 3);
        let filter = Some(Filter::parse("n = 1").unwrap());
        assert_eq!(ids(engine, &[0.0, 1.0], &Ask { filter, ..Ask::default() }), ["long"]);
        engine.upsert(&texts[..1], None, &Embeddings::from_values(2, vec![1.0, 0.0])).unwrap();
        assert_eq!(engine.figures().unwrap().passages, 2);
    });
}

#[test]
fn documents_come_by_their_ids() {
    on_each(&model(2), &|engine| {
        let documents = [document("a", "one", json!({"z": 1, "a": [2]})), document("b", "", json!({}))];
        engine.upsert(&documents, None, &Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0])).unwrap();
        let [first, second] = documents;
        assert_eq!(engine.get(&["b", "nobody", "a"]).unwrap(), [Some(second), None, Some(first)]);
        assert_eq!(engine.get(&[]).unwrap(), []);
    });
}

#[test]
fn filters_mean_the_same_everywhere() {
    let documents = [
        json!({}),
        json!({"a": null}),
        json!({"a": {}}),
        json!({"a": []}),
        json!({"a": 1}),
        json!({"a": "1"}),
        json!({"a": 1.0}),
        json!({"a": -2.5}),
        json!({"a": "1e1"}),
        json!({"a": ".5"}),
        json!({"a": "5."}),
        json!({"a": " 1"}),
        json!({"a": "nan"}),
        json!({"a": "infinity"}),
        json!({"a": "n/a"}),
        json!({"a": ""}),
        json!({"a": true}),
        json!({"a": "true"}),
        json!({"a": "it's \"so\""}),
        json!({"a": "Zebra"}),
        json!({"a": "äpfel"}),
        json!({"a": ["red", 7, null, ["blue"]]}),
        json!({"a": {"b": 3}}),
        json!({"a": {"b": [4, 5]}}),
        json!({"a": [{"b": 6}, {"b": {"c": "deep"}}, 8]}),
        json!({"a.b": "own", "a": {"b": 3}}),
        json!({"a": {"b.c": 9}}),
        json!({"a": 9007199254740993u64}),
        json!({"a": "2024"}),
        json!({"a": "2024-05"}),
        json!({"a": "2024-05-01"}),
        json!({"a": "2024-05-01T08:30:00Z"}),
        json!({"a": "2024-05-01 10:30+02:00"}),
        json!({"a": "2024-05-01T23:59:60.5-0130"}),
        json!({"a": "2024-02-30"}),
        json!({"a": "2023-02-29"}),
        json!({"a": "2024-13"}),
        json!({"a": "0000-01-01"}),
        json!({"a": "1969-12-31T23:59:59.999999"}),
        json!({"a": "2024-05-01T24:00"}),
        json!({"a": "2024-05-01T10:00+2"}),
    ];
    let filters = [
        "a = 1",
        "a != 1",
        "a < 1",
        "a <= 1",
        "a > 1",
        "a >= 1",
        "a = '1'",
        "a = 1.0",
        "a >= -2.5",
        "a > .4 and a < 6",
        "a = true",
        "a = 'it\\'s \"so\"'",
        "a < b",
        "a > b",
        "a >= 'Zebra'",
        "a = red",
        "a = 7",
        "a in (1, red, '')",
        "a not in (1, red)",
        "a = blue",
        "a.b = 3",
        "a.b >= 4",
        "a.b != 3",
        "a.b.c = deep",
        "a.b.c = 9",
        "a.b = own",
        "a = 9007199254740993",
        "a = 9007199254740992",
        "a = 2024",
        "a > 2023",
        "a < 2025",
        "a = 2024-05",
        "a != 2024-05",
        "a < 2024-05",
        "a > 2024-05-01",
        "a >= 2024-05-01T08:30",
        "a = 2024-05-01T08:30:00Z",
        "a <= 2024-05-02T01:30:00.5",
        "a in (2024-05-01, 1999)",
        "a < 1970-01-01",
        "a > 0001-01-01",
        "a = null",
        "not a = 1 and not (a > 5 or a in (red))",
        "nobody = 1",
        "nobody != 1",
    ];
    let all: Vec<Document> = documents
        .iter()
        .enumerate()
        .map(|(n, metadata)| document(&format!("{n:02}"), "", metadata.clone()))
        .collect();
    let vectors = random::unit_vectors(all.len(), 3, 1);
    on_each(&model(3), &|engine| {
        engine.upsert(&all, None, &vectors).unwrap();
        for text in filters {
            let filter = Filter::parse(text).unwrap();
            let right: Vec<&str> =
                all.iter().filter(|one| filter.matches(&one.metadata)).map(|one| one.id.as_str()).collect();
            let ask = Ask { k: 100, exact: true, filter: Some(filter.clone()), ..Ask::default() };
            let mut found = ids(engine, &[1.0, 0.0, 0.0], &ask);
            found.sort();
            assert_eq!(found, right, "{text} of {}", engine.place());
        }
    });
}

#[test]
fn similarities_are_those_of_the_model() {
    for similarity in Similarity::ALL {
        let model = ModelIdentity { similarity, ..model(2) };
        on_each(&model, &|engine| {
            let documents = [document("near", "", json!({})), document("far", "", json!({}))];
            engine.upsert(&documents, None, &Embeddings::from_values(2, vec![3.0, 1.0, 1.0, 3.0])).unwrap();
            let hits = engine.nearest(&[2.0, 0.0], &Ask::default()).unwrap();
            assert_eq!(hits[0].document.id, "near");
            let unit = |vector: [f32; 2]| match similarity {
                Similarity::Cosine => {
                    let length = vector[0].hypot(vector[1]);
                    [vector[0] / length, vector[1] / length]
                }
                _ => vector,
            };
            let right = similarity.of(&unit([2.0, 0.0]), &unit([3.0, 1.0]));
            assert!((hits[0].score - right).abs() < 2e-3, "{similarity:?}: {} and {right}", hits[0].score);
        });
    }
}

#[test]
fn a_graph_finds_what_comparing_with_all_finds() {
    const ROWS: usize = 5000;
    let vectors = clustered(ROWS, 24, 60, 0.5, 9);
    let documents: Vec<Document> = (0..ROWS)
        .map(|n| document(&n.to_string(), "", json!({"tenth": n % 10, "hundredth": n % 100})))
        .collect();
    let queries = clustered(30, 24, 60, 0.5, 10);
    on_each(&model(24), &|engine| {
        engine.upsert(&documents, None, &vectors).unwrap();
        engine.finish(&go_on).unwrap();
        assert!(engine.figures().unwrap().has_graph);
        for filter in [None, Some("tenth = 3"), Some("hundredth = 42")] {
            let filter = filter.map(|filter| Filter::parse(filter).unwrap());
            let (mut found, mut right) = (0, 0);
            for query in queries.iter() {
                let exact =
                    ids(engine, query, &Ask { exact: true, filter: filter.clone(), ..Ask::default() });
                let near = ids(engine, query, &Ask { filter: filter.clone(), ..Ask::default() });
                assert_eq!((exact.len(), near.len()), (10, 10));
                right += exact.len();
                found += near.iter().filter(|id| exact.contains(id)).count();
            }
            assert!(found * 100 >= right * 95, "{found} of {right}, {filter:?}, {}", engine.place());
        }
    });
}

#[test]
fn a_table_of_another_model_or_of_somebody_else_is_refused_by_name() {
    let Some(address) = table() else { return };
    let parse = || Address::parse(&address).unwrap();
    assert!(matches!(PostgresEngine::open(parse()), Err(Error::NoTable { .. })));
    let first = PostgresEngine::open_or_create(parse(), &model(2)).unwrap();
    assert_eq!(first.model(), &model(2));
    let other = ModelIdentity::new("b".repeat(64), "elsewhere", 2);
    let error = PostgresEngine::open_or_create(parse(), &other).err().unwrap();
    assert!(
        matches!(&error, Error::OtherModel { .. }) && error.to_string().contains("its model is somewhere"),
        "{error}"
    );
    PostgresEngine::open_or_create(parse(), &ModelIdentity { location: "moved".into(), ..model(2) }).unwrap();
    let (server, name) = address.rsplit_once('/').unwrap();
    let mut client = postgres::Client::connect(server, postgres::NoTls).unwrap();
    client.batch_execute(&format!("COMMENT ON TABLE {name} IS 'accounts'")).unwrap();
    let error = PostgresEngine::open(parse()).err().unwrap();
    assert!(matches!(&error, Error::NotOurs { .. }), "{error}");
}

#[test]
fn a_server_that_is_not_there_and_a_wrong_password_are_told_apart() {
    let error =
        PostgresEngine::open(Address::parse("postgres://a:b@127.0.0.1:9/d/t").unwrap()).err().unwrap();
    assert!(
        matches!(&error, Error::Unreachable { .. }) && error.to_string().contains("127.0.0.1:9"),
        "{error}"
    );
    let Some(address) = table() else { return };
    let (begin, end) = address.rsplit_once('@').unwrap();
    let (begin, _) = begin.rsplit_once(':').unwrap();
    let error = PostgresEngine::open(Address::parse(&format!("{begin}:wrong@{end}")).unwrap()).err().unwrap();
    assert!(matches!(&error, Error::Login { .. }), "{error}");
}

#[test]
fn a_connection_that_is_cut_is_made_again_and_nothing_is_doubled() {
    let Some(address) = table() else { return };
    let mut engine = PostgresEngine::open_or_create(Address::parse(&address).unwrap(), &model(2)).unwrap();
    let server = address.rsplit_once('/').unwrap().0;
    let mut client = postgres::Client::connect(server, postgres::NoTls).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'akin' AND query LIKE $1";
    let name = format!("%{}%", address.rsplit_once('/').unwrap().1);
    for n in 0..4 {
        let documents = [document(&n.to_string(), "", json!({}))];
        engine.upsert(&documents, None, &Embeddings::from_values(2, vec![1.0, n as f32])).unwrap();
        engine.unchanged(&documents).unwrap();
        assert!(!client.query(cut, &[&name]).unwrap().is_empty());
    }
    assert_eq!(engine.figures().unwrap().documents, 4);
    assert_eq!(ids(&mut engine, &[1.0, 0.0], &Ask::default()).len(), 4);
}

#[test]
fn what_cannot_be_kept_is_refused_by_its_id_and_nothing_of_its_batch_is_there() {
    let Some(address) = table() else { return };
    let mut engine = PostgresEngine::open_or_create(Address::parse(&address).unwrap(), &model(2)).unwrap();
    let vectors = Embeddings::from_values(2, vec![1.0, 0.0, 0.0, 1.0]);
    for bad in [document("bad", "a\0b", json!({})), document("bad", "", json!({"a": ["\0"]}))] {
        let error = engine.upsert(&[document("good", "", json!({})), bad], None, &vectors).err().unwrap();
        assert!(error.to_string().contains("\"bad\"") && error.to_string().contains("NUL"), "{error}");
    }
    assert_eq!(engine.figures().unwrap().documents, 0);
    let filter = Some(Filter::parse("a.b.c.d.e.f = 1").unwrap());
    assert!(matches!(
        engine.nearest(&[1.0, 0.0], &Ask { filter, ..Ask::default() }),
        Err(Error::Filter { .. })
    ));
}
