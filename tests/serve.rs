//! `akin serve` as a program: what it says, how it stops, and what it refuses to begin with.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use common::{Workplace, sentences};
use serde_json::{Value, json};

/// A server as a process.
struct Server {
    child: Child,
    address: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Server {
    fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child =
            workplace.command(&arguments).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
            if let Some((_, address)) = said[before..].trim().rsplit_once("http://") {
                break address.to_owned();
            }
        };
        Self { child, address, stderr }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Asks it to end, and gives what it said.
    fn stop(mut self, signal: &str) -> String {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{said}");
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_notes() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(40).join("\n"));
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    workplace
}

#[test]
fn it_answers_what_the_command_line_prints_byte_by_byte() {
    let workplace = with_notes();
    let server = Server::start(&workplace, &["notes"]);
    let text = &sentences(40)[3];
    for (options, request) in [
        (&[][..], json!({ "text": text })),
        (&["--mode", "keyword", "-k", "3"], json!({ "text": text, "mode": "keyword", "k": 3 })),
        (&["--mode", "semantic", "--offset", "2"], json!({ "text": text, "mode": "semantic", "offset": 2 })),
        (&["--exact", "--per-document", "2"], json!({ "text": text, "exact": true, "per_document": 2 })),
    ] {
        let line =
            workplace.akin(&[&["query", "notes", text, "--json"], options].concat()).succeeded().stdout;
        assert_eq!(server.post("/v1/indexes/notes/query", &request), (200, line));
    }
    // What another process commits is seen.
    workplace.write("more.jsonl", json!({ "id": "new", "text": "zebras" }).to_string());
    workplace.akin(&["index", "notes", "more.jsonl"]).succeeded();
    let (_, answer) = server.post("/v1/indexes/notes/query", &json!({ "text": "zebras", "mode": "keyword" }));
    assert!(answer.contains("\"id\":\"new\""), "{answer}");
    server.stop("-TERM");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_when_its_requests_are_answered() {
    let workplace = with_notes();
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(&workplace, &["notes"]);
        // Its head is there, and its body is not: it is being answered.
        let mut slow = TcpStream::connect(&server.address).unwrap();
        let head = format!(
            "POST /v1/indexes/notes/query HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n",
            server.address
        );
        slow.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        slow.read_exact(&mut go_on).unwrap();
        let id = server.child.id().to_string();
        Command::new("kill").args([signal, &id]).status().unwrap();
        while TcpStream::connect(&server.address).is_ok() {}
        slow.write_all(b"{\"text\":\"door\"}").unwrap();
        let mut reply = String::new();
        slow.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        server.stop("-0");
    }
}

#[test]
fn logs_tell_neither_texts_nor_keys() {
    let workplace = with_notes();
    workplace.write("keys", "read kkkkkkkkkkkkkkkkkkkkkkk\n");
    let server = Server::start(&workplace, &["notes", "--verbose", "--api-key-file", "keys"]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let body = json!({ "text": "zanzibar" }).to_string();
    let head = format!(
        "POST /v1/indexes/notes/query HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer kkkkkkkkkkkkkkkkkkkkkkk\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let log = server.stop("-TERM");
    assert!(log.contains("POST /v1/indexes/{name}/query 200"), "{log}");
    assert!(!log.contains("zanzibar") && !log.contains("kkkk"), "{log}");
}

#[test]
fn what_cannot_be_served_is_refused_with_a_remedy() {
    let workplace = with_notes();
    workplace.write("short", "read short\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused = |arguments: &[&str]| workplace.akin(&[&["serve"], arguments].concat()).refused();
    for (arguments, part) in [
        (&["nowhere"][..], "`akin index` makes one"),
        (&["notes", "--listen", "0.0.0.0:0"], "--api-key-file"),
        (&["notes", "--listen", taken.as_str()], "with --listen"),
        (&["notes", "./notes"], "another folder is named notes too"),
        (&["notes", "--api-key-file", "short"], "short:1: a key has 16 characters"),
        (&["notes", "--api-key-file", "none"], "cannot read the keys"),
    ] {
        let sentence = refused(arguments);
        assert!(sentence.contains(part), "{arguments:?}: {sentence}");
    }
    let nothing = workplace.akin(&["serve"]);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("INDEX"), "{nothing:?}");
}

#[test]
fn an_agent_is_answered_on_stdin_and_stdout() {
    let workplace = with_notes();
    let messages = [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "search", "arguments": { "query": sentences(40)[3], "limit": 2 },
        } }),
    ];
    let mut child =
        workplace.command(&["mcp", "notes"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut answers = Vec::new();
    for message in messages {
        writeln!(stdin, "{message}").unwrap();
        if message.get("id").is_some() {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            answers.push(serde_json::from_str::<Value>(&line).unwrap());
        }
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-11-25");
    let found = &answers[1]["result"]["structuredContent"]["results"];
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (2, &json!("notes.txt:4")));
}
