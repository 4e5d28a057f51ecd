//! What is served, and within which limits.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akin_encoder::EncoderOptions;

pub use crate::tls::TlsFiles;

/// What is served, where, and to whom.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The folders of the indexes, or addresses of tables of PostgreSQL. An index is known by the name of its folder, or of its table.
    pub indexes: Vec<PathBuf>,
    /// Where to listen. Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The model that encodes texts of clients, a directory or a hub id; that of the first index if none is named.
    pub model: Option<String>,
    /// How models compute.
    pub encoder: EncoderOptions,
    /// The model that ranks hits and texts again, a directory or a hub id.
    pub reranker: Option<String>,
    /// The file of the keys that clients need; without one nobody needs a key.
    pub keys: Option<PathBuf>,
    /// Whether an address that other machines reach is listened on without keys.
    pub insecure: bool,
    /// Whether clients may change the indexes.
    pub writable: bool,
    /// The folder in which clients with the scope for it create indexes. Those that are there are served too.
    pub created: Option<PathBuf>,
    /// Host names that requests may name beside those of this machine itself.
    pub hosts: Vec<String>,
    /// Origins of web pages that may ask beside the server's own, as in `https://example.org`.
    pub origins: Vec<String>,
    /// What connections are encrypted with; they are not without it.
    pub tls: Option<TlsFiles>,
    /// A socket that is listened on already, in place of `listen`.
    pub inherited: Option<Arc<TcpListener>>,
    /// Whether the bodies of requests are logged, which have the texts of clients.
    pub log_texts: bool,
    /// Where a collector of OpenTelemetry takes traces, as in `http://127.0.0.1:4318`; there are none without it.
    pub traces: Option<String>,
    /// What is too much.
    pub limits: Limits,
}

impl ServerOptions {
    /// Serves `indexes` on a port of this machine, to it alone.
    pub fn new(indexes: Vec<PathBuf>) -> Self {
        Self {
            indexes,
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            model: None,
            encoder: EncoderOptions::default(),
            reranker: None,
            keys: None,
            insecure: false,
            writable: false,
            created: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            tls: None,
            inherited: None,
            log_texts: false,
            traces: None,
            limits: Limits::default(),
        }
    }
}

/// What is too much. Each limit is told to a client that exceeds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of the body of a request.
    pub body: usize,
    /// Texts of a request.
    pub texts: usize,
    /// Tokens of the texts of a request, as far as the model reads them.
    pub tokens: usize,
    /// Bytes of the text of a query.
    pub query: usize,
    /// Hits of an answer, those that are passed over included.
    pub hits: usize,
    /// How long a request may take.
    pub time: Duration,
    /// How long a client may take to send the head of a request, or to ask again on a connection that is kept.
    pub head: Duration,
    /// Bytes of the head of a request.
    pub head_bytes: usize,
    /// How long a client may take to send the body of a request.
    pub arrival: Duration,
    /// Bytes of the bodies of all requests at once.
    pub memory: usize,
    /// Requests a second of each key, or of each address where no key is shown; any number where none is given.
    pub rate: Option<f64>,
    /// Requests that are answered at once.
    pub requests: usize,
    /// Connections that are open at once.
    pub connections: usize,
    /// Tokens that wait to be encoded.
    pub waiting: usize,
    /// How long requests that run are waited for when the server stops.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 16 << 20,
            texts: 2048,
            tokens: 300_000,
            query: 64 << 10,
            hits: 10_000,
            time: Duration::from_secs(30),
            head: Duration::from_secs(10),
            head_bytes: 64 << 10,
            arrival: Duration::from_secs(10),
            memory: 1 << 30,
            rate: None,
            requests: 256,
            connections: 10_000,
            waiting: 1_000_000,
            stop: Duration::from_secs(30),
        }
    }
}
