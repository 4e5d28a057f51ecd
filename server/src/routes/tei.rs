//! The interface of Text Embeddings Inference.

use std::sync::Arc;

use akin_encoder::{Pooling, Role, Similarity};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::embedding::{TooLong, check_count, cut, dimensions, embed, normalize_all};
use crate::error::ApiError;
use crate::inputs::texts_or_ids;
use crate::ranking::{Scale, rank};
use crate::routes::rerank::{self, RerankRequest};

/// What is done with texts that are too long, and what stands before each.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(default)]
    truncate: bool,
    truncation_direction: Option<String>,
    prompt_name: Option<String>,
}

impl Parameters {
    /// The same of the fields of a request.
    pub fn new(truncate: bool, truncation_direction: Option<String>, prompt_name: Option<String>) -> Self {
        Self { truncate, truncation_direction, prompt_name }
    }

    /// What is done with texts that are too long. Text Embeddings Inference writes `Left`, its older clients `left`.
    pub fn too_long(&self) -> Result<TooLong, ApiError> {
        let side = self.truncation_direction.as_deref().unwrap_or("right");
        let cut = match side {
            _ if side.eq_ignore_ascii_case("right") => TooLong::CutEnd,
            _ if side.eq_ignore_ascii_case("left") => TooLong::CutBeginning,
            _ => {
                let expected = "truncation_direction is left, where the end of a text is read, or right";
                return Err(ApiError::field("truncation_direction", expected));
            }
        };
        Ok(if self.truncate { cut } else { TooLong::Refuse })
    }

    /// The role of the texts.
    pub fn role(&self) -> Result<Option<Role>, ApiError> {
        match self.prompt_name.as_deref() {
            None => Ok(None),
            Some("query") => Ok(Some(Role::Query)),
            Some("document" | "passage") => Ok(Some(Role::Document)),
            Some(other) => Err(ApiError::invalid(format!(
                "there is no prompt {}: prompt_name is query or document",
                quoted(other)
            ))),
        }
    }
}

/// The body of `POST /embed`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    inputs: Value,
    #[serde(default = "yes")]
    normalize: bool,
    #[serde(default)]
    truncate: bool,
    truncation_direction: Option<String>,
    prompt_name: Option<String>,
    dimensions: Option<usize>,
}

fn yes() -> bool {
    true
}

/// The embeddings of texts: of length one, or with `normalize` false as the model gives them.
#[utoipa::path(
    post,
    path = "/embed",
    tag = "Text Embeddings Inference",
    request_body = EmbedRequest,
    responses(
        (status = 200, description = "A row of numbers a text", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn embed_texts(
    State(app): State<Arc<App>>,
    Json(request): Json<EmbedRequest>,
) -> Result<Response, ApiError> {
    let room = app.model(None)?.1.clone();
    let dimensions = dimensions(request.dimensions, &room)?;
    let parameters = Parameters::new(request.truncate, request.truncation_direction, request.prompt_name);
    let texts = texts_or_ids(&app, &room, request.inputs, "inputs").await?;
    let (role, too_long) = (parameters.role()?, parameters.too_long()?);
    let embedded = embed(&app, &room, role, texts, too_long, "inputs").await?;
    blocking(move || {
        let mut embeddings = cut(embedded.embeddings, dimensions, false);
        if request.normalize {
            normalize_all(&mut embeddings);
        }
        body::serialized(&embeddings.iter().collect::<Vec<_>>())
    })
    .await
}

/// The body of `POST /similarity`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarityRequest {
    inputs: Compared,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Compared {
    source_sentence: String,
    sentences: Vec<String>,
}

/// How similar each sentence is to one.
#[utoipa::path(
    post,
    path = "/similarity",
    tag = "Text Embeddings Inference",
    request_body = SimilarityRequest,
    responses(
        (status = 200, description = "A number a sentence", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn similarity(
    State(app): State<Arc<App>>,
    Json(request): Json<SimilarityRequest>,
) -> Result<Response, ApiError> {
    let room = app.model(None)?.1.clone();
    let Compared { source_sentence, sentences } = request.inputs;
    check_count(&app, sentences.len(), "sentences")?;
    let texts: Vec<String> = std::iter::once(source_sentence).chain(sentences).collect();
    let (role, too_long) = (request.parameters.role()?, request.parameters.too_long()?);
    let mut embeddings = embed(&app, &room, role, texts, too_long, "inputs").await?.embeddings;
    let measure = room.encoder().similarity();
    if measure == Similarity::Cosine {
        normalize_all(&mut embeddings);
    }
    let scores: Vec<f32> = embeddings.iter().skip(1).map(|row| measure.of(embeddings.row(0), row)).collect();
    body::serialized(&scores)
}

/// The body of `POST /rerank`: that of Text Embeddings Inference, or with `documents` that of llama.cpp.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeiRerankRequest {
    query: String,
    texts: Vec<String>,
    #[serde(default)]
    raw_scores: bool,
    #[serde(default)]
    return_text: bool,
    #[serde(default, rename = "truncate")]
    _truncate: bool,
    #[serde(rename = "truncation_direction")]
    _truncation_direction: Option<String>,
}

#[derive(Serialize)]
struct Ranked {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Ranks texts for a query.
#[utoipa::path(
    post,
    path = "/rerank",
    tag = "Text Embeddings Inference",
    request_body = TeiRerankRequest,
    responses(
        (status = 200, description = "The texts, best first", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn rerank_texts(app: State<Arc<App>>, Json(request): Json<Value>) -> Result<Response, ApiError> {
    if request.get("documents").is_some() {
        return rerank::jina(app, Json(body::of_value::<RerankRequest>(request)?)).await;
    }
    let request: TeiRerankRequest = body::of_value(request)?;
    let scale = if request.raw_scores { Scale::Raw } else { Scale::Share };
    let ranking = rank(&app, app.reranker(None)?, request.query, request.texts, scale, "texts").await?;
    let text = |index: usize| request.return_text.then(|| ranking.texts[index].clone());
    let ranked = ranking.ranked.iter().map(|&(index, score)| Ranked { index, score, text: text(index) });
    body::serialized(&ranked.collect::<Vec<_>>())
}

/// What is served, and within which limits.
#[utoipa::path(
    get,
    path = "/info",
    tag = "Text Embeddings Inference",
    responses(
        (status = 200, description = "What is served, and within which limits", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn info(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let (name, room) = app.model(None)?;
    Ok(body::json(&json!({
        "model_id": name,
        "model_sha": room.encoder().fingerprint(),
        "model_dtype": app.precision,
        "model_type": { "embedding": { "pooling": pooling(room.encoder().poolings()) } },
        "max_concurrent_requests": app.limits.requests,
        "max_input_length": room.encoder().max_tokens(),
        "max_batch_tokens": app.limits.tokens,
        "max_client_batch_size": app.limits.texts,
        "auto_truncate": false,
        "tokenization_workers": 1,
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

/// The poolings by the names that this interface has for them.
fn pooling(poolings: &[Pooling]) -> String {
    let name = |pooling: &Pooling| match pooling {
        Pooling::LastToken => "last_token",
        other => other.name(),
    };
    poolings.iter().map(name).collect::<Vec<_>>().join("+")
}
