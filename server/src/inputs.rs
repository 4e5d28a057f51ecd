//! The texts of a request: as texts, or as token ids of the model.

use serde_json::Value;

use crate::app::{App, blocking};
use crate::embedding::check_count;
use crate::error::ApiError;
use crate::room::Room;

/// A text as a client gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Input {
    Text(String),
    Ids(Vec<u32>),
}

/// The texts of a field that is a text, the token ids of one, or a list of either.
pub async fn texts_or_ids(
    app: &App,
    room: &Room,
    input: Value,
    field: &'static str,
) -> Result<Vec<String>, ApiError> {
    let inputs = read(input, field)?;
    check_count(app, inputs.len(), field)?;
    if !inputs.iter().any(|input| matches!(input, Input::Ids(_))) {
        return Ok(inputs.into_iter().map(text_alone).collect());
    }
    let room = room.clone();
    blocking(move || {
        inputs.into_iter().enumerate().map(|(at, input)| text(&room, input, at, field)).collect()
    })
    .await
}

/// The texts of a field that is a text or a list of texts.
pub fn texts(input: Value, field: &str) -> Result<Vec<String>, ApiError> {
    let inputs = read(input, field)?;
    let ids = inputs.iter().any(|input| matches!(input, Input::Ids(_)));
    match ids {
        true => Err(ApiError::field(field, format!("{field} holds token ids, and texts are expected"))),
        false => Ok(inputs.into_iter().map(text_alone).collect()),
    }
}

fn text_alone(input: Input) -> String {
    match input {
        Input::Text(text) => text,
        Input::Ids(_) => String::new(),
    }
}

fn read(input: Value, field: &str) -> Result<Vec<Input>, ApiError> {
    match input {
        Value::String(text) => Ok(vec![Input::Text(text)]),
        Value::Array(elements) if elements.first().is_some_and(Value::is_number) => {
            Ok(vec![Input::Ids(ids(elements, field)?)])
        }
        Value::Array(elements) => elements
            .into_iter()
            .map(|element| match element {
                Value::String(text) => Ok(Input::Text(text)),
                Value::Array(elements) => Ok(Input::Ids(ids(elements, field)?)),
                _ => Err(expected(field)),
            })
            .collect(),
        _ => Err(expected(field)),
    }
}

fn expected(field: &str) -> ApiError {
    ApiError::field(
        field,
        format!("{field} is a text or a list of texts, or of token ids in place of a text"),
    )
}

fn ids(elements: Vec<Value>, field: &str) -> Result<Vec<u32>, ApiError> {
    if elements.is_empty() {
        return Err(ApiError::field(field, format!("{field} has an empty list of token ids")));
    }
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids: Option<Vec<u32>> = elements.iter().map(id).collect();
    ids.ok_or_else(|| ApiError::field(field, format!("{field}: a token id is a whole number from 0 on")))
}

/// The text of an input. Ids do not say of which vocabulary they are, and clients that cut texts for OpenAI send those of
/// its models: such ids would give vectors of other texts. They are told by the text that they spell.
fn text(room: &Room, input: Input, at: usize, field: &str) -> Result<String, ApiError> {
    let ids = match input {
        Input::Text(text) => return Ok(text),
        Input::Ids(ids) => ids,
    };
    let encoder = room.encoder();
    encoder.text_of_ids(&ids).ok().flatten().ok_or_else(|| {
        let reason = format!(
            "text {at} of {field} has token ids that the tokenizer of the model does not give, special tokens included: \
             send the text itself (in LangChain, check_embedding_ctx_length=False)"
        );
        ApiError::field(field, reason)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_are_texts_and_token_ids_in_any_order() {
        let text = |text: &str| Input::Text(text.into());
        assert_eq!(read(json!("a"), "input").unwrap(), [text("a")]);
        assert_eq!(read(json!([1, 2]), "input").unwrap(), [Input::Ids(vec![1, 2])]);
        assert_eq!(read(json!([[1], "a"]), "input").unwrap(), [Input::Ids(vec![1]), text("a")]);
        assert!(read(json!([]), "input").unwrap().is_empty());
        for wrong in [
            json!(3),
            json!([1, "a"]),
            json!(["a", 1]),
            json!([[-1]]),
            json!([[1.5]]),
            json!([[]]),
            json!([{}]),
        ] {
            assert!(read(wrong.clone(), "input").is_err(), "{wrong}");
        }
        assert!(texts(json!([[1]]), "input").is_err());
    }
}
