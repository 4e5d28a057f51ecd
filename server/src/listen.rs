//! Listens, speaks HTTP, and stops without dropping what is being answered.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::error::StartError;
use crate::options::ServerOptions;
use crate::origin::Origins;
use crate::routes;

/// Bytes of the head of a request: what is longer is answered 431 by hyper.
const HEAD: usize = 64 << 10;

/// Threads of the HTTP server: they pass bytes on and never compute.
const THREADS: usize = 2;

/// A server that listens, and answers once it runs.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    app: Arc<App>,
    address: SocketAddr,
}

impl Server {
    /// Opens the indexes, loads their models and listens.
    ///
    /// # Errors
    /// [`StartError`] with what cannot be served, and why.
    pub fn start(options: &ServerOptions) -> Result<Self, StartError> {
        let address = options.listen;
        if !address.ip().is_loopback() && options.keys.is_none() && !options.insecure {
            return Err(StartError::Open { address });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            // A request holds one at a time, and one that was given up may still hold one.
            .max_blocking_threads(2 * options.limits.requests)
            .thread_name("akin-http")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        // Listened on before the models are loaded: an address that is taken is told at once.
        let listener = runtime.block_on(TcpListener::bind(address));
        let listener = listener.map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let origins = Origins::new(address, &options.hosts, &options.origins);
        let app = Arc::new(App::open(options, origins)?);
        Ok(Self { runtime, listener, app, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The names of the indexes that it serves.
    pub fn indexes(&self) -> Vec<String> {
        self.app.indexes().iter().map(|index| index.name().to_owned()).collect()
    }

    /// Answers until the process is asked to end (SIGINT, SIGTERM). What is being answered then is finished first.
    pub fn run(self) {
        self.run_until(asked_to_end());
    }

    /// The same until `stop` is done.
    pub fn run_until(self, stop: impl Future<Output = ()>) {
        let Self { runtime, listener, app, .. } = self;
        let router = routes::router(&app);
        runtime.block_on(accept(listener, router, Arc::clone(&app), stop));
        // Work of requests that were given up is not waited for.
        runtime.shutdown_timeout(Duration::from_millis(100));
    }
}

async fn accept(listener: TcpListener, router: Router, app: Arc<App>, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(app.limits.connections));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(app.limits.head).max_buf_size(HEAD);
    tokio::pin!(stop);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = &mut stop => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Some(stream) = usable(stream).await else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that breaks off is no fault.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    app.stopping.store(true, Ordering::Relaxed);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(app.limits.stop) => tracing::warn!("requests that still run are given up"),
    }
}

/// A connection, or none where it was lost already. Without descriptors the next one is waited for.
async fn usable(accepted: std::io::Result<(TcpStream, SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => {
            // Answers are small, and must not wait for more.
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
        Err(error) => {
            tracing::warn!("cannot accept a connection: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

#[cfg(unix)]
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn asked_to_end() {
    drop(tokio::signal::ctrl_c().await);
}
