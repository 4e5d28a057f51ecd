//! The interface of Text Embeddings Inference for tokens: the pieces of texts, their vectors, and texts of token ids.

use std::sync::Arc;

use akin_encoder::Embeddings;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::{App, blocking};
use crate::body::{self, Json};
use crate::embedding::{check_count, measure};
use crate::error::{ApiError, Kind};
use crate::inputs::{texts, texts_or_ids};
use crate::room::Room;
use crate::routes::tei::Parameters;

/// Numbers of an answer of vectors of tokens, at most: some 50 MB of JSON.
const NUMBERS: usize = 4 << 20;

fn yes() -> bool {
    true
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
    let texts = texts(request.inputs, "inputs")?;
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

/// The body of `POST /embed_all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedAllRequest {
    inputs: Value,
    #[serde(default)]
    truncate: bool,
    truncation_direction: Option<String>,
    prompt_name: Option<String>,
}

/// The vectors of the tokens of texts, special tokens included, before they are pooled.
#[utoipa::path(
    post,
    path = "/embed_all",
    tag = "Text Embeddings Inference",
    request_body = EmbedAllRequest,
    responses(
        (status = 200, description = "A row of numbers a token, a list of them a text", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn embed_all(
    State(app): State<Arc<App>>,
    Json(request): Json<EmbedAllRequest>,
) -> Result<Response, ApiError> {
    let room = app.model(None)?.1.clone();
    let parameters = Parameters::new(request.truncate, request.truncation_direction, request.prompt_name);
    let texts = texts_or_ids(&app, &room, request.inputs, "inputs").await?;
    let (role, too_long) = (parameters.role()?, parameters.too_long()?);
    let texts = measure(&app, &room, role, texts, too_long, "inputs").await?;
    let most = NUMBERS / room.encoder().own_dimension().max(1);
    if texts.total() > most {
        let tokens = texts.total();
        let error = ApiError::field(
            "inputs",
            format!("inputs has {tokens} tokens, and {most} are the most whose vectors fit an answer"),
        );
        return Err(ApiError { kind: Kind::TooLarge, ..error });
    }
    // One at a time: such calls pass the queue by, in which embeddings wait for their turn.
    let Ok(_turn) = app.token_vectors.acquire().await else { return Err(ApiError::panicked()) };
    blocking(move || {
        let texts: Vec<&str> = texts.texts.iter().map(String::as_str).collect();
        let tokens = room.encoder().token_embeddings(role, &texts)?;
        body::serialized(&tokens.iter().map(rows).collect::<Vec<_>>())
    })
    .await
}

fn rows(embeddings: &Embeddings) -> Vec<&[f32]> {
    embeddings.iter().collect()
}

/// The body of `POST /decode`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecodeRequest {
    ids: Ids,
    #[serde(default = "yes")]
    skip_special_tokens: bool,
}

/// The token ids of a text, or of several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Ids {
    One(Vec<u32>),
    Many(Vec<Vec<u32>>),
}

/// The texts that token ids stand for.
#[utoipa::path(
    post,
    path = "/decode",
    tag = "Text Embeddings Inference",
    request_body = DecodeRequest,
    responses(
        (status = 200, description = "A text for each list of ids", body = Value),
        (status = "4XX", body = Value, description = "What is wrong, in one sentence"),
    )
)]
pub async fn decode(
    State(app): State<Arc<App>>,
    Json(request): Json<DecodeRequest>,
) -> Result<Response, ApiError> {
    let room = app.model(None)?.1.clone();
    let ids = match request.ids {
        Ids::One(ids) if ids.is_empty() => Vec::new(),
        Ids::One(ids) => vec![ids],
        Ids::Many(ids) => ids,
    };
    check_count(&app, ids.len(), "ids")?;
    blocking(move || {
        let text = |ids: &Vec<u32>| room.encoder().decode(ids, request.skip_special_tokens);
        let texts = ids.iter().map(text).collect::<Result<Vec<String>, _>>()?;
        body::serialized(&texts)
    })
    .await
}
