//! The interface of Text Embeddings Inference.

use std::sync::Arc;

use akin_encoder::{Embeddings, Pooling, Role, Similarity};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking, quoted};
use crate::body::{self, Json};
use crate::embedding::{TooLong, check_count, check_dimensions, embed, texts_of};
use crate::error::ApiError;
use crate::ranking::{Scale, rank};
use crate::room::Room;
use crate::routes::rerank::{self, RerankRequest};

/// What is done with texts that are too long.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    truncate: bool,
    truncation_direction: Option<String>,
    prompt_name: Option<String>,
}

impl Parameters {
    fn too_long(&self) -> Result<TooLong, ApiError> {
        match self.truncation_direction.as_deref() {
            Some(side) if !side.eq_ignore_ascii_case("right") => {
                Err(ApiError::invalid("truncation_direction is right: the beginning of a text is read"))
            }
            _ if self.truncate => Ok(TooLong::Cut),
            _ => Ok(TooLong::Refuse),
        }
    }

    fn role(&self) -> Result<Option<Role>, ApiError> {
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
    check_dimensions(request.dimensions, &room)?;
    let (truncate, truncation_direction) = (request.truncate, request.truncation_direction);
    let parameters = Parameters { truncate, truncation_direction, prompt_name: request.prompt_name };
    let texts = texts_of(request.inputs, "inputs")?;
    let (role, too_long) = (parameters.role()?, parameters.too_long()?);
    let mut embedded = embed(&app, &room, role, texts, too_long, "inputs").await?;
    blocking(move || {
        if request.normalize {
            normalize_all(&mut embedded.embeddings);
        }
        body::serialized(&embedded.embeddings.iter().collect::<Vec<_>>())
    })
    .await
}

/// Brings every row to length one.
fn normalize_all(embeddings: &mut Embeddings) {
    let dimension = embeddings.dimension();
    embeddings.as_mut_slice().chunks_exact_mut(dimension).for_each(normalize);
}

fn normalize(row: &mut [f32]) {
    let length = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
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

/// The body of `POST /tokenize`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizeRequest {
    inputs: Value,
    #[serde(default = "yes")]
    add_special_tokens: bool,
}

/// The tokens of texts, as many as the model reads of each.
#[utoipa::path(
    post,
    path = "/tokenize",
    tag = "Text Embeddings Inference",
    request_body = TokenizeRequest,
    responses(
        (status = 200, description = "The tokens of each text", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn tokenize(
    State(app): State<Arc<App>>,
    Json(request): Json<TokenizeRequest>,
) -> Result<Response, ApiError> {
    let room = app.model(None)?.1.clone();
    let texts = texts_of(request.inputs, "inputs")?;
    check_count(&app, texts.len(), "inputs")?;
    blocking(move || {
        let tokens: Result<Vec<Value>, ApiError> =
            texts.iter().map(|text| pieces(&room, text, request.add_special_tokens)).collect();
        Ok(body::json(&tokens?.into()))
    })
    .await
}

fn pieces(room: &Room, text: &str, special: bool) -> Result<Value, ApiError> {
    let pieces = room.encoder().pieces(text, special)?;
    let piece = |piece: &akin_encoder::model::Piece| match piece.special {
        true => json!({ "id": piece.id, "text": piece.token, "special": true, "start": null, "stop": null }),
        false => {
            let part = text.get(piece.span.clone()).unwrap_or(&piece.token);
            json!({ "id": piece.id, "text": part, "special": false, "start": piece.span.start, "stop": piece.span.end })
        }
    };
    Ok(pieces.iter().map(piece).collect())
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
