//! Ollama's interface for embeddings.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::body::{self, Json};
use crate::embedding::{TooLong, cut, dimensions, embed};
use crate::error::ApiError;
use crate::inputs::texts;

/// The body of `POST /api/embed`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OllamaEmbedRequest {
    model: String,
    input: Value,
    #[serde(default = "yes")]
    truncate: bool,
    dimensions: Option<usize>,
    /// How long Ollama keeps the model loaded: here it stays.
    #[serde(rename = "keep_alive")]
    _keep_alive: Option<Value>,
    /// Settings of text generation.
    #[serde(rename = "options")]
    _options: Option<Value>,
}

fn yes() -> bool {
    true
}

#[derive(Serialize)]
struct EmbedResponse<'a> {
    model: &'a str,
    embeddings: Vec<&'a [f32]>,
    /// Nanoseconds.
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: usize,
}

/// The embeddings of texts.
#[utoipa::path(
    post,
    path = "/api/embed",
    tag = "Ollama",
    request_body = OllamaEmbedRequest,
    responses(
        (status = 200, description = "A row of numbers a text", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn embed_texts(
    State(app): State<Arc<App>>,
    Json(request): Json<OllamaEmbedRequest>,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let asked = request.model.strip_suffix(":latest").unwrap_or(&request.model);
    let room = app.model(Some(asked))?.1.clone();
    let dimensions = dimensions(request.dimensions, &room)?;
    let texts = texts(request.input, "input")?;
    let too_long = if request.truncate { TooLong::CutEnd } else { TooLong::Refuse };
    let embedded = embed(&app, &room, None, texts, too_long, "input").await?;
    blocking(move || {
        let embeddings = cut(embedded.embeddings, dimensions, room.encoder().normalizes());
        body::serialized(&EmbedResponse {
            model: &request.model,
            embeddings: embeddings.iter().collect(),
            total_duration: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            load_duration: 0,
            prompt_eval_count: embedded.tokens,
        })
    })
    .await
}
