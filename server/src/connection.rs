//! A connection: whether there is room for it, its encryption, and the HTTP that is spoken on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::app::App;
use crate::guard::Peer;
use crate::stream::Stream;

/// Connections beyond the most that are told so at once.
const TURNED_AWAY: usize = 256;

/// How long such a client may take to read that.
const FAREWELL: Duration = Duration::from_secs(1);

/// Lets connections in, as many as there is room for.
pub struct Door {
    builder: http1::Builder,
    router: Router,
    app: Arc<App>,
    room: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

impl Door {
    /// Lets them in to `router`.
    pub fn new(router: Router, app: Arc<App>) -> Self {
        let mut builder = http1::Builder::new();
        // What is longer is answered 431 by hyper, which has no smaller buffers.
        let head = app.limits.head_bytes.max(8 << 10);
        builder.timer(TokioTimer::new()).header_read_timeout(app.limits.head).max_buf_size(head);
        let room = Arc::new(Semaphore::new(app.limits.connections.min(Semaphore::MAX_PERMITS)));
        Self { builder, router, app, room, turned_away: Arc::new(Semaphore::new(TURNED_AWAY)) }
    }

    /// Serves a connection in a task of its own, or turns it away.
    pub fn open(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            self.turn_away(stream);
            return;
        };
        // Answers are small, and must not wait for more.
        let _ = stream.set_nodelay(true);
        let (builder, router, app) = (self.builder.clone(), self.router.clone(), Arc::clone(&self.app));
        tokio::spawn(async move {
            let stream = Stream::new(stream);
            match app.tls.as_ref().map(|tls| tls.acceptor()) {
                None => serve(&builder, stream.clone(), &stream, router, peer, watcher, Some(&app)).await,
                Some(acceptor) => {
                    let accepted = timeout(app.limits.head, acceptor.accept(stream.clone())).await;
                    // Who does not encrypt, or not to its end, is no client.
                    let Ok(Ok(encrypted)) = accepted else { return };
                    serve(&builder, encrypted, &stream, router, peer, watcher, None).await;
                }
            }
            drop(permit);
        });
    }

    /// Tells a client that there is no room. One that is encrypted would not understand it.
    fn turn_away(&self, mut stream: TcpStream) {
        self.app.metrics.answered("none", 503, Duration::ZERO);
        let Ok(permit) = Arc::clone(&self.turned_away).try_acquire_owned() else { return };
        if self.app.tls.is_some() {
            return;
        }
        tokio::spawn(async move {
            let sentence = "the server has as many connections as it takes: ask again in a second";
            let answer = last_answer("503 Service Unavailable\r\nRetry-After: 1", sentence);
            let farewell = async {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                // Closed with a request unread, the connection would be reset before the answer is read.
                let mut unread = [0; 1024];
                while stream.read(&mut unread).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = timeout(FAREWELL, farewell).await;
            drop(permit);
        });
    }
}

/// Speaks HTTP until the client is gone. `told` hears of a request that did not come whole, and answers it in clear.
async fn serve<I: AsyncRead + AsyncWrite + Unpin + 'static>(
    builder: &http1::Builder,
    io: I,
    stream: &Stream,
    router: Router,
    peer: SocketAddr,
    watcher: Watcher,
    told: Option<&App>,
) {
    let (inner, mark) = (TowerToHyperService::new(router), stream.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let (answer, mark) = (inner.call(request), mark.clone());
        async move {
            let answer = answer.await;
            mark.answered();
            answer
        }
    });
    let served = watcher.watch(builder.serve_connection(TokioIo::new(io), service)).await;
    // A client that breaks off is no fault.
    let is_late = served.is_err_and(|error| error.is_timeout());
    if let Some(app) = told.filter(|_| is_late && stream.has_begun()) {
        let most = app.limits.head.as_secs_f32();
        let sentence = format!("the head of the request did not arrive within {most} seconds");
        stream.say(&last_answer("408 Request Timeout", &sentence));
        app.metrics.answered("none", 408, app.limits.head);
    }
}

/// An answer in our own form, after which the connection is closed.
fn last_answer(status: &str, sentence: &str) -> String {
    let body = serde_json::json!({ "error": sentence }).to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
