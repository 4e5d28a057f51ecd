//! Traces that a collector gets.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use common::{Served, texts};
use serde_json::{Value, json};

/// A collector that answers every request with a status, and what it was sent: the path and the body.
fn collector(status: &'static str) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head: Vec<String> = Vec::new();
            while head.last().is_none_or(|line| line != "\r\n") {
                let mut line = String::new();
                assert!(stream.read_line(&mut line).unwrap() > 0);
                head.push(line);
            }
            let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            let mut body = vec![0; length.trim().parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let path = head[0].split(' ').nth(1).unwrap().to_owned();
            // Told before it is answered: who was answered may look for it.
            if sender.send((path, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, received)
}

#[test]
fn a_query_is_a_span_with_its_stages_in_the_trace_of_its_caller() {
    let (address, received) = collector("200 OK");
    let mut served = Served::with(30, |options| options.traces = Some(address));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = json!({ "text": texts(30)[7], "mode": "semantic" }).to_string();
    served.send("POST", "/v1/indexes/notes/query", &[("traceparent", parent)], &body).ok();
    let (path, sent) = received.recv().unwrap();
    assert_eq!(path, "/v1/traces");
    assert_eq!(
        sent["resourceSpans"][0]["resource"]["attributes"][0],
        json!({ "key": "service.name", "value": { "stringValue": "akin" } })
    );
    let spans = sent["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["POST /v1/indexes/{name}/query", "queue", "encode", "search"]);
    assert_eq!(spans[0]["parentSpanId"], "b7ad6b7169203331");
    for span in &spans {
        assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
        let nanos = |field: &str| span[field].as_str().unwrap().parse::<u128>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"), "{span}");
    }
    assert!(spans[1..].iter().all(|span| span["parentSpanId"] == spans[0]["spanId"]));
    let status = json!({ "key": "http.response.status_code", "value": { "intValue": "200" } });
    assert!(spans[0]["attributes"].as_array().unwrap().contains(&status), "{}", spans[0]);
    // Neither the text nor anything else of the body.
    assert!(!sent.to_string().contains("says that day"), "{sent}");
    served.stop();
}

#[test]
fn a_caller_that_records_nothing_is_not_recorded_and_what_waits_is_sent_when_the_server_stops() {
    let (address, received) = collector("202 Accepted");
    let mut served = Served::with(3, |options| options.traces = Some(address));
    let unrecorded = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    served.send("GET", "/v1/indexes/notes/stat", &[("traceparent", unrecorded)], "").ok();
    served.get("/v1/indexes").ok();
    served.stop();
    let mut names: Vec<Value> = Vec::new();
    while let Ok((_, sent)) = received.try_recv() {
        let spans = sent["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        names.extend(spans.iter().map(|span| span["name"].clone()));
    }
    assert_eq!(names, ["GET /v1/indexes"]);
}

#[test]
fn a_collector_that_refuses_costs_spans_and_no_request() {
    let (address, received) = collector("500 Internal Server Error");
    let served = Served::with(3, |options| options.traces = Some(address));
    served.get("/v1/indexes").ok();
    received.recv().unwrap();
    // Asking is traced too, so that more are lost.
    while served.get("/metrics").body.contains("akin_spans_dropped_total 0\n") {
        std::thread::yield_now();
    }
}
