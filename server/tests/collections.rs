//! The subset of Qdrant's interface over a real socket.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_fixtures::Folder;
use common::{Reply, Served, make_index, texts};
use serde_json::{Value, json};

/// A server that is writable and creates collections, with the index `notes` of a model beside.
fn served() -> Served {
    let folder = Folder::new();
    make_index(&folder.path("notes"), 10);
    let created = folder.path("created");
    Served::start(folder, |options| (options.writable, options.created) = (true, Some(created)))
}

fn send(served: &Served, method: &str, path: &str, body: &Value) -> Reply {
    served.send(method, &format!("/collections{path}"), &[], &body.to_string())
}

/// The result of an answer.
#[track_caller]
fn done(served: &Served, method: &str, path: &str, body: &Value) -> Value {
    let answer = send(served, method, path, body).ok();
    assert_eq!((&answer["status"], answer["time"].is_number()), (&json!("ok"), true), "{answer}");
    answer["result"].clone()
}

#[track_caller]
fn refused(served: &Served, method: &str, path: &str, body: &Value, status: u16) -> String {
    let reply = send(served, method, path, body);
    assert_eq!(reply.status, status, "{body}: {reply:?}");
    assert!(reply.json()["time"].is_number());
    reply.json()["status"]["error"].as_str().unwrap().to_owned()
}

const UUID: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8";

/// Points around the circle, from east to north to west.
fn with_points(distance: &str) -> Served {
    let served = served();
    let vectors = json!({ "vectors": { "size": 2, "distance": distance } });
    assert_eq!(done(&served, "PUT", "/c", &vectors), json!(true));
    let points = json!({ "points": [
        { "id": 1, "vector": [1.0, 0.0], "payload": { "page_content": "east", "metadata": { "n": 1 } } },
        { "id": 2, "vector": { "": [0.8, 0.6] }, "payload": { "color": "red", "n": 2 } },
        { "id": UUID, "vector": [0.0, 1.0], "payload": { "color": "red", "n": 3, "tags": ["a", "b"] } },
        { "id": 4, "vector": [-1.0, 0.0] },
    ] });
    assert_eq!(done(&served, "PUT", "/c/points?wait=true", &points)["status"], "completed");
    served
}

fn ids(points: &Value) -> Vec<Value> {
    points.as_array().unwrap().iter().map(|point| point["id"].clone()).collect()
}

fn query(served: &Served, body: &Value) -> Value {
    done(served, "POST", "/c/points/query", body)["points"].clone()
}

#[test]
fn a_collection_is_created_described_and_dropped() {
    let served = with_points("Dot");
    assert_eq!(
        done(&served, "GET", "", &json!({})),
        json!({ "collections": [{ "name": "c" }, { "name": "notes" }] })
    );
    assert_eq!(done(&served, "GET", "/c/exists", &json!({})), json!({ "exists": true }));
    let info = done(&served, "GET", "/c", &json!({}));
    assert_eq!(info["config"]["params"]["vectors"], json!({ "size": 2, "distance": "Dot" }));
    assert_eq!((&info["points_count"], &info["status"]), (&json!(4), &json!("green")));
    refused(&served, "PUT", "/c", &json!({ "vectors": { "size": 2, "distance": "Dot" } }), 409);
    assert_eq!(done(&served, "DELETE", "/c", &json!({})), json!(true));
    assert_eq!(done(&served, "DELETE", "/c", &json!({})), json!(false));
    assert_eq!(done(&served, "GET", "/c/exists", &json!({})), json!({ "exists": false }));
    refused(&served, "GET", "/c", &json!({}), 404);
    refused(&served, "DELETE", "/notes", &json!({}), 403);
}

#[test]
fn what_a_collection_cannot_be_is_refused_by_name() {
    let served = served();
    let plain = || json!({ "size": 2, "distance": "Cosine" });
    for (body, part) in [
        (json!({}), "vectors is missing"),
        (json!({ "vectors": { "a": plain() } }), "without a name"),
        (json!({ "vectors": { "size": 0, "distance": "Dot" } }), "size is 0"),
        (json!({ "vectors": { "size": 1_000_000_000_000u64, "distance": "Dot" } }), "size is"),
        (json!({ "vectors": { "size": -1, "distance": "Dot" } }), "-1"),
        (json!({ "vectors": { "size": 2, "distance": "Hamming" } }), "Euclid"),
        (json!({ "vectors": { "size": 2, "distance": "Dot", "datatype": "uint8" } }), "datatype"),
        (
            json!({ "vectors": { "size": 2, "distance": "Dot", "multivector_config": {} } }),
            "multivector_config",
        ),
        (json!({ "vectors": plain(), "sparse_vectors": { "s": {} } }), "sparse_vectors"),
        (json!({ "vectors": plain(), "colour": 1 }), "colour"),
    ] {
        let sentence = refused(&served, "PUT", "/c", &body, 400);
        assert!(sentence.contains(part), "{body}: {sentence}");
    }
    for name in ["..%2Fx", "a%20b", ".a"] {
        refused(&served, "PUT", &format!("/{name}"), &json!({ "vectors": plain() }), 400);
    }
    done(
        &served,
        "PUT",
        "/c",
        &json!({ "vectors": { "": plain() }, "hnsw_config": { "m": 4 }, "on_disk_payload": true }),
    );
}

#[test]
fn points_come_back_as_they_were_written() {
    let served = with_points("Cosine");
    let all = done(
        &served,
        "POST",
        "/c/points",
        &json!({ "ids": [UUID.to_uppercase(), 1, 77, 4], "with_vector": true }),
    );
    let expected = json!([
        { "id": UUID, "payload": { "color": "red", "n": 3, "tags": ["a", "b"] }, "vector": [0.0, 1.0] },
        { "id": 1, "payload": { "page_content": "east", "metadata": { "n": 1 } }, "vector": [1.0, 0.0] },
        { "id": 4, "payload": {}, "vector": [-1.0, 0.0] },
    ]);
    assert_eq!(all, expected);
    assert_eq!(done(&served, "GET", "/c/points/1", &json!({}))["payload"]["page_content"], "east");
    refused(&served, "GET", "/c/points/77", &json!({}), 404);
    let keys = |with: Value| {
        done(&served, "POST", "/c/points", &json!({ "ids": [UUID], "with_payload": with }))[0]["payload"]
            .clone()
    };
    assert_eq!(keys(json!(["n"])), json!({ "n": 3 }));
    assert_eq!(keys(json!({ "exclude": ["n", "tags"] })), json!({ "color": "red" }));
    assert_eq!(keys(json!(false)), Value::Null);
    // A batch replaces, and of two points of one id the last counts.
    let batch =
        json!({ "batch": { "ids": [1, 1], "vectors": [[0, 1], [0, -1]], "payloads": [null, { "b": 1 }] } });
    done(&served, "PUT", "/c/points", &batch);
    let one = done(&served, "GET", "/c/points/1", &json!({}));
    assert_eq!((&one["payload"], &one["vector"]), (&json!({ "b": 1 }), &json!([0.0, -1.0])));
    assert_eq!(done(&served, "POST", "/c/points/count", &json!({ "exact": true })), json!({ "count": 4 }));
}

#[test]
fn the_nearest_points_are_found_by_vectors_ids_and_examples() {
    let served = with_points("Cosine");
    let near = query(
        &served,
        &json!({ "query": [1.0, 0.1], "limit": 2, "with_payload": true, "using": "", "prefetch": [] }),
    );
    assert_eq!(ids(&near), [json!(1), json!(2)]);
    assert_eq!((&near[0]["payload"]["page_content"], &near[0]["version"]), (&json!("east"), &json!(0)));
    assert!(near[0]["score"].as_f64().unwrap() > 0.99 && near[0].get("vector").is_none());
    assert_eq!(ids(&query(&served, &json!({ "query": 1, "limit": 2 }))), [json!(2), json!(UUID)]);
    assert_eq!(ids(&query(&served, &json!({ "query": UUID, "limit": 1 }))), [json!(2)]);
    assert_eq!(
        ids(&query(&served, &json!({ "query": { "nearest": [0, 1] }, "offset": 1, "limit": 1 }))),
        [json!(2)]
    );
    let away = json!({ "query": { "recommend": { "positive": [UUID], "negative": [1], "strategy": "average_vector" } } });
    assert_eq!(ids(&query(&served, &away)), [json!(4), json!(2)]);
    let mixed = json!({ "query": { "recommend": { "positive": [1, [0.0, 1.0]] } }, "limit": 1 });
    assert_eq!(ids(&query(&served, &mixed)), [json!(2)]);
    let good = json!({ "query": [1, 0], "score_threshold": 0.5, "params": { "exact": true, "hnsw_ef": 20 } });
    assert_eq!(ids(&query(&served, &good)), [json!(1), json!(2)]);
    assert_eq!(
        ids(&query(&served, &json!({ "limit": 2 }))),
        [json!(1), json!(2)],
        "without a query as they come"
    );
}

#[test]
fn distances_are_told_as_distances() {
    let served = with_points("Euclid");
    let near = query(&served, &json!({ "query": [-2, 0], "limit": 2 }));
    assert_eq!((ids(&near)[0].clone(), near[0]["score"].as_f64().unwrap()), (json!(4), 1.0));
    let good = json!({ "query": [-2, 0], "score_threshold": 1.5 });
    assert_eq!(ids(&query(&served, &good)), [json!(4)]);
}

#[test]
fn filters_choose_points_by_payload_and_id() {
    let served = with_points("Cosine");
    let fitting = |filter: Value| {
        let count = done(&served, "POST", "/c/points/count", &json!({ "filter": filter }))["count"].clone();
        let found = ids(&query(&served, &json!({ "query": [1, 0], "filter": filter })));
        assert_eq!(count, json!(found.len()), "{filter}");
        found
    };
    assert_eq!(
        fitting(json!({ "must": [{ "key": "color", "match": { "value": "red" } }] })),
        [json!(2), json!(UUID)]
    );
    assert_eq!(fitting(json!({ "must": { "key": "n", "range": { "gt": 2 } } })), [json!(UUID)]);
    assert_eq!(fitting(json!({ "must": [{ "key": "metadata.n", "match": { "value": 1 } }] })), [json!(1)]);
    assert_eq!(
        fitting(json!({ "must": [{ "key": "tags[]", "match": { "any": ["b", "c"] } }] })),
        [json!(UUID)]
    );
    assert_eq!(fitting(json!({ "must": [{ "has_id": [4, UUID, 99] }] })), [json!(UUID), json!(4)]);
    let not = json!({ "must_not": [{ "has_id": [4] }, { "key": "color", "match": { "value": "red" } }] });
    assert_eq!(fitting(not), [json!(1)]);
    let either =
        json!({ "should": [{ "has_id": [1] }, { "must": [{ "key": "n", "match": { "value": 3 } }] }] });
    assert_eq!(fitting(either), [json!(1), json!(UUID)]);
    assert_eq!(fitting(json!({ "must": [{ "key": "color", "match": { "any": [] } }] })), [] as [Value; 0]);
    assert_eq!(fitting(json!({})).len(), 4);
}

#[test]
fn points_are_scrolled_and_deleted() {
    let served = with_points("Cosine");
    let page = |offset: Value| {
        done(
            &served,
            "POST",
            "/c/points/scroll",
            &json!({ "limit": 3, "offset": offset, "with_payload": ["n"] }),
        )
    };
    let first = page(Value::Null);
    assert_eq!(
        (ids(&first["points"]), &first["next_page_offset"]),
        (vec![json!(1), json!(2), json!(UUID)], &json!(4))
    );
    assert_eq!(first["points"][1]["payload"], json!({ "n": 2 }));
    let last = page(first["next_page_offset"].clone());
    assert_eq!((ids(&last["points"]), &last["next_page_offset"]), (vec![json!(4)], &Value::Null));
    refused(&served, "POST", "/c/points/scroll", &json!({ "offset": 99 }), 400);
    done(&served, "POST", "/c/points/delete?wait=true", &json!({ "points": [4, 99] }));
    let red = json!({ "filter": { "must": [{ "key": "color", "match": { "value": "red" } }] } });
    done(&served, "POST", "/c/points/delete", &red);
    assert_eq!(ids(&done(&served, "POST", "/c/points/scroll", &json!({}))["points"]), [json!(1)]);
    assert_eq!(
        done(&served, "PUT", "/c/index", &json!({ "field_name": "n", "field_schema": "integer" }))["status"],
        "completed"
    );
}

#[test]
fn an_index_with_a_model_is_read_here_and_written_elsewhere() {
    let served = served();
    let found = done(
        &served,
        "POST",
        "/notes/points/query",
        &json!({ "query": { "text": texts(10)[3] }, "limit": 1, "with_payload": true }),
    );
    assert_eq!(found["points"][0]["id"], "n/3");
    assert_eq!(found["points"][0]["payload"]["text"], texts(10)[3]);
    assert_eq!(done(&served, "GET", "/notes/points/n%2F3", &json!({}))["id"], "n/3");
    let point = json!({ "points": [{ "id": 1, "vector": [1.0] }] });
    assert!(
        refused(&served, "PUT", "/notes/points", &point, 400).contains("POST /v1/indexes/notes/documents")
    );
    let sentence =
        refused(&with_points("Dot"), "POST", "/c/points/query", &json!({ "query": { "text": "a" } }), 400);
    assert!(sentence.contains("no model"), "{sentence}");
}

#[test]
fn hostile_points_and_questions_are_refused_in_the_form_of_the_interface() {
    let served = with_points("Cosine");
    let deep = (0..60).fold(json!({}), |inner, _| json!({ "must": [inner] }));
    let point = |id: Value, vector: Value| json!({ "points": [{ "id": id, "vector": vector }] });
    for (path, method, body, part) in [
        ("/c/points", "PUT", point(json!(1), json!([1.0])), "has 1 dimensions"),
        ("/c/points", "PUT", point(json!(1), json!([])), "has 0 dimensions"),
        ("/c/points", "PUT", point(json!(1), json!([1e39, 0])), "too large"),
        ("/c/points", "PUT", point(json!(1), json!(["1", 0])), "list of numbers"),
        ("/c/points", "PUT", point(json!(1), json!({ "a": [1, 0] })), "without a name"),
        ("/c/points", "PUT", point(json!(-1), json!([1, 0])), "not the id"),
        ("/c/points", "PUT", point(json!("a"), json!([1, 0])), "not the id"),
        ("/c/points", "PUT", json!({ "points": [] }), "empty"),
        ("/c/points", "PUT", json!({}), "points or batch"),
        ("/c/points", "PUT", json!({ "batch": { "ids": [1], "vectors": [] } }), "one length"),
        (
            "/c/points",
            "PUT",
            json!({ "points": [{ "id": 1, "vector": [1, 0], "payload": [1] }] }),
            "not as expected",
        ),
        ("/c/points/query", "POST", json!({ "query": [1] }), "has 1 dimensions"),
        ("/c/points/query", "POST", json!({ "query": [] }), "has 0 dimensions"),
        ("/c/points/query", "POST", json!({ "query": [[1, 0]] }), "list of numbers"),
        ("/c/points/query", "POST", json!({ "query": 1.5 }), "not the id"),
        ("/c/points/query", "POST", json!({ "query": { "fusion": "rrf" } }), "\"fusion\""),
        ("/c/points/query", "POST", json!({ "query": { "nearest": [1, 0], "mmr": {} } }), "mmr"),
        ("/c/points/query", "POST", json!({ "query": { "recommend": { "positive": [] } } }), "recommend"),
        (
            "/c/points/query",
            "POST",
            json!({ "query": { "recommend": { "positive": [1], "strategy": "best_score" } } }),
            "average_vector",
        ),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "limit": 0 }), "limit is 0"),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "limit": u64::MAX }), "limit is"),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "offset": u64::MAX }), "limit is"),
        (
            "/c/points/query",
            "POST",
            json!({ "query": [1, 0], "params": { "hnsw_ef": 1_000_000_000 } }),
            "hnsw_ef",
        ),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "using": "a" }), "using"),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "prefetch": { "query": 1 } }), "prefetch"),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "score_threshold": 1e300 }), "score_threshold"),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "filter": deep }), "nested"),
        ("/c/points/query", "POST", json!({ "query": [1, 0], "filter": [] }), "a filter is an object"),
        ("/c/points/scroll", "POST", json!({ "limit": 0 }), "limit is 0"),
        ("/c/points/scroll", "POST", json!({ "limit": 1_000_000 }), "limit is 1000000"),
        ("/c/points/count", "POST", json!({ "filter": { "must": [{ "nested": {} }] } }), "\"nested\""),
        ("/c/points/delete", "POST", json!({}), "points or filter"),
        ("/c/points/delete", "POST", json!({ "points": [null] }), "not the id"),
        ("/c/points", "POST", json!({ "ids": 3 }), "not as expected"),
    ] {
        let sentence = refused(&served, method, path, &body, 400);
        assert!(sentence.contains(part), "{body}: {sentence}");
    }
    for raw in [
        "{\"query\": [NaN, 0]}",
        "{\"query\": \"\\ud800\"}",
        "{\"query\": [1, 0], \"filter\": {\"must\": [{\"key\": \"\\udfff\", \"match\": {\"value\": 1}}]}}",
        "",
        "null",
    ] {
        let reply = served.send("POST", "/collections/c/points/query", &[], raw);
        assert_eq!(reply.status, 400, "{raw}: {reply:?}");
        assert!(reply.json()["status"]["error"].is_string());
    }
    let nested = format!("{{\"query\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(served.send("POST", "/collections/c/points/query", &[], &nested).status, 400);
    assert_eq!(served.send("PATCH", "/collections/c/points", &[], "{}").status, 405);
    assert_eq!(
        done(&served, "POST", "/c/points/count", &json!({})),
        json!({ "count": 4 }),
        "nothing was changed"
    );
}

#[test]
fn a_server_that_changes_nothing_says_so() {
    let served = Served::notes(3);
    refused(&served, "PUT", "/c", &json!({ "vectors": { "size": 2, "distance": "Dot" } }), 403);
    refused(&served, "PUT", "/notes/points", &json!({ "points": [{ "id": 1, "vector": [1] }] }), 403);
    refused(&served, "POST", "/notes/points/delete", &json!({ "points": [1] }), 403);
}

#[test]
fn several_queries_are_answered_at_once_and_searches_as_older_clients_send_them() {
    let served = with_points("Cosine");
    let searches = json!({ "searches": [
        { "query": [1, 0], "limit": 2 },
        { "query": 1, "limit": 1, "with_payload": true },
    ] });
    let found = done(&served, "POST", "/c/points/query/batch", &searches);
    assert_eq!(ids(&found[0]["points"]), [json!(1), json!(2)]);
    assert_eq!(ids(&found[1]["points"]), [json!(2)]);
    assert_eq!(found[1]["points"][0]["payload"]["color"], "red");
    let old = json!({ "vector": { "name": "", "vector": [0, 1] }, "limit": 2, "filter": null, "with_payload": ["n"] });
    let found = done(&served, "POST", "/c/points/search", &old);
    assert_eq!(ids(&found), [json!(UUID), json!(2)]);
    assert_eq!(found[0]["payload"], json!({ "n": 3 }));
    let both = json!({ "searches": [{ "vector": [0, 1], "limit": 1 }, { "vector": [-1, 0], "limit": 1 }] });
    let found = done(&served, "POST", "/c/points/search/batch", &both);
    assert_eq!((ids(&found[0]), ids(&found[1])), (vec![json!(UUID)], vec![json!(4)]));
    for (path, body) in [
        ("/c/points/query/batch", json!({ "searches": [] })),
        ("/c/points/query/batch", json!({ "searches": vec![json!({ "query": [1, 0] }); 101] })),
        ("/c/points/search", json!({ "vector": { "name": "a", "vector": [0, 1] }, "limit": 1 })),
        ("/c/points/search", json!({ "vector": [0, 1, 2], "limit": 1 })),
    ] {
        refused(&served, "POST", path, &body, 400);
    }
}

#[test]
fn payloads_are_set_replaced_and_deleted_and_vectors_replaced() {
    let served = with_points("Cosine");
    let payload = |id: Value| {
        done(&served, "POST", "/c/points", &json!({ "ids": [id], "with_vector": true }))[0].clone()
    };
    done(
        &served,
        "POST",
        "/c/points/payload",
        &json!({ "payload": { "n": 9, "text": "west" }, "points": [2, 4] }),
    );
    assert_eq!(payload(json!(2))["payload"], json!({ "color": "red", "n": 9, "text": "west" }));
    assert_eq!(payload(json!(4))["vector"], json!([-1.0, 0.0]));
    let red = json!({ "must": [{ "key": "color", "match": { "value": "red" } }] });
    done(
        &served,
        "POST",
        "/c/points/payload",
        &json!({ "payload": { "x": 1 }, "key": "deep.er", "filter": red }),
    );
    assert_eq!(payload(json!(UUID))["payload"]["deep"], json!({ "er": { "x": 1 } }));
    done(&served, "POST", "/c/points/payload/delete", &json!({ "keys": ["deep.er.x", "n"], "filter": red }));
    assert_eq!(
        payload(json!(UUID))["payload"],
        json!({ "color": "red", "tags": ["a", "b"], "deep": { "er": {} } })
    );
    done(&served, "PUT", "/c/points/payload", &json!({ "payload": { "only": true }, "points": [1] }));
    assert_eq!(payload(json!(1))["payload"], json!({ "only": true }));
    done(&served, "POST", "/c/points/payload/clear", &json!({ "points": [1] }));
    assert_eq!(payload(json!(1))["payload"], json!({}));
    done(&served, "PUT", "/c/points/vectors", &json!({ "points": [{ "id": 2, "vector": [0, -1] }] }));
    assert_eq!(
        (payload(json!(2))["vector"].clone(), payload(json!(2))["payload"]["color"].clone()),
        (json!([0.0, -1.0]), json!("red"))
    );
    refused(&served, "PUT", "/c/points/vectors", &json!({ "points": [{ "id": 77, "vector": [0, 1] }] }), 404);
    refused(&served, "PUT", "/c/points/vectors", &json!({ "points": [{ "id": 2, "vector": [0] }] }), 400);
    refused(&served, "POST", "/c/points/payload", &json!({ "payload": {} }), 400);
    refused(
        &served,
        "POST",
        "/notes/points/payload",
        &json!({ "payload": { "a": 1 }, "points": ["n/1"] }),
        400,
    );
}

#[test]
fn several_changes_are_made_in_their_order() {
    let served = with_points("Cosine");
    let operations = json!({ "operations": [
        { "upsert": { "points": [{ "id": 8, "vector": [1, 1], "payload": { "a": 1 } }] } },
        { "set_payload": { "payload": { "b": 2 }, "points": [8] } },
        { "delete_payload": { "keys": ["a"], "points": [8] } },
        { "update_vectors": { "points": [{ "id": 8, "vector": [0, 1] }] } },
        { "delete": { "points": [1] } },
        { "overwrite_payload": { "payload": { "c": 1 }, "points": [2] } },
        { "clear_payload": { "points": [UUID] } },
    ] });
    let results = done(&served, "POST", "/c/points/batch", &operations);
    assert!(results.as_array().unwrap().iter().all(|result| result["status"] == "completed"), "{results}");
    assert_eq!(results.as_array().unwrap().len(), 7);
    let left = done(&served, "POST", "/c/points", &json!({ "ids": [8, 1, 2, UUID], "with_vector": true }));
    assert_eq!(
        left,
        json!([
            { "id": 8, "payload": { "b": 2 }, "vector": [0.0, 1.0] },
            { "id": 2, "payload": { "c": 1 }, "vector": [f64::from(0.8_f32), f64::from(0.6_f32)] },
            { "id": UUID, "payload": {}, "vector": [0.0, 1.0] },
        ])
    );
    for wrong in [json!({}), json!({ "create_index": {} }), json!({ "upsert": {}, "delete": {} }), json!(3)] {
        let sentence = refused(&served, "POST", "/c/points/batch", &json!({ "operations": [wrong] }), 400);
        assert!(sentence.contains("operations") || sentence.contains("points"), "{sentence}");
    }
}

#[test]
fn points_are_scrolled_in_the_order_of_a_value() {
    let served = with_points("Cosine");
    let scroll = |order: Value, limit: usize| {
        let body = json!({ "order_by": order, "limit": limit });
        done(&served, "POST", "/c/points/scroll", &body)["points"].clone()
    };
    assert_eq!(ids(&scroll(json!("n"), 10)), [json!(2), json!(UUID)]);
    assert_eq!(ids(&scroll(json!({ "key": "n", "direction": "desc" }), 1)), [json!(UUID)]);
    assert_eq!(ids(&scroll(json!({ "key": "n", "start_from": 3 }), 10)), [json!(UUID)]);
    assert_eq!(ids(&scroll(json!({ "key": "metadata.n" }), 10)), [json!(1)]);
    assert_eq!(scroll(json!("tags"), 10)[0]["order_value"], "a");
    refused(
        &served,
        "POST",
        "/c/points/scroll",
        &json!({ "order_by": { "key": "n", "direction": "up" } }),
        400,
    );
    refused(&served, "POST", "/c/points/scroll", &json!({ "order_by": "n", "offset": 2 }), 400);
}

#[test]
fn what_has_no_like_here_is_refused_by_its_path() {
    let served = with_points("Cosine");
    for (method, path) in [
        ("POST", "/c/points/query/groups"),
        ("POST", "/c/points/recommend"),
        ("POST", "/c/facet"),
        ("GET", "/c/snapshots"),
        ("GET", "/c/cluster"),
    ] {
        let sentence = refused(&served, method, path, &json!({}), 404);
        assert!(sentence.contains(&path[2..]), "{sentence}");
    }
    assert_eq!(done(&served, "PATCH", "/c", &json!({ "optimizers_config": {} })), json!(true));
    assert_eq!(done(&served, "DELETE", "/c/index/color", &json!({}))["status"], "completed");
}
