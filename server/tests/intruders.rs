//! Nobody gets in who may not, and nobody takes more than there is.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use akin_server::{Server, ServerOptions, StartError};
use common::{Served, read_reply};
use serde_json::json;

const QUERY: &str = "/v1/indexes/notes/query";

#[test]
fn without_a_key_or_with_a_wrong_one_nothing_is_told() {
    let served = Served::with(3, |options| {
        let keys = std::env::temp_dir().join(format!("akin-keys-{}", std::process::id()));
        std::fs::write(&keys, "read aaaaaaaaaaaaaaaaaaaa\n").unwrap();
        options.keys = Some(keys);
    });
    let body = json!({ "text": "cold" }).to_string();
    for headers in [
        &[][..],
        &[("Authorization", "Bearer bbbbbbbbbbbbbbbbbbbb")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "aaaaaaaaaaaaaaaaaaaa")],
        &[("api-key", "")],
    ] {
        for path in [QUERY, "/v1/indexes", "/nothing", "/metrics"] {
            let reply = served.send("POST", path, headers, &body);
            let sentence = reply.refused(401);
            assert!(sentence.contains("a key is needed"), "{sentence}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
    for header in [("Authorization", "Bearer aaaaaaaaaaaaaaaaaaaa"), ("X-Api-Key", "aaaaaaaaaaaaaaaaaaaa")] {
        served.send("POST", QUERY, &[header], &body).ok();
    }
    // Whether it lives is no secret.
    served.get("/health").ok();
}

#[test]
fn other_machines_are_served_only_with_keys_or_where_that_was_meant() {
    let mut options = ServerOptions::new(Vec::new());
    options.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Server::start(&options), Err(StartError::Open { .. })));
    options.insecure = true;
    assert!(matches!(Server::start(&options), Err(StartError::Nothing)));
}

#[test]
fn pages_of_other_sites_and_other_host_names_are_refused() {
    let served = Served::notes(3);
    let body = json!({ "text": "cold" }).to_string();
    for headers in [[("Host", "evil.example")], [("Origin", "https://evil.example")], [("Origin", "null")]] {
        served.send("POST", QUERY, &headers, &body).refused(403);
        served.send("GET", "/health", &headers, "").refused(403);
    }
    let own = format!("http://{}", served.address);
    served.send("POST", QUERY, &[("Origin", &own)], &body).ok();
    served
        .raw(b"GET /v1/indexes HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .refused(400);
}

#[test]
fn names_that_leave_a_folder_lead_nowhere() {
    let served = Served::notes(3);
    served.folder.write("secret", "secret");
    for path in [
        "/v1/indexes/../stat",
        "/v1/indexes/..%2Fnotes/stat",
        "/v1/indexes/%2E%2E%2Fsecret/stat",
        "/v1/indexes/notes%00/stat",
        "/v1/indexes/.%2Fnotes/stat",
        "/v1/indexes/notes/documents/..%2F..%2Fsecret",
        "/v1/indexes/notes/documents/../../../secret",
        "/../secret",
    ] {
        let reply = served.get(path);
        assert!(matches!(reply.status, 400 | 404) && !reply.body.contains("secret\","), "{path}: {reply:?}");
    }
    served.get("/v1/indexes/n%C3%28/stat").refused(400);
}

#[test]
fn what_is_no_json_is_refused_however_it_is_broken() {
    let served = Served::notes(3);
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for body in [
        deep("[", "]"),
        deep("{\"text\":", "}"),
        format!("{{\"text\":{}", deep("[", "]")),
        r#"{"text":"a","min_score":NaN}"#.into(),
        r#"{"text":"a","min_score":1e999}"#.into(),
        r#"{"text":"a","text":"b"}"#.into(),
        r#"{"text":"\ud800"}"#.into(),
        "{\"text\":\"a\"} {}".into(),
        String::new(),
    ] {
        let sentence = served.send("POST", QUERY, &[], &body).refused(400);
        assert!(sentence.contains("the body of the request"), "{sentence}");
    }
    served.raw(b"POST /v1/indexes/notes/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{\"text\":\"\xff\"}").refused(400);
    served.get("/health").ok();
}

#[test]
fn a_body_or_a_text_that_is_too_large_is_refused() {
    let served = Served::with(3, |options| options.limits.body = 100_000);
    let sentence = served.post(QUERY, &json!({ "text": "a ".repeat(60_000) })).refused(413);
    assert_eq!(sentence, "the body of the request has more than 100000 bytes");
    let sentence = served.post(QUERY, &json!({ "text": "a ".repeat(40_000) })).refused(413);
    assert!(sentence.contains("text has more than 65536 bytes"), "{sentence}");
    // A length that is a lie, and one that is not told.
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "a".repeat(60_000));
    let chunked = format!(
        "POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    served.raw(chunked.as_bytes()).refused(413);
    let huge = format!(
        "POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n"
    );
    served.raw(huge.as_bytes()).refused(413);
}

#[test]
fn a_request_in_two_lengths_is_no_request() {
    let served = Served::notes(3);
    let both = format!(
        "POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    let reply = served.raw(both.as_bytes());
    assert!(!reply.body.contains("akin_requests"), "{reply:?}");
    let two = format!(
        "POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"
    );
    assert_eq!(served.raw(two.as_bytes()).status, 400);
}

#[test]
fn endless_heads_and_slow_clients_are_given_up_and_others_are_answered() {
    let served = Served::with(3, |options| {
        options.limits.head = Duration::from_millis(300);
        options.limits.arrival = Duration::from_millis(600);
    });
    let head = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(10 << 20));
    let reply = served.raw(head.as_bytes());
    assert!(matches!(reply.status, 0 | 431), "{}", reply.status);
    // One that never ends its head, and one that never sends its body.
    let mut silent = TcpStream::connect(served.address).unwrap();
    silent.write_all(b"GET /health HTTP/1.1\r\nHost: ").unwrap();
    let mut slow = TcpStream::connect(served.address).unwrap();
    slow.write_all(
        format!(
            "POST {QUERY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 50\r\n\r\n{{"
        )
        .as_bytes(),
    )
    .unwrap();
    served.get("/health").ok();
    served.post(QUERY, &json!({ "text": "cold" })).ok();
    assert!(read_reply(slow).refused(408).contains("0.6 seconds"));
    assert!(matches!(read_reply(silent).status, 0 | 408));
}

#[test]
fn more_requests_than_are_answered_at_once_are_told_to_come_again() {
    let served = Served::with(3, |options| options.limits.requests = 0);
    let reply = served.get("/v1/indexes");
    assert!(reply.refused(429).contains("ask again"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some("1"));
    // One that was answered makes room for the next.
    let served = Served::with(3, |options| options.limits.requests = 1);
    for _ in 0..3 {
        served.get("/v1/indexes").ok();
    }
}

#[test]
fn a_page_of_a_listed_origin_may_ask_and_read() {
    let served = Served::with(3, |options| options.origins = vec!["https://app.example".into()]);
    let origin = ("Origin", "https://app.example");
    let asked = served.send("OPTIONS", QUERY, &[origin, ("Access-Control-Request-Method", "POST")], "");
    assert_eq!(
        (asked.status, asked.header("access-control-allow-origin")),
        (204, Some("https://app.example"))
    );
    let body = json!({ "text": "cold" }).to_string();
    let reply = served.send("POST", QUERY, &[origin], &body);
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some("https://app.example"))
    );
    let other = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(served.send("OPTIONS", QUERY, &other, "").status, 403);
}
