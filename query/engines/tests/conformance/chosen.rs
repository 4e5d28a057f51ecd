//! What is chosen of a table or collection holds from its beginning, is remembered and shown, and cannot be changed once it is built.

use akin_engines::milvus::{self, MilvusEngine};
use akin_engines::postgres::{Address, PostgresEngine};
use akin_engines::{Engine, EngineOptions, Error, Source};
use akin_fixtures::random::clustered;
use akin_index::Document;

use super::{collection, go_on, model, table};

const CHOSEN: EngineOptions =
    EngineOptions { m: Some(8), ef_construction: Some(40), text_config: None, shards: None };

fn value(engine: &dyn Engine, name: &str) -> String {
    engine.chosen().into_iter().find(|(found, _)| *found == name).unwrap().1
}

/// The option that is refused.
fn refused(error: Option<Error>) -> (String, String) {
    match error {
        Some(Error::Option { name, reason }) => (name, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_builds_its_graph_as_was_chosen_and_not_otherwise_afterwards() {
    let Some(table) = table() else { return };
    let open = |options: &EngineOptions| {
        PostgresEngine::open_or_create_with(Address::parse(&table).unwrap(), &model(8), options)
    };
    for (options, name, said) in [
        (EngineOptions { m: Some(101), ..CHOSEN }, "m", "2 to 100"),
        (EngineOptions { m: Some(30), ..CHOSEN }, "ef_construction", "60"),
        (EngineOptions { shards: Some(2), ..CHOSEN }, "shards", "has none"),
    ] {
        let (found, reason) = refused(open(&options).err());
        assert!(found == name && reason.contains(said), "{found}: {reason}");
        let none = PostgresEngine::open(Address::parse(&table).unwrap()).err();
        assert!(matches!(none, Some(Error::NoTable { .. })), "nothing is made");
    }
    assert_eq!(value(&open(&EngineOptions::default()).unwrap(), "m"), "16");
    open(&EngineOptions { m: Some(12), ..CHOSEN }).unwrap();
    let mut engine = open(&CHOSEN).unwrap();
    let documents: Vec<Document> =
        (0..2100).map(|id| Document { id: id.to_string(), ..Document::default() }).collect();
    engine.upsert(&documents, None, &clustered(2100, 8, 20, 0.5, 3)).unwrap();
    engine.finish(&go_on).unwrap();
    let mut engine = PostgresEngine::open(Address::parse(&table).unwrap()).unwrap();
    assert!(engine.figures().unwrap().has_graph);
    assert_eq!((value(&engine, "m"), value(&engine, "ef_construction")), ("8".into(), "40".into()));
    let (server, name) = table.rsplit_once('/').unwrap();
    let mut client = postgres::Client::connect(server, postgres::NoTls).unwrap();
    let find = "SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE relname = $1";
    let built: String = client.query_one(find, &[&format!("{name}_near")]).unwrap().get(0);
    assert_eq!(built, "m=8 ef_construction=40");
    open(&CHOSEN).unwrap();
    let (found, reason) = refused(open(&EngineOptions { m: Some(9), ..CHOSEN }).err());
    assert!(found == "m" && reason.contains("built with m = 8") && reason.contains("DROP INDEX"), "{reason}");
}

#[test]
fn a_collection_is_made_as_was_chosen_and_not_otherwise_afterwards() {
    let Some(collection) = collection() else { return };
    let open = |options: &EngineOptions| {
        MilvusEngine::open_or_create_with(milvus::Address::parse(&collection).unwrap(), &model(8), options)
    };
    for (options, name) in [
        (EngineOptions { m: Some(1), ..CHOSEN }, "m"),
        (EngineOptions { ef_construction: Some(0), ..CHOSEN }, "ef_construction"),
        (EngineOptions { shards: Some(17), ..CHOSEN }, "shards"),
    ] {
        assert_eq!(refused(open(&options).err()).0, name);
        let none = MilvusEngine::open(milvus::Address::parse(&collection).unwrap()).err();
        assert!(matches!(none, Some(Error::NoTable { .. })), "nothing is made");
    }
    let two = EngineOptions { shards: Some(2), ..CHOSEN };
    open(&two).unwrap();
    let again = open(&EngineOptions::default()).unwrap();
    let chosen = ["m", "ef_construction", "shards"].map(|name| value(&again, name));
    assert_eq!(chosen, ["8", "40", "2"]);
    for (options, name) in [
        (EngineOptions { m: Some(16), ..two.clone() }, "m"),
        (EngineOptions { ef_construction: Some(41), ..two.clone() }, "ef_construction"),
        (EngineOptions { shards: Some(1), ..two }, "shards"),
    ] {
        let (found, reason) = refused(open(&options).err());
        assert!(
            found == name && reason.contains("was made with m = 8") && reason.contains("`akin copy`"),
            "{reason}"
        );
    }
}
