//! Listens, speaks HTTP, and stops without dropping what is being answered.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::app::App;
use crate::connection::Door;
use crate::error::StartError;
use crate::options::ServerOptions;
use crate::origin::Origins;
use crate::traces::{Endpoint, Exporter};
use crate::{routes, systemd};

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
        let address = address_of(options)?;
        if !address.ip().is_loopback() && options.keys.is_none() && !options.insecure {
            return Err(StartError::Open { address });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            // A request holds one at a time, and one that was given up may still hold one.
            .max_blocking_threads((2 * options.limits.requests).max(1))
            .thread_name("akin-http")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        // Listened on before the models are loaded: an address that is taken is told at once.
        let listener = runtime.block_on(listen(options, address));
        let listener = listener.map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let origins = Origins::new(address, &options.hosts, &options.origins);
        let traces = options.traces.as_deref().map(Endpoint::parse).transpose();
        let traces = traces.map_err(StartError::Traces)?;
        let app = Arc::new(App::open(options, origins)?);
        // Before anybody is told that it serves: who asks then finds them.
        let entered = runtime.enter();
        if let Some(endpoint) = traces {
            let _ = app.exporter.set(Exporter::start(endpoint, Arc::clone(&app.metrics)));
        }
        app.indexes().iter().for_each(|index| app.sockets.open(&app, index));
        drop(entered);
        Ok(Self { runtime, listener, app, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.app.tls.is_some()
    }

    /// The names of the indexes that it serves.
    pub fn indexes(&self) -> Vec<String> {
        let indexes = self.app.indexes();
        let names = indexes.iter().map(|index| index.name());
        names.chain(self.app.engines().map(|table| table.name())).map(str::to_owned).collect()
    }

    /// Answers until the process is asked to end (SIGINT, SIGTERM). What is being answered then is finished first.
    pub fn run(self) {
        self.run_until(asked_to_end());
    }

    /// The same until `stop` is done.
    pub fn run_until(self, stop: impl Future<Output = ()>) {
        let Self { runtime, listener, app, .. } = self;
        systemd::notify_ready();
        let router = routes::router(&app);
        runtime.block_on(accept(listener, router, Arc::clone(&app), stop));
        // Work of requests that were given up is not waited for.
        runtime.shutdown_timeout(Duration::from_millis(100));
    }
}

/// Where it listens already, or shall.
fn address_of(options: &ServerOptions) -> Result<SocketAddr, StartError> {
    let address = options.listen;
    let inherited = options.inherited.as_ref().map(|listener| listener.local_addr());
    inherited.unwrap_or(Ok(address)).map_err(|source| StartError::Listen { address, source })
}

async fn listen(options: &ServerOptions, address: SocketAddr) -> std::io::Result<TcpListener> {
    let Some(inherited) = &options.inherited else { return TcpListener::bind(address).await };
    let listener = inherited.try_clone()?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn accept(listener: TcpListener, router: Router, app: Arc<App>, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let door = Door::new(router, Arc::clone(&app));
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            // First: signals are heard before the first connection is let in.
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => door.open(stream, peer, graceful.watcher()),
            Err(error) => {
                // Without descriptors the next one is waited for.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    app.stopping.store(true, Ordering::Relaxed);
    let answered = async {
        tokio::join!(graceful.shutdown(), app.sockets.close());
        if let Some(exporter) = app.exporter.get() {
            exporter.close().await;
        }
    };
    tokio::select! {
        () = answered => {}
        () = tokio::time::sleep(app.limits.stop) => tracing::warn!("requests that still run are given up"),
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
