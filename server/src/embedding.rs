//! Texts of a client become vectors, within the limits: what all interfaces for embeddings share.

use std::sync::Arc;

use akin_encoder::{Embeddings, Role};
use serde_json::Value;

use crate::app::{App, blocking};
use crate::error::{ApiError, Kind};
use crate::patience::Patience;
use crate::room::Room;

/// What is done with a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// It is refused.
    Refuse,
    /// Its end is left out.
    Cut,
}

/// The vectors of a request.
pub struct Embedded {
    /// A row a text.
    pub embeddings: Embeddings,
    /// Tokens that the model read.
    pub tokens: usize,
}

/// Encodes texts in a role, or as the model encodes texts without one.
pub async fn embed(
    app: &Arc<App>,
    room: &Room,
    role: Option<Role>,
    texts: Vec<String>,
    too_long: TooLong,
    field: &'static str,
) -> Result<Embedded, ApiError> {
    check_count(app, texts.len(), field)?;
    let by = room.clone();
    let texts = blocking(move || by.measure(texts)).await?;
    let most = room.encoder().max_tokens();
    if too_long == TooLong::Refuse
        && let Some(at) = texts.truncated.iter().position(|is| *is)
    {
        let longer = format!("text {at} of {field} has more than the {most} tokens that the model reads");
        return Err(ApiError { kind: Kind::TooLarge, ..ApiError::field(field, longer) });
    }
    let (tokens, limit) = (texts.total(), app.limits.tokens);
    if tokens > limit {
        let error = ApiError::field(
            field,
            format!("{field} has {tokens} tokens, and {limit} are the most of a request"),
        );
        return Err(ApiError { kind: Kind::TooLarge, ..error });
    }
    // Dropped with the request: then its texts are not encoded any more.
    let patience = Patience::default();
    let embeddings = room.encode(role, texts, patience.waiting())?.arrive().await?;
    Ok(Embedded { embeddings, tokens })
}

/// Refuses no texts, and too many.
pub fn check_count(app: &App, count: usize, field: &str) -> Result<(), ApiError> {
    let most = app.limits.texts;
    match count {
        0 => Err(ApiError::field(field, format!("{field} is empty, and a text is expected"))),
        _ if count > most => {
            let error = ApiError::field(
                field,
                format!("{field} has {count} texts, and {most} are the most of a request"),
            );
            Err(ApiError { kind: Kind::TooLarge, ..error })
        }
        _ => Ok(()),
    }
}

/// The texts of a field that is a text or a list of texts.
pub fn texts_of(input: Value, field: &str) -> Result<Vec<String>, ApiError> {
    let expected = || ApiError::field(field, format!("{field} is a text or a list of texts"));
    let ids = || {
        let reason = "holds token ids, and does not say of which vocabulary: send text (in LangChain, \
                      check_embedding_ctx_length=False)";
        ApiError::field(field, format!("{field} {reason}"))
    };
    match input {
        Value::String(text) => Ok(vec![text]),
        Value::Array(elements) => elements
            .into_iter()
            .map(|element| match element {
                Value::String(text) => Ok(text),
                Value::Number(_) | Value::Array(_) => Err(ids()),
                _ => Err(expected()),
            })
            .collect(),
        _ => Err(expected()),
    }
}

/// Refuses another length of vectors than the model has.
pub fn check_dimensions(asked: Option<usize>, room: &Room) -> Result<(), ApiError> {
    let own = room.encoder().dimension();
    match asked {
        Some(asked) if asked != own => Err(ApiError::field(
            "dimensions",
            format!(
                "the model has vectors of {own} dimensions and was not trained for others: leave dimensions out"
            ),
        )),
        _ => Ok(()),
    }
}
