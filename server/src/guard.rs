//! Who may ask, and how much at once: what every request passes first, and every answer last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, ORIGIN, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{self, REQUEST_ID, RequestId};
use crate::app::App;
use crate::dialect::Dialect;
use crate::error::{ApiError, Kind};
use crate::keys::{Scope, Shown};
use crate::rate::Caller;
use crate::traces::{CURRENT, Trace};

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Lets a request pass that may be answered, gives its errors the form of the interface that it speaks, and logs it.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let dialect = Dialect::of(request.uri().path());
    let logged = access::Request {
        id: RequestId::of(request.headers()),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
    };
    let origin = request.headers().get(ORIGIN).cloned();
    let shown = app.keys.as_ref().and_then(|keys| keys.find(request.headers()));
    request.extensions_mut().insert(logged.id.clone());
    let trace = app.exporter.get().and_then(|_| Trace::begin(request.headers()));
    let admitted = CURRENT.scope(trace.clone(), admit(&app, shown.as_ref(), request, next)).await;
    let response = match admitted {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    let mut response = in_dialect(dialect, response);
    share(&app, origin, response.headers_mut());
    if let Some(id) = logged.id.header() {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let took = started.elapsed();
    app.metrics.answered(&route, response.status().as_u16(), took);
    if let (Some(trace), Some(exporter)) = (trace, app.exporter.get()) {
        exporter.take(trace.spans(&logged.method, &route, response.status().as_u16()));
    }
    logged.answered(shown.as_ref().map(|key| &*key.name), &response, took);
    response
}

async fn admit(
    app: &App,
    shown: Option<&Shown>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    app.origins.check(request.headers())?;
    if request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return Ok(preflight());
    }
    if matches!(request.uri().path(), "/" | "/health" | "/ready") {
        return Ok(next.run(request).await);
    }
    limit_rate(app, shown, &request)?;
    let scope = authenticate(app, shown)?;
    request.extensions_mut().insert(scope);
    if app.stopping.load(Ordering::Relaxed) {
        return Err(ApiError::new(Kind::Unavailable, "the server stops, and takes no more requests"));
    }
    let (parts, body) = request.into_parts();
    let received = app.memory.receive(&parts.headers, body, &app.limits).await?;
    if app.log_texts && !received.body.is_empty() {
        access::log_body(parts.extensions.get(), &received.body);
    }
    let request = Request::from_parts(parts, Body::from(received.body.clone()));
    let Ok(_permit) = app.permits.try_acquire() else {
        let most = app.limits.requests;
        let busy =
            format!("{most} requests are being answered, and no more are at once: ask again in a second");
        return Err(ApiError::new(Kind::Busy, busy));
    };
    app.metrics.busy(app.limits.requests - app.permits.available_permits());
    let answered = tokio::time::timeout(app.limits.time, next.run(request)).await;
    answered.map_err(|_| {
        let most = app.limits.time.as_secs_f32();
        ApiError::new(
            Kind::Timeout,
            format!("the request was not answered within {most} seconds, and was given up"),
        )
    })
}

/// Refuses a caller that asks more often than it may. Who shows no key that is known counts by its address.
fn limit_rate(app: &App, shown: Option<&Shown>, request: &Request) -> Result<(), ApiError> {
    let Some(rate) = &app.rate else { return Ok(()) };
    let address = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let caller = shown.map_or_else(|| Caller::at(address), |key| Caller::Key(key.place));
    rate.take(caller, Instant::now()).map_err(|wait| {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let most = app.limits.rate.unwrap_or_default();
        let busy =
            format!("more than {most} requests a second came from this client: ask again in {seconds} s");
        ApiError { retry_after: Some(seconds), ..ApiError::new(Kind::Busy, busy) }
    })
}

/// The answer to a browser that asks whether a page of a listed origin may send a request. `share` adds the origin.
fn preflight() -> Response {
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE")),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, api-key, x-api-key, content-type, mcp-protocol-version"),
        ),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// What a request is allowed: everything where no keys are asked for.
fn authenticate(app: &App, shown: Option<&Shown>) -> Result<Scope, ApiError> {
    if app.keys.is_none() {
        return Ok(Scope::Admin);
    }
    shown.map(|key| key.scope).ok_or_else(|| {
        let ask =
            "a key is needed, in the header Authorization as Bearer KEY, and none that is known was shown";
        ApiError::new(Kind::Unauthorized, ask)
    })
}

fn in_dialect(dialect: Dialect, mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let body = dialect.body(&error).to_string();
    let json = HeaderValue::from_static("application/json");
    let mut response = (dialect.status(&error), [(CONTENT_TYPE, json)], body).into_response();
    match error.kind {
        Kind::Busy => {
            let seconds = HeaderValue::from(error.retry_after.unwrap_or(1));
            response.headers_mut().insert(RETRY_AFTER, seconds)
        }
        Kind::Unauthorized => {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        _ => None,
    };
    response
}

/// Lets a page of an origin that is listed read the answer.
fn share(app: &App, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    let Some(origin) = origin else { return };
    if origin.to_str().is_ok_and(|origin| app.origins.is_listed(origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
}

/// Shown by a request whose key allows to change indexes.
pub struct MayWrite;

/// Shown by a request whose key allows to create and drop indexes.
pub struct MayAdmin;

impl<S: Sync> FromRequestParts<S> for MayWrite {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        require(parts, Scope::Write).map(|()| Self)
    }
}

impl<S: Sync> FromRequestParts<S> for MayAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        require(parts, Scope::Admin).map(|()| Self)
    }
}

fn require(parts: &Parts, needed: Scope) -> Result<(), ApiError> {
    // A request without a scope has not passed the guard.
    match parts.extensions.get::<Scope>() {
        Some(scope) if *scope >= needed => Ok(()),
        _ => {
            let needed = needed.name();
            Err(ApiError::new(
                Kind::Forbidden,
                format!("the key does not allow this: it needs the scope {needed}"),
            ))
        }
    }
}
