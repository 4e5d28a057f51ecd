//! HTTP for the object store: hyper, with the encryption that this workspace has already.
//!
//! The store's own client would bring a second implementation of TLS. This one waits for no server for ever: a connection, an
//! answer and each piece of it have a time within which they must come.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use tokio::time::{Instant, Sleep};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long a server may take to accept a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long a server may take to answer, and to go on with an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Bytes a second in which a request is sent at least, beside the time for the answer.
const SLOWEST: u64 = 64 << 10;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allowed = options.get_config_value(&object_store::ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(
            Hyper::new(allowed.as_deref() == Some("true"))
                .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?,
        ))
    }
}

/// A client that keeps connections.
struct Hyper {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    /// Whether requests may be sent without encryption.
    allows_plain: bool,
}

impl fmt::Debug for Hyper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hyper").field("allows_plain", &self.allows_plain).finish_non_exhaustive()
    }
}

/// Why a request failed that a server has answered, or that was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The server will answer in a while.
    #[error("{status}")]
    Passing { status: StatusCode },
    /// Nothing came in time.
    #[error("nothing came within {0:?}")]
    Silent(Duration),
    /// The URL is not encrypted, and nobody allowed that.
    #[error("its URL begins with http:// and is not of this machine")]
    Plain,
}

impl Hyper {
    fn new(allows_plain: bool) -> Result<Self, tokio_rustls::rustls::Error> {
        let mut roots = RootCertStore::empty();
        // A system without any can still reach a server that does not encrypt; with others the handshake says what is missing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let schemes = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_WAIT));
        tcp.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(schemes.enable_http1().wrap_connector(tcp));
        Ok(Self { client, allows_plain })
    }
}

#[async_trait]
impl HttpService for Hyper {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.uri().scheme_str() != Some("https") && !self.allows_plain {
            return Err(HttpError::new(HttpErrorKind::Unknown, Failed::Plain));
        }
        let sending = Duration::from_secs(request.body().content_length() as u64 / SLOWEST);
        let wait = ANSWER_WAIT + sending;
        let answer = tokio::time::timeout(wait, self.client.request(request)).await;
        let answer = answer.map_err(|_| HttpError::new(HttpErrorKind::Timeout, Failed::Silent(wait)))?;
        let (parts, body) = answer.map_err(of_client)?.into_parts();
        let status = parts.status;
        if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        {
            return Err(HttpError::new(HttpErrorKind::Interrupted, Failed::Passing { status }));
        }
        let sleep = Box::pin(tokio::time::sleep(ANSWER_WAIT));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(Watched { body, sleep })))
    }
}

/// The kind of an error by which it is told whether to try again.
fn of_client(error: ClientError) -> HttpError {
    let kind = match (error.is_connect(), root(&error).downcast_ref::<tokio_rustls::rustls::Error>()) {
        // A certificate that does not fit will not fit the next time.
        (_, Some(_)) => HttpErrorKind::Unknown,
        (true, None) => HttpErrorKind::Connect,
        (false, None) => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}

/// The first cause of an error.
pub(super) fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut cause = error;
    loop {
        // What an `io::Error` wraps is not among its sources.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        match inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| cause.source()) {
            Some(deeper) => cause = deeper,
            None => return cause,
        }
    }
}

/// The body of an answer, each piece of which must come in time.
struct Watched {
    body: Incoming,
    sleep: Pin<Box<Sleep>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.sleep.as_mut().reset(Instant::now() + ANSWER_WAIT);
            let interrupted = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            return Poll::Ready(frame.map(|frame| frame.map_err(interrupted)));
        }
        self.sleep
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(HttpError::new(HttpErrorKind::Timeout, Failed::Silent(ANSWER_WAIT)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
