//! The body of a request as JSON, and that of an answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::App;
use crate::error::{ApiError, Kind};

/// A request's body. A field that is unknown is refused by name.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let most = app.limits.body;
        let too_large =
            || ApiError::new(Kind::TooLarge, format!("the body of the request has more than {most} bytes"));
        let length = request.headers().get("content-length").and_then(|length| length.to_str().ok());
        if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        // The layer of the router stops reading at the same number.
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            match rejection.status().as_u16() {
                413 => too_large(),
                _ => ApiError::invalid("the body of the request did not arrive whole"),
            }
        })?;
        read(&bytes).map(Self)
    }
}

/// Reads JSON. serde_json refuses what is nested more than 128 deep.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::invalid("the body of the request is empty, and a JSON object is expected"));
    }
    serde_json::from_slice(bytes).map_err(|error| not_as_expected(&error))
}

/// The same of JSON that was read already.
pub fn of_value<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_json::from_value(value).map_err(|error| not_as_expected(&error))
}

/// Some errors of serde_json quote what was sent, at any length.
fn not_as_expected(error: &serde_json::Error) -> ApiError {
    let reason: String = error.to_string().chars().take(300).collect();
    ApiError::invalid(format!("the body of the request is not as expected: {reason}"))
}

/// An answer of JSON.
pub fn json(value: &Value) -> Response {
    json_text(value.to_string())
}

/// The same of a text that is JSON already.
pub fn json_text(text: impl Into<axum::body::Body>) -> Response {
    ([(CONTENT_TYPE, "application/json")], text.into()).into_response()
}

/// The same of what can be written as JSON.
pub fn serialized(value: &impl serde::Serialize) -> Result<Response, ApiError> {
    serde_json::to_vec(value).map(json_text).map_err(|_| ApiError::panicked())
}
