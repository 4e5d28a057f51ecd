//! Our own interface over a real socket.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use common::{Served, texts};
use serde_json::{Value, json};

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn a_query_is_answered_as_on_the_command_line() {
    let served = Served::notes(30);
    let text = &texts(30)[7];
    for mode in [None, Some("semantic"), Some("keyword"), Some("hybrid")] {
        let reply = served.post("/v1/indexes/notes/query", &json!({ "text": text, "k": 3, "mode": mode }));
        let answer = reply.ok();
        assert_eq!(ids(&answer)[0], "n/7", "{mode:?}");
        assert_eq!((ids(&answer).len(), &answer["query"]), (3, &json!(text)), "{mode:?}");
        let hit = &answer["hits"][0];
        assert_eq!((&hit["rank"], &hit["text"], &hit["metadata"]["n"]), (&json!(1), &json!(text), &json!(7)));
        let fields: Vec<&String> = hit.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["rank", "id", "score", "text", "metadata"]);
    }
}

#[test]
fn options_have_the_names_of_the_command_line() {
    let served = Served::notes(30);
    let ask = |request: Value| served.post("/v1/indexes/notes/query", &request).ok();
    let text = &texts(30)[7];
    let filtered = ask(json!({ "text": text, "filter": "n < 10 and color = red", "k": 50 }));
    assert_eq!(ids(&filtered).len(), 5);
    let (whole, page) =
        (ask(json!({ "text": text, "k": 6 })), ask(json!({ "text": text, "k": 3, "offset": 3 })));
    assert_eq!(ids(&whole)[3..], ids(&page));
    assert_eq!(page["hits"][0]["rank"], 4);
    let like = ask(json!({ "like": "n/7", "k": 5 }));
    assert!(!ids(&like).contains(&"n/7") && ids(&like).len() == 5);
    let counted = ask(json!({ "text": text, "facet": ["color"] }));
    assert_eq!(counted["facets"]["color"], json!({ "green": 15, "red": 15 }));
    let exact = ask(
        json!({ "text": text, "exact": true, "diverse": true, "min_score": -1, "per_document": 2, "mode": "semantic" }),
    );
    assert_eq!(ids(&exact)[0], "n/7");
}

#[test]
fn an_index_tells_its_figures_and_documents() {
    let served = Served::notes(3);
    assert_eq!(served.get("/v1/indexes").ok(), json!({ "indexes": [{ "name": "notes", "documents": 3 }] }));
    let stat = served.get("/v1/indexes/notes/stat").ok();
    assert_eq!((&stat["documents"], &stat["passage_size"]), (&json!(3), &json!("auto")));
    // An id with a slash, as those of files in folders have, as it is and escaped.
    for path in ["/v1/indexes/notes/documents/n/2", "/v1/indexes/notes/documents/n%2F2"] {
        let document = served.get(path).ok();
        assert_eq!(
            document,
            json!({ "id": "n/2", "text": texts(3)[2], "metadata": { "n": 2, "color": "red" } })
        );
    }
    let refused = served.get("/v1/indexes/notes/documents/n/3").refused(404);
    assert_eq!(refused, "notes has no document with the id \"n/3\"");
}

#[test]
fn a_mistake_is_one_sentence_that_names_the_field() {
    let served = Served::notes(3);
    let ask = |request: Value| served.post("/v1/indexes/notes/query", &request).refused(400);
    for (request, part) in [
        (json!({ "text": "a", "limit": 3 }), "unknown field `limit`"),
        (json!({ "text": " " }), "text is blank"),
        (json!({ "text": "a", "k": 0 }), "k is 0"),
        (json!({ "text": "a", "ef": 0 }), "ef is 0"),
        (json!({ "text": "a", "k": -1 }), "expected usize"),
        (json!({ "text": "a", "k": 100_000 }), "k is 100000"),
        (json!({ "text": "a", "offset": u64::MAX }), "k is "),
        (json!({ "text": "a", "mode": "magic" }), "unknown variant `magic`"),
        (json!({ "text": "a", "filter": "n >" }), "of the filter"),
        (json!({ "text": "a", "filter": "(".repeat(60_000) }), "of the filter"),
        (json!({ "text": "a", "min_score": 1e300 }), "min_score"),
        (json!({ "text": "a", "like": "nobody" }), "\"nobody\""),
        (json!({ "like": "n/1", "mode": "keyword" }), "\"mode\": \"keyword\""),
        (json!({ "text": "a", "exact": true, "ef": 4 }), "ef means nothing"),
        (json!([]), "as expected"),
    ] {
        let sentence = ask(request.clone());
        assert!(sentence.contains(part) && !sentence.contains('\n'), "{request}: {sentence}");
        assert!(sentence.len() < 600, "{sentence}");
    }
    let missing =
        served.post("/v1/indexes/notes/query", &json!({ "text": "a", "rerank": true })).refused(404);
    assert!(missing.contains("no model is served that could rank"), "{missing}");
    let nowhere = served.post("/v1/indexes/other/query", &json!({ "text": "a" })).refused(404);
    assert_eq!(nowhere, "there is no index named \"other\"");
    assert_eq!(served.get("/v2").refused(404), "there is nothing at this path");
    served.get("/v1/indexes/notes/query").refused(405);
}

#[test]
fn many_clients_are_answered_together_and_each_gets_its_own() {
    let served = Served::notes(60);
    std::thread::scope(|scope| {
        for (at, text) in texts(60).into_iter().enumerate().take(40) {
            let served = &served;
            scope.spawn(move || {
                let answer = served
                    .post("/v1/indexes/notes/query", &json!({ "text": text, "k": 1, "mode": "semantic" }))
                    .ok();
                assert_eq!(ids(&answer), [format!("n/{at}")]);
            });
        }
    });
    let metrics = served.get("/metrics").body;
    assert!(
        metrics.contains("akin_requests_total{route=\"/v1/indexes/{name}/query\",status=\"200\"} 40"),
        "{metrics}"
    );
}

#[test]
fn a_server_that_is_asked_to_stop_answers_no_more() {
    let mut served = Served::notes(3);
    assert_eq!(served.get("/health").ok(), json!({ "status": "ok" }));
    assert_eq!(served.get("/ready").ok(), json!({ "status": "ready" }));
    served.stop();
    assert!(std::net::TcpStream::connect(served.address).is_err());
}

#[test]
fn every_path_that_is_described_is_there() {
    let served = Served::notes(3);
    let description = served.get("/openapi.json").ok();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 15);
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let path = path.replace("{name}", "tiny-bert").replace("{id}", "x");
            let reply = served.send(&method.to_uppercase(), &path, &[], "");
            let is_there = reply.status != 405 && !reply.body.contains("there is nothing at this path");
            assert!(is_there, "{method} {path}: {reply:?}");
        }
    }
    let query = &description["components"]["schemas"]["QueryRequest"];
    assert_eq!(query["additionalProperties"], false);
    let fields: Vec<&String> = query["properties"].as_object().unwrap().keys().collect();
    assert!(
        ["text", "k", "mode", "filter", "min_score"]
            .iter()
            .all(|name| fields.iter().any(|field| field == name))
    );
}

#[test]
fn the_page_is_served_with_a_policy_that_lets_it_ask_this_server_alone() {
    let served = Served::notes(3);
    let reply = served.get("/");
    assert!(reply.status == 200 && reply.body.starts_with("<!doctype html>"), "{reply:?}");
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'; connect-src 'self'; style-src 'sha256-"), "{policy}");
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn marks_say_which_words_and_which_sentence_answer() {
    let served = Served::notes(30);
    let text = &texts(30)[7];
    let answer = served
        .post("/v1/indexes/notes/query", &json!({ "text": text, "k": 3, "highlight": 2, "facet": "color" }))
        .ok();
    let hits = answer["hits"].as_array().unwrap();
    let [start, end] = [0, 1].map(|at| hits[0]["highlight"]["words"][0][at].as_u64().unwrap() as usize);
    // Words that most documents have say nothing.
    assert_eq!(&hits[0]["text"].as_str().unwrap()[start..end], "7");
    assert!(hits[1].get("highlight").is_some() && hits[2].get("highlight").is_none(), "{answer}");
    assert!(answer["facets"]["color"].is_object());
}

#[test]
fn a_map_is_made_in_the_background_and_follows_commits() {
    let served = Served::with(60, |options| options.writable = true);
    let made = || loop {
        let reply = served.get("/v1/indexes/notes/map");
        match reply.status {
            202 => assert!(reply.json()["done"].is_number()),
            _ => return reply.ok(),
        }
    };
    let map = made();
    assert_eq!((&map["count"], map["ids"].as_array().unwrap().len()), (&json!(60), 60));
    assert!(map["regions"].as_array().unwrap().iter().all(|region| region["words"].is_array()), "{map}");
    assert_eq!(map["fields"][0]["name"], "color");
    let new = json!({ "documents": [{ "id": "new", "text": "a new note" }] });
    served.post("/v1/indexes/notes/documents", &new).ok();
    // The earlier map is shown until the new one is there.
    while made()["count"] != 61 {}
    assert_eq!(served.get("/v1/indexes/notes/fields").ok(), json!({ "facets": ["color"] }));
    assert_eq!(served.get("/v1/indexes/other/map").status, 404);
}
