//! Export of an index as JSON lines over a real socket.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Served, document, read_reply, texts};
use serde_json::{Value, json};

fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_document_is_a_line_and_its_vectors_where_they_are_wanted() {
    let served = Served::notes(500);
    let reply = served.get("/v1/indexes/notes/documents");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-ndjson")));
    let found = lines(&reply.body);
    assert_eq!(found.len(), 500);
    for (at, text) in texts(500).into_iter().enumerate() {
        let document = document(at, text);
        assert_eq!(
            found[at],
            json!({ "id": document.id, "text": document.text, "metadata": document.metadata })
        );
    }
    let some = lines(&served.get("/v1/indexes/notes/documents?vectors=true&filter=n+%3C+3").body);
    assert_eq!(some.len(), 3);
    let vector = some[2]["vectors"][0].as_array().unwrap();
    let stat = served.get("/v1/indexes/notes/stat").ok();
    assert_eq!(json!(vector.len()), stat["dimension"]);
}

#[test]
fn what_is_not_known_is_refused() {
    let served = Served::notes(3);
    for (query, part) in
        [("?all=1", "\"all\""), ("?vectors=x", "vectors is true or false"), ("?filter=n+%3E", "filter")]
    {
        let sentence = served.get(&format!("/v1/indexes/notes/documents{query}")).refused(400);
        assert!(sentence.contains(part), "{sentence}");
    }
    served.get("/v1/indexes/none/documents").refused(404);
}

/// Begins to export, and reads nothing.
fn begin(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).unwrap();
    let host = served.address;
    write!(
        stream,
        "GET /v1/indexes/notes/documents?vectors=true HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
    stream
}

#[test]
fn a_client_that_takes_nothing_does_not_keep_others_from_exporting() {
    let served = Served::with(30_000, |options| options.limits.time = Duration::from_millis(400));
    let slow: Vec<TcpStream> = (0..4).map(|_| begin(&served)).collect();
    let begun = Instant::now();
    while served.get("/v1/indexes/notes/documents?filter=n+%3C+3").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody else exports");
    }
    let is_cut = |stream| read_reply(stream).body.lines().count() < 30_000;
    assert!(slow.into_iter().any(is_cut), "none was given up");
}

#[test]
fn an_export_is_of_one_commit_and_slow_readers_are_few() {
    let served = Served::with(30_000, |options| options.writable = true);
    // More than the buffers of a connection hold: they wait for their readers.
    let mut slow: Vec<TcpStream> = (0..4).map(|_| begin(&served)).collect();
    assert_eq!(served.get("/v1/indexes/notes/documents").status, 429);
    let ids = json!({ "ids": ["n/29999"] });
    assert_eq!(
        served.send("DELETE", "/v1/indexes/notes/documents", &[], &ids.to_string()).ok(),
        json!({ "deleted": 1 })
    );
    let reply = read_reply(slow.pop().unwrap());
    assert_eq!(lines(&reply.body).len(), 30_000);
    drop(slow);
}
