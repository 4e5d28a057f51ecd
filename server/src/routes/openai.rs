//! OpenAI's interface: embeddings and the list of models.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::body::{self, Json};
use crate::embedding::{TooLong, cut, dimensions, embed};
use crate::error::ApiError;
use crate::inputs::texts_or_ids;
use crate::path::Path;

/// The body of `POST /v1/embeddings`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsRequest {
    input: Value,
    model: Option<String>,
    #[serde(default)]
    encoding_format: Format,
    dimensions: Option<usize>,
    /// Who asks on whose behalf: nothing here depends on it.
    #[serde(rename = "user")]
    _user: Option<String>,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Float,
    Base64,
}

#[derive(Serialize)]
struct EmbeddingsResponse<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Numbers<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers<'a> {
    Floats(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// The embeddings of texts.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "OpenAI",
    request_body = EmbeddingsRequest,
    responses(
        (status = 200, description = "Embeddings", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn embeddings(
    State(app): State<Arc<App>>,
    Json(request): Json<EmbeddingsRequest>,
) -> Result<Response, ApiError> {
    let (name, room) = app.model(request.model.as_deref())?.clone();
    let dimensions = dimensions(request.dimensions, &room)?;
    let texts = texts_or_ids(&app, &room, request.input, "input").await?;
    if texts.iter().any(String::is_empty) {
        return Err(ApiError::field("input", "input has an empty text"));
    }
    let embedded = embed(&app, &room, None, texts, TooLong::Refuse, "input").await?;
    let (format, tokens) = (request.encoding_format, embedded.tokens);
    blocking(move || {
        let embeddings = cut(embedded.embeddings, dimensions, room.encoder().normalizes());
        let rows = embeddings.iter().enumerate();
        let data = rows.map(|(index, row)| Embedding {
            object: "embedding",
            index,
            embedding: numbers(row, format),
        });
        let response = EmbeddingsResponse {
            object: "list",
            data: data.collect(),
            model: &name,
            usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
        };
        body::serialized(&response)
    })
    .await
}

fn numbers(row: &[f32], format: Format) -> Numbers<'_> {
    match format {
        Format::Float => Numbers::Floats(row),
        Format::Base64 => {
            let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
            Numbers::Base64(STANDARD.encode(bytes))
        }
    }
}

/// The models that are served.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "OpenAI",
    responses(
        (status = 200, description = "The models that are served", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn models(State(app): State<Arc<App>>) -> Response {
    let of = |name: &str| model(name, app.started);
    let rerankers = app.reranker.iter().map(|reranker| of(&reranker.name));
    let models: Vec<Value> = app.models.iter().map(|(name, _)| of(name)).chain(rerankers).collect();
    body::json(&json!({ "object": "list", "data": models }))
}

/// One of them.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    tag = "OpenAI",
    params(("name" = String, Path, description = "The name of a model")),
    responses(
        (status = 200, description = "A model", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn one_model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (name, _) = app.model(Some(&name))?;
    Ok(body::json(&model(name, app.started)))
}

fn model(name: &str, created: u64) -> Value {
    json!({ "id": name, "object": "model", "created": created, "owned_by": "akin" })
}
