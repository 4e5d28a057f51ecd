//! Sends spans to a collector: JSON of the OpenTelemetry protocol over HTTP, many in a request.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Uri;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::metrics::Metrics;

/// Requests whose spans wait, at most.
const WAITING: usize = 4096;
/// Requests whose spans are sent together, at most.
const TOGETHER: usize = 512;
/// How long spans wait for others.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of an answer that are read, at most.
const MOST_ANSWER: u64 = 64 << 10;
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a collector listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

impl Endpoint {
    /// Reads an address such as `http://127.0.0.1:4318`. Without a path that of the protocol is meant, `/v1/traces`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(address: &str) -> Result<Self, String> {
        let expected =
            || format!("{address:?} is no address of a collector: http://HOST:PORT is expected, without TLS");
        let uri: Uri = address.parse().map_err(|_| expected())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let host = authority.map(|authority| authority.host()).filter(|host| !host.is_empty());
        let (Some("http"), Some(host)) = (uri.scheme_str(), host) else { return Err(expected()) };
        let path = if uri.path() == "/" { "/v1/traces" } else { uri.path() };
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(4318), path: path.to_owned() })
    }

    /// Sends spans.
    async fn send(&self, spans: Vec<Value>) -> io::Result<()> {
        let body = json!({
            "resourceSpans": [{
                "resource": { "attributes": [
                    { "key": "service.name", "value": { "stringValue": "akin" } },
                    { "key": "service.version", "value": { "stringValue": env!("CARGO_PKG_VERSION") } },
                ] },
                "scopeSpans": [{ "scope": { "name": "akin-server" }, "spans": spans }],
            }],
        })
        .to_string();
        let Self { host, port, path } = self;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        // An address of six parts has brackets in a request, and none where a connection is made.
        let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), *port)).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        // The status is all that counts of the answer.
        let mut answer = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut answer).await?;
        // What is left unread would end the connection as if something had gone wrong.
        let mut rest = Vec::new();
        let _ = timeout(PAUSE, stream.take(MOST_ANSWER).read_to_end(&mut rest)).await;
        match (&answer[..7], answer[9]) {
            (b"HTTP/1.", b'2') => Ok(()),
            _ => {
                let begin = String::from_utf8_lossy(&answer);
                Err(io::Error::other(format!("its answer begins with {begin:?}")))
            }
        }
    }
}

/// Takes the spans of requests, and sends them in the background.
pub struct Exporter {
    queue: Mutex<Option<Sender<Vec<Value>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// Begins to send. Within a runtime.
    pub fn start(endpoint: Endpoint, metrics: Arc<Metrics>) -> Self {
        let (queue, spans) = channel(WAITING);
        let task = tokio::spawn(run(endpoint, spans, Arc::clone(&metrics)));
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)), metrics }
    }

    /// Takes the spans of a request. Those that find no room are dropped.
    pub fn take(&self, spans: Vec<Value>) {
        let count = spans.len();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.as_ref().is_none_or(|queue| queue.try_send(spans).is_err()) {
            self.metrics.spans_dropped(count);
        }
    }

    /// Sends what waits, and ends.
    pub async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

async fn run(endpoint: Endpoint, mut queue: Receiver<Vec<Value>>, metrics: Arc<Metrics>) {
    let mut is_failing = false;
    while let Some(first) = queue.recv().await {
        let spans = gather(first, &mut queue).await;
        let count = spans.len();
        let sent = match timeout(PATIENCE, endpoint.send(spans)).await {
            Ok(sent) => sent,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        };
        match sent {
            Ok(()) => {
                is_failing = false;
                metrics.spans_sent(count);
            }
            Err(error) => {
                metrics.spans_dropped(count);
                // Said once until it works again.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(
                        "traces are lost, since {}:{} fails: {error}",
                        endpoint.host,
                        endpoint.port
                    );
                }
            }
        }
    }
}

/// The spans of a request, and those of others that come soon.
async fn gather(first: Vec<Value>, queue: &mut Receiver<Vec<Value>>) -> Vec<Value> {
    let mut spans = first;
    let more = async {
        for _ in 1..TOGETHER {
            match queue.recv().await {
                Some(next) => spans.extend(next),
                None => break,
            }
        }
    };
    // What was taken from the queue until then is in `spans`.
    let _ = timeout(PAUSE, more).await;
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_or_refused() {
        let of = |host: &str, port: u16, path: &str| Endpoint { host: host.into(), port, path: path.into() };
        assert_eq!(Endpoint::parse("http://localhost"), Ok(of("localhost", 4318, "/v1/traces")));
        assert_eq!(Endpoint::parse("http://[::1]:9/"), Ok(of("[::1]", 9, "/v1/traces")));
        assert_eq!(Endpoint::parse("http://a:1/b/c"), Ok(of("a", 1, "/b/c")));
        for wrong in
            ["", "localhost:4318", "https://a:1", "ftp://a", "http://", "http://u:p@a:1", "http://a b"]
        {
            assert!(Endpoint::parse(wrong).unwrap_err().contains("http://HOST:PORT"), "{wrong}");
        }
    }

    #[test]
    fn what_the_queue_does_not_take_is_dropped_and_counted() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let metrics = Arc::new(Metrics::new());
        runtime.block_on(async {
            // Nobody listens there, and nothing is sent before this yields.
            let endpoint = Endpoint::parse("http://127.0.0.1:9").unwrap();
            let exporter = Exporter::start(endpoint, Arc::clone(&metrics));
            for _ in 0..WAITING + 7 {
                exporter.take(vec![json!({}), json!({})]);
            }
        });
        assert!(metrics.text().contains("akin_spans_dropped_total 14"), "{}", metrics.text());
    }
}
