//! The form of an error in each of the interfaces that clients speak.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::error::{ApiError, Kind};

/// Whose interface a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error": SENTENCE}`.
    Akin,
    /// `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
    /// Text Embeddings Inference: `{"error", "error_type"}`.
    Tei,
    /// `{"detail": SENTENCE}`.
    Jina,
    /// `{"message": SENTENCE}`.
    Cohere,
    /// `{"error": SENTENCE}`.
    Ollama,
    /// `{"status": {"error": SENTENCE}, "time": SECONDS}`.
    Qdrant,
}

impl Dialect {
    /// That of a path.
    pub fn of(path: &str) -> Self {
        match path {
            "/v1/embeddings" | "/v1/models" => Self::OpenAi,
            "/embed" | "/embed_all" | "/rerank" | "/similarity" | "/tokenize" | "/decode" | "/info" => {
                Self::Tei
            }
            "/v1/rerank" | "/v1/reranking" => Self::Jina,
            "/v2/rerank" => Self::Cohere,
            _ if path.starts_with("/v1/models/") || path.starts_with("/v1/vector_stores/") => Self::OpenAi,
            _ if path.starts_with("/api/") => Self::Ollama,
            "/collections" => Self::Qdrant,
            _ if path.starts_with("/collections/") => Self::Qdrant,
            _ => Self::Akin,
        }
    }

    /// The status of an error.
    pub fn status(self, error: &ApiError) -> StatusCode {
        match (self, error.kind) {
            (Self::Tei, Kind::Invalid) => StatusCode::UNPROCESSABLE_ENTITY,
            (Self::Tei, Kind::Internal) => StatusCode::FAILED_DEPENDENCY,
            _ => error.kind.status(),
        }
    }

    /// The body of an error.
    pub fn body(self, error: &ApiError) -> Value {
        let message = &error.message;
        match self {
            Self::Akin | Self::Ollama => json!({ "error": message }),
            Self::Qdrant => json!({ "status": { "error": message }, "time": 0.0 }),
            Self::Jina => json!({ "detail": message }),
            Self::Cohere => json!({ "message": message }),
            Self::Tei => json!({ "error": message, "error_type": tei_type(error.kind) }),
            Self::OpenAi => {
                let (kind, code) = openai_type(error.kind);
                json!({ "error": { "message": message, "type": kind, "param": error.field, "code": code } })
            }
        }
    }
}

fn tei_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Busy => "Overloaded",
        Kind::Internal | Kind::Timeout => "Backend",
        Kind::Unavailable => "Unhealthy",
        _ => "Validation",
    }
}

fn openai_type(kind: Kind) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
        Kind::Forbidden => ("permission_error", None),
        Kind::NotFound => ("invalid_request_error", Some("not_found")),
        Kind::Busy => ("rate_limit_error", Some("rate_limit_exceeded")),
        Kind::Internal | Kind::Unavailable | Kind::Timeout => ("server_error", None),
        _ => ("invalid_request_error", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_has_its_own_form_of_an_error() {
        let error = ApiError::field("input", "it is empty");
        let body = |path: &str| Dialect::of(path).body(&error).to_string();
        assert_eq!(body("/v1/indexes/a/query"), r#"{"error":"it is empty"}"#);
        assert_eq!(
            body("/v1/embeddings"),
            r#"{"error":{"message":"it is empty","type":"invalid_request_error","param":"input","code":null}}"#
        );
        assert_eq!(body("/embed"), r#"{"error":"it is empty","error_type":"Validation"}"#);
        assert_eq!(body("/v1/rerank"), r#"{"detail":"it is empty"}"#);
        assert_eq!(body("/v2/rerank"), r#"{"message":"it is empty"}"#);
        assert_eq!(body("/collections/a"), r#"{"status":{"error":"it is empty"},"time":0.0}"#);
        assert_eq!(Dialect::of("/embed").status(&error).as_u16(), 422);
        assert_eq!(Dialect::of("/v1/embeddings").status(&error).as_u16(), 400);
    }
}
