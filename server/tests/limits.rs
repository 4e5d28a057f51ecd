//! What is too much is refused with a status that says so, and others are answered meanwhile.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use akin_server::ServerOptions;
use common::{Served, read_reply};
use serde_json::json;

const QUERY: &str = "/v1/indexes/notes/query";

fn with_limits(change: impl FnOnce(&mut ServerOptions)) -> Served {
    Served::with(3, change)
}

/// A connection on which so much has been sent.
fn sent(served: &Served, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let served = with_limits(|options| options.limits.rate = Some(0.01));
    served.get("/v1/indexes").ok();
    let reply = served.get("/v1/indexes");
    assert!(reply.refused(429).contains("requests a second"), "{reply:?}");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((90..=100).contains(&wait), "{wait}");
    // Who watches the server is no client.
    for _ in 0..3 {
        served.get("/health").ok();
    }
}

#[test]
fn each_key_has_a_rate_of_its_own_and_so_has_who_shows_none() {
    let folder = akin_fixtures::Folder::new();
    folder.write("keys", "read aaaaaaaaaaaaaaaaaaaa\nread bbbbbbbbbbbbbbbbbbbb\n");
    let served = with_limits(|options| {
        options.keys = Some(folder.path("keys"));
        options.limits.rate = Some(0.01);
    });
    let with = |key: &str| served.send("GET", "/v1/indexes", &[("X-Api-Key", key)], "").status;
    assert_eq!((with("aaaaaaaaaaaaaaaaaaaa"), with("bbbbbbbbbbbbbbbbbbbb")), (200, 200));
    assert_eq!((with("aaaaaaaaaaaaaaaaaaaa"), with("bbbbbbbbbbbbbbbbbbbb")), (429, 429));
    // Whoever tries keys is stopped by the address.
    assert_eq!((with("cccccccccccccccccccc"), with("dddddddddddddddddddd")), (401, 429));
}

#[test]
fn a_head_that_does_not_end_is_answered_and_a_client_that_is_silent_is_not() {
    let served = with_limits(|options| options.limits.head = Duration::from_millis(200));
    let reply = read_reply(sent(&served, "GET /health HTTP/1.1\r\nHost: local"));
    assert!(reply.refused(408).contains("0.2 seconds"), "{reply:?}");
    assert_eq!(read_reply(sent(&served, "")).head, "");
    // Nor is one whose request was answered, and that asks no more.
    let reply = read_reply(sent(&served, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(reply.status == 200 && !reply.body.contains("HTTP/1.1 408"), "{reply:?}");
}

#[test]
fn bodies_that_do_not_arrive_keep_nobody_waiting() {
    let served = with_limits(|options| {
        options.limits.requests = 1;
        options.limits.arrival = Duration::from_millis(1500);
    });
    let head = format!(
        "POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\nConnection: close\r\n\r\n{{"
    );
    let slow: Vec<TcpStream> = (0..20).map(|_| sent(&served, &head)).collect();
    served.post(QUERY, &json!({ "text": "cold" })).ok();
    for stream in slow {
        let reply = read_reply(stream);
        assert!(reply.refused(408).contains("did not arrive within 1.5 seconds"), "{reply:?}");
    }
}

#[test]
fn bodies_take_no_more_memory_than_there_is_for_them() {
    let served = with_limits(|options| options.limits.memory = 100 << 10);
    let reply = served.post(QUERY, &json!({ "text": "a ".repeat(60 << 10) }));
    assert!(reply.refused(429).contains("memory"), "{reply:?}");
    // It is given back.
    for _ in 0..3 {
        served.post(QUERY, &json!({ "text": "a ".repeat(20 << 10) })).ok();
    }
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let served = with_limits(|options| options.limits.head_bytes = 8 << 10);
    let long = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(20 << 10));
    assert!(matches!(served.raw(long.as_bytes()).status, 0 | 431));
    let fitting = format!(
        "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
        "a".repeat(4 << 10)
    );
    served.raw(fitting.as_bytes()).ok();
    let many = format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert_eq!(served.raw(many.as_bytes()).status, 431);
}

#[test]
fn too_many_texts_are_refused_in_the_form_of_each_interface() {
    let served = with_limits(|options| options.limits.texts = 2);
    let openai = served.post("/v1/embeddings", &json!({ "input": ["a", "b", "c"], "model": "tiny-bert" }));
    let sentence = openai.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(openai.status == 413 && sentence.contains("3 texts, and 2 are the most"), "{openai:?}");
    let tei = served.post("/embed", &json!({ "inputs": ["a", "b", "c"] }));
    assert_eq!((tei.status, tei.json()["error_type"].as_str()), (413, Some("Validation")));
}

#[test]
fn more_connections_than_fit_are_told_so() {
    let served = with_limits(|options| {
        options.limits.connections = 2;
        options.limits.head = Duration::from_secs(60);
    });
    let mut idle: Vec<TcpStream> = (0..2).map(|_| sent(&served, "")).collect();
    // They are let in one after the other.
    idle.iter_mut().for_each(|stream| {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 512];
        assert!(stream.read(&mut answer).unwrap() > 0);
    });
    let reply = served.get("/health");
    assert!(reply.refused(503).contains("as many connections"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some("1"));
    drop(idle);
    while served.get("/health").status == 503 {}
    served.get("/health").ok();
}

#[test]
fn a_request_has_an_id_that_comes_back() {
    let served = with_limits(|_| {});
    let given = served.send("GET", "/health", &[("X-Request-Id", "job-17")], "");
    assert_eq!(given.header("x-request-id"), Some("job-17"));
    let made = |headers: &[(&str, &str)]| {
        served.send("GET", "/nothing", headers, "").header("x-request-id").unwrap().to_owned()
    };
    let (one, other) = (made(&[]), made(&[("X-Request-Id", "a b\"c")]));
    assert!(one != other && one.len() == 24 && other.len() == 24, "{one} {other}");
}

#[test]
fn the_time_of_each_stage_is_counted() {
    let served = with_limits(|_| {});
    served.post(QUERY, &json!({ "text": "cold" })).ok();
    let metrics = served.get("/metrics").body;
    for stage in ["queue", "encoding", "search"] {
        let count = format!("akin_{stage}_seconds_count 1\n");
        assert!(metrics.contains(&count), "{count}{metrics}");
    }
    assert!(
        metrics.contains("akin_request_seconds_count{route=\"/v1/indexes/{name}/query\"} 1\n"),
        "{metrics}"
    );
}
