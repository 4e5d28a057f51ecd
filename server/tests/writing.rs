//! Changing indexes over a real socket: who may, and that what was acknowledged is there.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_fixtures::Folder;
use akin_index::{Index, Reader};
use common::{Served, make_index};
use serde_json::{Value, json};

const DOCUMENTS: &str = "/v1/indexes/notes/documents";
const KEYS: &str = "read rrrrrrrrrrrrrrrr\nwrite wwwwwwwwwwwwwwww\nadmin aaaaaaaaaaaaaaaa\n";

fn writable(n: usize) -> Served {
    Served::with(n, |options| options.writable = true)
}

fn documents(ids: &[&str], text: &str) -> Value {
    let documents: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "text": format!("{text} {id}"), "metadata": { "of": text } }))
        .collect();
    json!({ "documents": documents })
}

#[test]
fn what_is_acknowledged_is_found_at_once_and_after_a_restart() {
    let mut served = writable(3);
    assert_eq!(
        served.post(DOCUMENTS, &documents(&["a", "b/c"], "apple")).ok(),
        json!({"added": 2, "replaced": 0, "unchanged": 0})
    );
    let again = json!({ "documents": [
        { "id": "a", "text": "apple a", "metadata": { "of": "apple" } }, { "id": "b/c", "text": "plum" },
    ] });
    assert_eq!(served.post(DOCUMENTS, &again).ok(), json!({"added": 0, "replaced": 1, "unchanged": 1}));
    let answer =
        served.post("/v1/indexes/notes/query", &json!({ "text": "plum", "k": 1, "mode": "keyword" })).ok();
    assert_eq!(answer["hits"][0]["id"], "b/c");
    // Another process reads it too.
    assert_eq!(Reader::open(&served.folder.path("notes")).unwrap().len(), 5);
    let delete = |path: &str| served.send("DELETE", path, &[], "");
    assert_eq!(delete("/v1/indexes/notes/documents/b%2Fc").ok(), json!({ "deleted": 1 }));
    delete("/v1/indexes/notes/documents/b%2Fc").refused(404);
    let body = json!({ "ids": ["n/0", "n/1", "unknown"] }).to_string();
    assert_eq!(served.send("DELETE", DOCUMENTS, &[], &body).ok(), json!({ "deleted": 2 }));
    // There is one writer.
    assert!(matches!(Index::open(&served.folder.path("notes")), Err(akin_index::Error::Locked { .. })));
    served.stop();
    let reader = Reader::open(&served.folder.path("notes")).unwrap();
    assert_eq!((reader.len(), reader.get("a").unwrap().unwrap().text), (2, "apple a".into()));
    assert!(reader.get("b/c").unwrap().is_none());
}

#[test]
fn many_clients_write_at_once_and_nothing_is_lost() {
    let served = writable(3);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let served = &served;
            scope.spawn(move || {
                for round in 0..5 {
                    let (one, two) = (format!("{client}-{round}-a"), format!("{client}-{round}-b"));
                    served.post(DOCUMENTS, &documents(&[&one, &two], "text")).ok();
                    let found = served.get(&format!("{DOCUMENTS}/{one}")).ok();
                    assert_eq!(found["text"], format!("text {one}"));
                }
            });
        }
    });
    assert_eq!(served.get("/v1/indexes/notes/stat").ok()["documents"], 83);
}

#[test]
fn a_mistake_changes_nothing() {
    let served = Served::with(3, |options| (options.writable, options.limits.texts) = (true, 3));
    for (body, status, part) in [
        (documents(&["a", "a"], "x"), 400, "\"a\" comes twice"),
        (documents(&[""], "x"), 400, "id"),
        (documents(&["a".repeat(5000).as_str()], "x"), 400, "id"),
        (documents(&["a", "b", "c", "d"], "x"), 413, "4 texts"),
        (json!({ "documents": [] }), 400, "empty"),
        (json!({ "documents": [{ "id": "a", "text": "b", "year": 1 }] }), 400, "unknown field `year`"),
        (json!({ "documents": [{ "id": 1, "text": "b" }] }), 400, "expected a string"),
        (json!({ "documents": [{ "id": "a" }] }), 400, "missing field `text`"),
    ] {
        let sentence = served.post(DOCUMENTS, &body).refused(status);
        assert!(sentence.contains(part), "{sentence}");
    }
    assert_eq!(served.get("/v1/indexes/notes/stat").ok()["documents"], 3);
}

#[test]
fn a_server_changes_nothing_unless_it_was_meant_to() {
    let served = Served::notes(3);
    let sentence = served.post(DOCUMENTS, &documents(&["a"], "x")).refused(403);
    assert_eq!(sentence, "this server does not change indexes");
    served.send("DELETE", "/v1/indexes/notes/documents/n/0", &[], "").refused(403);
    served.send("DELETE", "/v1/indexes/notes", &[], "").refused(403);
    served.post("/v1/indexes", &json!({ "name": "more" })).refused(403);
    // While it only reads, another process may write.
    drop(Index::open(&served.folder.path("notes")).unwrap());
}

#[test]
fn a_key_does_no_more_than_its_scope_says() {
    let folder = Folder::new();
    folder.write("keys", KEYS);
    make_index(&folder.path("notes"), 3);
    let (keys, created) = (folder.path("keys"), folder.path("created"));
    let served = Served::start(folder, |options| {
        (options.writable, options.keys, options.created) = (true, Some(keys), Some(created));
    });
    let send = |scope: &str, method: &str, path: &str, body: &Value| {
        let key = format!("Bearer {}", scope[..1].repeat(16));
        served.send(method, path, &[("Authorization", &key)], &body.to_string())
    };
    let query = json!({ "text": "cold" });
    send("read", "POST", "/v1/indexes/notes/query", &query).ok();
    let (write, create) = (documents(&["a"], "x"), json!({ "name": "more" }));
    let sentence = send("read", "POST", DOCUMENTS, &write).refused(403);
    assert_eq!(sentence, "the key does not allow this: it needs the scope write");
    send("read", "DELETE", "/v1/indexes/notes/documents/n/0", &json!({})).refused(403);
    send("read", "DELETE", DOCUMENTS, &json!({ "ids": ["n/0"] })).refused(403);
    send("write", "POST", "/v1/indexes", &create).refused(403);
    send("write", "DELETE", "/v1/indexes/notes", &json!({})).refused(403);
    // A key is asked for before anything is read: what follows a wrong one is not.
    send("xxxx", "POST", DOCUMENTS, &write).refused(401);
    send("write", "POST", DOCUMENTS, &write).ok();
    send("admin", "POST", "/v1/indexes", &create).ok();
    assert_eq!(served.get("/v1/indexes").status, 401);
}

#[test]
fn indexes_are_created_in_their_folder_and_dropped_from_it_alone() {
    let folder = Folder::new();
    make_index(&folder.path("notes"), 3);
    let created = folder.path("created");
    let open = |folder: Folder| {
        let created = folder.path("created");
        Served::start(folder, |options| (options.writable, options.created) = (true, Some(created)))
    };
    let served = open(folder);
    let create = |body: Value| served.post("/v1/indexes", &body);
    assert_eq!(create(json!({ "name": "more" })).ok(), json!({ "name": "more", "documents": 0 }));
    assert!(create(json!({ "name": "more" })).refused(409).contains("already"));
    assert!(create(json!({ "name": "notes" })).refused(409).contains("already"));
    create(json!({ "name": "x", "model": "other" })).refused(404);
    for name in ["../x", "a/b", "..", "", "a\u{0}b"] {
        create(json!({ "name": name })).refused(400);
    }
    served.post("/v1/indexes/more/documents", &documents(&["a"], "apple")).ok();
    let answer = served.post("/v1/indexes/more/query", &json!({ "text": "apple a" })).ok();
    assert_eq!(answer["hits"][0]["id"], "a");
    assert!(created.join("more/manifest").is_file());
    // What was not created here is not dropped here.
    served.send("DELETE", "/v1/indexes/notes", &[], "").refused(403);
    served.send("DELETE", "/v1/indexes/..%2Fnotes", &[], "").refused(404);
    assert_eq!(served.send("DELETE", "/v1/indexes/more", &[], "").ok(), json!({ "dropped": "more" }));
    served.post("/v1/indexes/more/query", &json!({ "text": "apple" })).refused(404);
    assert!(!created.join("more").exists());
    create(json!({ "name": "more" })).ok();
}
