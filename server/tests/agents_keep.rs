//! Agents keep, delete and list documents over the Model Context Protocol.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_fixtures::Folder;
use common::mcp::{ask, ask_with, call, given, refused, tools};
use common::{Served, make_index, texts};
use serde_json::{Value, json};

fn writable(n: usize) -> Served {
    Served::with(n, |options| options.writable = true)
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn what_is_stored_is_found_and_what_is_deleted_is_gone() {
    let served = writable(5);
    let listed = tools(&served, None);
    assert_eq!(names(&listed), ["search", "fetch", "status", "store", "delete"]);
    for tool in &listed[3..] {
        let hints = &tool["annotations"];
        assert_eq!((&hints["readOnlyHint"], &hints["destructiveHint"]), (&json!(false), &json!(true)));
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
    }
    let text = "the yellow submarine is parked in the second garage";
    let arguments = json!({ "text": text, "title": "Submarine", "metadata": { "year": 1966 } });
    let stored = given(&call(&served, "store", arguments.clone()));
    assert_eq!(stored["outcome"], "added");
    assert_eq!(given(&call(&served, "store", arguments))["outcome"], "unchanged");
    let search = || given(&call(&served, "search", json!({ "query": text, "filter": "year = 1966" })));
    let expected = json!([{ "id": stored["id"], "title": "Submarine", "url": stored["url"] }]);
    assert_eq!(search()["results"], expected);
    let named = json!({ "text": "another text", "id": "n/0" });
    assert_eq!(given(&call(&served, "store", named))["outcome"], "replaced");
    assert_eq!(given(&call(&served, "fetch", json!({ "id": "n/0" })))["text"], "another text");
    let deleted = given(&call(&served, "delete", json!({ "id": stored["id"] })));
    assert_eq!(deleted, json!({ "id": stored["id"], "deleted": true }));
    assert_eq!(search()["results"], json!([]));
    assert!(
        refused(&call(&served, "delete", json!({ "id": stored["id"] }))).contains("no document has the id")
    );
}

#[test]
fn mistakes_of_changes_are_told_so_that_a_model_can_act() {
    let folder = Folder::new();
    make_index(&folder.path("notes"), 2);
    make_index(&folder.path("more"), 2);
    let more = folder.path("more");
    let served = Served::start(folder, |options| {
        options.writable = true;
        options.indexes.push(more);
    });
    for (tool, arguments, part) in [
        ("store", json!({ "text": "a" }), "name one of more, notes"),
        ("store", json!({ "text": "a", "index": "none" }), "\"none\""),
        ("store", json!({ "text": " ", "index": "more" }), "blank"),
        ("store", json!({ "index": "more" }), "missing field `text`"),
        ("store", json!({ "text": "a", "index": "more", "tags": [] }), "unknown field `tags`"),
        ("store", json!({ "text": "a", "index": "more", "metadata": 3 }), "invalid type"),
        ("store", json!({ "text": "a", "index": "more", "id": "" }), "empty id"),
        ("delete", json!({ "id": "n/0" }), "take one that search gave"),
        ("delete", json!({}), "missing field `id`"),
    ] {
        let result = call(&served, tool, arguments);
        assert!(refused(&result).contains(part), "{result}");
    }
    let stored = given(&call(&served, "store", json!({ "text": "a", "index": "more", "id": "x" })));
    assert_eq!((&stored["id"], &stored["url"]), (&json!("more:x"), &json!("akin://more/x")));
    given(&call(&served, "delete", json!({ "id": "more:x" })));
}

#[test]
fn a_key_that_only_reads_neither_sees_nor_calls_what_changes() {
    let folder = Folder::new();
    let (reads, writes) = ("r".repeat(16), "w".repeat(16));
    folder.write("keys", format!("read {reads}\nwrite {writes}\n"));
    make_index(&folder.path("notes"), 2);
    let keys = folder.path("keys");
    let served = Served::start(folder, |options| (options.writable, options.keys) = (true, Some(keys)));
    assert_eq!(names(&tools(&served, Some(&reads))), ["search", "fetch", "status"]);
    assert_eq!(tools(&served, Some(&writes)).len(), 5);
    let store = |key: &str| {
        let call = json!({ "name": "store", "arguments": { "text": "a" } });
        ask_with(&served, Some(key), "tools/call", call)
    };
    assert_eq!(store(&reads)["error"]["code"], -32602);
    assert_eq!(store(&writes)["result"]["isError"], false);
}

#[test]
fn documents_are_resources_page_by_page() {
    let folder = Folder::new();
    make_index(&folder.path("notes"), 150);
    make_index(&folder.path("my more"), 70);
    let more = folder.path("my more");
    let served = Served::start(folder, |options| options.indexes.push(more));
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = ask(&served, "resources/list", json!({ "cursor": cursor }))["result"].clone();
        let resources = page["resources"].as_array().unwrap();
        assert!(resources.len() <= 100);
        seen.extend(resources.iter().map(|one| one["uri"].as_str().unwrap().to_owned()));
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let all = (0..70)
        .map(|n| format!("akin://my%20more/n/{n}"))
        .chain((0..150).map(|n| format!("akin://notes/n/{n}")));
    assert_eq!(seen, all.collect::<Vec<_>>());
    let read = |uri: &str| ask(&served, "resources/read", json!({ "uri": uri }));
    let contents = &read("akin://my%20more/n/7")["result"]["contents"][0];
    assert_eq!((&contents["text"], &contents["mimeType"]), (&json!(texts(70)[7]), &json!("text/plain")));
    for uri in
        ["akin://notes/none", "akin://none/n/1", "file:///etc/passwd", "akin://notes", "", "akin://notes/%FF"]
    {
        let error = &read(uri)["error"];
        assert!(error["message"].as_str().unwrap().contains("there is no"), "{uri}: {error}");
    }
    let wrong = ask(&served, "resources/list", json!({ "cursor": "akin://notes/none" }));
    assert_eq!(wrong["error"]["code"], -32602);
    let templates = ask(&served, "resources/templates/list", json!({}))["result"].clone();
    let forms: Vec<&Value> =
        templates["resourceTemplates"].as_array().unwrap().iter().map(|one| &one["uriTemplate"]).collect();
    assert_eq!(forms, ["akin://my%20more/{+id}", "akin://notes/{+id}"]);
}
