//! What a server tells of the state of an index, and sets of documents to search in.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::{Role, SentenceEncoder};
use akin_fixtures::Folder;
use akin_index::{Document, Index, ModelIdentity, PassageSize};
use akin_query::model::identity;
use common::{Served, make_index, model, texts};
use serde_json::{Value, json};

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn a_query_within_a_set_finds_its_documents_alone_however_far_they_are() {
    let served = Served::notes(60);
    let keep = |ids: &Value| served.post("/v1/indexes/notes/sets", &json!({ "ids": ids })).ok();
    let kept = keep(&json!(["n/41", "n/52", "n/9", "nobody"]));
    assert_eq!(kept["documents"], 3);
    let ask = |more: Value| {
        let mut request = json!({ "text": texts(60)[7], "within": kept["set"], "k": 50 });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        served.post("/v1/indexes/notes/query", &request).ok()
    };
    for mode in ["semantic", "keyword", "hybrid"] {
        let answer = ask(json!({ "mode": mode }));
        assert!(ids(&answer).iter().all(|id| ["n/41", "n/52", "n/9"].contains(id)), "{mode}: {answer}");
        assert_eq!(ids(&answer).len(), 3, "{mode}");
    }
    // A filter narrows it further.
    assert_eq!(ids(&ask(json!({ "filter": "n < 10" }))), ["n/9"]);
    assert_eq!(keep(&json!(["n/41", "n/52", "n/9", "nobody"]))["set"], kept["set"]);
    let refused = served.post("/v1/indexes/notes/query", &json!({ "text": "a", "within": "0".repeat(32) }));
    assert!(refused.refused(404).contains("send its ids again"));
}

#[test]
fn a_set_follows_commits() {
    let served = Served::with(10, |options| options.writable = true);
    let set = served.post("/v1/indexes/notes/sets", &json!({ "ids": ["n/1", "new"] })).ok();
    assert_eq!(set["documents"], 1);
    let new = json!({ "documents": [{ "id": "new", "text": "a lantern by the sea" }] });
    served.post("/v1/indexes/notes/documents", &new).ok();
    let query = json!({ "text": "a lantern by the sea", "within": set["set"] });
    assert_eq!(ids(&served.post("/v1/indexes/notes/query", &query).ok()), ["new", "n/1"]);
}

#[test]
fn slow_queries_are_told_with_their_texts_only_where_texts_are_logged() {
    for texts in [false, true] {
        let served = Served::with(10, |options| options.log_texts = texts);
        let query = json!({ "text": "zanzibar", "k": 3, "mode": "semantic", "filter": "n < 5" });
        served.post("/v1/indexes/notes/query", &query).ok();
        let state = served.get("/v1/indexes/notes/state").ok();
        let slow = &state["slow"][0];
        assert_eq!(
            (&slow["mode"], &slow["k"], &slow["filter"]),
            (&json!("semantic"), &json!(3), &json!(true))
        );
        assert!(slow["ms"].as_f64() > Some(0.0) && slow["at"].as_u64() > Some(1_700_000_000), "{slow}");
        assert_eq!(slow["text"], if texts { json!("zanzibar") } else { Value::Null });
        // Nobody knows of skipped files who does not write the index.
        assert_eq!(state["skipped"], Value::Null);
    }
}

#[test]
fn texts_of_queries_need_an_admin_key() {
    let folder = Folder::new();
    make_index(&folder.path("notes"), 3);
    folder.write("keys", "read rrrrrrrrrrrrrrrrrrrr\nadmin aaaaaaaaaaaaaaaaaaaa\n");
    let keys = folder.path("keys");
    let served = Served::start(folder, |options| {
        (options.keys, options.log_texts, options.writable) = (Some(keys), true, true);
    });
    let send = |key: char, method: &str, path: &str, body: &str| {
        let bearer = format!("Bearer {}", key.to_string().repeat(20));
        served.send(method, path, &[("Authorization", &bearer)], body)
    };
    send('r', "POST", "/v1/indexes/notes/query", &json!({ "text": "zanzibar" }).to_string()).ok();
    let text = |key: char| send(key, "GET", "/v1/indexes/notes/state", "").ok()["slow"][0]["text"].clone();
    assert_eq!((text('r'), text('a')), (Value::Null, json!("zanzibar")));
    assert_eq!(send('r', "GET", "/v1/indexes/notes/state", "").ok()["skipped"]["count"], 0);
    served.get("/v1/indexes/notes/duplicates").refused(401);
}

#[test]
fn near_duplicates_are_found_when_they_are_asked_for() {
    let served = Served::with(20, |options| options.writable = true);
    let copies = json!({ "documents": [
        { "id": "a", "text": "a lantern by the sea" },
        { "id": "b", "text": "a lantern by the sea" },
    ] });
    served.post("/v1/indexes/notes/documents", &copies).ok();
    let found = served.get("/v1/indexes/notes/duplicates?threshold=0.9999").ok();
    assert_eq!((&found["compared"], &found["documents"]), (&json!(22), &json!(22)));
    let copies = &found["largest"].as_array().unwrap().last().unwrap()["documents"];
    assert_eq!((&copies[0]["id"], &copies[1]["id"]), (&json!("a"), &json!("b")), "{found}");
    assert!(copies[1]["score"].as_f64() > Some(0.9999), "{found}");
    assert_eq!(served.get("/v1/indexes/notes/duplicates?threshold=-1").ok()["groups"], 1);
    for (query, part) in [("threshold=2", "from -1 to 1"), ("threshold=x", "from -1 to 1"), ("n=1", "\"n\"")]
    {
        let sentence = served.get(&format!("/v1/indexes/notes/duplicates?{query}")).refused(400);
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn texts_that_are_cut_into_passages_are_never_truncated() {
    let served = Served::notes(5);
    let answer = served.get("/v1/indexes/notes/truncated").ok();
    assert_eq!(answer, json!({ "looked_at": 5, "documents": 5, "truncated": 0, "first": [] }));
}

#[test]
fn texts_that_are_not_cut_are_told_when_they_are_longer_than_the_model_reads() {
    let folder = Folder::new();
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let own = identity(model().to_str().unwrap(), &encoder).unwrap();
    let whole = ModelIdentity { passages: PassageSize::Whole, ..own };
    let mut index = Index::open_or_create(&folder.path("notes"), &whole).unwrap();
    let texts = ["a lantern".to_owned(), "a lantern by the sea ".repeat(500)];
    let document = |(at, text): (usize, &String)| Document {
        id: at.to_string(),
        text: text.clone(),
        ..Document::default()
    };
    let documents: Vec<Document> = texts.iter().enumerate().map(document).collect();
    let encoding = encoder.encode_as(Role::Document, &[&texts[0], &texts[1]]).unwrap();
    index.upsert(&documents, &encoding.embeddings).unwrap();
    drop(index);
    let served = Served::start(folder, |_| {});
    let answer = served.get("/v1/indexes/notes/truncated").ok();
    assert_eq!((&answer["looked_at"], &answer["truncated"]), (&json!(2), &json!(1)), "{answer}");
    let first = &answer["first"][0];
    assert_eq!(first["id"], "1");
    assert!(first["tokens"].as_u64() >= Some(2500) && first["read"].as_u64() < Some(2500), "{first}");
}
