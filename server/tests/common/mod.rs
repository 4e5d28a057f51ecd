//! A server in this process, and a client that sends exactly the bytes that a test wants.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub mod mcp;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use akin_encoder::SentenceEncoder;
use akin_fixtures::Folder;
use akin_fixtures::models::tiny;
use akin_index::{Document, Index, ModelIdentity, PassageSize};
use akin_indexer::passages::PassageEncoder;
use akin_query::model::identity;
use akin_server::{Server, ServerOptions};
use serde_json::Value;
use tokio::sync::oneshot;

/// A server of some indexes, stopped when dropped.
pub struct Served {
    pub address: SocketAddr,
    pub folder: Folder,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that succeeded.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The sentence of an error of ours.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        self.json()["error"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Served {
    /// An index `notes` of `n` documents.
    pub fn notes(n: usize) -> Self {
        Self::with(n, |_| {})
    }

    /// The same with other options.
    pub fn with(n: usize, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let folder = Folder::new();
        make_index(&folder.path("notes"), n);
        Self::start(folder, change)
    }

    /// Serves the index `notes` of a folder.
    pub fn start(folder: Folder, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let mut options = ServerOptions::new(vec![folder.path("notes")]);
        options.listen.set_port(0);
        change(&mut options);
        let server = Server::start(&options).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let run = move || server.run_until(async { drop(stopped.await) });
        Self { address, folder, stop: Some(stop), thread: Some(std::thread::spawn(run)) }
    }

    /// Sends bytes, and reads the answer until the server closes.
    #[track_caller]
    pub fn raw(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // A server that refuses stops reading; its answer counts.
        let _ = stream.write_all(request);
        read_reply(stream)
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request += &format!("Host: {}\r\n", self.address);
        }
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        self.raw((request + "\r\n" + body).as_bytes())
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("Content-Type", "application/json")], &body.to_string())
    }

    /// Asks the server to stop, and waits until it has.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn read_reply(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // A reset after the answer, of a request that was not read to its end, is the server's right.
    let mut part = [0; 4096];
    while let Ok(read) = stream.read(&mut part) {
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&part[..read]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunked(body) } else { body.to_owned() };
    Reply { status, head: head.to_owned(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 || length > rest.len() {
            break;
        }
        whole += &rest[..length];
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

/// `n` different texts.
pub fn texts(n: usize) -> Vec<String> {
    (0..n)
        .map(|n| format!("note {n} says that day {} was {}", n * 7, ["cold", "warm", "long"][n % 3]))
        .collect()
}

pub fn model() -> PathBuf {
    tiny("bert")
}

/// An index of those, with a number and a colour each.
pub fn make_index(path: &Path, n: usize) {
    let encoder = SentenceEncoder::load(&model()).unwrap();
    let identity = identity(model().to_str().unwrap(), &encoder).unwrap();
    let identity = ModelIdentity { passages: PassageSize::Window, ..identity };
    let mut index = Index::open_or_create(path, &identity).unwrap();
    let documents: Vec<Document> =
        texts(n).into_iter().enumerate().map(|(at, text)| document(at, text)).collect();
    let encoded = PassageEncoder::new(&encoder, PassageSize::Window).unwrap().encode(&documents).unwrap();
    encoded.upsert(&mut index, &documents).unwrap();
}

pub fn document(at: usize, text: String) -> Document {
    let mut document = Document { id: format!("n/{at}"), text, ..Document::default() };
    document.metadata.insert("n".into(), at.into());
    document.metadata.insert("color".into(), ["red", "green"][at % 2].into());
    document
}
