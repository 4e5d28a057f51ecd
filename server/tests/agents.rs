//! The Model Context Protocol at `/mcp`, over a real socket.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::mcp::{ask, call, given, refused, send};
use common::{Served, make_index, texts};
use serde_json::json;

#[test]
fn an_agent_learns_what_there_is() {
    let served = Served::notes(30);
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let begun = &ask(&served, "initialize", params)["result"];
    assert_eq!(
        (&begun["protocolVersion"], &begun["serverInfo"]["name"]),
        (&json!("2025-11-25"), &json!("akin"))
    );
    let listed = ask(&served, "tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search", "fetch", "status"]);
    for tool in tools {
        assert_eq!(
            (&tool["annotations"]["readOnlyHint"], &tool["inputSchema"]["additionalProperties"]),
            (&json!(true), &json!(false))
        );
    }
    let status = given(&call(&served, "status", json!({})));
    assert_eq!(
        (&status["indexes"][0]["name"], &status["indexes"][0]["documents"]),
        (&json!("notes"), &json!(30))
    );
}

#[test]
fn what_is_found_is_fetched_by_its_id() {
    let served = Served::notes(30);
    let text = &texts(30)[7];
    let found = given(&call(
        &served,
        "search",
        json!({ "query": text, "limit": 3, "filter": "n < 10", "mode": "hybrid" }),
    ));
    let results = found["results"].as_array().unwrap();
    assert_eq!(
        (results.len(), &results[0]),
        (3, &json!({ "id": "n/7", "title": text, "url": "akin://notes/n/7" }))
    );
    let document = given(&call(&served, "fetch", json!({ "id": results[0]["id"] })));
    assert_eq!(
        (&document["text"], &document["metadata"]["n"], &document["url"]),
        (&json!(text), &json!(7), &results[0]["url"])
    );
}

#[test]
fn ids_of_several_indexes_name_their_index() {
    let folder = akin_fixtures::Folder::new();
    make_index(&folder.path("notes"), 5);
    make_index(&folder.path("more"), 5);
    let more = folder.path("more");
    let served = Served::start(folder, |options| options.indexes.push(more));
    let found = given(&call(&served, "search", json!({ "query": texts(5)[2], "limit": 2 })));
    let mut ids: Vec<&str> =
        found["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["more:n/2", "notes:n/2"]);
    assert_eq!(given(&call(&served, "fetch", json!({ "id": "more:n/2" })))["text"], texts(5)[2]);
    let one = given(&call(&served, "search", json!({ "query": "cold", "index": "more" })));
    assert!(
        one["results"].as_array().unwrap().iter().all(|one| one["id"].as_str().unwrap().starts_with("more:"))
    );
    assert!(refused(&call(&served, "fetch", json!({ "id": "n/2" }))).contains("take one that search gave"));
}

#[test]
fn mistakes_are_told_so_that_a_model_can_act() {
    let served = Served::notes(3);
    for (tool, arguments, part) in [
        (
            "search",
            json!({ "query": "a", "max": 3 }),
            "unknown field `max`, expected one of `query`, `limit`",
        ),
        ("search", json!({}), "missing field `query`"),
        ("search", json!({ "query": " " }), "blank"),
        ("search", json!({ "query": "a", "limit": 1000 }), "from 1 to 100"),
        ("search", json!({ "query": "a", "limit": 0 }), "from 1 to 100"),
        ("search", json!({ "query": "a", "filter": "n >" }), "of the filter"),
        ("search", json!({ "query": "a", "index": "other" }), "\"other\""),
        ("search", json!({ "query": "a", "mode": "magic" }), "`magic`"),
        ("fetch", json!({ "id": "nobody" }), "\"nobody\""),
        ("fetch", json!({ "id": "n/0", "page": 1 }), "unknown field `page`"),
        ("status", json!({ "verbose": true }), "unknown field `verbose`"),
    ] {
        let result = call(&served, tool, arguments);
        assert!(refused(&result).contains(part), "{result}");
    }
    let unknown = ask(&served, "tools/call", json!({ "name": "delete", "arguments": {} }));
    assert_eq!(unknown["error"]["code"], -32602);
}

#[test]
fn the_protocol_is_kept_to() {
    let served = Served::notes(3);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(send(&served, "1999-01-01", None, &ping).status, 400);
    assert_eq!(served.get("/mcp").status, 405);
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(send(&served, "2025-11-25", None, &note).status, 202);
    let headers = [
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
        ("Origin", "https://evil.example"),
    ];
    assert_eq!(served.send("POST", "/mcp", &headers, &ping.to_string()).status, 403);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let broken = served.send("POST", "/mcp", &headers[..2], &deep);
    assert!((400..500).contains(&broken.status), "{broken:?}");
    served.get("/health").ok();
}
