//! Whether the server lives, whether it takes requests, and what it counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::body;
use crate::error::{ApiError, Kind};

/// Always: who hears it knows that the process lives.
#[utoipa::path(
    get,
    path = "/health",
    tag = "status",
    responses(
        (status = 200, description = "The process lives", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn health() -> Response {
    body::json(&json!({ "status": "ok" }))
}

/// Whether requests are taken. Models are loaded before a server answers.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "status",
    responses(
        (status = 200, description = "Requests are taken", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn ready(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    match app.stopping.load(Ordering::Relaxed) {
        true => Err(ApiError::new(Kind::Unavailable, "the server stops, and takes no more requests")),
        false => Ok(body::json(&json!({ "status": "ready" }))),
    }
}

/// What is counted, for Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], app.metrics.text()).into_response()
}
