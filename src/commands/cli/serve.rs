//! Arguments of `akin serve` and `akin mcp`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use akin_server::{Limits, ServerOptions, TlsFiles};
use clap::{Args, ValueEnum};

use super::{PrecisionArguments, parse_count, parse_positive};

#[derive(Debug, Args)]
#[command(after_help = "\
An index is known by the name of its folder. Models are loaded once, and shared by the indexes that were built with them. \
Commits of other processes are seen at once.

POST /v1/indexes/NAME/query takes the options of `akin query` under their names, with underscores, as JSON, and answers what \
--json prints. What is unknown is refused by its name. GET /v1/indexes, /v1/indexes/NAME/stat and /v1/indexes/NAME/documents/ID tell \
the rest, /health and /ready whether it lives, /metrics what it counts.

postgres://USER@HOST:PORT/DATABASE/TABLE serves a table of PostgreSQL under the name of the table, and milvus://HOST:PORT/COLLECTION a collection of Milvus: queries, stat, and documents by their \
ids, with --writable also POST and DELETE of documents. What needs the files of an index (like, facets, highlight, export, map, the page, \
other interfaces) is answered with 501 there. It takes up to 8 connections.

s3://BUCKET/PREFIX serves an index that `akin copy` has put into a bucket, for reading, under the last part of PREFIX, from a copy of its \
files in the user's cache. Every 10 seconds newer commits are looked for; while the object store is away, what was there before is served.

With --writable, POST /v1/indexes/NAME/documents takes {\"documents\": [{\"id\", \"text\", \"metadata\"}]} and answers when they are on the \
disk, DELETE takes {\"ids\": [...]} there or one id in the path. POST /v1/indexes with {\"name\"} creates an index in the folder of \
--create-in, and DELETE /v1/indexes/NAME drops one of it.

GET /v1/indexes/NAME/documents exports all documents as JSON lines.

Clients of others work too: OpenAI (/v1/embeddings, /v1/models, /v1/vector_stores/NAME/search), Text Embeddings Inference (/embed, \
/embed_all, /rerank, /similarity, /tokenize, /decode, /info), Jina (/v1/rerank), Cohere (/v2/rerank), Ollama (/api/embed), Qdrant \
(/collections; with --create-in clients make collections of their own vectors), agents (MCP at /mcp). Ranking needs --rerank.

While it runs, `akin query` of the same user asks it about its indexes, over a socket in the folder of each.

Without --api-key-file only this machine is served: an address that others reach is refused unless --insecure is given. A line of the \
file is a scope (read, write or admin), a key of 16 characters or more, and perhaps a name for the log, with spaces between; a change of the file holds within a second. \
Pages of other sites are refused, unless --allow-origin names them. It stops on SIGINT and SIGTERM, when what it is answering is done. A socket that systemd has passed is listened on in place of \
--listen, and systemd is told when requests are taken.

Every option can be set in a file of TOML too (--config), under its name: listen = \"127.0.0.1:8080\", writable = true, \
allow-origin = [\"https://example.org\"], and the folders as indexes = [\"notes\"]; and in the environment, as AKIN_SERVE_LISTEN, \
AKIN_SERVE_WRITABLE=true, AKIN_SERVE_INDEXES=notes,papers. The command line comes first, then the environment, then the file. Paths \
are as seen from where the server is started.

With --log-format a line a request goes to stderr: method, path, status, bytes, milliseconds, name of the key, and id, which is that of \
the header X-Request-Id if there is one, and comes back in the answer. Neither keys nor texts are logged, unless --log-texts is given.

With --otlp-endpoint each request is a span for OpenTelemetry, with its waiting, its encoding and its search as spans below it, in the trace \
that its header traceparent names. A collector that is slow or away costs spans and no request; /metrics counts them.

Examples:
  akin serve notes
  akin serve postgres://me@db.example/search/notes --writable
  akin serve s3://backups/notes
  akin serve notes papers --listen 127.0.0.1:8080 --precision int8
  curl localhost:7700/v1/indexes/notes/query -d '{\"text\": \"fear of heights\", \"k\": 3}'
  akin serve --model all-MiniLM-L6-v2 --rerank cross-encoder/ms-marco-MiniLM-L6-v2
  akin serve notes --listen 0.0.0.0:7700 --api-key-file keys.txt
  akin serve notes --listen 0.0.0.0:7700 --api-key-file keys.txt --tls-certificate cert.pem --tls-key key.pem --rate 20
  akin serve --config akin.toml --log-format json")]
pub struct ServeArguments {
    /// The folders of the indexes, postgres://USER@HOST:PORT/DATABASE/TABLE, milvus://HOST:PORT/COLLECTION, or s3://BUCKET/PREFIX
    #[arg(value_name = "INDEX", required_unless_present_any = ["model", "rerank", "create_in"])]
    pub indexes: Vec<PathBuf>,
    // Read before the arguments are parsed: its settings are among them then.
    /// Take options that are not given here from this file of TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7700")]
    pub listen: SocketAddr,
    /// The model for texts of clients, its directory or hub id [default: that of the first index]
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    precision: PrecisionArguments,
    /// The model that ranks hits and texts again, a cross-encoder or a sentence encoder: its directory or hub id
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub rerank: Option<String>,
    /// Ask for keys, those of this file: a scope and a key a line
    #[arg(long, value_name = "FILE", env = "AKIN_API_KEY_FILE", hide_env_values = true)]
    pub api_key_file: Option<PathBuf>,
    /// Let clients add, replace and delete documents; nobody else changes the indexes meanwhile
    #[arg(long)]
    pub writable: bool,
    /// Let clients create indexes in this folder, and serve those that are there
    #[arg(long, value_name = "FOLDER", requires = "writable")]
    pub create_in: Option<PathBuf>,
    /// Encrypt connections with this certificate, in PEM, with those that sign it; a change of the file is followed
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Serve other machines without keys
    #[arg(long)]
    pub insecure: bool,
    /// Serve requests that name this host too; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Serve pages of this origin too: scheme, host and port; may be given more than once
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Log each request to stderr, as a line of text or of JSON [default: with --verbose as text, else not at all]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Log")]
    pub log_format: Option<LogFormat>,
    /// Log the bodies of requests too, which have their texts
    #[arg(long, help_heading = "Log")]
    log_texts: bool,
    /// Send a trace of each request to this collector of OpenTelemetry, as JSON over HTTP
    #[arg(long, value_name = "http://HOST:PORT", help_heading = "Log")]
    otlp_endpoint: Option<String>,
    /// The largest body of a request, in MiB
    #[arg(long, value_name = "MIB", default_value = "16", value_parser = parse_count, help_heading = "Limits")]
    max_body: NonZeroUsize,
    /// The most texts of a request
    #[arg(long, value_name = "N", default_value = "2048", value_parser = parse_count, help_heading = "Limits")]
    max_texts: NonZeroUsize,
    /// The most tokens of the texts of a request
    #[arg(long, value_name = "N", default_value = "300000", value_parser = parse_count, help_heading = "Limits")]
    max_tokens: NonZeroUsize,
    /// The most requests that are answered at once; one more is told to come again
    #[arg(long, value_name = "N", default_value = "256", value_parser = parse_count, help_heading = "Limits")]
    max_requests: NonZeroUsize,
    /// The most requests a second of one key, or of one address where no key is shown [default: any number]
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_positive, help_heading = "Limits")]
    rate: Option<f64>,
    /// The most connections at once
    #[arg(long, value_name = "N", default_value = "10000", value_parser = parse_count, help_heading = "Limits")]
    connections: NonZeroUsize,
    /// The most KiB of the head of a request, 8 at least
    #[arg(long, value_name = "KIB", default_value = "64", value_parser = parse_count, help_heading = "Limits")]
    max_head: NonZeroUsize,
    /// The most seconds that the head of a request takes to arrive, or a client to ask again on its connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_positive, help_heading = "Limits")]
    head_timeout: f64,
    /// The most seconds that the body of a request takes to arrive
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_positive, help_heading = "Limits")]
    body_timeout: f64,
    /// The most seconds that a request takes
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_positive, help_heading = "Limits")]
    timeout: f64,
}

impl ServeArguments {
    /// The same for the server.
    pub fn options(&self) -> ServerOptions {
        let limits = Limits {
            body: self.max_body.get().saturating_mul(1 << 20),
            texts: self.max_texts.get(),
            tokens: self.max_tokens.get(),
            // The semaphore of the server counts no further.
            requests: self.max_requests.get().min(100_000),
            time: seconds(self.timeout),
            head: seconds(self.head_timeout),
            head_bytes: self.max_head.get().saturating_mul(1 << 10),
            arrival: seconds(self.body_timeout),
            rate: self.rate,
            connections: self.connections.get(),
            ..Limits::default()
        };
        ServerOptions {
            listen: self.listen,
            model: self.model.clone(),
            encoder: self.precision.options(None),
            reranker: self.rerank.clone(),
            keys: self.api_key_file.clone(),
            insecure: self.insecure,
            writable: self.writable,
            created: self.create_in.clone(),
            hosts: self.allow_host.clone(),
            origins: self.allow_origin.clone(),
            tls: self
                .tls_certificate
                .clone()
                .zip(self.tls_key.clone())
                .map(|(certificate, key)| TlsFiles { certificate, key }),
            log_texts: self.log_texts,
            traces: self.otlp_endpoint.clone(),
            limits,
            ..ServerOptions::new(self.indexes.clone())
        }
    }
}

/// No more than a year: clocks do not count for ever.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.min(3.2e7)).unwrap_or_default()
}

/// How requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Speaks the Model Context Protocol on stdin and stdout until stdin ends: an agent starts it. Its tools are `search` (query, and \
optionally limit, filter, index and mode), `fetch` (id) and `status`; with --writable also `store` (text, and optionally id, title, \
metadata and index) and `delete` (id). Documents are resources too, akin://INDEX/ID. `akin serve` has the same at /mcp.

--install writes how to start this command into the configuration of an agent's client: it shows the change, asks, and keeps all \
else in the file.

Examples:
  akin mcp notes
  akin mcp notes --install claude-code
  akin mcp notes --writable --install codex --print")]
pub struct McpArguments {
    /// The folders of the indexes, or s3://BUCKET/PREFIX to read one in a bucket
    #[arg(value_name = "INDEX", required = true)]
    pub indexes: Vec<PathBuf>,
    #[command(flatten)]
    precision: PrecisionArguments,
    /// Let the agent store and delete documents; nobody else changes the indexes meanwhile
    #[arg(long)]
    writable: bool,
    /// Have this client start the command: shows the change of its configuration file, and asks
    #[arg(long, value_enum, value_name = "CLIENT", help_heading = "Installing")]
    pub install: Option<McpClient>,
    /// What the client calls it [default: the name of the first index]
    #[arg(long, value_name = "NAME", requires = "install", value_parser = parse_server_name, help_heading = "Installing")]
    pub name: Option<String>,
    /// Write the configuration without asking
    #[arg(long, requires = "install", help_heading = "Installing")]
    pub yes: bool,
    /// Show the change only
    #[arg(long, requires = "install", conflicts_with = "yes", help_heading = "Installing")]
    pub print: bool,
}

/// A client of agents that starts servers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum McpClient {
    ClaudeCode,
    ClaudeDesktop,
    Codex,
    Cursor,
    Vscode,
}

impl McpClient {
    /// What it calls itself.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Codex => "Codex",
            Self::Cursor => "Cursor",
            Self::Vscode => "Visual Studio Code",
        }
    }
}

fn parse_server_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    match (1..=64).contains(&name.len()) && name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err("a name is 1 to 64 letters, digits, hyphens and underscores".into()),
    }
}

impl McpArguments {
    /// The same for the server.
    pub fn options(&self) -> ServerOptions {
        ServerOptions {
            encoder: self.precision.options(None),
            writable: self.writable,
            ..ServerOptions::new(self.indexes.clone())
        }
    }

    /// Whether the agent may change the indexes.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The options that say how to serve, as they are given on a command line.
    pub fn flags(&self) -> Vec<String> {
        let writable = self.writable.then(|| "--writable".to_owned());
        self.precision.flags().into_iter().chain(writable).collect()
    }
}
